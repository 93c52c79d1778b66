/*
 * What two versions of chatd share while an upgrade is going on: the records
 * in shared memory, the messages over links, notes and orders of keepers. The
 * layout's number is the hash of this print, so that none forgets to change
 * it; live configuration is not in it, as it travels by name (conf/conf.h).
 *
 * A new record, field, value or message of that kind gets its line here: make
 * lint looks for fields.
 */
#include <stdio.h>
#include <string.h>

#include "base/siphash.h"
#include "codec/custody.h"
#include "codec/message.h"
#include "codec/ws.h"
#include "heads.h"
#include "hub/charge.h"
#include "hub/blob.h"
#include "hub/input.h"
#include "hub/layout.h"
#include "hub/line.h"
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "hub/words.h"
#include "name.h"
#include "page.h"

#ifndef CHATD_LAYOUT_OTHER
#define CHATD_LAYOUT_OTHER "" /* a test's build differs in this */
#endif

/* A line of the print: a struct's size, a field's offset and size, a value. */
struct layout_line {
	const char *name;
	uint64_t value, size;
};

#define STRUCT(s)                                 \
	{                                         \
		"struct " #s, 0, sizeof(struct s) \
	}
#define FIELD(s, f)                                                          \
	{                                                                    \
#s "." #f, offsetof(struct s, f), sizeof(((struct s *)0)->f) \
	}
#define VALUE(v)           \
	{                  \
#v, (v), 0 \
	}

