# RelayKey. `make` builds build/bin/*; `make run`, `make demo` and `make test` are described in README.md.
#
# VARIANT picks a build tree of its own: "" (release), asan, nowipe (the canary's self-test).

VARIANT ?=
O := build$(if $(VARIANT),/$(VARIANT))
CC ?= cc
PKGS := libssl libcrypto libevent libevent_openssl libp11 p11-kit-1 sqlcipher jansson libseccomp libcurl libargon2

ifeq ($(filter clean deps help,$(MAKECMDGOALS)),)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS = $(shell pkg-config --libs $(1))
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wwrite-strings -Wvla -Wundef
HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero -fno-strict-aliasing
OPT := -O2 -g
DEFS := -D_GNU_SOURCE -DSQLITE_HAS_CODEC
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed

ifeq ($(VARIANT),asan)
OPT := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDHARDEN := -pie
else
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif
ifeq ($(VARIANT),nowipe)
DEFS += -DRK_WITHOUT_WIPE
endif

CFLAGS ?= $(OPT)
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) $(WERROR) $(HARDEN) $(DEFS) -Ibroker -I. -Itests $(PKG_CFLAGS) -MMD -MP
ALL_LDFLAGS = $(filter -fsanitize%,$(OPT)) $(LDHARDEN) $(LDFLAGS)

