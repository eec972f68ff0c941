/* sendfile.c: page cache to socket by reference: sendfile(2). */
#include <errno.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "move.h"

static int send_some(struct move *move, size_t size, ssize_t *sent);

int sendfile_run(struct move *move)
{
    int64_t offset = lseek(move->options.source, 0, SEEK_CUR);
    int64_t quota;
    while ((quota = move_quota(move, move->options.chunk)) > 0) {
        ssize_t sent;
        int error = send_some(move, (size_t)quota, &sent);
        if (error < 0)
            return error;
        if (sent == 0)
            return ZC_END_EOF;
        /* The pages went out by reference: what is digested is what the file says now. */
        error = move_digest_file(move, offset, (uint64_t)sent);
        if (error < 0)
            return error;
        offset += sent;
        move_count(move, (uint64_t)sent);
    }
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}

static int send_some(struct move *move, size_t size, ssize_t *sent)
{
    for (;;) {
        *sent = sendfile(move->options.sink, move->options.source, NULL, size);
        if (*sent >= 0)
            return 0;
        int error = -errno;
        if (error == -EAGAIN)
            error = move_wait_sink(move, POLLOUT);
        else if (error == -EINTR)
            error = job_check(&move->job);
        else
            error = move_fail(move, error);
        if (error < 0)
            return error;
    }
}
