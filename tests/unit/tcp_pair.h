/* tcp_pair: a connection over the loopback, both ends in this process. */
#ifndef CHATD_TESTS_TCP_PAIR_H
#define CHATD_TESTS_TCP_PAIR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* The address that the client has connected to, in *a. */
static inline void
tcp_pair(int *client, int *server, struct sockaddr_in *a)
{
	socklen_t len = sizeof(*a);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	*a = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(listener, (void *)a, sizeof(*a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)a, &len), 0);
	*client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(*client, (void *)a, sizeof(*a)), 0);
	*server = accept(listener, NULL, NULL);
	assert_true(*server >= 0);
	close(listener);
}

#endif
