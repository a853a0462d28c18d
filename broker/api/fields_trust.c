#include "api/fields.h"
#include "ipc/catalogue_trust.h"
#include "policy/relay_key.h"

/* ---- holders ---- */

#define HOLDER(m) API_AT(struct msg_holder_info, m)

static const struct api_field holder_fields[] = {
    {"id", "Kind and name.", API_STRING, 0, HOLDER(ref), .max = MSG_MAX_HOLDER,
     .example = "person:ada"},
    {"kind", "What it is.", API_ENUM, 0, HOLDER(kind), .value = api_holder_kind,
     .last = HOLDER_KINDS - 1},
    {"name", "Who it is.", API_STRING, 0, HOLDER(name), .max = MSG_MAX_NAME},
    {"email", "Where the mail about a new address goes; null: nowhere.", API_STRING, API_NULL,
     HOLDER(email), .max = MSG_MAX_EMAIL},
    {"keys", "Relay keys of it, whatever their state.", API_INTEGER, 0, HOLDER(keys)},
    {"live_keys", "Those neither revoked nor expired.", API_INTEGER, 0, HOLDER(live_keys)},
    {"trusted_ips", "Addresses that it is trusted at.", API_INTEGER, 0, HOLDER(trusted_ips)},
    {"pending_ips", "Addresses that wait to be confirmed.", API_INTEGER, 0,
     HOLDER(pending_ips)},
    {"revoked", "By a revocation: how many keys it was in force for.", API_INTEGER, API_OMIT,
     HOLDER(revoked)},
    {"revision", "Counts its changes; in quotes it is the ETag.", API_INTEGER, 0,
     HOLDER(revision)},
};
const struct api_schema api_holder = {
    .name = "HolderInfo",
    .about = "The application, agent, person or vendor that relay keys belong to.",
    .desc = &msg_holder_info_desc,
    API_FIELDS(holder_fields),
};

static const struct api_field holder_change_fields[] = {
    {"email", "Null: no mail. Links that went to the former address open nothing any more.",
     API_STRING, API_NULL, API_AT(struct msg_holder_set, email), .max = MSG_MAX_EMAIL,
     .set = HOLDER_SET_EMAIL, .example = "ada@example.com"},
};
const struct api_schema api_holder_change = {
    .name = "HolderChange",
    .about = "What shall be different of a holder.",
    .desc = &msg_holder_set_desc,
    API_FIELDS(holder_change_fields),
    .partial = true,
    .set_offset = offsetof(struct msg_holder_set, set),
};

/* ---- addresses ---- */

#define TRUST(m) API_AT(struct msg_trust_info, m)

static const char *state_name(unsigned state)
{
	switch ((enum trust_state)state) {
	case TRUST_PENDING:
		return "pending";
	case TRUST_TRUSTED:
		return "trusted";
	case TRUST_REMOVED:
		return "removed";
	}
	return "unknown";
}

static const char *how_name(unsigned how)
{
	switch ((enum trust_how)how) {
	case TRUST_BY_NOBODY:
		return "nobody";
	case TRUST_BY_FIRST:
		return "first";
	case TRUST_BY_MANAGER:
		return "manager";
	case TRUST_BY_LINK:
		return "link";
	}
	return "unknown";
}

static const struct api_field holder_of_fields[] = {
    {"kind", "What it is.", API_ENUM, 0, TRUST(holder_kind), .value = api_holder_kind,
     .last = HOLDER_KINDS - 1},
    {"name", "Who it is.", API_STRING, 0, TRUST(holder), .max = MSG_MAX_NAME},
};
static const struct api_schema holder_of_address = {
    .name = "HolderOfAddress",
    .about = "Who is trusted at an address.",
    API_FIELDS(holder_of_fields),
};

static const struct api_field address_fields[] = {
    {"id", "Names it.", API_STRING, 0, TRUST(id), .max = MSG_MAX_NAME, .example = "ip_17"},
    {"holder", "Whose it is.", API_GROUP, 0, .object = &holder_of_address},
    {"address", "Or a prefix; of IPv6 a /64 counts as one address.", API_STRING, 0,
     TRUST(address), .max = MSG_MAX_ADDRESS, .example = "203.0.113.42"},
    {"state", "Requests from there are let through when it is trusted.", API_ENUM, 0,
     TRUST(state), .value = state_name, .first = TRUST_PENDING, .last = TRUST_REMOVED},
    {"trusted_by",
     "Who decided: nobody yet; it was the holder's first; a manager; whoever had "
     "the link of the mail.",
     API_ENUM, 0, TRUST(how), .value = how_name, .last = TRUST_BY_LINK},
    {"key_id", "With which it was seen first; null: it was added.", API_STRING, API_NULL,
     TRUST(key_id), .max = MSG_MAX_NAME},
    {"key", "The same, masked.", API_STRING, API_NULL, TRUST(key_masked), .max = MSG_MAX_NAME},
    {"connection_id", "On which it was seen first.", API_STRING, API_NULL, TRUST(conn_id),
     .max = MSG_MAX_NAME},
    {"connection_name", "Its name now; null: it was removed.", API_STRING, API_NULL,
     TRUST(conn_name), .max = MSG_MAX_NAME},
    {"user_agent", "Of the request that it was seen with first.", API_STRING, API_NULL,
     TRUST(user_agent), .max = AUDIT_MAX_USER_AGENT},
    {"first_seen_at", "Or when it was added.", API_TIME, API_NULL, TRUST(first_ms)},
    {"decided_at", "Null: not yet.", API_TIME, API_NULL, TRUST(decided_ms)},
    {"link_expires_at", "Of the link in the mail; null: none is open.", API_TIME, API_NULL,
     TRUST(code_expires_ms)},
    {"revision", "Counts its changes; in quotes it is the ETag.", API_INTEGER, 0,
     TRUST(revision)},
};
const struct api_schema api_trusted_ip = {
    .name = "TrustedIp",
    .about = "An address of a holder: trusted, or waiting to be.",
    .desc = &msg_trust_info_desc,
    API_FIELDS(address_fields),
};

static const struct api_field address_new_fields[] = {
    {"holder", "\"kind:name\".", API_STRING, API_REQUIRED, API_AT(struct msg_trust_add, holder),
     .max = MSG_MAX_HOLDER, .example = "person:ada"},
    {"address", "Or a prefix; of one IPv6 address its /64 is meant.", API_STRING, API_REQUIRED,
     API_AT(struct msg_trust_add, address), .max = MSG_MAX_ADDRESS,
     .example = "198.51.100.0/24"},
};
const struct api_schema api_trusted_ip_new = {
    .name = "TrustedIpNew",
    .about = "An address that a holder shall be trusted at.",
    .desc = &msg_trust_add_desc,
    API_FIELDS(address_new_fields),
};

const char *api_trust_state(unsigned state)
{
	return state_name(state);
}
