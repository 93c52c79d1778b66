/* endpoint: the words of `listen`, each alone, together and wrong, and what
 * they are written as for the next program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "codec/framing.h"
#include "net/endpoint.h"
#include "net/transport.h"

enum { FRONT = 1, BACK = 5, CELLAR = 31 };

static const struct endpoint_door doors[ENDPOINT_DOORS] = {
    [FRONT] = {"front", NULL},
    [BACK] = {"back", NULL},
    [CELLAR] = {"cellar", "smoke"}};
static struct endpoint e;
static char error[512];

/* Those words make sense. */
static void
good(const char *words)
{
	memset(&e, 0xaa, sizeof(e));
	error[0] = '\0';
	if (endpoint_parse(&e, words, doors, error, sizeof(error)) == -1)
		fail_msg("%s: %s", words, error);
	assert_int_equal(e.fd, (int)0xaaaaaaaa); /* left alone */
}

/* They do not, and that is said so. */
static void
bad(const char *words, const char *what)
{
	error[0] = '\0';
	assert_int_equal(
	    endpoint_parse(&e, words, doors, error, sizeof(error)), -1);
	if (strstr(error, what) == NULL)
		fail_msg("%s: %s", words, error);
}

/* It is usual, and those doors are open. */
static void
usual(uint32_t open)
{
	assert_int_equal(e.purpose, ENDPOINT_PUBLIC);
	assert_int_equal(e.transport, transport_find("tcp"));
	assert_int_equal(e.framing, framing_find("websocket"));
	assert_int_equal(e.doors, open);
}

static void
test_words(void **state)
{
	const uint32_t all = 1u << FRONT | 1u << BACK;

	good(NULL);
	usual(all);
	good("");
	usual(all);
	good("  ");
	usual(all);
	good("websocket public  tcp ");
	usual(all);
	good(" tcp");
	usual(all);
	good("back");
	usual(1u << BACK);
	assert_true(endpoint_has(&e, BACK));
	assert_false(endpoint_has(&e, FRONT));
	assert_false(endpoint_has(&e, CELLAR));
	assert_false(endpoint_has(&e, 32 + BACK));
	assert_int_equal(endpoint_only_door(&e), BACK);
	good("back tcp front");
	usual(all);
	assert_int_equal(endpoint_only_door(&e), 0);
}

static void
test_wrong(void **state)
{
	static const char known[] = "known words are public clients admin "
				    "tls-redirect tcp tls websocket front back "
				    "cellar";

	bad("attic", "\"attic\" is unknown");
	bad("attic", known);
	bad("tcp attic", "\"attic\" is unknown");
	bad("Tcp", known);
	bad("tc", known);
	bad("0123456789012345678901234567890123456789", known);
	bad("tcp tcp", "tcp: another word says so already");
	bad("public tcp public", "public: another word");
	bad("websocket websocket", "websocket: another word");
	bad("tcp admin public", "admin and public contradict each other");
	bad("clients admin", "clients and admin contradict each other");
	bad("adnim", "\"adnim\" is unknown; did you mean admin? known words");
	bad("fornt", "did you mean front?");
	assert_null(strstr((bad("xyz", "is unknown; known"), error), "mean"));
	bad("admin front", "front is a door for clients, and admin opens none");
	bad("back admin", "back is a door for clients");
	bad("cellar", "the door cellar does not speak websocket");
	bad("front cellar", "cellar does not speak");
}

/* For whom an endpoint is: no door is open where it is not for clients. */
static void
test_purposes(void **state)
{
	char out[ENDPOINT_TEXT];
	struct endpoint was;

	good("tcp clients");
	assert_int_equal(e.purpose, ENDPOINT_CLIENTS);
	assert_int_equal(e.doors, 1u << FRONT | 1u << BACK);
	good("clients back");
	assert_int_equal(endpoint_only_door(&e), BACK);
	endpoint_words(&e, doors, out);
	assert_string_equal(out, "clients tcp websocket back");
	good("tls-redirect");
	assert_int_equal(e.purpose, ENDPOINT_REDIRECT);
	assert_int_equal(e.doors, 0);
	endpoint_words(&e, doors, out);
	assert_string_equal(out, "tls-redirect tcp websocket");
	bad("tls-redirect tls", "for clients that do not come by tls yet");
	bad("tls-redirect front", "and tls-redirect opens none");
	bad("tls-redirect clients", "contradict each other");
	good("admin");
	assert_int_equal(e.purpose, ENDPOINT_ADMIN);
	assert_int_equal(e.doors, 0);
	assert_int_equal(endpoint_only_door(&e), 0);
	was = e;
	endpoint_words(&e, doors, out);
	assert_string_equal(out, "admin tcp websocket");
	good(out);
	assert_memory_equal(&was, &e, sizeof(e));
}

