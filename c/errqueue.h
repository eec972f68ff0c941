/* errqueue.h: the messages of a socket's error queue (recvmsg(2), MSG_ERRQUEUE; ip(7)). */
#ifndef ZC_ERRQUEUE_H
#define ZC_ERRQUEUE_H

#include <sys/socket.h>

#include "zc.h"

/*
 * Takes one message off the error queue, without waiting. Returns 0, -EAGAIN when the queue is
 * empty, -EBADMSG when what the message says did not fit, or recvmsg(2)'s -errno.
 */
int errqueue_read(int fd, struct zc_notice *out);

/* What a message says: all but `read_ns` and `latency_ns`. Returns 0, or -EBADMSG: nothing. */
int errqueue_parse(const struct msghdr *message, struct zc_notice *out);

#endif
