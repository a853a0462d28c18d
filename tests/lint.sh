#!/bin/bash
# The rules of the tree that a compiler does not know. Prints TAP.
set -u
cd "$(dirname "$0")/.." || exit 1

count=0 failures=0
# check "what" OFFENDERS: passes when there are none
check() {
	count=$((count + 1))
	if [ -z "$2" ]; then
		echo "ok $count - $1"
	else
		failures=$((failures + 1))
		echo "not ok $count - $1"
		printf '%s\n' "$2" | sed 's/^/#   /' | head -20
	fi
}

sources=$(git ls-files -co --exclude-standard '*.c' '*.h' | while read -r f; do [ -f "$f" ] && echo "$f"; done)
product=$(printf '%s\n' "$sources" | grep -v '^tests/')

includes_of() { # DIR-REGEX INCLUDE-REGEX
	printf '%s\n' "$product" | grep -E "^$1/" | xargs -r grep -nE "^#include \"($2)" /dev/null
}

# --- dependencies run one way: base <- ipc, http, policy, pkcs11 <- roles
check 'base includes only base' "$(includes_of broker/base '(api|ipc|http|policy|pkcs11|keeper|relay|console|courier|supervisor|cli)/')"
check 'ipc includes only base and ipc' "$(includes_of broker/ipc '(api|http|policy|pkcs11|keeper|relay|console|courier|supervisor|cli)/')"
check 'pkcs11 includes only base and pkcs11' "$(includes_of pkcs11 '(api|ipc|http|policy|keeper|relay|console|courier|supervisor|cli)/')"
check 'policy includes no role and no event code' "$(includes_of broker/policy '(api|ipc|pkcs11|keeper|relay|console|courier|supervisor|cli)/|http/tls')"
check 'http includes no role' "$(includes_of broker/http '(api|policy|pkcs11|keeper|relay|console|courier|supervisor|cli)/')"
check 'api includes only base, ipc and policy' "$(includes_of broker/api '(http|pkcs11|keeper|relay|console|courier|supervisor|cli)/')"
for role in keeper relay console courier supervisor cli; do
	others=$(printf '%s\n' keeper relay console courier supervisor cli | grep -v "^$role\$" | paste -sd'|')
	check "$role includes no other role" "$(includes_of "broker/$role" "($others)/" | grep -v 'allowed: ')"
done

# --- pure code: no loop, no descriptor, no clock, no log
pure=$(printf '%s\n' "$product" | grep -E '^broker/(policy|http)/' | grep -v '/tls')
check 'policy and the parsers of http are pure' "$(printf '%s\n' "$pure" | xargs grep -nE '#include (<event|<sys/socket|<unistd|<time\.h|"base/(log|clock|file)|"ipc/loop)' /dev/null)"
check 'library code does not log' "$(printf '%s\n' "$product" | grep -E '^(broker/(ipc|http|policy)|pkcs11)/' | xargs grep -nE '\blog_event\(' /dev/null | grep -vE 'broker/ipc/role_')"

# --- secrets
check 'one wipe: nothing calls explicit_bzero or OPENSSL_cleanse by itself' "$(printf '%s\n' "$product" | grep -v broker/base/secret.c | xargs grep -nE '\b(explicit_bzero|OPENSSL_cleanse|memset_s)\(' /dev/null)"
check 'no unbounded or locale-bound string functions' "$(printf '%s\n' "$product" | xargs grep -nE '\b(strcpy|strcat|sprintf|gets|strtok|atoi|atol|alloca)\(' /dev/null)"
check 'the environment gives no secret' "$(printf '%s\n' "$product" | xargs grep -nE 'getenv\("[A-Z_]*(PIN|SECRET|KEY|PASSWORD)"' /dev/null)"

# --- house style
check 'no file of more than 600 lines' "$(printf '%s\n' "$product" | xargs wc -l | awk '$2 != "total" && $1 > 600')"
check 'no typedef of a struct' "$(printf '%s\n' "$product" | xargs grep -nE '^typedef (struct|union|enum)' /dev/null)"
check 'nothing unfinished' "$(git ls-files -co --exclude-standard -- broker pkcs11 provisioning appliance tests | grep -vE 'lint\.sh$|corpus/|package-lock' | while read -r f; do [ -f "$f" ] && echo "$f"; done | xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b' /dev/null)"
check 'top-level entries are the agreed ones' "$(git ls-files -co --exclude-standard | cut -d/ -f1 | sort -u | grep -vE '^(broker|pkcs11|appliance|provisioning|tests|Makefile|README\.md|LICENSE|\..*)$')"
check 'every header stands alone' "$(printf '%s\n' "$sources" | grep '\.h$' | while read -r h; do
	# shellcheck disable=SC2046
	cc -std=gnu17 -D_GNU_SOURCE -DSQLITE_HAS_CODEC -Ibroker -I. -Itests $(pkg-config --cflags libevent libp11 p11-kit-1 sqlcipher) -fsyntax-only -x c "$h" 2>/dev/null || echo "$h"
done)"
# a quoted name is one between @
quoted() { tr '\140' '@' <"$1" | grep -oE "$2"; }
check 'the proofs that README names and the files that ARCHITECTURE names are there' "$({
	quoted README.md '@test_[a-z0-9_]+@' | sed 's|@\(.*\)@|tests/unit/\1.c|'
	quoted README.md '@fuzz_[a-z0-9_]+@' | sed 's|@\(.*\)@|tests/fuzz/\1.c|'
	quoted broker/ARCHITECTURE.md '@[a-z]+/[a-z0-9_]+\.[ch]@' | sed 's|@\(.*\)@|broker/\1|'
} | sort -u | while read -r f; do [ -e "$f" ] || [ -e "${f#broker/}" ] || echo "$f"; done
quoted README.md 'suites? @[a-z-]+@((,| and) @[a-z-]+@)*' | grep -oE '@[a-z-]+@' | sort -u | tr -d @ | while read -r suite; do
	grep -qE "^[[:space:]]$suite\)" tests/run || echo "suite $suite"
done)"
check 'every fuzz target has a corpus' "$(for f in tests/fuzz/fuzz_*.c; do
	name=$(basename "$f" .c)
	[ -n "$(ls "tests/corpus/${name#fuzz_}" 2>/dev/null)" ] || echo "$f"
done)"

# --- tools, where they are installed
if command -v clang-format >/dev/null; then
	check 'clang-format has nothing to change' "$(printf '%s\n' "$sources" | xargs clang-format --dry-run 2>&1 | grep -E 'warning:' | cut -d: -f1 | sort | uniq -c | head -20)"
fi
if command -v shellcheck >/dev/null; then
	check 'shellcheck is clean' "$(git ls-files -co --exclude-standard | while read -r f; do [ -f "$f" ] && head -c 20 "$f" | grep -qE '^#!/bin/(ba)?sh' && echo "$f"; done | xargs shellcheck -S style 2>&1 | head -30)"
fi
if command -v cppcheck >/dev/null; then
	# shellcheck disable=SC2046,SC2086
	check 'cppcheck is clean' "$(cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --suppressions-list=tests/lib/cppcheck.txt -D_GNU_SOURCE -D__x86_64__ -Ibroker -I. -j2 $(printf '%s\n' $product | grep '\.c$') 2>&1 | grep -E '(error|warning|portability):' | head -20)"
fi

echo "# $((count - failures)) passed, $failures failed"
[ $failures -eq 0 ]
