/*
 * message_fuzz: whatever a link carries is refused or is what the table says.
 * The first byte is the number of descriptors, the second the sender.
 */
#include "fuzz.h"

#include "codec/message.h"

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
	from = data[1] % 4;
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
	REQUIRE(
	    (type == MSG_LINK || type == MSG_ADOPT || type == MSG_GIVE ||
		type == MSG_GIVE_BACK || type == MSG_PAGE) == (n_fds == 1) &&
	    n_fds <= 1);
	REQUIRE((type >= MSG_RELAY) ==
	    (from == PARTY_PEER || from == PARTY_READER));
	REQUIRE(from != PARTY_READER || type == MSG_RELAY);
	if (type == MSG_KICK) {
		memcpy(&kick, payload, sizeof(kick));
		REQUIRE(
		    kick.user_len >= 1 && kick.user_len <= sizeof(kick.user));
		REQUIRE(kick.device_len <= sizeof(kick.device));
	}
	return 0;
}
