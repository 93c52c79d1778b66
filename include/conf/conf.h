/*
 * conf: the configuration. Layer 1. parse.y fills a struct conf from a file;
 * the command line overrides it; what can change without a restart travels to
 * the workers as a struct conf_live.
 */
#ifndef CHATD_CONF_CONF_H
#define CHATD_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONF_WORKERS_MAX = 64, /* a presence mask is one 64-bit word */
	CONF_LISTEN_MAX = 8,
	CONF_FILES_BYTES = 1024 * 1024, /* of all files together */
	CONF_ORIGIN_BYTES = 4096,
	CONF_HOST_BYTES = 2048,
	CONF_MACHINE_BYTES = 65, /* of a host's name, with the NUL */
	CONF_USER_BYTES = 64,	 /* of the workers' user's name */
	CONF_PATH_BYTES = 1024,
	CONF_SOCKET_BYTES = 107, /* of the control socket's path */
	CONF_RATE_MAX = 1000000, /* messages a second: more is no limit */
	CONF_KEYS_MAX = 64,	 /* that there may be */
	/* A key for HS256 has as many bits as its hash (RFC 7518 3.2); a
	 * shorter one is found by trying. */
	CONF_TOKEN_KEY_MIN = 32,
	CONF_MESSAGE_SIZE_MAX = 16 * 1024 * 1024,
	CONF_REQUEST_SIZE_MIN = 1024,
	CONF_REQUEST_SIZE_MAX = 65536,
	/* Messages of message-size that output-memory must hold: JSON makes six
	 * bytes of a control character, a frame may take half of the memory,
	 * and a quarter of that is for references. */
	CONF_OUTPUT_MESSAGES = 16,
	CONF_CHANNELS_MAX = 32,	     /* channel blocks */
	CONF_CHANNEL_NAME_MAX = 255, /* bytes of a channel's name */
	CONF_PATTERN_BYTES = 64,     /* with the NUL */
	CONF_HISTORY_MAX = 100000,   /* publications kept of a channel */
	CONF_CONNECTION_CHANNELS_MAX = 1024,
	CONF_PREFIXES_MAX = 32, /* of limit-exempt */
	CONF_CERTIFICATES_MAX = 32,
	CONF_NAMES_MAX = 15,	  /* of tls-ciphers, the longest such list */
	CONF_HANDSHAKERS_MAX = 8, /* processes of tls-handshakers */
	CONF_TOKEN_SIZE_MAX = 64 * 1024, /* bytes of a token */
	CONF_SECRET_BYTES = 257,	 /* with the NUL */
	CONF_TEXT_BYTES = 257		 /* with the NUL */
};

/* Who may subscribe to a channel. Zero is the strictest. */
enum conf_subscribe {
	CONF_SUBSCRIBE_NONE,  /* no client: only the server subscribes one */
	CONF_SUBSCRIBE_TOKEN, /* with a subscription token */
	CONF_SUBSCRIBE_USERS, /* clients with a name */
	CONF_SUBSCRIBE_ALL
};

/* Which clients may publish to it. */
enum conf_publish {
	CONF_PUBLISH_NONE,
	CONF_PUBLISH_SUBSCRIBERS,
	CONF_PUBLISH_ALL
};

/* Which clients may do something. Zero is the strictest. */
enum conf_whom {
	CONF_WHOM_NONE,
	CONF_WHOM_USERS, /* clients with a name */
	CONF_WHOM_ALL
};

/* What becomes of a client who reads too slowly. */
enum conf_slow { CONF_SLOW_DISCONNECT, CONF_SLOW_SKIP };

/* What is stored of a channel, and what waits for that. */
enum conf_store {
	CONF_STORE_NO,
	CONF_STORE_YES,	  /* what is published, soon */
	CONF_STORE_ACK,	  /* the answer to who publishes waits for it */
	CONF_STORE_STRICT /* and so does everybody else */
};

/* What a commit means, and what becomes of publications that the store has no
 * room for. */
enum conf_store_sync { CONF_STORE_SYNC_FULL, CONF_STORE_SYNC_NORMAL };
enum conf_store_full { CONF_STORE_FULL_CONTINUE, CONF_STORE_FULL_REFUSE };

