/* piece: the strings of one load. */
#include "piece.h"

#include <stdlib.h>
#include <string.h>

struct piece {
	struct piece *next;
	char text[];
};

const char *
piece_keep(struct piece **all, const char *text, size_t len)
{
	struct piece *piece;

	if ((piece = malloc(sizeof(*piece) + len + 1)) == NULL)
		return NULL;
	memcpy(piece->text, text, len);
	piece->text[len] = '\0';
	piece->next = *all;
	*all = piece;
	return piece->text;
}

void
piece_free_all(struct piece **all)
{
	struct piece *piece;

	while ((piece = *all) != NULL) {
		*all = piece->next;
		explicit_bzero(piece->text, strlen(piece->text));
		free(piece);
	}
}
