#!/bin/bash
# gcc -fanalyzer and clang-tidy (.clang-tidy) over the broker and pkcs11, or over the files given. Some minutes.
# Prints what they found and a count; full texts are in build/analyze. Called by `make analyze`.
set -u
cd "$(dirname "$0")/.." || exit 1

out=build/analyze
rm -rf "$out"
mkdir -p "$out"
read -ra flags <<<"-std=gnu17 -D_GNU_SOURCE -DSQLITE_HAS_CODEC -DRK_ANALYZE -Ibroker -I. \
	$(pkg-config --cflags libssl libevent libp11 p11-kit-1 sqlcipher jansson libseccomp)"
files=("$@")
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(git ls-files -co --exclude-standard 'broker/*.c' 'pkcs11/*.c')

# gcc 12: malloc-leak does not follow a pointer that is stored in an array or a struct of somebody else;
# null-argument believes in slices that have bytes but no pointer (.clang-tidy says more)
gcc_one() {
	gcc -O2 -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-null-argument "${flags[@]}" -c -o /dev/null "$1" >"$out/gcc-${1//\//-}.txt" 2>&1
}

tidy_one() {
	clang-tidy --quiet "$1" -- "${flags[@]}" >"$out/tidy-${1//\//-}.txt" 2>/dev/null
}

for tool in gcc_one tidy_one; do
	for file in "${files[@]}"; do
		while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
			wait -n
		done
		$tool "$file" &
	done
done
wait

findings() { # PREFIX
	cat "$out/$1"-*.txt | grep -E '(warning|error):' | sort -u
}
gcc=$(findings gcc)
tidy=$(findings tidy | sed "s#$PWD/##")
[ -z "$gcc$tidy" ] || printf '%s\n' "$gcc" "$tidy" | grep .
echo "${#files[@]} files: gcc -fanalyzer $(printf '%s' "$gcc" | grep -c .), clang-tidy $(printf '%s' "$tidy" | grep -c .)"
[ -z "$gcc$tidy" ]
