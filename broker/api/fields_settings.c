#include "api/fields.h"
#include "ipc/catalogue_manage.h"

const char *api_smtp_tls(unsigned tls)
{
	switch ((enum smtp_tls)tls) {
	case SMTP_TLS_NONE:
		return "none";
	case SMTP_TLS_STARTTLS:
		return "starttls";
	case SMTP_TLS_FULL:
		return "tls";
	}
	return "unknown";
}

#define SHOWN(m)   API_AT(struct msg_settings, m)
#define CHANGED(m) API_AT(struct msg_settings_set, m)

static const struct api_field settings_fields[] = {
    {"public_url", "Where people reach the console, for links in mails.", API_STRING, API_NULL,
     SHOWN(public_url), .max = MSG_MAX_URL, .example = "https://relaykey.example.com:8444"},
    {"smtp_host", "The mail server; null: no mail is sent.", API_STRING, API_NULL,
     SHOWN(smtp_host), .max = MSG_MAX_HOST},
    {"smtp_port", "Of the mail server.", API_INTEGER, 0, SHOWN(smtp_port)},
    {"smtp_tls", "From the first byte (tls), after a plain greeting (starttls), or not at all.",
     API_ENUM, 0, SHOWN(smtp_tls), .value = api_smtp_tls, .last = SMTP_TLS_FULL},
    {"smtp_user", "Who the broker is there; null: it does not log in.", API_STRING, API_NULL,
     SHOWN(smtp_user), .max = MSG_MAX_SMTP_USER},
    {"smtp_password_set", "There is a password, which is never shown.", API_BOOL, 0,
     SHOWN(smtp_password)},
    {"smtp_ca", "CA bundle in PEM for the mail server; null: the system's.", API_STRING,
     API_NULL, SHOWN(smtp_ca), .max = MSG_MAX_PEM},
    {"mail_from", "The address that mail comes from.", API_STRING, API_NULL, SHOWN(mail_from),
     .max = MSG_MAX_MAIL},
    {"alert_mail", "Addresses that alerts go to.", API_STRINGS, 0, SHOWN(alert_mail),
     .max = MSG_MAX_MAILS, .example = "security@example.com"},
    {"trust_first_ip",
     "A holder's first address is trusted on the spot; false: only trust_presets are.",
     API_BOOL, 0, SHOWN(trust_first_ip)},
    {"trust_presets", "Prefixes that every holder is trusted at.", API_STRINGS, 0,
     SHOWN(trust_presets), .max = MSG_MAX_LIST, .example = "198.51.100.0/24"},
    {"mails_per_key_day", "At most so many mails about one key in a day.", API_INTEGER, 0,
     SHOWN(mails_per_key_day)},
    {"confirm_ttl_seconds", "How long the link in a mail is good.", API_SECONDS, 0,
     SHOWN(confirm_ttl_ms)},
    {"leak_keys", "Public keys of secret scanners, as sent: identifier, line end, PEM.",
     API_STRINGS, 0, SHOWN(leak_keys), .max = MSG_MAX_LIST},
    {"updated_at", "Null: never changed.", API_TIME, API_NULL, SHOWN(updated_ms)},
    {"revision", "Counts the changes; in quotes it is the ETag.", API_INTEGER, 0,
     SHOWN(revision)},
};
const struct api_schema api_settings = {
    .name = "Settings",
    .about = "What is set while the broker runs: links, mail, trust, secret scanners.",
    .desc = &msg_settings_desc,
    API_FIELDS(settings_fields),
};

static const struct api_field settings_change_fields[] = {
    {"public_url", "Null: mails have no links.", API_STRING, API_NULL, CHANGED(public_url),
     .max = MSG_MAX_URL, .set = SETTINGS_PUBLIC_URL,
     .example = "https://relaykey.example.com:8444"},
    {"smtp_host", "Null: no mail is sent.", API_STRING, API_NULL, CHANGED(smtp_host),
     .max = MSG_MAX_HOST, .set = SETTINGS_SMTP_HOST, .example = "mail.example.com"},
    {"smtp_port", "587 with starttls, 465 with tls.", API_INTEGER, 0, CHANGED(smtp_port),
     .min = 1, .set = SETTINGS_SMTP_PORT},
    {"smtp_tls", "A password is not sent without.", API_ENUM, 0, CHANGED(smtp_tls),
     .value = api_smtp_tls, .last = SMTP_TLS_FULL, .set = SETTINGS_SMTP_TLS},
    {"smtp_user", "Null: it does not log in.", API_STRING, API_NULL, CHANGED(smtp_user),
     .max = MSG_MAX_SMTP_USER, .set = SETTINGS_SMTP_USER},
    {"smtp_password",
     "Null: none any more. It stays with the server that it was given for: who changes where "
     "mail goes gives it again.",
     API_STRING, API_NULL | API_SECRET, CHANGED(smtp_password), .max = MSG_MAX_SMTP_PASSWORD,
     .set = SETTINGS_SMTP_PASSWORD},
    {"smtp_ca", "PEM; null: the system's.", API_STRING, API_NULL, CHANGED(smtp_ca),
     .max = MSG_MAX_PEM, .set = SETTINGS_SMTP_CA},
    {"mail_from", "In ASCII, without a name.", API_STRING, API_NULL, CHANGED(mail_from),
     .max = MSG_MAX_MAIL, .set = SETTINGS_MAIL_FROM, .example = "relaykey@example.com"},
    {"alert_mail", "All of them.", API_STRINGS, 0, CHANGED(alert_mail), .max = MSG_MAX_MAILS,
     .set = SETTINGS_ALERT_MAIL, .example = "security@example.com"},
    {"trust_first_ip", "False: only trust_presets are trusted on the spot.", API_BOOL, 0,
     CHANGED(trust_first_ip), .set = SETTINGS_TRUST_FIRST_IP},
    {"trust_presets", "All of them.", API_STRINGS, 0, CHANGED(trust_presets),
     .max = MSG_MAX_LIST, .set = SETTINGS_TRUST_PRESETS, .example = "198.51.100.0/24"},
    {"mails_per_key_day", "1 to 1000.", API_INTEGER, 0, CHANGED(mails_per_key_day), .min = 1,
     .set = SETTINGS_MAILS_PER_KEY_DAY},
    {"confirm_ttl_seconds", "Ten minutes to seven days.", API_SECONDS, 0,
     CHANGED(confirm_ttl_ms), .set = SETTINGS_CONFIRM_TTL},
    {"leak_keys",
     "All of them: each the identifier that the scanner sends, a line end, and the public "
     "key (P-256) in PEM form.",
     API_STRINGS, 0, CHANGED(leak_keys), .max = MSG_MAX_LIST, .set = SETTINGS_LEAK_KEYS,
     .example = "id1\n-----BEGIN PUBLIC KEY-----\n..."},
};
const struct api_schema api_settings_change = {
    .name = "SettingsChange",
    .about = "What shall be different; what is not there stays as it is.",
    .desc = &msg_settings_set_desc,
    API_FIELDS(settings_change_fields),
    .partial = true,
    .set_offset = offsetof(struct msg_settings_set, set),
};

static const struct api_field mail_test_fields[] = {
    {"address", "Null: those that alerts go to.", API_STRING, API_NULL,
     API_AT(struct msg_mail_test, address), .max = MSG_MAX_MAIL, .example = "ada@example.com"},
};
const struct api_schema api_mail_test = {
    .name = "MailTest",
    .about = "Where a test mail goes.",
    .desc = &msg_mail_test_desc,
    API_FIELDS(mail_test_fields),
};
