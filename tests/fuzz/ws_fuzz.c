/*
 * ws_fuzz: what a decoder makes of a client's bytes must not depend on how
 * they are cut, nor on where the payload is put; a state full of nonsense must
 * be safe. The first byte of an input chooses.
 */
#include "fuzz.h"

#include "codec/ws.h"

enum { FUZZ_LIMIT = 4096 };

/* A hash over everything that was decoded. */
struct digest {
	uint64_t hash;
	uint64_t message; /* of the unfinished message */
	bool failed;
	uint16_t error;
};

/* Mixes bytes into a hash (FNV-1a). */
static uint64_t
mix(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len-- > 0)
		hash = (hash ^ *p++) * UINT64_C(0x100000001b3);
	return hash;
}

/* Takes note of one event. */
static void
note(struct digest *d, const struct ws_state *s, enum ws_event event,
    const uint8_t *out, size_t out_len)
{
	d->message = mix(d->message, out, out_len);
	if (event == WS_EVENT_CONTROL) {
		REQUIRE(s->control_len <= WS_CONTROL_MAX);
		d->hash = mix(d->hash, &s->frame, 1);
		d->hash = mix(d->hash, s->control, s->control_len);
	}
	if (event == WS_EVENT_MESSAGE) {
		REQUIRE(ws_idle(s));
		REQUIRE(s->message_bytes <= FUZZ_LIMIT);
		REQUIRE(s->opcode == WS_TEXT || s->opcode == WS_BINARY);
		d->hash = mix(d->hash, &s->opcode, 1);
		d->hash = mix(d->hash, &d->message, sizeof(d->message));
		d->message = 0;
	}
}

/* Decodes in pieces of `step` bytes, each at the end of its own memory. */
static struct digest
decode(struct ws_state *s, const uint8_t *data, size_t size, size_t step,
    bool in_place)
{
	struct digest d = {0};
	size_t at, n, done, used, out_len;
	uint8_t *piece, *apart, *out;
	enum ws_event event;

	for (at = 0; at < size && !d.failed; at += n) {
		n = size - at < step ? size - at : step;
		piece = malloc(n);
		apart = malloc(n);
		memcpy(piece, data + at, n);
		for (done = 0; done < n && !d.failed; done += used) {
			out = in_place ? piece + done : apart;
			event = ws_decode(s, FUZZ_LIMIT, piece + done, n - done,
			    &used, out, &out_len);
			REQUIRE(used <= n - done && out_len <= used);
			REQUIRE(event != WS_EVENT_MORE || used == n - done);
			REQUIRE(event == WS_EVENT_ERROR || used > 0);
			d.failed = event == WS_EVENT_ERROR;
			d.error = s->error;
			if (!d.failed)
				note(&d, s, event, out, out_len);
		}
		free(piece);
		free(apart);
	}
	return d;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ws_state s = {0}, pieces = {0};
	struct digest a, b;
	size_t step;
	uint8_t choice;

	if (size < 2)
		return 0;
	choice = data[0];
	step = 1 + (choice & 0x1f);
	data++;
	size--;
	if (choice & 0x80) { /* nonsense in the state: safe, no more */
		if (size < sizeof(s))
			return 0;
		memcpy(&s, data, sizeof(s));
		data += sizeof(s);
		size -= sizeof(s);
		for (; size > 0; data += step, size -= step) {
			size_t used, out_len;
			uint8_t out[32];

			if (step > size)
				step = size;
			ws_decode(
			    &s, FUZZ_LIMIT, data, step, &used, out, &out_len);
			REQUIRE(used <= step && out_len <= step);
		}
		return 0;
	}
	a = decode(&s, data, size, size, choice & 0x40);
	b = decode(&pieces, data, size, step, choice & 0x20);
	REQUIRE(a.failed == b.failed && a.error == b.error);
	REQUIRE(a.hash == b.hash);
	REQUIRE(a.failed || a.message == b.message);
	REQUIRE(ws_idle(&s) == ws_idle(&pieces));
	return 0;
}
