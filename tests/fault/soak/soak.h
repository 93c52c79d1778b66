/*
 * soak: hundreds of clients in one process talk at full rate while workers and
 * keepers die, and everything that they hear is compared with what was sent.
 *
 * One order of the lobby holds for all: the first client to hear a message
 * appends it to `order`, all others must hear exactly that next. A message's
 * text follows from its sender and number, so it need not be kept.
 */
#ifndef CHATD_SOAK_H
#define CHATD_SOAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
	CLIENTS_MAX = 800,
	WORKERS = 4,
	KEEPERS = 2, /* of a worker */
	TEXT_MAX = 20 * 1024,
	IN_BYTES = 128 * 1024,
	OUT_BYTES = 128 * 1024,
	ANSWERS = 32 /* expected at once, at most */
};

/* ---- daemon.c: the daemon, and what can be asked of it ---- */

struct worker_view {
	int pid, keeper[KEEPERS];
	unsigned generation;
	bool running;
};

struct daemon {
	pid_t pid;
	int port, tls_port;
	char dir[64], control[96];
	unsigned connections; /* it has room for */
};

struct settings {
	const char *chatd;
	unsigned clients, hits, seconds;
	uint64_t seed;
	bool centrifugo;  /* half of the clients at that door */
	unsigned idle;	  /* connections, to see how long a takeover takes */
	bool one;	  /* only worker 0 is hit, so often that others adopt */
	bool points;	  /* workers die at kill points */
	bool reader;	  /* a reader of the journal is beside them, */
	bool store;	  /* which is the store */
	bool tls;	  /* a third of the clients come over TLS */
	bool orders;	  /* workers are told to move, end, be others, too */
	bool oracle;	  /* which nonces were used is noted: kill build */
	const char *only; /* those whose name holds this */
	bool verbose;
};

extern struct settings set;
extern struct daemon daemon_;

void daemon_start(void);
/* Asks the control socket; the answer is good until the next call. NULL: it was
 * refused, or there was no answer. */
const char *daemon_ask(const char *const *word, int n);
bool daemon_workers(struct worker_view out[WORKERS]);
/* The pid of the reader of the journal; 0: there is none now. */
int daemon_reader(void);
/* The pid of one of a kind that runs, the n-th; 0: there is none. */
int daemon_of(const char *kind, unsigned n);
/* Writes its configuration. */
void daemon_conf(void);
/* TERM; false if it did not leave with status 0. */
bool daemon_stop(void);
void daemon_forget(void); /* removes its folder */
/* Whether all its processes run. */
bool daemon_is_whole(void);
/* KiB of memory of all its processes. */
long daemon_pss(void);
/* The takeovers that the log tells of: how many, the longest in ms, and how
 * many connections were closed because their records were corrupted. */
void daemon_takeovers(unsigned *n, unsigned *max_ms, unsigned *corrupted);

/* ---- memory.c: how much memory it takes over time ---- */

/* Measures it, now and then; called in each turn of the storm. */
void memory_turn(void);
/* The median of the last MEMORY_MS, in KiB. */
enum { MEMORY_MS = 15000 };
long memory_now(void);

/* ---- text.c: messages, and the order of the lobby ---- */

struct text {
	size_t len;
	char bytes[TEXT_MAX + 64];
};

/* What message `seq` from a client says: to the lobby, or to one client. */
void text_make(struct text *t, uint32_t from, uint32_t seq, int to);
/* The number that a text names; false if it is too short to have one. */
bool text_seq(const char *bytes, size_t len, uint32_t *seq);
/* Whether it is exactly that message. */
bool
text_is(const char *bytes, size_t len, uint32_t from, uint32_t seq, int to);

struct said {
	uint32_t from, seq;
	uint32_t by; /* who heard it first */
};
extern struct order {
	struct said *said;
	uint32_t n;
	uint32_t next[CLIENTS_MAX]; /* number of each one's next */
} order;
void order_add(uint32_t from, uint32_t seq, uint32_t by);
/* Where a message is; UINT32_MAX if it is not there yet. */
uint32_t order_find(uint32_t from, uint32_t seq);

