/* memory: room for output when it is short. Private to the chat layer. */
#ifndef CHATD_SRC_CHAT_MEMORY_H
#define CHATD_SRC_CHAT_MEMORY_H

#include "conn/chat.h"

/* Writes what can be written, or compacts, or marks the connection with most
 * output waiting to be dropped. False: there is none. */
bool memory_relieve(struct chat *ch);

#endif
