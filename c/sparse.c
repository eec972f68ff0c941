/* sparse.c: copies into a new file, and leaves out what is zero: it reads as zero all the same. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "move.h"

/* A hole is made of whole blocks of this size, aligned in the file: a page, the usual block. */
#define BLOCK_SIZE 4096u

static ssize_t read_blocks(struct move *move, char *buffer, uint64_t quota);
static int write_blocks(struct move *move, const char *data, size_t size);
static size_t run_length(const char *data, size_t size, bool *is_hole);
static int leave_hole(struct move *move, size_t size);
static int give_length(struct move *move);

int sparse_all(struct move *move, char *buffer)
{
    uint64_t at_once = move->options.chunk - move->options.chunk % BLOCK_SIZE;
    int64_t quota;
    while ((quota = move_quota(move, at_once)) > 0) {
        ssize_t got = read_blocks(move, buffer, (uint64_t)quota);
        if (got < 0)
            return (int)got;
        int error = got == 0 ? give_length(move) : write_blocks(move, buffer, (size_t)got);
        if (error < 0)
            return error;
        if (got == 0)
            return ZC_END_EOF;
    }
    int error = quota < 0 ? (int)quota : give_length(move);
    return error < 0 ? error : ZC_END_LIMIT;
}

/* Reads what there is, and on to the end of a block, of the source, or of the limit. */
static ssize_t read_blocks(struct move *move, char *buffer, uint64_t quota)
{
    uint64_t left = move->options.limit - move->job.stats.bytes;
    size_t size = 0;
    do {
        uint64_t to_block_end = BLOCK_SIZE - size % BLOCK_SIZE;
        uint64_t wanted = size == 0 ? quota : to_block_end;
        if (wanted > left - size)
            wanted = left - size;
        ssize_t got = wanted == 0 ? 0 : move_read(move, buffer + size, wanted);
        if (got < 0)
            return got;
        if (got == 0)
            break;
        size += (size_t)got;
    } while (size % BLOCK_SIZE != 0);
    if (move->digest)
        digest_update(move->digest, buffer, size);
    return (ssize_t)size;
}

static int write_blocks(struct move *move, const char *data, size_t size)
{
    while (size > 0) {
        bool is_hole;
        size_t run = run_length(data, size, &is_hole);
        int error = is_hole ? leave_hole(move, run) : move_write(move, data, run);
        if (error < 0)
            return error;
        data += run;
        size -= run;
    }
    return 0;
}

static bool is_zero(const char *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* How many bytes from `data` on are all blocks of zeros, or all blocks that are not. */
static size_t run_length(const char *data, size_t size, bool *is_hole)
{
    size_t run = 0;
    while (run < size) {
        size_t block = size - run < BLOCK_SIZE ? size - run : BLOCK_SIZE;
        bool zero = is_zero(data + run, block);
        if (run > 0 && zero != *is_hole)
            break;
        *is_hole = zero;
        run += block;
    }
    return run;
}

static int leave_hole(struct move *move, size_t size)
{
    if (lseek(move->options.sink, (off_t)size, SEEK_CUR) < 0)
        return job_fail(&move->job, ZC_SIDE_SINK, -errno);
    move_count(move, size);
    stat_add(&move->job.stats.holes, size);
    return 0;
}

/* A hole at the end is only made by giving the file its length. */
static int give_length(struct move *move)
{
    off_t length = lseek(move->options.sink, 0, SEEK_CUR);
    if (length < 0 || ftruncate(move->options.sink, length) < 0)
        return job_fail(&move->job, ZC_SIDE_SINK, -errno);
    return 0;
}