/* What is written means the same again; a door that comes later is open where
 * all were. */
static void
test_again(void **state)
{
	static const char *const words[] = {"", "back", "front back", "tcp"};
	static const char *const want[] = {"public tcp websocket",
	    "public tcp websocket back", "public tcp websocket",
	    "public tcp websocket"};
	char out[ENDPOINT_TEXT];
	struct endpoint was;

	for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
		good(words[k]);
		was = e;
		endpoint_words(&e, doors, out);
		assert_string_equal(out, want[k]);
		good(out);
		assert_memory_equal(&was, &e, sizeof(e));
	}
	endpoint_words(&endpoints_usual.at[0], doors, out);
	assert_string_equal(out, "public tcp websocket");
}

/* A table of them: named after their addresses, and no more than there is room
 * for. */
static void
test_table(void **state)
{
	struct sockaddr_in sa = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	static struct endpoints all;
	char name[LISTENER_TEXT];
	int fd = socket(AF_INET, SOCK_STREAM, 0), k;

	assert_int_equal(bind(fd, (void *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (void *)&sa, &len), 0);
	listener_name((void *)&sa, name);
	good("back");
	assert_true(endpoints_add(&all, &e, fd));
	assert_int_equal(all.at[0].fd, fd);
	assert_string_equal(all.at[0].name, name);
	assert_int_equal(all.at[0].doors, 1u << BACK);
	assert_ptr_equal(endpoints_find(&all, name), &all.at[0]);
	assert_null(endpoints_find(&all, "127.0.0.1:0"));
	for (k = 1; k < ENDPOINTS_MAX; k++)
		assert_true(endpoints_add(&all, &e, -1));
	assert_string_equal(all.at[1].name, "?");
	assert_false(endpoints_add(&all, &e, fd));
	endpoints_close(&all);
	assert_int_equal(all.n, 0);
	assert_int_equal(close(fd), -1); /* it is closed */
}

/* A listener at an address, at a port of its own; the port in *port. */
static int
listener_at(const char *address, in_port_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
	assert_int_equal(bind(fd, (void *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (void *)&a, &len), 0);
	*port = a.sin_port;
	return fd;
}

/* A socket that a listener has accepted, at an address. */
static int
accepted_at(int listener, const char *address, in_port_t port, int *client)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = port};

	*client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
	assert_int_equal(connect(*client, (void *)&a, sizeof(a)), 0);
	return accept(listener, NULL, NULL);
}

/* Which endpoint a socket came through is told by its address. */
static void
test_accepted(void **state)
{
	struct endpoints all = {.n = 2};
	in_port_t port[2];
	int fd[3], client[3], pair[2], k;

	all.at[0].fd = listener_at("127.0.0.1", &port[0]);
	all.at[1].fd = listener_at("0.0.0.0", &port[1]);
	fd[0] = accepted_at(all.at[0].fd, "127.0.0.1", port[0], &client[0]);
	fd[1] = accepted_at(all.at[1].fd, "127.0.0.1", port[1], &client[1]);
	fd[2] = accepted_at(all.at[1].fd, "127.0.0.3", port[1], &client[2]);
	assert_int_equal(endpoints_accepted(&all, fd[0]), 0);
	assert_int_equal(endpoints_accepted(&all, fd[1]), 1);
	assert_int_equal(endpoints_accepted(&all, fd[2]), 1);
	/* the configuration has changed: none is taken for another one */
	all.n = 1;
	assert_int_equal(endpoints_accepted(&all, fd[0]), 0);
	assert_int_equal(endpoints_accepted(&all, fd[1]), -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(endpoints_accepted(&all, pair[0]), -1);
	assert_int_equal(endpoints_accepted(&all, -1), -1);
	for (k = 0; k < 3; k++) {
		close(fd[k]);
		close(client[k]);
	}
	close(all.at[0].fd);
	close(all.at[1].fd);
	close(pair[0]);
	close(pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_words),
	    cmocka_unit_test(test_wrong), cmocka_unit_test(test_purposes),
	    cmocka_unit_test(test_again), cmocka_unit_test(test_table),
	    cmocka_unit_test(test_accepted)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
