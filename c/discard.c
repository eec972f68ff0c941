/* discard.c: the mover to /dev/null: TCP's bytes are dropped where they are, tcp(7), MSG_TRUNC. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "move.h"

static int discard_all(struct move *move);
static ssize_t drop(struct move *move, size_t size);
static bool is_tcp(int fd);

int discard_run(struct move *move)
{
    if (!is_tcp(move->options.source) || !move->sink_is_null || move->digest)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -EOPNOTSUPP);
    /* One call that waits, instead of one that does not, a poll, and one again. */
    bool waits = zc_fd_nonblocking(move->options.source, 0) == 1;
    int end = discard_all(move);
    if (waits)
        zc_fd_nonblocking(move->options.source, 1);
    return end;
}

static int discard_all(struct move *move)
{
    int64_t quota;
    while ((quota = move_quota(move, move->options.chunk)) > 0) {
        ssize_t dropped = drop(move, (size_t)quota);
        if (dropped < 0)
            return (int)dropped;
        if (dropped == 0)
            return ZC_END_EOF;
        move_count(move, (uint64_t)dropped);
    }
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}

static ssize_t drop(struct move *move, size_t size)
{
    for (;;) {
        ssize_t dropped = recv(move->options.source, NULL, size, MSG_TRUNC);
        if (dropped >= 0)
            return dropped;
        int error = -errno;
        if (error == -EAGAIN)
            error = move_wait_source(move);
        else if (error == -EINTR)
            error = job_check(&move->job);
        if (error < 0)
            return job_fail(&move->job, ZC_SIDE_SOURCE, error);
    }
}

static bool is_tcp(int fd)
{
    int protocol;
    socklen_t length = sizeof(protocol);
    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 &&
           protocol == IPPROTO_TCP;
}
