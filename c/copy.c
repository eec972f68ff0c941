/* copy.c: the mover that works between any two descriptors: read(2), write(2). */
#include <errno.h>
#include <sys/mman.h>

#include "digest.h"
#include "memory.h"
#include "move.h"

static int copy_all(struct move *move, char *buffer);
static int copy_memory(struct move *move);

int copy_run(struct move *move)
{
    if (move->memory)
        return copy_memory(move);
    char *buffer = move_buffer(move->options.chunk);
    if (!buffer)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -ENOMEM);
    /* One call that waits, instead of one that does not, a poll, and one again. */
    bool waits = move->source_is_socket && zc_fd_nonblocking(move->options.source, 0) == 1;
    int end =
        move->options.flags & ZC_MOVE_SPARSE ? sparse_all(move, buffer) : copy_all(move, buffer);
    if (waits)
        zc_fd_nonblocking(move->options.source, 1);
    munmap(buffer, move->options.chunk);
    return end;
}

static int copy_all(struct move *move, char *buffer)
{
    int64_t quota;
    while ((quota = move_quota(move, move->options.chunk)) > 0) {
        ssize_t got = move_read(move, buffer, (size_t)quota);
        if (got == 0)
            return ZC_END_EOF;
        if (got < 0)
            return (int)got;
        if (move->digest)
            digest_update(move->digest, buffer, (size_t)got);
        int error = move_write(move, buffer, (size_t)got);
        if (error < 0)
            return error;
    }
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}

/* Whoever measures sends nothing back that would have to be taken meanwhile: a call may wait. */
static int copy_memory(struct move *move)
{
    bool waits = move->sink_is_socket && zc_fd_nonblocking(move->options.sink, 0) == 1;
    int64_t quota;
    int error = 0;
    while (error == 0 && (quota = move_quota(move, move->options.chunk)) > 0)
        error = move_write(move, memory_data(move->memory), (size_t)quota);
    if (waits)
        zc_fd_nonblocking(move->options.sink, 1);
    if (error < 0)
        return error;
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}