/* What a channel block says of the channels that it matches. */
struct conf_channel {
	char pattern[CONF_PATTERN_BYTES]; /* as written; NUL-terminated */
	uint8_t len;			  /* bytes of it, without the star */
	uint8_t prefix;			  /* it ended in a star */
	uint8_t subscribe;		  /* enum conf_subscribe */
	uint8_t publish;		  /* enum conf_publish */
	uint8_t recovery;		  /* forced: clients need not ask */
	uint8_t presence;
	uint8_t join_leave;	 /* and pushed to all subscribers */
	uint32_t history;	 /* publications, 0 = none */
	uint64_t history_age_ms; /* 0 = no limit but history */
	uint8_t store;		 /* enum conf_store */
	uint8_t offline; /* its user gets what came while away, unasked */
};

/* The addresses that begin with so many bits; IPv4's as ::ffff:0:0/96. */
struct conf_prefix {
	uint8_t address[16];
	uint8_t bits;
};

/* What a reload changes in running workers. Goes over links by name, see
 * conf_live_write(): a new member gets its row in src/conf/keys.def or, if it
 * is no key, its line in src/conf/live.c. */
struct conf_live {
	uint32_t message_size;	/* bytes of a client's message, 64K */
	uint32_t message_rate;	/* per second and connection, 0 = no limit */
	uint32_t message_burst; /* messages */
	uint32_t queue_bytes;	/* output waiting per connection, 1M */
	uint64_t idle_ms;	/* no message sent for so long, 0 = off */
	uint64_t ping_ms;	/* 25s */
	uint64_t pong_ms;	/* nothing heard after a ping, 10s */
	uint64_t handshake_ms;	/* request complete after accept, 10s */
	uint32_t request_size;	/* bytes of a request's head, 16K */
	uint64_t drain_ms;	/* QUIT: leave after, 30s */
	uint64_t watchdog_ms;	/* 2s */
	uint8_t echo;		/* /echo is served */
	uint8_t verbose;	/* log level */
	uint16_t origin_len;	/* bytes used in origin */
	char origin[CONF_ORIGIN_BYTES]; /* allowed origins, each NUL-terminated;
					 * none = same host as Host, or no
					 * Origin */
	uint64_t connect_ms; /* first centrifugo command after the 101, 15s */
	uint32_t connection_channels; /* subscriptions of a connection, 128 */
	uint32_t user_channels; /* that a user is charged with, 0 = any, 1024 */
	/* one address has at most 1 / this of a table half full, 0 = any, 8 */
	uint32_t address_share;
	struct conf_prefix exempt[CONF_PREFIXES_MAX]; /* from address_share */
	uint8_t n_exempt;
	uint8_t slow_policy;  /* enum conf_slow, disconnect */
	uint8_t private;      /* who may send private messages and */
	uint8_t who;	      /* ask who is here: enum conf_whom, users */
	uint8_t insecure_set; /* the file has an insecure line */
	uint8_t insecure;     /* see conf_insecure; 0 until decided */
	uint8_t n_channels;
	/* While insecure: no request is refused for its Host or a proxy. */
	uint8_t insecure_public;
	uint16_t host_len;	    /* bytes used in host */
	char host[CONF_HOST_BYTES]; /* names of this server, each terminated */
	char machine[CONF_MACHINE_BYTES]; /* this machine's name */
	struct conf_channel channel[CONF_CHANNELS_MAX];
	char token_key[CONF_SECRET_BYTES]; /* HS256; "" = none. Never logged */
	char api_key[CONF_SECRET_BYTES];   /* "" = no HTTP API. Never logged */
	char token_audience[CONF_TEXT_BYTES]; /* "" = any */
	char token_issuer[CONF_TEXT_BYTES];   /* "" = any */
	uint64_t token_leeway_ms; /* that issuers' clocks may differ by, 10s */
	uint32_t token_size;	  /* bytes of a token at most, 8K */
	uint64_t store_wait_ms;	  /* until what nobody waits for is committed,
				   * 20ms */
	uint64_t store_age_ms;	  /* nothing older is kept, 0 = any */
	uint64_t store_bytes;	  /* of the database's file, 0 = any */
	uint8_t store_full;	  /* enum conf_store_full, continue */
	uint32_t redirect_port;	  /* that clients of plain HTTP are sent to, 0 =
				   * that of the first address over TLS */
	uint64_t hsts_ms; /* clients come by TLS alone so long, 0 = not said */
};

/* Paths of a certificate with those that lead to it, and of what goes with it.
 */
struct conf_certificate {
	char *chain, *key;
	char *staple; /* OCSP response; NULL = none */
};

/* Words of a fixed set, in the order in which they are preferred. */
struct conf_names {
	uint8_t n;
	uint8_t given;		    /* by a file; else these are defaults */
	uint8_t at[CONF_NAMES_MAX]; /* numbers in their set, from 0 */
};

