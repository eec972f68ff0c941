/* socket.c: sockets as socket(2), bind(2) and friends make them, never blocking. */
#include "socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "zc.h"

static int result(int value)
{
    return value < 0 ? -errno : value;
}

int zc_socket_open(int domain, int type, int protocol)
{
    return result(socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

int zc_socket_pair(int32_t out[2])
{
    return result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, out));
}

int zc_socket_bind(int fd, const void *address, uint32_t length)
{
    return result(bind(fd, address, length));
}

int zc_socket_listen(int fd, int backlog)
{
    return result(listen(fd, backlog));
}

int zc_socket_connect(int fd, const void *address, uint32_t length)
{
    return result(connect(fd, address, length));
}

int zc_socket_accept(int fd)
{
    return result(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int zc_socket_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    return -error;
}

int zc_socket_name(int fd, int peer, void *out, uint32_t capacity)
{
    socklen_t length = capacity;
    int error = peer ? getpeername(fd, out, &length) : getsockname(fd, out, &length);
    if (error < 0)
        return -errno;
    return length > capacity ? -ENOBUFS : (int)length;
}

int zc_socket_set(int fd, int level, int option, const void *value, uint32_t length)
{
    return result(setsockopt(fd, level, option, value, length));
}

int zc_socket_get(int fd, int level, int option, void *out, uint32_t capacity)
{
    socklen_t length = capacity;
    return getsockopt(fd, level, option, out, &length) < 0 ? -errno : (int)length;
}

int socket_half_close(int fd)
{
    if (shutdown(fd, SHUT_WR) == 0)
        return 0;
    int error = -errno;
    int reason = zc_socket_error(fd);
    if (reason < 0)
        return reason;
    /* A reset whose error somebody has taken already leaves a socket that is not connected. */
    return error == -ENOTCONN ? -ECONNRESET : error;
}

int socket_pending(int fd)
{
    int pending;
    int error = zc_socket_error(fd);
    if (error < 0)
        return error;
    return ioctl(fd, SIOCOUTQ, &pending) < 0 ? 0 : pending;
}
