#include "keeper/store_keys.h"

#include <stdio.h>

#include "base/file.h"
#include "keeper/db.h"

enum {
	KEY_FILE_MAX = 4096,
	KEY_PATH_MAX = 4096,
	KEY_NAME_MAX = 64,
};

/* DIR/<name>.key, and the additional data that binds the blob to this store. */
struct key_place {
	char path[KEY_PATH_MAX];
	char aad[KEY_NAME_MAX + 8];
};

static int find_place(const char *dir, const char *name, struct key_place *p,
                      struct rk_fault *fault)
{
	char file[KEY_NAME_MAX + 8];

	if (strlen(name) > KEY_NAME_MAX)
		return rk_fail(fault, RK_E_TOOBIG, "the store's name is too long");
	snprintf(file, sizeof file, "%s.key", name);
	snprintf(p->aad, sizeof p->aad, "store|%s", name);
	if (file_join(dir, file, p->path, sizeof p->path) != 0)
		return rk_fail(fault, RK_E_TOOBIG, "the path of %s is too long", file);
	return 0;
}

int store_key_create(struct token *t, const char *state_dir, const char *name,
                     struct rk_fault *fault)
{
	RK_SECRET_AUTO key = {0};
	unsigned char blob[KEY_FILE_MAX];
	struct key_place place;
	size_t blob_len = 0;
	int err = find_place(state_dir, name, &place, fault);

	if (err)
		return err;
	err = rk_secret_alloc(&key, DB_KEY_BYTES);
	if (err)
		return rk_fail(fault, err, "no secret memory for a store key");
	key.len = DB_KEY_BYTES; /* so that whatever gets there is wiped */
	err = token_random(t, key.p, DB_KEY_BYTES);
	if (err)
		return rk_fail(fault, err, "the token gave no random bytes");
	err = token_wrap(t, &key, rk_str(place.aad), blob, sizeof blob, &blob_len, fault);
	if (!err)
		err = file_write(place.path, rk_slice(blob, blob_len), 0600, true, fault);
	return err;
}

int store_key_load(struct token *t, const char *state_dir, const char *name,
                   struct rk_secret *out, struct rk_fault *fault)
{
	struct rk_secret key = {0};
	struct key_place place;
	struct rk_fault why = {0};
	struct rk_buf blob = {0};
	int err = find_place(state_dir, name, &place, fault);

	if (!err)
		err = file_read(place.path, KEY_FILE_MAX, &blob, fault);
	if (err)
		return err;
	err = token_unwrap(t, rk_buf_slice(&blob), rk_str(place.aad), &key, &why);
	rk_buf_free(&blob);
	if (err == RK_E_CORRUPT)
		return rk_fail(fault, err,
		               "%s was not wrapped by this token for this store: %s",
		               place.path, why.text);
	if (err)
		return rk_fail(fault, err, "cannot unwrap %s: %s", place.path, why.text);
	if (key.len != DB_KEY_BYTES) {
		rk_secret_free(&key);
		return rk_fail(fault, RK_E_CORRUPT, "%s does not hold a store key", place.path);
	}
	rk_secret_move(out, &key);
	return 0;
}
