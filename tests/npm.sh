#!/bin/bash
# Installs the npm packages of the tests from their lock files, once per lock file.
set -eu
cd "$(dirname "$0")"
for dir in e2e lib; do
	stamp=$dir/node_modules/.installed-for
	if [ -f "$stamp" ] && cmp -s "$dir/package-lock.json" "$stamp"; then
		continue
	fi
	echo "installing the npm packages of tests/$dir"
	(cd "$dir" && npm ci --no-audit --no-fund --loglevel=error)
	cp "$dir/package-lock.json" "$stamp"
done
