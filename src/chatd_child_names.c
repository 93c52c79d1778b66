/*
 * Names of hosts, services and protocols, which libevent and libcrypto can look
 * up and no child does: looking them up opens files and libraries. In a program
 * that is linked statically these stand in front of the C library's. A call is
 * a fault.
 */
#include <netdb.h>
#include <stdlib.h>

int
getaddrinfo(const char *restrict name, const char *restrict service,
    const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	abort();
}

void
freeaddrinfo(struct addrinfo *all)
{
	abort();
}

int
getnameinfo(const struct sockaddr *restrict sa, socklen_t sa_len,
    char *restrict host, socklen_t host_len, char *restrict service,
    socklen_t service_len, int flags)
{
	abort();
}

struct protoent *
getprotobynumber(int number)
{
	abort();
}

struct servent *
getservbyname(const char *name, const char *protocol)
{
	abort();
}

struct hostent *
gethostbyname(const char *name)
{
	abort();
}

void *__wrap_dlopen(const char *name, int flags);

/* What dlopen() is here (the linker's --wrap), since the C library's is linked
 * in any case: libcrypto asks for itself, so that it stays in memory, as it
 * does without. */
void *
__wrap_dlopen(const char *name, int flags)
{
	return NULL;
}
