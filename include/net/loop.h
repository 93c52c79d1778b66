/* loop: a process's event loop. Layer 2. */
#ifndef CHATD_NET_LOOP_H
#define CHATD_NET_LOOP_H

struct event_base;

/*
 * A loop for a process of one thread, which the environment cannot change and
 * whose warnings go to the log. NULL: there is none to be had.
 */
struct event_base *loop_new(void);

/*
 * loop_new(), and the descriptor of the loop's epoll set, which is ready when
 * one of its events is. libevent does not tell it: it is the first that
 * libevent opens. *set is -1 if that is not so.
 */
struct event_base *loop_new_set(int *set);

#endif
