/* copy.c: the mover that works between any two descriptors: read(2), write(2). */
#include <errno.h>
#include <sys/mman.h>

#include "digest.h"
#include "memory.h"
#include "move.h"

static int copy_until(struct move *move, char *buffer, uint64_t end);
static mover copy_memory, copy_windows;

int copy_run(struct move *move)
{
    if (move->memory)
        return copy_memory(move);
    char *buffer = move_buffer(move->options.chunk);
    if (!buffer)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -ENOMEM);
    int end = copy_span(move, buffer, UINT64_MAX);
    munmap(buffer, move->options.chunk);
    return end;
}

int copy_span(struct move *move, char *buffer, uint64_t bytes)
{
    /* One call that waits, instead of one that does not, a poll, and one again. */
    bool waits = move->source_is_socket && zc_fd_nonblocking(move->options.source, 0) == 1;
    uint64_t begin = move->job.stats.bytes;
    uint64_t until = bytes < UINT64_MAX - begin ? begin + bytes : UINT64_MAX;
    int end = move->options.flags & ZC_MOVE_SPARSE ? sparse_all(move, buffer)
                                                   : copy_until(move, buffer, until);
    if (waits)
        zc_fd_nonblocking(move->options.source, 1);
    return end;
}

static int copy_until(struct move *move, char *buffer, uint64_t end)
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
        if (move->job.stats.bytes >= end)
            return ZC_END_NONE;
    }
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}

/* Whoever measures sends nothing back that would have to be taken meanwhile: a call may wait. */
static int copy_memory(struct move *move)
{
    if (move->sink_is_socket)
        return move_waiting(move, move->options.sink, copy_windows);
    return copy_windows(move);
}

static int copy_windows(struct move *move)
{
    int64_t quota;
    int error = 0;
    while (error == 0 && (quota = move_quota(move, move->options.chunk)) > 0)
        error = move_write(move, memory_data(move->memory), (size_t)quota);
    if (error < 0)
        return error;
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}
