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
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) $(WERROR) $(HARDEN) $(DEFS) -Ibroker -I. $(PKG_CFLAGS) -MMD -MP
ALL_LDFLAGS = $(filter -fsanitize%,$(OPT)) $(LDHARDEN) $(LDFLAGS)

LIB_SRC := $(wildcard broker/base/*.c broker/ipc/*.c broker/http/*.c broker/policy/*.c pkcs11/*.c)
ROLE_SRC := $(wildcard broker/keeper/*.c broker/relay/*.c broker/console/*.c broker/courier/*.c broker/supervisor/*.c)
CLI_SRC := $(wildcard broker/cli/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)

obj = $(patsubst %.c,$(O)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC))
ROLE_OBJ := $(call obj,$(ROLE_SRC))
CLI_OBJ := $(call obj,$(filter-out broker/cli/main.c,$(CLI_SRC)))

DAEMON_LIBS = $(call PKG_LIBS,libevent libssl libcrypto libp11 sqlcipher libseccomp) -ldl -lpthread
CLI_LIBS = $(call PKG_LIBS,libssl libcrypto libp11 libevent jansson sqlcipher) -ldl -lpthread
TEST_LIBS = $(call PKG_LIBS,libevent libssl libcrypto libp11 sqlcipher libseccomp jansson cmocka) -ldl -lpthread

.PHONY: all
all: $(O)/bin/relaykeyd $(O)/bin/relaykey

$(O)/bin/relaykeyd: $(O)/obj/broker/relaykeyd.o $(ROLE_OBJ) $(LIB_OBJ)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS)

$(O)/bin/relaykey: $(O)/obj/broker/cli/main.o $(CLI_OBJ) $(LIB_OBJ)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CLI_LIBS)

$(O)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# --- unit tests: one binary a file, linked against everything but the mains
UNIT_BIN := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(UNIT_SRC))

.PHONY: unit-binaries
unit-binaries: $(UNIT_BIN)

$(O)/tests/unit/%: $(O)/obj/tests/unit/%.o $(ROLE_OBJ) $(CLI_OBJ) $(LIB_OBJ)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

# --- fuzz targets: with libFuzzer (make fuzz), and with a corpus runner for make test
FUZZ_REPLAY := $(patsubst tests/fuzz/%.c,$(O)/tests/replay/%,$(FUZZ_SRC))

.PHONY: fuzz-replay-binaries
fuzz-replay-binaries: $(FUZZ_REPLAY)

$(O)/tests/replay/%: $(O)/obj/tests/fuzz/%.o $(O)/obj/tests/fuzz/replay_main.o $(ROLE_OBJ) $(LIB_OBJ)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

.PHONY: clean
clean:
	rm -rf build

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
