/* ram_records.c: the job that writes a block's image as the records of a "ram" section. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job.h"
#include "ram.h"

#define BUFFER_SIZE (1u << 20)
#define FLAG_ZERO 0x002
#define FLAG_PAGE 0x008
#define FLAG_CONTINUE 0x020

struct records {
    struct job job; /* stats.bytes: written */
    struct zc_ram_records options;
    const struct ram *ram;
    const struct ram_block *block;
    size_t filled;
    uint8_t buffer[BUFFER_SIZE];
};

static int records_run(struct job *job);
static int put_record(struct records *records, uint64_t page);
static int put_contents(struct records *records, uint64_t offset);
static void put_word(struct records *records, uint64_t word);
static int flush(struct records *records);

int64_t zc_ram_records_start(const struct zc_ram_records *options)
{
    const struct ram *ram = (const struct ram *)(uintptr_t)options->ram;
    if (options->block >= ram->block_count || !ram->blocks[options->block].kept)
        return -EINVAL;
    struct records *records = calloc(1, sizeof(*records));
    if (!records)
        return -ENOMEM;
    records->options = *options;
    records->ram = ram;
    records->block = &ram->blocks[options->block];
    int64_t handle = job_start(&records->job, options->event_fd, records_run);
    if (handle < 0)
        free(records);
    return handle;
}

static int records_run(struct job *job)
{
    struct records *records = (struct records *)job;
    uint64_t pages = ram_pages(records->ram, records->block);
    int error = 0;
    for (uint64_t page = 0; error == 0 && page < pages; page++)
        error = put_record(records, page);
    if (error == 0)
        error = flush(records);
    return error < 0 ? error : ZC_END_EOF;
}

/* The first names the block. */
static int put_record(struct records *records, uint64_t page)
{
    size_t name_length = records->block->name_length;
    size_t longest = sizeof(uint64_t) + 1 + name_length + records->ram->page_size;
    int error = records->filled + longest > BUFFER_SIZE ? flush(records) : 0;
    if (error < 0)
        return error;
    bool is_kept = bit_is_set(records->block->kept, page);
    uint64_t offset = page * records->ram->page_size;
    put_word(records, offset | (is_kept ? FLAG_PAGE : FLAG_ZERO) | (page > 0 ? FLAG_CONTINUE : 0));
    if (page == 0) {
        records->buffer[records->filled++] = (uint8_t)name_length;
        memcpy(records->buffer + records->filled, records->block->name, name_length);
        records->filled += name_length;
    }
    if (is_kept)
        return put_contents(records, offset);
    records->buffer[records->filled++] = 0;
    return 0;
}

/* Of a last page that the block cuts short, the rest is zeros. */
static int put_contents(struct records *records, uint64_t offset)
{
    const struct ram_block *block = records->block;
    uint8_t *to = records->buffer + records->filled;
    uint64_t left = block->size - offset;
    size_t wanted = left < records->ram->page_size ? (size_t)left : records->ram->page_size;
    memset(to + wanted, 0, records->ram->page_size - wanted);
    for (size_t got = 0; got < wanted;) {
        ssize_t some =
            pread(block->fd, to + got, wanted - got, (off_t)(block->base + offset + got));
        if (some <= 0 && !(some < 0 && errno == EINTR))
            return job_fail(&records->job, ZC_SIDE_SOURCE, some < 0 ? -errno : -EIO);
        got += some > 0 ? (size_t)some : 0;
    }
    records->filled += records->ram->page_size;
    return 0;
}

static void put_word(struct records *records, uint64_t word)
{
    uint64_t big_endian = __builtin_bswap64(word);
    memcpy(records->buffer + records->filled, &big_endian, sizeof(big_endian));
    records->filled += sizeof(big_endian);
}

static int flush(struct records *records)
{
    struct job *job = &records->job;
    for (size_t at = 0; at < records->filled;) {
        ssize_t put = write(records->options.sink, records->buffer + at, records->filled - at);
        int error = put >= 0 ? 0 : -errno;
        if (error == -EAGAIN)
            error = job_poll(job, records->options.sink, POLLOUT, -1);
        else if (error == -EINTR)
            error = job_check(job);
        if (error < 0)
            return job_fail(job, ZC_SIDE_SINK, error);
        if (put > 0)
            at += (size_t)put;
    }
    stat_add(&job->stats.bytes, records->filled);
    records->filled = 0;
    return job_check(job);
}
