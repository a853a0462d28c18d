#include "keeper/initialise.h"

#include <stdlib.h>

#include "base/file.h"
#include "keeper/journal.h"
#include "keeper/store.h"
#include "keeper/store_keys.h"
#include "pkcs11/token.h"

enum { PIN_MAX = 255 };

static int read_pin(const char *path, struct rk_secret *pin, struct rk_fault *fault)
{
	return file_read_secret(path, PIN_MAX, true, pin, fault);
}

static int make_token(const struct token_params *p, const struct rk_secret *pin,
                      const char *so_pin_file, struct rk_fault *fault)
{
	RK_SECRET_AUTO so_pin = {0};
	int err = read_pin(so_pin_file, &so_pin, fault);

	return err ? err : token_init(p, &so_pin, pin, fault);
}

static int make_journal(struct token *t, const char *dir, struct rk_fault *fault)
{
	RK_SECRET_AUTO key = {0};
	struct journal *j = NULL;
	char path[CONFIG_PATH_MAX];
	int err = store_key_create(t, dir, "journal", fault);

	if (!err)
		err = store_key_load(t, dir, "journal", &key, fault);
	if (!err)
		err = file_join(dir, "journal.db", path, sizeof path);
	if (!err)
		err = journal_open(path, &key, true, true, &j, fault);
	journal_close(j);
	return err;
}

static int make_policy(struct token *t, const char *dir, struct rk_fault *fault)
{
	RK_SECRET_AUTO key = {0};
	struct store *s = NULL;
	char path[CONFIG_PATH_MAX];
	int err = store_key_create(t, dir, "policy", fault);

	if (!err)
		err = store_key_load(t, dir, "policy", &key, fault);
	if (!err)
		err = file_join(dir, "policy.db", path, sizeof path);
	if (!err)
		err = store_open(path, &key, true, &s, fault);
	store_close(s);
	return err;
}

int keeper_initialise(const struct rk_config *config, const char *so_pin_file,
                      struct rk_fault *fault)
{
	struct token_params params = {
	    .module = config->token_module,
	    .init_args = config->token_init_args[0] ? config->token_init_args : NULL,
	    .token = config->token,
	    .kek_label = "relaykey-kek",
	};
	RK_SECRET_AUTO pin = {0};
	struct token *token = NULL;
	uint32_t generation;
	int err = 0;

	/* putenv keeps the string, so it is no leak: the module reads it when it is loaded, and
	 * later. NOLINTNEXTLINE */
	for (unsigned i = 0; i < config->token_env_count; i++) {
		char *pair = strdup(config->token_env[i]);

		if (!pair || putenv(pair)) {
			free(pair);
			return rk_fail(fault, RK_E_NOMEM, "out of memory");
		}
	}
	err = read_pin(config->token_pin_file, &pin, fault);
	if (!err && so_pin_file)
		err = make_token(&params, &pin, so_pin_file, fault);
	if (!err)
		err = token_open(&params, &token, fault);
	if (!err)
		err = token_login(token, &pin, fault);
	if (!err) {
		err = token_kek_load(token, fault);
		if (err == RK_E_NOTFOUND)
			err = token_kek_generate(token, &generation, fault);
	}
	if (!err)
		err = make_policy(token, config->state_dir, fault);
	if (!err)
		err = make_journal(token, config->state_dir, fault);
	token_close(token);
	return err;
}
