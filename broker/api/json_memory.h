/*
 * Where jansson's memory comes from in this process. Request bodies and single answers may hold
 * secrets, so while one is read or made everything is taken from the secret arena, and wiped
 * when jansson frees it; pages and streams of objects, which hold none, use the heap. What is
 * freed goes back to where it came from.
 *
 * One thread. Limits: JSON_SECRET_MAX bytes at a time in the arena; then jansson is out of
 * memory.
 */
#ifndef API_JSON_MEMORY_H
#define API_JSON_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_SECRET_MAX = 1 << 20 };

/* Before the sandbox, and before any document: jansson wants random bytes of a file too. */
void json_memory_init(void);

/* From now on from the arena, or from the heap. Off at first. */
void json_memory_secret(bool on);

/* Whether there was too little since the arena was switched on: jansson does not always say so.
 */
bool json_memory_failed(void);

/* Bytes in the arena now. 0 between requests. */
size_t json_memory_in_use(void);

#endif
