/*
 * host_fuzz: any fields behind a request line, where names are not proved: an
 * answer that is whole and of one line, whoever the fields say is asking.
 */
#include "fuzz.h"

#include "door/door.h"

/* A configuration with names of this server. */
static void
live_make(struct conf_live *live)
{
	static const char hosts[] = "chat\0*.example.org";
	static const char origins[] = "https://*.example.org\0null";

	live->insecure = 1;
	strcpy(live->machine, "desk.example.net");
	memcpy(live->host, hosts, sizeof(hosts));
	live->host_len = sizeof(hosts);
	memcpy(live->origin, origins, sizeof(origins));
	live->origin_len = sizeof(origins);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char line[] = "GET /ws?user=a HTTP/1.1\r\n";
	static char answer[ROUTE_ANSWER_MAX];
	static struct conf_live live;
	const size_t len = sizeof(line) - 1 + size + 4;
	struct http_request r;
	struct route route;
	char *head;

	if (len > HTTP_HEAD_MAX)
		return 0;
	live_make(&live);
	/* Of its own, so that a sanitizer sees a read beyond it. */
	if ((head = malloc(len)) == NULL)
		abort();
	memcpy(head, line, sizeof(line) - 1);
	memcpy(head + sizeof(line) - 1, data, size);
	memcpy(head + len - 4, "\r\n\r\n", 4);
	if (http_parse(head, len, route_takes_body, &r) == 0) {
		route_request(&live, &r, &route);
		if (route.status != 101 &&
		    (route.status < 400 || route.status > 426 ||
			strpbrk(route.body, "\r\n") != NULL))
			abort();
		if (route_answer(&route, &r, 0, answer, sizeof(answer)) >=
		    sizeof(answer) - 1)
			abort();
	}
	free(head);
	return 0;
}
