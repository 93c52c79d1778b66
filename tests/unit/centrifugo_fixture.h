/* centrifugo_fixture: alice at the centrifugo door, and what she is told. What
 * differs from run to run is written as E (an epoch), A and B (alice's and
 * bob's client ids) and T (a time). */
#ifndef CHATD_TESTS_CENTRIFUGO_FIXTURE_H
#define CHATD_TESTS_CENTRIFUGO_FIXTURE_H

#include "door_fixture.h"

#define CONNECT "{\"id\":1,\"connect\":{}}"
#define LIMITS                                                        \
	"\"data\":{\"limits\":{\"message_size\":8192,\"channels\":3," \
	"\"channel_name\":255,\"depth\":64}}"
#define CONNECTED                                                              \
	"{\"id\":1,\"connect\":{\"client\":\"A\",\"version\":\"" CHATD_VERSION \
	"\"," LIMITS ",\"subs\":{\"#alice\":{\"recoverable\":true,\"epoch\":"  \
	"\"E\",\"positioned\":true}},\"ping\":25,"                             \
	"\"pong\":true}}"
#define SUBSCRIBED                                             \
	"\"subscribe\":{\"recoverable\":true,\"epoch\":\"E\"," \
	"\"positioned\":true}}"
#define ERROR(id, code, text)                                               \
	"{\"id\":" #id ",\"error\":{\"code\":" #code ",\"message\":\"" text \
	"\"}}"

/* Alice is at this door and has not said anything. */
static inline int
begin(void **state)
{
	door_begin(state);
	bob.fd = -1;
	guest_come(&alice, &centrifugo_door, "alice");
	return 0;
}

/* Writes what differs as letters; in place. */
static inline void
plain_text(char *text)
{
	static const struct {
		const char *before;
		char letter;
	} marks[] = {{"\"epoch\":\"", 'E'}, {"\"time\":", 'T'}};
	char id[2][20], *at;
	size_t k, n;

	snprintf(id[0], sizeof(id[0]), "%016llx", (unsigned long long)alice.id);
	snprintf(id[1], sizeof(id[1]), "%016llx", (unsigned long long)bob.id);
	for (k = 0; k < 2; k++)
		for (at = text; (at = strstr(at, id[k])) != NULL;) {
			*at++ = (char)('A' + k);
			memmove(at, at + 15, strlen(at + 15) + 1);
		}
	for (k = 0; k < 2; k++)
		for (at = text; (at = strstr(at, marks[k].before)) != NULL;) {
			at += strlen(marks[k].before);
			n = strspn(at, "0123456789abcdef");
			if (n == 0)
				continue;
			*at++ = marks[k].letter;
			memmove(at, at + n - 1, strlen(at + n - 1) + 1);
		}
}

/* So is all that guests have been told. */
static inline void
plain_texts(void)
{
	struct guest *const all[] = {&alice, &bob};

	for (int g = 0; g < 2; g++)
		for (int k = 0; k < all[g]->n_texts; k++)
			plain_text(all[g]->text[k]);
}

/* Alice asks and is told just that. */
#define asks(text, ...)                    \
	do {                               \
		guest_say(&alice, text);   \
		plain_texts();             \
		told(&alice, __VA_ARGS__); \
	} while (0)

/* Alice is connected. */
static inline void
connect_alice(void)
{
	asks(CONNECT, CONNECTED);
}

#endif