/* Of TLS handshakes. A reload changes it: by other processes, which are told
 * all of it when they are born. */
struct conf_tls {
	struct conf_certificate certificate[CONF_CERTIFICATES_MAX];
	int n_certificates; /* the first one is the default */
	struct conf_names protocols, ciphers, groups;
	uint32_t handshakers; /* 0 = one per processor, up to 8 */
	uint8_t strict_sni;   /* no */
	char *challenge; /* folder of answers to ACME, NULL = none is given */
};

struct conf {
	char *listen[CONF_LISTEN_MAX];	     /* "host:port", as written */
	char *listen_words[CONF_LISTEN_MAX]; /* behind it; NULL: none */
	/* as where[], of each */
	char *listen_where[CONF_LISTEN_MAX];
	int n_listen;
	bool listen_is_default; /* the first conf_add_listen replaces it */
	int workers;		/* 0 = one per processor */
	uint32_t connections;	/* slots, 65536 */
	uint32_t users;		/* names, 65536 */
	uint32_t channels;	/* rooms, 65536 */
	uint32_t subscriptions; /* in all, 8 x connections */
	uint32_t reader_share;	/* 4 */
	uint64_t journal_bytes; /* 64M */
	uint64_t output_bytes;	/* frames waiting, all workers, 256M */
	uint64_t input_bytes;	/* unfinished messages, all workers, 64M */
	bool io_uring;		/* yes */
	char *user;		/* to run workers as; NULL = chatd, nobody */
	char *pidfile, *control, *log_file; /* NULL = default */
	char *webroot; /* folder of the web page; NULL = the one built in */
	char *store;   /* file of the database; NULL = nothing is stored */
	char *store_backup;   /* folder of its copies; NULL = none is made */
	uint8_t store_sync;   /* enum conf_store_sync, full */
	uint8_t store_search; /* texts are indexed, no */
	bool exempt_set; /* the file has limit-exempt: no defaults any more */
	struct conf_tls tls;
	char *where[CONF_KEYS_MAX]; /* see conf_where() */
	struct conf_live live;
};

/* A conf with every default. Free with conf_free. NULL: no memory. */
struct conf *conf_new(void);
void conf_free(struct conf *c);

/*
 * Reads a file into a fresh conf. On error returns NULL with a message of
 * whole lines "file:line: what" in error, each ended by a newline ("file:
 * what" for a file that cannot be read).
 */
struct conf *conf_load(const char *file, char *error, size_t error_len);

/*
 * conf_load() with a bundle (base/bundle.h). While the bundle is being filled,
 * files are read and put into it, or their errors. Else files come from the
 * bundle alone, so that a process that must not wait for a disk can load what
 * another one has read.
 */
struct bundle;
struct conf *conf_load_bundle(
    const char *file, struct bundle *b, char *error, size_t error_len);

/* Whether a file is there, readable or not; a bundle as above. */
bool conf_exists(const char *file, struct bundle *b);

/*
 * Adds an address, "host:port" or that and words behind it, each after a
 * blank; -1 and errno ENOSPC when there are CONF_LISTEN_MAX already. The first
 * one replaces the default. conf_clear_listen forgets all (the command line's
 * -l wins over the file's).
 */
int conf_add_listen(struct conf *c, const char *address);
void conf_clear_listen(struct conf *c);

/* Adds a certificate; staple NULL: none. -1 and errno: ENOSPC when there are
 * CONF_CERTIFICATES_MAX. */
int conf_add_certificate(
    struct conf *c, const char *chain, const char *key, const char *staple);

/* Whether that is the text of the address of that number, with its words. */
bool conf_listen_is(const struct conf *c, int i, const char *text);

/*
 * "64K", "10m", "8/s burst 20" are the parser's; these serve the command line
 * and tests. Return -1 when malformed or out of range.
 */
int conf_parse_size(const char *text, uint64_t *bytes);
int conf_parse_time(const char *text, uint64_t *ms);

/*
 * What a reload would like to change but cannot without a restart: a comma
 * separated list of keys in out ("" if none). Returns their number.
 */
int conf_differences(
    const struct conf *old, const struct conf *new, char *out, size_t out_len);

/*
 * The keys of *live that differ between two, as conf_differences(): what a
 * reload changes at once.
 */
int conf_live_differences(const struct conf_live *old,
    const struct conf_live *new, char *out, size_t out_len);

/* The keys of TLS handshakes that differ, as conf_differences(): what a reload
 * changes by other processes. */
int conf_tls_differences(
    const struct conf *old, const struct conf *new, char *out, size_t out_len);