static const struct layout_line layout_lines[] = {
    STRUCT(shm_sizes),
    FIELD(shm_sizes, total),
    FIELD(shm_sizes, lines),
    FIELD(shm_sizes, users),
    FIELD(shm_sizes, channels),
    FIELD(shm_sizes, charge),
    FIELD(shm_sizes, payer_bits),
    FIELD(shm_sizes, slots),
    FIELD(shm_sizes, segments),
    FIELD(shm_sizes, chunks),
    FIELD(shm_sizes, pages),
    FIELD(shm_sizes, subscriptions),
    FIELD(shm_sizes, index),
    FIELD(shm_sizes, journal),
    FIELD(shm_sizes, heads),
    FIELD(shm_sizes, worker),
    FIELD(shm_sizes, entry),
    FIELD(shm_sizes, slot),
    FIELD(shm_sizes, chunk),
    FIELD(shm_sizes, subscription),
    FIELD(shm_sizes, spare),
    STRUCT(shm_heads),
    FIELD(shm_heads, magic),
    FIELD(shm_heads, layout),
    FIELD(shm_heads, sizes),
    FIELD(shm_heads, suspect),
    FIELD(shm_heads, tail),
    FIELD(shm_heads, oldest),
    FIELD(shm_heads, redone),
    FIELD(shm_heads, end),
    FIELD(shm_heads, fault),
    FIELD(shm_heads, hold),
    FIELD(shm_heads, entries),
    FIELD(shm_heads, hand),
    FIELD(shm_heads, epoch),
    FIELD(shm_heads, charge_live),
    FIELD(shm_heads, charge_turn),
    FIELD(shm_heads, charge_at),
    FIELD(shm_heads, seen),
    FIELD(shm_heads, words),
    STRUCT(hub_words),
    FIELD(hub_words, door),
    FIELD(hub_words, framing),
    FIELD(hub_words, transport),
    FIELD(hub_words, lobby),
    FIELD(hub_words, spare),
    STRUCT(index_entry),
    FIELD(index_entry, at),
    FIELD(index_entry, mask),
    STRUCT(entry_head),
    FIELD(entry_head, position),
    FIELD(entry_head, offset),
    FIELD(entry_head, previous),
    FIELD(entry_head, sender),
    FIELD(entry_head, input_end),
    FIELD(entry_head, time_ms),
    FIELD(entry_head, channel),
    FIELD(entry_head, epoch),
    FIELD(entry_head, ordinal),
    FIELD(entry_head, data_len),
    FIELD(entry_head, user_len),
    FIELD(entry_head, format),
    FIELD(entry_head, sub_info_len),
    FIELD(entry_head, info_len),
    FIELD(entry_head, tags_len),
    STRUCT(shm_lock),
    FIELD(shm_lock, word),
    FIELD(shm_lock, turns),
    FIELD(shm_lock, since),
    FIELD(shm_lock, first),
    FIELD(shm_lock, passed),
    STRUCT(shm_line),
    FIELD(shm_line, pid),
    FIELD(shm_line, generation),
    FIELD(shm_line, state),
    FIELD(shm_line, started_ms),
    FIELD(shm_line, tick),
    FIELD(shm_line, cursor),
    FIELD(shm_line, lock_state),
    FIELD(shm_line, thread),
    FIELD(shm_line, wait_turn),
    FIELD(shm_line, hand),
    FIELD(shm_line, hand_arg),
    STRUCT(shm_worker),
    FIELD(shm_worker, keeper),
    FIELD(shm_worker, custody),
    FIELD(shm_worker, keeper_tick),
    FIELD(shm_worker, stage_conn),
    FIELD(shm_worker, move_id),
    FIELD(shm_worker, move_part),
    FIELD(shm_worker, move_first),
    FIELD(shm_worker, move_info),
    FIELD(shm_worker, move_subs),
    FIELD(shm_worker, move_from),
    FIELD(shm_worker, stage_start),
    FIELD(shm_worker, connections),
    FIELD(shm_worker, pending),
    FIELD(shm_worker, opened),
    FIELD(shm_worker, kept),
    FIELD(shm_worker, unkept),
    FIELD(shm_worker, room),
    FIELD(shm_worker, accepting),
    FIELD(shm_worker, spare_files),
    FIELD(shm_worker, sends_by),
    FIELD(shm_worker, sends_error),
#define COUNTER(field, metric, words) FIELD(shm_worker, field),
#include "hub/stats.def"
#undef COUNTER
    FIELD(shm_worker, turn_max_us),
    FIELD(shm_worker, used),
    STRUCT(presence_entry),
    FIELD(presence_entry, mask),
    FIELD(presence_entry, offset),
    FIELD(presence_entry, newest),
    FIELD(presence_entry, epoch),
    FIELD(presence_entry, hash),
    FIELD(presence_entry, address),
    FIELD(presence_entry, payer),
    FIELD(presence_entry, name_len),
    FIELD(presence_entry, name),
    STRUCT(presence_piece),
    FIELD(presence_piece, bytes),
    STRUCT(slot),
    FIELD(slot, life),
    FIELD(slot, appended),
    FIELD(slot, last),
    FIELD(slot, answered),
    FIELD(slot, committed),
    FIELD(slot, committed_at),
    FIELD(slot, part),
    FIELD(slot, first),
    FIELD(slot, left),
    FIELD(slot, user),
    FIELD(slot, worker),
    FIELD(slot, door),
    FIELD(slot, device_len),
    FIELD(slot, family),
    FIELD(slot, peer),
    FIELD(slot, peer_port),
    FIELD(slot, close_reason),
    FIELD(slot, transport),
    FIELD(slot, framing),
    FIELD(slot, connected_ms),
    FIELD(slot, heard_ms),
    FIELD(slot, ping_ms),
    FIELD(slot, message_ms),
    FIELD(slot, rate_ms),
    FIELD(slot, rate_tokens),
    FIELD(slot, close_code),
    FIELD(slot, device),
    FIELD(slot, subscriptions),
    FIELD(slot, info),
    FIELD(slot, expires_ms),
    FIELD(slot, offset),
    FIELD(slot, flags),
    FIELD(slot, skipped),
    STRUCT(reference),
    FIELD(reference, offset),
    FIELD(reference, length),
    FIELD(reference, tag),
    STRUCT(chunk),
    FIELD(chunk, next),
    FIELD(chunk, base),
    FIELD(chunk, start),
    FIELD(chunk, ref),
    STRUCT(input_page),
    FIELD(input_page, next),
    FIELD(input_page, owner),
    FIELD(input_page, bytes),
    STRUCT(input_part),
    FIELD(input_part, end),
    FIELD(input_part, bytes),
    FIELD(input_part, tail),
    FIELD(input_part, tail_used),
    FIELD(input_part, raw),
    FIELD(input_part, whole),
    FIELD(input_part, state),
    STRUCT(framing_state),
    FIELD(framing_state, word),
    STRUCT(ws_state),
    FIELD(ws_state, remaining),
    FIELD(ws_state, message_bytes),
    FIELD(ws_state, fragments),
    FIELD(ws_state, utf8),
    FIELD(ws_state, error),
    FIELD(ws_state, opcode),
    FIELD(ws_state, frame),
    FIELD(ws_state, fin),
    FIELD(ws_state, in_payload),
    FIELD(ws_state, mask),
    FIELD(ws_state, mask_at),
    FIELD(ws_state, head_len),
    FIELD(ws_state, control_len),
    FIELD(ws_state, head),
    FIELD(ws_state, control),
    STRUCT(subscription),
    FIELD(subscription, channel),
    FIELD(subscription, slot),
    FIELD(subscription, offset),
    FIELD(subscription, expires_ms),
    FIELD(subscription, next),
    FIELD(subscription, previous),
    FIELD(subscription, slot_next),
    FIELD(subscription, epoch),
    FIELD(subscription, info),
    FIELD(subscription, flags),
    FIELD(subscription, key),
    FIELD(subscription, use),
    FIELD(subscription, spare),
    STRUCT(message_head),
    FIELD(message_head, type),
    FIELD(message_head, length),
    STRUCT(message_link),
    FIELD(message_link, peer),
    FIELD(message_link, generation),
    STRUCT(message_order),
    FIELD(message_order, number),
    FIELD(message_order, since),
    FIELD(message_order, again),
    FIELD(message_order, spare),
    STRUCT(message_done),
    FIELD(message_done, number),
    FIELD(message_done, result),
    FIELD(message_done, spare),
    STRUCT(message_kick),
    FIELD(message_kick, order),
    FIELD(message_kick, user_len),
    FIELD(message_kick, device_len),
    FIELD(message_kick, user),
    FIELD(message_kick, device),
    STRUCT(message_clean),
    FIELD(message_clean, worker),
    FIELD(message_clean, generation),
    STRUCT(message_cleaned),
    FIELD(message_cleaned, worker),
    FIELD(message_cleaned, generation),
    FIELD(message_cleaned, taken),
    FIELD(message_cleaned, left),
    FIELD(message_cleaned, full),
    FIELD(message_cleaned, spare),
    STRUCT(message_custody),
    FIELD(message_custody, keeper),
    STRUCT(message_drain),
    FIELD(message_drain, rate),
    STRUCT(message_adopt),
    FIELD(message_adopt, worker),
    FIELD(message_adopt, generation),
    FIELD(message_adopt, fault_hand),
    FIELD(message_adopt, last),
    FIELD(message_adopt, fault_arg),
    STRUCT(message_move),
    FIELD(message_move, to),
    FIELD(message_move, n),
    STRUCT(message_accuse),
    FIELD(message_accuse, worker),
    FIELD(message_accuse, generation),
    STRUCT(relay_record),
    FIELD(relay_record, position),
    FIELD(relay_record, length),
    FIELD(relay_record, spare),
    STRUCT(message_hello),
    FIELD(message_hello, worker),
    FIELD(message_hello, generation),
    STRUCT(custody_note),
    FIELD(custody_note, type),
    FIELD(custody_note, n),
    FIELD(custody_note, id),
    VALUE(SHM_WORKERS),
    VALUE(SHM_STAGE),
    VALUE(SHM_WIRE),
    VALUE(SHM_BLOCK),
    VALUE(CHARGE_USERS),
    VALUE(CHARGE_CHANNELS),
    VALUE(CHARGE_COPIES),
    VALUE(CHARGE_ROWS),
    VALUE(CHARGE_ADDRESS_BITS),
    VALUE(WORKER_STOPPED),
    VALUE(WORKER_STARTING),
    VALUE(WORKER_RUNNING),
    VALUE(WORKER_STOPPING),
    VALUE(WORKER_WAITING),
    VALUE(WORKER_DRAINING),
    VALUE(LOCK_NONE),
    VALUE(LOCK_WANTED),
    VALUE(LOCK_WAITING),
    VALUE(HAND_NOTHING),
    VALUE(HAND_INPUT),
    VALUE(HAND_DELIVERY),
    VALUE(HAND_MESSAGE),
    VALUE(HAND_ADOPTION),
    VALUE(USED_SLOTS),
    VALUE(USED_CHUNKS),
    VALUE(USED_PAGES),
    VALUE(USED_SUBSCRIPTIONS),
    VALUE(USED_KINDS),
    VALUE(FORMAT_TEXT),
    VALUE(FORMAT_JSON),
    VALUE(FORMAT_JOIN),
    VALUE(FORMAT_LEAVE),
    VALUE(FORMAT_KICK),
    VALUE(JOURNAL_HEAD),
    VALUE(JOURNAL_SHARE),
    VALUE(SLOT_FREE),
    VALUE(SLOT_OPEN),
    VALUE(SLOT_ENDING),
    VALUE(SLOT_CLOSING),
    VALUE(SLOT_TAKEN),
    VALUE(SLOT_MOVING),
    VALUE(REASON_NONE),
    VALUE(REASON_GOING_AWAY),
    VALUE(REASON_RESTARTING),
    VALUE(REASON_KICKED),
    VALUE(REASON_IDLE),
    VALUE(REASON_NO_PONG),
    VALUE(REASON_SLOW),
    VALUE(REASON_RATE),
    VALUE(REASON_TEXT_ONLY),
    VALUE(REASON_TOO_BIG),
    VALUE(REASON_UTF8),
    VALUE(REASON_PROTOCOL),
    VALUE(REASON_BUSY),
    VALUE(REASON_MEMORY),
    VALUE(REASON_INTERNAL),
    VALUE(REASONS),
    VALUE(SLOT_DEVICE_MAX),
    VALUE(KEY_BITS),
    VALUE(SLOT_GAP),
    VALUE(SLOT_MOVED),
    VALUE(SLOT_AWAY),
    VALUE(SLOT_OWN_AWAY),
    VALUE(SLOT_LEAVING),
    VALUE(SLOT_CLOSE_HEARD),
    VALUE(SLOT_ENTERING),
    VALUE(SLOT_SKIPPED_MORE),
    VALUE(SLOT_SUB_INFO),
    VALUE(SUBSCRIPTION_JOIN_LEAVE),
    VALUE(SUBSCRIPTION_GAP),
    VALUE(SUBSCRIPTION_PRESENT),
    VALUE(SUBSCRIPTION_SERVER),
    VALUE(SUBSCRIPTION_TOLD),
    VALUE(SUBSCRIPTION_AWAY),
    VALUE(SUBSCRIPTION_REVOKED),
    VALUE(SUBSCRIPTION_HELD),
    VALUE(OUTPUT_REFS),
    VALUE(OUTPUT_SEGMENT),
    VALUE(OUTPUT_APART),
    VALUE(OUTPUT_CHUNKS_APART),
    VALUE(OUTPUT_ANSWER),
    VALUE(OUTPUT_CLOSE),
    VALUE(INPUT_PAGE),
    VALUE(BLOB_MAX),
    VALUE(MSG_LINK),
    VALUE(MSG_START),
    VALUE(MSG_CONF),
    VALUE(MSG_KICK),
    VALUE(MSG_SAY),
    VALUE(MSG_ADOPT),
    VALUE(MSG_MOVE),
    VALUE(MSG_CUSTODY),
    VALUE(MSG_CLEAN),
    VALUE(MSG_STOP),
    VALUE(MSG_QUIT),
    VALUE(MSG_RETIRE),
    VALUE(MSG_DRAIN),
    VALUE(MSG_GIVE_BACK),
    VALUE(MSG_PAGE),
    VALUE(MSG_HELLO),
    VALUE(MSG_CLEANED),
    VALUE(MSG_DONE),
    VALUE(MSG_KEPT),
    VALUE(MSG_UNKEPT),
    VALUE(MSG_RETIRED),
    VALUE(MSG_ACCUSE),
    VALUE(MSG_RELAY),
    VALUE(MSG_GIVE),
    VALUE(MSG_TAKEN),
    VALUE(RESULT_DONE),
    VALUE(RESULT_ABSENT),
    VALUE(RESULT_FULL),
    VALUE(MESSAGE_MAX),
    VALUE(MESSAGE_TEXT_MAX),
    VALUE(ORDERS_MAX),
    VALUE(CUSTODY_KEEP),
    VALUE(CUSTODY_GIVE_UP),
    VALUE(CUSTODY_CHECK),
    VALUE(CUSTODY_ROOM),
    VALUE(CUSTODY_DONE),
    VALUE(KEEPER_LINK),
    VALUE(KEEPER_CHECK),
    VALUE(CUSTODY_MAX),
};

