/*
 * message_fuzz: whatever a link carries is refused or is what the table says.
 * The first byte is the number of descriptors, the second the sender.
 */
#include "fuzz.h"

#include "codec/message.h"

/* Whether a descriptor comes with it. */
static bool
brings_one(int type)
{
	switch (type) {
	case MSG_LINK:
	case MSG_ADOPT:
	case MSG_GIVE:
	case MSG_GIVE_BACK:
	case MSG_PAGE:
	case MSG_ERRAND:
	case MSG_ROWS_FILE:
	case MSG_BEGUN:
		return true;
	default:
		return false;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const void *payload = NULL;
	const char *why = NULL;
	struct message_kick kick;
	size_t len = 0;
	int type, n_fds;
	enum message_party from;

	if (size < 2)
		return 0;
	n_fds = data[0];
	from = data[1] % (PARTY_ANSWERER + 1);
	data += 2;
	size -= 2;
	type = message_check(data, size, n_fds, from, &payload, &len, &why);
	if (type == -1) {
		REQUIRE(why != NULL);
		return 0;
	}
	REQUIRE(strcmp(message_name(type), "?") != 0);
	REQUIRE(payload == data + sizeof(struct message_head));
	REQUIRE(len + sizeof(struct message_head) == size);
	REQUIRE(brings_one(type) == (n_fds == 1) && n_fds <= 1);
	REQUIRE((type >= MSG_RELAY) ==
	    (from != PARTY_MASTER && from != PARTY_WORKER));
	REQUIRE(from != PARTY_READER || type == MSG_RELAY);
	REQUIRE((from == PARTY_BEGINNER) == (type == MSG_BEGUN));
	if (type == MSG_BEGUN)
		REQUIRE(len > sizeof(struct message_begun) &&
		    len <= sizeof(struct message_begun) + BEGUN_MAX);
	if (type == MSG_KICK) {
		memcpy(&kick, payload, sizeof(kick));
		REQUIRE(
		    kick.user_len >= 1 && kick.user_len <= sizeof(kick.user));
		REQUIRE(kick.device_len <= sizeof(kick.device));
	}
	return 0;
}