/* Exchanges these keys' values. */
void conf_tls_swap(struct conf *a, struct conf *b);

/* The words of such a key, each with a blank or another separator between, as
 * far as there is room. Returns out. */
const char *conf_names_text(const struct conf *c, const char *key,
    char separator, char *out, size_t out_len);

/* Whether an address has that word behind it. */
bool conf_listen_has(const struct conf *c, const char *word);

/*
 * What is wrong with certificates while chatd listens where `running` says (c
 * itself at a start): an address with TLS needs one. NULL: nothing; a text that
 * lives until the next call.
 */
const char *conf_tls_judge(const struct conf *c, const struct conf *running);

/* Where a key is set, first if it may repeat: "file:line", or the option, "-w";
 * NULL: nowhere, or it is `listen`. */
const char *conf_where(const struct conf *c, const char *key);

/* Notes that an option of the command line sets a key: its place is the
 * option, "-w". False: no memory. */
bool conf_note_option(struct conf *c, const char *key, const char *option);

/* Takes from another configuration where the keys are set that a reload
 * applies. */
void conf_take_where(struct conf *to, struct conf *from);

/* "file:line: listen: ", or what is known of it, for a complaint about an
 * address. One static buffer. */
const char *conf_listen_place(const struct conf *c, int address);

/* Whether there are listeners and all are on loopback: localhost,
 * 127.0.0.0/8 or [::1]. A name that would have to be looked up is not. */
bool conf_loopback(const struct conf *c);

/*
 * Whether clients may connect under any name and channels ask for no token: as
 * the file's `insecure` says, else yes on loopback without a token-key.
 */
bool conf_insecure(const struct conf *c);

/*
 * What is wrong with `insecure yes` while chatd listens at the addresses of
 * `running` (c itself at a start; at a reload listeners stay as they are): it
 * is refused if one of them is neither on loopback nor private. NULL: nothing;
 * a text that lives until the next call.
 */
const char *conf_access_judge(const struct conf *c, const struct conf *running);

/*
 * What is wrong with its channels' rules while chatd stores as `running` says
 * (c itself at a start; at a reload these keys stay as they are): an answer
 * cannot wait for the disk where commits do not. NULL: nothing; as above.
 */
const char *conf_store_judge(const struct conf *c, const struct conf *running);

/* The first channel block that wants to be stored; NULL: none does. */
const struct conf_channel *conf_store_wanted(const struct conf_live *live);

/* Stores in c->live what follows for the workers: insecure, and this machine's
 * name. After the command line has had its say. */
void conf_access_settle(struct conf *c, const struct conf *running);

/* Whether an Origin, or a host without its port, is listed by the key. */
bool conf_origin_listed(
    const struct conf_live *live, const char *origin, size_t len);
bool
conf_host_listed(const struct conf_live *live, const char *host, size_t len);

/*
 * What holds for a channel: the longest pattern that matches, a name before a
 * prefix of the same length. `lobby` and `#*` are built in unless a block has
 * that very pattern, and `*` if there is no block at all. NULL: there is no
 * such channel. The result lives as long as *live is not changed. The name
 * need not have been checked; it may hold NUL.
 */
const struct conf_channel *
conf_channel_find(const struct conf_live *live, const char *name, size_t len);

/* Whether an address, IPv4 as ::ffff:0:0/96, begins as one of those that are
 * not counted as one (limit-exempt). */
bool conf_is_exempt(const struct conf_live *live, const uint8_t address[16]);

/* Whether a channel may be named so: 1 to CONF_CHANNEL_NAME_MAX bytes of
 * UTF-8 without control characters (C0, DEL, C1), as many after a "#". */
bool conf_channel_name_ok(const char *name, size_t len);

enum { CONF_LIVE_MAX = 48 * 1024 }; /* bytes of one as text */

/* A live configuration as lines of names and values, for a worker that may be
 * of another version. Returns the length. */
size_t conf_live_write(const struct conf_live *live, char out[CONF_LIVE_MAX]);

/* Takes out of it what is secret, for a process that judges nobody by it. */
void conf_live_bare(struct conf_live *live);

/*
 * Reads such a text into *live; unknown names are ignored, and fields that the
 * text does not mention stay as they are. Returns NULL, or what is wrong: *live
 * is of no use then.
 */
const char *
conf_live_read(struct conf_live *live, const char *text, size_t len);

/* What is wrong with the rules of a live configuration that came over a link;
 * NULL if nothing is. */
const char *conf_channels_judge(const struct conf_live *live);

#endif