/* A region's place in a memory of those limits. */
static int
region_print(char *out, size_t room, const char *name, const void *at)
{
	return snprintf(out, room, "region %s at %llu\n", name,
	    (unsigned long long)(uintptr_t)at);
}

/* Where everything is in a memory of the usual size: which region comes after
 * which, and how much of each there is. */
static int
regions_print(char *out, size_t room)
{
	static const struct hub_limits limits = {.connections = 65536,
	    .users = 65536,
	    .channels = 65536,
	    .journal_bytes = 64 << 20,
	    .output_bytes = 256 << 20,
	    .input_bytes = 64 << 20};
	struct hub h;
	int n = 0;

	hub_plan(&h, &limits);
#define REGION(field) \
	(n += region_print(out + n, room - (size_t)n, #field, h.field))
	REGION(heads);
	REGION(lock);
	REGION(worker);
	REGION(bucket);
	REGION(entry);
	REGION(piece);
	REGION(charge);
	REGION(slot_owner);
	REGION(slot_touched);
	REGION(slot);
	REGION(kept);
	REGION(chunk_owner);
	REGION(chunk);
	REGION(segment_owner);
	REGION(arena);
	REGION(page_owner);
	REGION(page);
	REGION(subscription_owner);
	REGION(subscription);
	REGION(chain);
	REGION(stage);
	REGION(wire);
	REGION(index);
	REGION(journal);
#undef REGION
	return n;
}

size_t
layout_print(char out[LAYOUT_MAX])
{
	const struct layout_line *l = layout_lines;
	size_t n = sizeof(layout_lines) / sizeof(layout_lines[0]);
	int at = 0;

	for (; n > 0; n--, l++)
		at += snprintf(out + at, LAYOUT_MAX - (size_t)at,
		    l->size != 0 ? "%s %llu size %llu\n" : "%s %llu\n", l->name,
		    (unsigned long long)l->value, (unsigned long long)l->size);
	at += regions_print(out + at, LAYOUT_MAX - (size_t)at);
	return (size_t)at;
}

uint64_t
layout_number(void)
{
	static const uint8_t key[16] = "chatd's layout";
	static uint64_t number;
	static char text[LAYOUT_MAX];
	size_t n;

	if (number == 0) {
		n = layout_print(text);
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "%s", CHATD_LAYOUT_OTHER);
		number = siphash(key, text, n);
	}
	return number;
}
