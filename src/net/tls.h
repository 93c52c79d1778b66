/*
 * tls: what the parts of the transport tls have in common: its state, plans,
 * and keys. The rules that these keep are said in ARCHITECTURE.md.
 */
#ifndef CHATD_NET_TLS_H
#define CHATD_NET_TLS_H

#include "base/other.h"
#include "base/shared.h"
#include "codec/tls.h"
#include "net/transport.h"

enum {
	/* Plaintext of a record of ours. Larger: what a slow socket has taken
	 * a part of takes longer to be sealed again; smaller: more bytes. */
	TLS_RECORD_USUAL = OTHER_EITHER(4096, 1500),
	TLS_RECORD_LEAST = 64,
	/* Tags that the state has room for: it is not converted. */
	TLS_TAGS = 4,
	/* Records of a plan of ours; those of another program may have more.
	 * More: fewer plans, but a slow socket has more sealed again. */
	TLS_PLAN_RECORDS = OTHER_EITHER(4, 3),
	TLS_HALF = TRANSPORT_REST / 2,
	/* Records without data in a row. Larger: a client makes a worker do
	 * more for nothing; smaller: a client that updates its keys often, or
	 * hides how long its data is, is closed. (BoringSSL's.) */
	TLS_QUIET_MAX = 32
};
_Static_assert((int)TLS_HALF >= (int)TLS_RECORD_MAX, "a record fits");
_Static_assert((int)TLS_PLAN_RECORDS <= (int)TLS_TAGS, "each has a tag");

/* The next record to read. */
struct tls_in {
	uint64_t cipher; /* so much was taken from the kernel */
	uint64_t plain;	 /* position where the record's plaintext begins */
	uint64_t number;
	uint32_t given; /* bytes of its plaintext that were read */
	uint32_t have;	/* bytes of it in its half of the rest */
	uint32_t gen;	/* how often its secret was changed */
	/* Messages of the peer's that are to be answered: in TLS 1.3
	 * KeyUpdates, in TLS 1.2 the begins of another handshake. */
	uint32_t asked;
	uint8_t half;  /* of the rest: 0, 1 */
	uint8_t quiet; /* records without data just before it */
	uint8_t suite;
	uint8_t secret[TLS_SECRET_MAX];
};

/* The records that are sealed next: all that they depend on, but for the
 * plaintext. */
struct tls_plan {
	uint64_t check; /* a hash of all that follows */
	uint64_t cipher, plain, number;
	uint64_t nonce; /* of record 0, see struct tls_birth */
	uint32_t no;
	uint32_t length; /* of their plaintext */
	uint32_t record; /* of one, at most */
	uint32_t gen;
	uint32_t answered; /* of `asked` */
	uint32_t since;	   /* when its secret was first used, s; any clock's */
	uint8_t suite, type;
	uint8_t level, alert; /* of an alert */
	uint8_t secret[TLS_SECRET_MAX];
};

/* The state, in version 1 (tls_transport.state_version). Words that are
 * compared are never stored before what they stand for. */
struct tls_wire {
	_Atomic uint32_t in_no, plan_no; /* & 1: which of two copies counts */
	_Atomic uint32_t sealed;	 /* the plan of which `tag` is */
	_Atomic uint32_t begun;
	/* derived: how much of the plan's records the kernel has taken */
	uint64_t done;
	uint64_t tag[TLS_TAGS];		   /* the last bytes of each record's */
	uint64_t read_cipher, read_number; /* as they were at first */
	struct tls_in in[2];
	struct tls_plan plan[2];
	/* pages of each half of the rest that may have memory: & 0xff, >> 8 */
	_Atomic uint32_t rested;
};
_Static_assert(sizeof(struct tls_wire) <= TRANSPORT_STATE_MAX, "it fits");

/* The state of a socket; NULL: it has not begun. */
struct tls_wire *tls_wire(const struct transport_socket *s);

/* The key of a secret, from this process's memory or into *room. NULL: errno.
 */
enum tls_way { TLS_READS, TLS_WRITES, TLS_WAYS };
const struct tls_key *
tls_wire_key(const struct transport_socket *s, enum tls_way way, uint8_t suite,
    const uint8_t secret[TLS_SECRET_MAX], struct tls_key *room);

/* Has the kernel forget what it still has of bytes that are read. */
int tls_wire_forget(const struct transport_socket *s, uint64_t bytes);
unsigned tls_wire_quiet(void);
ssize_t tls_wire_recv(const struct transport_socket *s, void *out, size_t len);
/* Gives back what was used until the boundary that counts now: the secret of
 * the one before, parts of records. */
void tls_in_tidy(const struct transport_socket *s, struct tls_wire *w);
/* Takes close_notify, and what may be behind it, if nothing else is unread. */
void tls_in_end(const struct transport_socket *s);
size_t tls_wire_rested(const struct transport_socket *s);
/* Copies which record comes next. False: the state is corrupted. */
bool tls_in_get(const struct tls_wire *w, struct tls_in *in);

/* Copies the plan. False: the state is corrupted. */
bool tls_plan_get(const struct tls_wire *w, struct tls_plan *p);
/* Whether so many bytes of its records can be out: they were sealed then, and
 * their tags are known. */
bool
tls_plan_can(const struct tls_wire *w, const struct tls_plan *p, uint64_t done);
uint64_t tls_plan_check(const struct tls_plan *p);
/* Bytes of a plan's records. */
uint64_t tls_plan_size(const struct tls_plan *p);
/* Zeroes the secret of the plan before, unless it is the same. */
void tls_plan_tidy(struct tls_wire *w);
/* Plaintext of output in whole records within so many bytes of a plan's. */
uint32_t tls_plan_whole(const struct tls_plan *p, uint64_t done);

ssize_t tls_wire_seal(const struct transport_socket *s, const uint8_t *plain,
    size_t len, uint8_t *out);
ssize_t tls_wire_sent(const struct transport_socket *s, size_t n);
/* Sends an alert, behind which nothing follows if it is close_notify or no
 * warning; FAILED: it cannot be sent. */
enum transport_wait tls_wire_alert(
    const struct transport_socket *s, bool warning, enum tls_alert alert);
/* Seconds. */
uint32_t tls_wire_now(void);

#endif
