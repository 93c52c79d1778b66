/* The name of a listener's address: all of listener.h that a child uses. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "net/listener.h"

const char *
listener_name(const struct sockaddr *sa, char out[LISTENER_TEXT])
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;
	char host[INET6_ADDRSTRLEN];

	if (sa->sa_family == AF_INET) {
		inet_ntop(AF_INET, &sin->sin_addr, host, sizeof(host));
		snprintf(
		    out, LISTENER_TEXT, "%s:%u", host, ntohs(sin->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof(host));
		snprintf(out, LISTENER_TEXT, "[%s]:%u", host,
		    ntohs(sin6->sin6_port));
	} else {
		strlcpy(out, "?", LISTENER_TEXT);
	}
	return out;
}
