/*
 * api_fuzz: bodies of the server API: a line with the path, then the body. The
 * answer is one JSON object with a result or an error, and who is in the room
 * gets whole frames.
 */
#include "../../src/door/centrifugo/centrifugo.h"
#include "world.h"

/* The answer is as it should be. */
static void
answer_judge(const struct route *out)
{
	static const char *const names[] = {"result", "error"};
	struct json_value all, v[2], code;
	uint32_t n;

	REQUIRE(out->status == 200 || out->status == 400);
	REQUIRE(out->body_len > 0);
	REQUIRE(json_validate(out->body, out->body_len, &all));
	REQUIRE(all.type == JSON_OBJECT);
	json_members(all, names, 2, v);
	REQUIRE(json_absent(v[0]) != json_absent(v[1]));
	if (json_absent(v[1])) {
		REQUIRE(out->status == 200 && v[0].type == JSON_OBJECT);
		return;
	}
	REQUIRE(v[1].type == JSON_OBJECT && json_member(v[1], "code", &code));
	REQUIRE(json_uint32(code, &n) && n >= 100 && n < 200);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *stop = memchr(data, '\n', size);
	struct http_request r;
	struct route out;

	if (stop == NULL || size > 30000)
		return 0;
	world_make();
	world_settings(&world_node->ch);
	world_company();
	world_settle();
	memset(&r, 0, sizeof(r));
	r.path.p = (const char *)data;
	r.path.len = (size_t)(stop - data);
	data = stop + 1;
	api_answer(&world_node->ch, &r, (const char *)data,
	    size - (size_t)(stop + 1 - (const uint8_t *)r.path.p), &out);
	answer_judge(&out);
	world_settle();
	world_rest();
	return 0;
}
