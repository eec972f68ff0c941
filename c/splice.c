/*
 * splice.c: pages moved, not copied, between a pipe and anything: splice(2). Two ends of which
 * neither is a pipe are joined by one of our own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "move.h"

static int splice_direct(struct move *move);
static int splice_through(struct move *move, const int pipe_fds[2]);
static int splice_out(struct move *move, int pipe_fd, size_t size);
static ssize_t splice_once(struct move *move, int from, int to, size_t size);
static int await_more(struct move *move);
static int wait_both(struct move *move, int from, int to);
static bool is_pipe(int fd);
static void enlarge(int pipe_fd, uint32_t size);

int splice_run(struct move *move)
{
    /* How the kernel moves pages into a pipe leaves no moment to read them. */
    if (move->digest)
        return job_fail(&move->job, ZC_SIDE_NONE, -EOPNOTSUPP);
    if (is_pipe(move->options.source) || is_pipe(move->options.sink))
        return splice_direct(move);
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -errno);
    enlarge(pipe_fds[1], move->options.pipe_size);
    int end = splice_through(move, pipe_fds);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return end;
}

static int splice_direct(struct move *move)
{
    int source = move->options.source, sink = move->options.sink;
    enlarge(is_pipe(source) ? source : sink, move->options.pipe_size);
    int64_t quota;
    while ((quota = move_quota(move, move->options.chunk)) > 0) {
        ssize_t moved = splice_once(move, source, sink, (size_t)quota);
        if (moved < 0)
            return (int)moved;
        if (moved == 0)
            return ZC_END_EOF;
        move_count(move, (uint64_t)moved);
    }
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}

static int splice_through(struct move *move, const int pipe_fds[2])
{
    int64_t quota;
    while ((quota = move_quota(move, move->options.chunk)) > 0) {
        ssize_t got = splice_once(move, move->options.source, pipe_fds[1], (size_t)quota);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return ZC_END_EOF;
        int error = splice_out(move, pipe_fds[0], (size_t)got);
        if (error < 0)
            return error;
    }
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}

static int splice_out(struct move *move, int pipe_fd, size_t size)
{
    while (size > 0) {
        ssize_t put = splice_once(move, pipe_fd, move->options.sink, size);
        if (put < 0)
            return (int)put;
        if (put == 0) /* the pipe holds `size` bytes: a sink that takes none is broken */
            return job_fail(&move->job, ZC_SIDE_SINK, -EIO);
        move_count(move, (uint64_t)put);
        size -= (size_t)put;
    }
    return 0;
}

static ssize_t splice_once(struct move *move, int from, int to, size_t size)
{
    for (;;) {
        ssize_t moved = splice(from, NULL, to, NULL, size, SPLICE_F_MOVE);
        if (moved >= 0)
            return moved;
        int error = -errno;
        if (error == -EPIPE && from == move->options.source && move->source_is_socket) {
            error = await_more(move);
            if (error == 0)
                return 0;
        }
        if (error == -EAGAIN)
            error = wait_both(move, from, to);
        else if (error == -EINTR)
            error = job_check(&move->job);
        else if (from != move->options.source)
            error = job_fail(&move->job, ZC_SIDE_SINK, error);
        else if (to != move->options.sink)
            error = job_fail(&move->job, ZC_SIDE_SOURCE, error);
        else
            error = move_fail(move, error);
        if (error < 0)
            return error;
    }
}

/*
 * A pipe without a reader is EPIPE before there is anything to write. It is no failure when nothing
 * comes: waits for that. Returns 0 at the end of the source, -EPIPE when there is more, or -errno.
 */
static int await_more(struct move *move)
{
    for (;;) {
        char next;
        ssize_t got = recv(move->options.source, &next, 1, MSG_PEEK | MSG_DONTWAIT);
        if (got >= 0)
            return got == 0 ? 0 : -EPIPE;
        int error = errno == EAGAIN ? move_wait_source(move) : errno == EINTR ? 0 : -errno;
        if (error < 0)
            return error;
    }
}

/* EAGAIN does not say which end it was. Our own pipe never has to be waited for. */
static int wait_both(struct move *move, int from, int to)
{
    int error = 0;
    if (from == move->options.source)
        error = move_wait_source(move);
    if (error == 0 && to == move->options.sink)
        error = move_wait_sink(move, POLLOUT);
    return error;
}

static bool is_pipe(int fd)
{
    struct stat stat;
    return fstat(fd, &stat) == 0 && S_ISFIFO(stat.st_mode);
}

/* A larger pipe is fewer calls; where it is refused (pipe-max-size, pipe(7)) it works as it is. */
static void enlarge(int pipe_fd, uint32_t size)
{
    if (size > 0 && fcntl(pipe_fd, F_GETPIPE_SZ) < (int)size)
        fcntl(pipe_fd, F_SETPIPE_SZ, (int)size);
}
