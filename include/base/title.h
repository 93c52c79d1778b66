/* title: what a process is called in ps and /proc. Layer 0. */
#ifndef CHATD_BASE_TITLE_H
#define CHATD_BASE_TITLE_H

/* First thing in main(): titles are written over the arguments. */
void title_init(int argc, char **argv, char **environment);

/* "chatd: TITLE" from now on. */
void title_set(const char *title);

#endif