/* ---- client.c ---- */

enum phase { AWAY, SHAKING, OPEN, LEAVING };

enum answer_kind { A_WHO, A_PONG, A_NOBODY, A_REPLY, A_JOINED };

struct client {
	int fd;
	enum phase phase;
	bool mover, slow, json;
	bool located; /* `at` is known */
	bool close_heard;
	bool own_heard; /* its first, before `at` was known */
	uint32_t at;	/* the newest of `order` that it has heard */
	uint32_t sent;	/* numbers used for the lobby */
	uint32_t heard; /* of its own, all before this one */
	uint32_t first; /* number of the first since it is here */
	uint32_t whispered, whispers_heard; /* from it to others */
	uint32_t to_sent[CLIENTS_MAX], from_heard[CLIENTS_MAX];
	struct {
		uint8_t kind;
		uint32_t value, after;
	} answer[ANSWERS];
	uint32_t asked, answered;
	uint64_t hold_ms;  /* the rest of a frame goes out then */
	uint64_t deaf_ms;  /* does not read until then */
	uint64_t turn_ms;  /* comes or goes then */
	uint64_t shake_ms; /* handshake begun */
	uint64_t open_ms;  /* and answered */
	uint8_t *in, *out;
	size_t in_len, out_len;
	uint64_t offset; /* centrifugo: of the lobby's newest push */
	uint32_t id;	 /* centrifugo: of its newest command */
};

extern struct client client[CLIENTS_MAX];
extern uint64_t now_ms;

enum fault {
	F_DISCONNECT,
	F_LOST,
	F_DOUBLED,
	F_ORDER,
	F_CORRUPT,
	F_ANSWER,
	F_PRESENCE,
	F_ALERT,
	F_LEAK,
	F_OTHER,
	FAULTS
};
extern unsigned faults[FAULTS];
extern struct counts {
	uint64_t lobby, whispers, answers, deliveries, bytes;
	unsigned joins, retries, leaves, cut, fragments, looks;
	/* connections over TLS, keys that clients renew, the newest certificate
	 * that one was shown */
	unsigned tls, keys, certificate;
} counts;

