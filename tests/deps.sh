#!/bin/bash
# Installs the Debian packages that the build (and, with --test, the tests) need and that are missing.
# As root or through sudo; says what it does. With everything in place it does nothing and needs neither.
set -eu

build=(gcc make pkg-config libc6-dev libssl-dev libevent-dev libp11-dev libp11-kit-dev
	libsqlcipher-dev libjansson-dev libseccomp-dev libcurl4-openssl-dev libargon2-dev softhsm2 openssl
	ca-certificates curl)
play=(nodejs)
test=(libcmocka-dev clang clang-format clang-tidy cppcheck shellcheck procps mandoc)
bench=(wrk nginx-light haproxy procps)

want=("${build[@]}" "${play[@]}")
for arg in "$@"; do
	case "$arg" in
	--test) want+=("${test[@]}") ;;
	--bench) want+=("${bench[@]}") ;;
	*)
		echo "usage: tests/deps.sh [--test] [--bench]" >&2
		exit 2
		;;
	esac
done

missing=()
for package in "${want[@]}"; do
	# a newer node than Debian's, installed another way, will do
	if [ "$package" = nodejs ] && command -v node >/dev/null; then
		continue
	fi
	if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
		missing+=("$package")
	fi
done
if [[ " $* " == *" --test "* ]] && ! command -v npm >/dev/null; then
	missing+=(npm)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing Debian packages: ${missing[*]}"
sudo=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || {
		echo "need root or sudo to install: ${missing[*]}" >&2
		exit 1
	}
	sudo=(sudo)
fi
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# policy-rc.d: packages such as nginx must not start a service here
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