LIB_SRC := $(wildcard broker/base/*.c broker/ipc/*.c broker/http/*.c broker/policy/*.c broker/api/*.c pkcs11/*.c)
ROLE_SRC := $(wildcard broker/keeper/*.c broker/relay/*.c broker/console/*.c broker/courier/*.c broker/supervisor/*.c)
CLI_SRC := $(wildcard broker/cli/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)

obj = $(patsubst %.c,$(O)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC))
ROLE_OBJ := $(call obj,$(ROLE_SRC))
CLI_OBJ := $(call obj,$(filter-out broker/cli/main.c,$(CLI_SRC)))

DAEMON_LIBS = $(call PKG_LIBS,libevent libssl libcrypto libp11 sqlcipher libseccomp libcurl jansson) -ldl -lpthread
CLI_LIBS = $(call PKG_LIBS,libssl libcrypto libcurl jansson) -lpthread
TEST_LIBS = $(call PKG_LIBS,libevent libssl libcrypto libp11 sqlcipher libseccomp libcurl jansson cmocka) -ldl -lpthread

# V=1 shows the commands
Q := $(if $(V),,@)
say_compile = $(if $(V),,@echo "  CC    $<")
say_link = $(if $(V),,@echo "  LINK  $@")

.PHONY: all
all: $(O)/bin/relaykeyd $(O)/bin/relaykey

$(O)/bin/relaykeyd: $(O)/obj/broker/relaykeyd.o $(ROLE_OBJ) $(LIB_OBJ)
	@mkdir -p $(@D)
	$(say_link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS)

# the CLI speaks to the broker only: no event loop, no token, no database in it
CLI_LIB_OBJ := $(call obj,$(filter-out broker/base/sandbox%.c,$(wildcard broker/base/*.c)) \
	$(wildcard broker/policy/*.c broker/http/h1_*.c) broker/ipc/audit_row.c broker/ipc/notice_kind.c $(wildcard broker/ipc/catalogue*.c) \
	$(wildcard broker/policy/*.c broker/api/*.c broker/http/h1_*.c) broker/ipc/audit_row.c $(wildcard broker/ipc/catalogue*.c) \
	broker/ipc/frame.c broker/ipc/roles.c broker/http/target.c broker/http/base64.c)

$(O)/bin/relaykey: $(O)/obj/broker/cli/main.o $(CLI_OBJ) $(CLI_LIB_OBJ)
	@mkdir -p $(@D)
	$(say_link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CLI_LIBS)

$(O)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(say_compile)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# everything but the mains, for the tests
$(O)/librelaykey.a: $(ROLE_OBJ) $(CLI_OBJ) $(LIB_OBJ)
	$(say_link)
	$(Q)rm -f $@ && ar rcs $@ $^

# --- unit tests: one binary a file, linked against everything but the mains
UNIT_BIN := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(UNIT_SRC))

.PHONY: unit-binaries
unit-binaries: $(UNIT_BIN)

$(O)/tests/unit/%: $(O)/obj/tests/unit/%.o $(O)/librelaykey.a
	@mkdir -p $(@D)
	$(say_link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

# --- benchmark: clients and an upstream of its own, and tools that use the broker's stores and token
BENCH_WIRE := $(call obj,$(wildcard tests/bench/wire/*.c))
BENCH_PLAIN := $(patsubst %,$(O)/bench/%,load hold events upstream fsync_bench)
BENCH_STORE := $(patsubst %,$(O)/bench/%,journal_bench fill_keys fill_audit control_bench)

.PHONY: bench-binaries
bench-binaries: $(BENCH_PLAIN) $(BENCH_STORE) $(O)/bench/slow_token.so

$(BENCH_PLAIN): $(O)/bench/%: $(O)/obj/tests/bench/%.o $(BENCH_WIRE)
	@mkdir -p $(@D)
	$(say_link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call PKG_LIBS,libssl libcrypto)

$(BENCH_STORE): $(O)/bench/%: $(O)/obj/tests/bench/%.o $(O)/librelaykey.a
	@mkdir -p $(@D)
	$(say_link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS)

# a PKCS#11 module that is loaded into the keeper
$(O)/obj/tests/bench/slow_token.o: HARDEN := $(filter-out -fPIE,$(HARDEN)) -fPIC
$(O)/bench/slow_token.so: $(O)/obj/tests/bench/slow_token.o
	@mkdir -p $(@D)
	$(say_link)
	$(Q)$(CC) -shared -Wl,-z,relro,-z,now -o $@ $^ -ldl

# --- fuzz targets: with libFuzzer (make fuzz), and with a corpus runner for make test
FUZZ_REPLAY := $(patsubst tests/fuzz/%.c,$(O)/tests/replay/%,$(FUZZ_SRC))

.PHONY: fuzz-replay-binaries
fuzz-replay-binaries: $(FUZZ_REPLAY)

$(O)/tests/replay/%: $(O)/obj/tests/fuzz/%.o $(O)/obj/tests/fuzz/replay_main.o $(O)/librelaykey.a
	@mkdir -p $(@D)
	$(say_link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

# seeds of fuzz_ipc: one a message type
.PHONY: corpus-ipc
corpus-ipc: $(O)/tests/ipc_seeds
	$< tests/corpus/ipc

$(O)/tests/ipc_seeds: $(O)/obj/tests/fuzz/ipc_seeds.o $(O)/librelaykey.a
	@mkdir -p $(@D)
	$(say_link)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

.PHONY: clean
clean:
	rm -rf build

# --- what people type
.PHONY: help deps run demo stop test canary lint analyze fuzz asan bench install
help:
	@sed -n 's/^## //p' Makefile

## make            build build/bin/relaykeyd and build/bin/relaykey
## make run        install what is missing, build, start a broker to play with under build/run
## make demo       the incident drill on it: protect, issue, call, leak, revoke
## make stop       end what make run started
## make test       everything: unit, corpora, integration, SDKs, canary, kill
## make canary     search all memory and files for planted secrets, and prove that the search finds a leak
## make lint       layering, secrets and style rules; clang-format, shellcheck, cppcheck
## make analyze  gcc -fanalyzer and clang-tidy, some minutes
## make fuzz       each fuzz target for FUZZ_SECONDS (600)
## make asan       unit and integration tests under AddressSanitizer and UBSan
## make bench      nginx, haproxy and the broker in turn, as ratios (BENCH="--record throughput": tests/bench/run)
## make install    into $(DESTDIR)$(PREFIX)
## make clean

deps:
	@tests/deps.sh

run: deps
	@$(MAKE) --no-print-directory all
	@provisioning/play/run

demo:
	@provisioning/play/demo

stop:
	@provisioning/play/stop

.PHONY: test-binaries
test-binaries: all unit-binaries fuzz-replay-binaries

test:
	@tests/deps.sh --test
	@$(MAKE) --no-print-directory -j2 test-binaries WERROR=-Werror
	@$(MAKE) --no-print-directory -j2 VARIANT=nowipe all
	@tests/npm.sh
	@tests/run

canary:
	@tests/deps.sh --test
	@$(MAKE) --no-print-directory -j2 all
	@$(MAKE) --no-print-directory -j2 VARIANT=nowipe all
	@tests/npm.sh
	@tests/run canary canary-selftest

lint:
	@tests/deps.sh --test
	@tests/run lint

analyze:
	@tests/deps.sh --test
	@tests/analyze.sh

asan:
	@tests/deps.sh --test
	@$(MAKE) --no-print-directory -j2 VARIANT=asan test-binaries
	@tests/npm.sh
	@BUILD=build/asan RELAYKEY_BIN=$(CURDIR)/build/asan/bin tests/run unit fuzz cli api remote mgmt search contain trust confirm courier guide \
		proxy egress strict hostile mask websocket frontend lifecycle

bench:
	@tests/deps.sh --bench
	@$(MAKE) --no-print-directory -j2 all bench-binaries
	@tests/bench/run $(BENCH)

# --- libFuzzer builds
FUZZ_SECONDS ?= 600
FUZZ_BIN := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(FUZZ_SRC))
FUZZ_CFLAGS = -std=gnu17 -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
	$(DEFS) -Ibroker -I. -Itests $(PKG_CFLAGS) -MMD -MP
FUZZ_LIB_OBJ := $(patsubst %.c,build/fuzz/obj/%.o,$(LIB_SRC) broker/courier/mail.c broker/courier/mail_text.c \
	broker/courier/notice_json.c broker/console/leak_body.c)

build/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	clang $(FUZZ_CFLAGS) -c -o $@ $<

build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o $(FUZZ_LIB_OBJ)
	clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(DAEMON_LIBS)

.PHONY: fuzz-binaries
fuzz-binaries: $(FUZZ_BIN)

fuzz:
	@tests/deps.sh --test
	@$(MAKE) --no-print-directory -j2 fuzz-binaries
	@tests/fuzz/run $(FUZZ_SECONDS)

# manual pages and completions, from what the program says of itself
.PHONY: man
man: $(O)/man/relaykey.1
$(O)/man/relaykey.1: $(O)/bin/relaykey $(wildcard provisioning/man/*)
	@mkdir -p $(O)/completion
	$(Q)provisioning/man/build $(O)/bin/relaykey $(O)/man
	$(Q)for shell in bash zsh fish; do $(O)/bin/relaykey completion $$shell >$(O)/completion/$$shell || exit 1; done

PREFIX ?= /usr
SHARE = $(DESTDIR)$(PREFIX)/share
install: all man
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 0755 build/bin/relaykeyd $(DESTDIR)$(PREFIX)/sbin/
	install -m 0755 build/bin/relaykey $(DESTDIR)$(PREFIX)/bin/
	install -m 0644 provisioning/systemd/relaykeyd.service $(DESTDIR)$(PREFIX)/lib/systemd/system/
	install -d $(SHARE)/man/man1 $(SHARE)/man/man5 $(SHARE)/man/man8
	install -m 0644 build/man/*.1 $(SHARE)/man/man1/
	install -m 0644 build/man/*.5 $(SHARE)/man/man5/
	install -m 0644 build/man/*.8 $(SHARE)/man/man8/
	install -D -m 0644 build/completion/bash $(SHARE)/bash-completion/completions/relaykey
	install -D -m 0644 build/completion/zsh $(SHARE)/zsh/vendor-completions/_relaykey
	install -D -m 0644 build/completion/fish $(SHARE)/fish/vendor_completions.d/relaykey.fish

# objects of tests are wanted again
.SECONDARY:

-include $(shell find $(O)/obj build/fuzz/obj -name '*.d' 2>/dev/null)
