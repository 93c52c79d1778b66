/* memory: room for output when it is short. Private to the chat layer. */
#ifndef CHATD_SRC_CHAT_MEMORY_H
#define CHATD_SRC_CHAT_MEMORY_H

#include "chat/chat.h"

/* Compacts, or drops the connection with most output waiting. False if there
 * is nobody to drop but `except` (SHM_NONE: nobody is excepted). */
bool memory_relieve(struct chat *ch, uint32_t except);

#endif