void
fault(enum fault f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Tells them once more. */
void faults_tell(void);
uint32_t dice(uint32_t n); /* 0 .. n - 1 */

void client_connect(uint32_t i);
/* Sends its close frame: in order. */
void client_leave(uint32_t i);
/* Something to do on its socket, or for the clock. */
void client_read(uint32_t i);
void client_flush(uint32_t i);
/* Says or asks something if its window allows. */
void client_say(uint32_t i);
void client_ask_who(uint32_t i);
extern int poll_fd;
/* Connects, leaves or reads again; still: it does not leave. */
void client_time(uint32_t i, bool still);
bool client_is_quiet(const struct client *c);

/* ---- wire.c: its bytes on the socket ---- */
bool wire_is_tls(uint32_t i);
/* Its socket is new; is about to be closed. */
void wire_open(uint32_t i);
void wire_close(uint32_t i);
/* As recv(). */
ssize_t wire_recv(uint32_t i, void *bytes, size_t n);
/* Whether more can be read than the socket tells. */
bool wire_has(uint32_t i);
/* What is to be sent next of `out`; that so much of it was. */
const void *wire_next(uint32_t i, size_t *n);
void wire_sent(uint32_t i, size_t n);
/* How far its handshake is, in OpenSSL's words. */
const char *wire_state(uint32_t i);
/* Bytes that are to be sent and are not in `out` any more. */
size_t wire_waits(uint32_t i);

/* A client with a new name connects and says nothing, and an earlier one
 * leaves; then all leave. */
void stranger_come(void);
/* One that says what makes a worker of the kill build fail by itself. */
void stranger_crashes(void);
void strangers_go(void);

/* ---- heard.c, json.c: what a door says ---- */
void heard_text(uint32_t i, const char *text, size_t len);
void heard_lobby(uint32_t i, uint32_t from, const char *text, size_t len);
void heard_whisper(uint32_t i, uint32_t from, const char *text, size_t len);
void
heard_answer(uint32_t i, enum answer_kind kind, const char *text, size_t len);
bool heard_name(const char *text, size_t len, uint32_t *who);
void json_text(uint32_t i, const char *text, size_t len);
void json_hello(uint32_t i);
void json_say(uint32_t i, int to, const struct text *t);
void frame_put(
    struct client *c, int opcode, bool fin, const void *bytes, size_t len);
void message_put(struct client *c, const char *bytes, size_t len);
void expect(struct client *c, enum answer_kind kind, uint32_t value);

/* ---- reader.c: rooms that a reader of the journal has to do with ---- */
extern struct reader_counts {
	uint64_t said;
	unsigned refused, unknown, killed;
} reader_counts;
/* The reader's folder, and what is in it. */
void reader_folder(char *path, size_t size);
void reader_prepare(void);
void reader_forget(void);
/* The room of a client. */
const char *reader_room(uint32_t i);
/* Says something there, if nothing is on its way. */
void reader_say(uint32_t i);
/* Nothing is said yet, and all have joined. */
void reader_begin(void);
/* It has joined; its connection is gone. */
void reader_joined(uint32_t i);
void reader_gone(uint32_t i);
void reader_heard(uint32_t i, uint32_t from, const char *text, size_t len);
/* Whether a line, or a reply with an error, is about what it said there. */
bool reader_line(uint32_t i, const char *text, size_t len);
bool reader_reply(uint32_t i, uint32_t id, const char *line, size_t len);
bool reader_is_quiet(uint32_t i);
/* When all is quiet, and the daemon has stopped: compares all with the book. */
void reader_judge(void);

/* ---- database.c: the reader is the store ---- */
/* Its lines of the configuration. */
void database_conf(FILE *f);
/* Compares the database; room_row() is called with each row of a room. */
void database_judge(bool (*room_row)(char *line, unsigned k));

/* ---- hit.c: who dies when ---- */
extern struct hit_counts {
	unsigned workers, keepers, handshakers, stopped, keepers_stopped;
	unsigned crashes;	      /* by a message */
	unsigned pairs, orders, both; /* several of a place at once */
	unsigned points_known, points_hit, twice;
} hit_counts;
/* more: somebody may be hit now. */
void hit_turn(bool more);
unsigned hits_done(void);
/* Whether all have recovered. */
bool hit_settled(void);
void points_open(void);
void points_turn(void);
bool points_settled(void);
void points_print(void);

/* ---- order.c: what the daemon is told to do meanwhile ---- */
void order_turn(void);
bool order_busy(void);
unsigned orders_done(void);
/* Whether none is carried out, and none begins any more until order_turn(). */
bool order_settled(void);
void order_print(void);
/* Makes a certificate: the first one. */
void order_prepare(void);

/* ---- oracle.c: no key and nonce has two plaintexts ---- */
void oracle_open(void);
void oracle_judge(void);

/* ---- back.c: how soon everybody is served again ---- */
int back_run(void);

/* ---- descriptors.c: what the daemon's processes hold open ---- */
/* Waits until all processes are there, and notes what they have: there is no
 * client. */
void descriptors_begin(void);
/* Whether they have the same again, and the sockets of so many connections; if
 * not in time, tells what they have. rest() is called between two looks. */
void descriptors_check(unsigned connections, void (*rest)(unsigned ms));
/* How many they had, in all, at the last look. */
unsigned descriptors_seen(void);

/* ---- leak.c: what is in shared memory when all is quiet ---- */
/* rest() is called between two looks, as by descriptors_check(). */
void leak_check(unsigned connections, void (*rest)(unsigned ms));
/* Whether each family of processes has exactly the sockets that its slots
 * claim, in each table; otherwise tells what is not so. */
bool custody_is_right(bool tell);
/* Whether the journal has been filled once: all of its memory is in use. */
bool journal_is_full(void);
/* Writes the newest publications to the file `journal` in the daemon's folder.
 */
void journal_dump(unsigned n);

#endif
