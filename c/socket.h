/* socket.h: what jobs that end a connection share. */
#ifndef ZC_SOCKET_H
#define ZC_SOCKET_H

/* shutdown(2), SHUT_WR. Returns 0, or why the connection broke, as -errno. */
int socket_half_close(int fd);

/*
 * Bytes not acknowledged, our FIN included; on a unix socket, not read. 0 where the kernel cannot
 * tell (vsock before 6.12), -errno of a connection that broke.
 */
int socket_pending(int fd);

#endif
