#include "shaking.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/shared.h"
#include "handshake.h"
#include "net/listener.h"

struct shaking_one {
	struct shaking *all;
	struct shaking_one *next, *before;
	struct handshake *h;
	struct event *event;
	uint64_t since_ms;
	uint64_t read, written;
	uint32_t endpoint;
	int fd;
	short waits; /* EV_READ or EV_WRITE */
	enum handshake_state state;
};

/* Takes it out; its descriptor stays open. */
static void
shaking_free(struct shaking_one *o)
{
	struct shaking *s = o->all;

	if (o->before != NULL)
		o->before->next = o->next;
	else
		s->first = o->next;
	if (o->next != NULL)
		o->next->before = o->before;
	else
		s->last = o->before;
	s->n--;
	if (o->event != NULL)
		event_free(o->event);
	handshake_free(o->h);
	free(o);
}

/* Gives one up, and says why. */
static void
shaking_drop(struct shaking_one *o, const char *why)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	char name[LISTENER_TEXT] = "?";

	if (log_is_verbose() &&
	    getpeername(o->fd, (struct sockaddr *)&peer, &len) == 0)
		(void)listener_name((struct sockaddr *)&peer, name);
	log_debug("%s: no TLS handshake: %s", name, why);
	close(o->fd);
	shaking_free(o);
}

/* Gives one up for which there is no time, and says so: user_canceled, then
 * close_notify (RFC 8446 6.1). Behind our ServerHello an alert would have to be
 * sealed, and to who has said nothing of TLS there is nothing to say. */
static void
shaking_cancel(struct shaking_one *o, const char *why)
{
	static const uint8_t alerts[] = {TLS_ALERT, TLS_VERSION, TLS_VERSION, 0,
	    2, 1, TLS_USER_CANCELED, TLS_ALERT, TLS_VERSION, TLS_VERSION, 0, 2,
	    1, TLS_CLOSE_NOTIFY};

	if (o->read > 0 && o->written == 0)
		(void)send(
		    o->fd, alerts, sizeof(alerts), MSG_DONTWAIT | MSG_NOSIGNAL);
	shaking_drop(o, why);
}

/* Hands one over that is done. */
static void
shaking_hand(struct shaking_one *o)
{
	struct shaking *s = o->all;
	struct tls_birth birth = *handshake_birth(o->h);
	const struct handed_what what = {.fd = o->fd,
	    .endpoint = o->endpoint,
	    .read = o->read,
	    .written = o->written,
	    .birth = &birth};
	char text[128];

	if (log_is_verbose()) {
		handshake_describe(o->h, text, sizeof(text));
		log_debug("TLS handshake: %s", text);
	}
	s->n_done++;
	shaking_free(o);
	KILL_POINT();
	s->done(s->arg, &what);
	explicit_bzero(&birth, sizeof(birth));
}

/* Sends what there is. Returns 1: all is out, 0: the socket takes no more now,
 * -1: it has ended. */
static int
shaking_send(struct shaking_one *o)
{
	const uint8_t *out;
	size_t len;
	ssize_t n;

	while ((out = handshake_output(o->h, &len)) != NULL) {
		n = send(o->fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1)
			return errno == EAGAIN ? 0 : -1;
		KILL_POINT();
		o->written += (uint64_t)n;
		handshake_sent(o->h, (size_t)n);
	}
	return 1;
}

/* Reads what it asks for; as shaking_send(). */
static int
shaking_read(struct shaking_one *o)
{
	static uint8_t bytes[TLS_RECORD_MAX];
	size_t want = handshake_wants(o->h);
	ssize_t n;

	if (want > sizeof(bytes))
		want = sizeof(bytes);
	n = recv(o->fd, bytes, want, MSG_DONTWAIT);
	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0)
		return -1;
	KILL_POINT();
	o->read += (uint64_t)n;
	o->state = handshake_take(o->h, bytes, (size_t)n);
	KILL_POINT();
	return 1;
}

/* How far one gets with its socket. */
enum shaking_result { SHAKING_WAITS, SHAKING_LEFT, SHAKING_OVER };

/* Sends and reads until its socket has no more; o->waits says for what. */
static enum shaking_result
shaking_go(struct shaking_one *o)
{
	int r;

	for (;;) {
		o->waits = EV_WRITE;
		if ((r = shaking_send(o)) == -1)
			return SHAKING_LEFT;
		if (r == 0) /* an alert is not waited for */
			return o->state == HANDSHAKE_FAILED ? SHAKING_OVER
							    : SHAKING_WAITS;
		if (o->state != HANDSHAKE_GOES_ON)
			return SHAKING_OVER;
		o->waits = EV_READ;
		if ((r = shaking_read(o)) != 1)
			return r == 0 ? SHAKING_WAITS : SHAKING_LEFT;
	}
}

static void shaking_cb(evutil_socket_t fd, short events, void *arg);

/* Has the loop tell when it may go on. */
static int
shaking_watch(struct shaking_one *o)
{
	if (o->event != NULL &&
	    event_get_events(o->event) == (short)(o->waits | EV_PERSIST))
		return 0;
	if (o->event != NULL)
		event_free(o->event);
	o->event = event_new(
	    o->all->base, o->fd, (short)(o->waits | EV_PERSIST), shaking_cb, o);
	return o->event != NULL ? event_add(o->event, NULL) : -1;
}

/* Goes on with one as far as its socket lets it. */
static void
shaking_cb(evutil_socket_t fd, short events, void *arg)
{
	struct shaking_one *o = arg;
	struct shaking *s = o->all;
	const char *why = "its client has left";

	s->tick(s->arg);
	switch (shaking_go(o)) {
	case SHAKING_WAITS:
		if (shaking_watch(o) == 0)
			return;
		why = "no memory";
		break;
	case SHAKING_OVER:
		if (o->state == HANDSHAKE_DONE) {
			shaking_hand(o);
			return;
		}
		why = handshake_why(o->h);
		s->n_failed++;
		break;
	case SHAKING_LEFT:
		s->n_left++;
		break;
	}
	shaking_drop(o, why);
}

int
shaking_begin(struct shaking *s, int fd, uint32_t endpoint, uint64_t now_ms)
{
	struct shaking_one *o = calloc(1, sizeof(*o));

	if (o == NULL || (o->h = handshake_new(s->contexts)) == NULL) {
		free(o);
		close(fd);
		return -1;
	}
	o->all = s;
	o->fd = fd;
	o->endpoint = endpoint;
	o->since_ms = now_ms;
	o->before = s->last;
	if (s->last != NULL)
		s->last->next = o;
	else
		s->first = o;
	s->last = o;
	s->n++;
	/* its ClientHello is often there already */
	shaking_cb(fd, EV_READ, o);
	return 0;
}

void
shaking_time(struct shaking *s, uint64_t now_ms, uint64_t most_ms)
{
	while (s->first != NULL && now_ms - s->first->since_ms >= most_ms) {
		s->n_late++;
		shaking_cancel(s->first, "it took too long");
	}
}

bool
shaking_spare(struct shaking *s, uint64_t now_ms)
{
	if (s->n < SHAKING_MAX)
		return true;
	if (now_ms - s->first->since_ms < SHAKING_SPARE_MS)
		return false;
	s->n_spared++;
	shaking_cancel(s->first, "others wait");
	return true;
}

void
shaking_deinit(struct shaking *s)
{
	while (s->first != NULL)
		shaking_drop(s->first, "the process ends");
}
