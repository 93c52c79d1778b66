/*
 * resume: the other side of an upgrade: this program takes up what another
 * one's master left, or only says whether it could. Layer 6.
 */
#ifndef CHATD_MASTER_RESUME_H
#define CHATD_MASTER_RESUME_H

/* The hidden option that an upgrade starts the new program with. */
#define RESUME_OPTION "-U"
#define RESUME_REHEARSE "rehearse:%d:%d"  /* state, pipe to answer on */
#define RESUME_TAKE "resume:%d"		  /* state */
#define RESUME_CONVERT "convert:%d:%d:%d" /* state, link, new memory */
#define RESUME_OK "ok "			  /* and the version */
/* It could, if the memory is copied: and the version, a line feed, limits
 * (src/master/limits.h). */
#define RESUME_COPIES "copies "

/* After a line feed: whom the child that copies becomes: whether it changes,
 * user, group. An older program says nothing of it. */
#define RESUME_IDENTITY "identity %d %u %u"

/*
 * Does what RESUME_OPTION's argument says. Returns the program's exit status.
 * A rehearsal changes nothing and touches no descriptor but the two.
 */
int resume_main(const char *what);

#endif
