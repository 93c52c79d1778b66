/* The doors as endpoints know them: by name. */
#include "conn/chat.h"
#include "door/door.h"

const struct endpoint_door *
door_words(void)
{
	static const struct door_ops *const doors[] = {
	    [DOOR_PLAIN] = &plain_door,
	    [DOOR_ECHO] = &echo_door,
	    [DOOR_CENTRIFUGO] = &centrifugo_door};
	static struct endpoint_door words[ENDPOINT_DOORS];

	for (size_t k = 0; k < sizeof(doors) / sizeof(doors[0]); k++)
		if (doors[k] != NULL)
			words[k] = (struct endpoint_door){
			    doors[k]->name, doors[k]->framing};
	return words;
}
