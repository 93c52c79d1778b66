/*
 * http_fuzz: a head is found whole and byte by byte alike, and what is read
 * from it lies within it.
 */
#include "fuzz.h"

#include "codec/http.h"

/* A POST below /api/ may have a body. */
static bool
takes_body(struct http_span path)
{
	return path.len > 5 && memcmp(path.p, "/api/", 5) == 0;
}

/* A span is absent or lies within the head. */
static void
require_within(struct http_span s, const char *head, size_t len)
{
	if (s.p == NULL)
		REQUIRE(s.len == 0);
	else
		REQUIRE(s.p >= head && s.p + s.len <= head + len);
}

/* What must be true of a good request, whatever it is. */
static void
require_good(const struct http_request *r, const char *head, size_t len)
{
	struct http_span user;
	char out[64];
	int n;

	require_within(r->method, head, len);
	require_within(r->query, head, len);
	require_within(r->host, head, len);
	require_within(r->origin, head, len);
	require_within(r->key, head, len);
	require_within(r->fields, head, len);
	(void)http_offers(r, "chatd.plain");
	REQUIRE(r->method.len > 0 && r->path.len > 0);
	REQUIRE(r->host.len > 0 || r->minor == 0);
	REQUIRE(r->minor > 0 || (!r->upgrade && !r->expects));
	REQUIRE(memchr(head, '\0', len) == NULL);
	REQUIRE(r->key_bad == (r->key.p == NULL));
	REQUIRE(r->key_bad || r->key.len == HTTP_KEY_LEN);
	REQUIRE(r->version >= -1 && r->version <= 255);
	if (http_parameter(r->query, "user", &user)) {
		require_within(user, head, len);
		n = http_decode(user, out, sizeof(out));
		REQUIRE(n >= -1 && n <= (int)sizeof(out));
		REQUIRE(n <= (int)user.len);
	}
	if (!r->key_bad) {
		http_accept_key(r->key.p, out);
		REQUIRE(strlen(out) == 28);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request r = {0}, r2 = {0};
	size_t scanned = 0, have;
	char *head;
	int end, n = 0;

	/* Parsing must be safe without http_head_end, too. */
	if (http_parse((const char *)data, size, takes_body, &r) == -1)
		REQUIRE(
		    (r.status == 400 || r.status == 431 || r.status == 505) &&
		    r.reason != NULL);
	memset(&r, 0, sizeof(r));
	end = http_head_end((const char *)data, size, &scanned, &r);
	REQUIRE(end <= (int)size && end <= HTTP_HEAD_MAX);
	for (scanned = have = 0; have <= size && n == 0; have++)
		n = http_head_end((const char *)data, have, &scanned, &r2);
	REQUIRE(n == end && r.status == r2.status);
	if (end <= 0) {
		REQUIRE(end == 0 || r.reason != NULL);
		return 0;
	}
	head = malloc((size_t)end);
	memcpy(head, data, (size_t)end);
	if (http_parse(head, (size_t)end, takes_body, &r) == 0)
		require_good(&r, head, (size_t)end);
	else
		REQUIRE(r.reason != NULL);
	free(head);
	return 0;
}
