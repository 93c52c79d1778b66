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
	CONF_ORIGIN_BYTES = 4096,
	CONF_MESSAGE_SIZE_MAX = 16 * 1024 * 1024
};

/* What a reload changes in running workers. Plain data, sent over links. */
struct conf_live {
	uint32_t message_size;	/* bytes of a client's message, 64K */
	uint32_t message_rate;	/* per second and connection, 0 = no limit */
	uint32_t message_burst; /* messages */
	uint32_t queue_bytes;	/* output waiting per connection, 1M */
	uint64_t idle_ms;	/* no message sent for so long, 0 = off */
	uint64_t ping_ms;	/* 25s */
	uint64_t pong_ms;	/* nothing heard after a ping, 10s */
	uint64_t handshake_ms;	/* request complete after accept, 10s */
	uint64_t drain_ms;	/* QUIT: leave after, 30s */
	uint64_t watchdog_ms;	/* 2s */
	uint8_t echo;		/* /echo is served */
	uint8_t verbose;	/* log level */
	uint16_t origin_len;	/* bytes used in origin */
	char origin[CONF_ORIGIN_BYTES]; /* allowed origins, each NUL-terminated;
					 * none = same host as Host, or no
					 * Origin */
};

struct conf {
	char *listen[CONF_LISTEN_MAX]; /* "host:port", as written */
	int n_listen;
	bool listen_is_default; /* the first conf_add_listen replaces it */
	int workers;		/* 0 = one per processor */
	uint32_t connections;	/* slots, 65536 */
	uint32_t users;		/* names, 65536 */
	uint64_t journal_bytes; /* 64M */
	uint64_t output_bytes;	/* frames waiting, all workers, 256M */
	uint64_t input_bytes;	/* unfinished messages, all workers, 64M */
	bool io_uring;		/* yes */
	char *user;		/* to run workers as; NULL = chatd, nobody */
	char *pidfile, *control, *log_file; /* NULL = default */
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
 * Adds an address; -1 and errno ENOSPC when there are CONF_LISTEN_MAX
 * already. The first one replaces the default. conf_clear_listen forgets all
 * (the command line's -l wins over the file's).
 */
int conf_add_listen(struct conf *c, const char *address);
void conf_clear_listen(struct conf *c);

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

#endif
