#!/bin/bash
# Installs the SDKs of tests/e2e from its lock file, once per lock file.
set -eu
cd "$(dirname "$0")/e2e"
stamp=node_modules/.installed-for
if [ -f "$stamp" ] && cmp -s package-lock.json "$stamp"; then
	exit 0
fi
echo "installing the npm packages of tests/e2e"
npm ci --no-audit --no-fund --loglevel=error
cp package-lock.json "$stamp"
