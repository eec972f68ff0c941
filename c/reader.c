/*
 * reader.c: a descriptor's bytes, read ahead into a ring that is mapped twice, one behind the
 * other: wherever the unread bytes begin, they lie in one piece.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "job.h"

#define READ_MAX (1u << 20)

struct reader {
    struct job job; /* stats.bytes: read so far */
    struct zc_reader options;
    atomic_uint_least64_t released;
};

static int map_twice(int fd, uint64_t size, char **ring);
static int reader_run(struct job *job);
static int read_some(struct reader *reader, uint64_t room);

int64_t zc_ring_new(uint64_t size)
{
    if (size == 0 || size % (uint64_t)sysconf(_SC_PAGESIZE) != 0 || size > INT32_MAX)
        return -EINVAL;
    int fd = memfd_create("zc-ring", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    char *ring = NULL;
    int error = ftruncate(fd, (off_t)size) < 0 ? -errno : map_twice(fd, size, &ring);
    close(fd);
    return error < 0 ? error : (int64_t)(intptr_t)ring;
}

static int map_twice(int fd, uint64_t size, char **ring)
{
    int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    *ring = mmap(NULL, 2 * size, PROT_NONE, kind, -1, 0);
    if (*ring == MAP_FAILED)
        return -errno;
    for (uint64_t at = 0; at < 2 * size; at += size) {
        if (mmap(*ring + at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) !=
            MAP_FAILED)
            continue;
        int error = -errno;
        munmap(*ring, 2 * size);
        return error;
    }
    return 0;
}

int zc_ring_free(int64_t ring, uint64_t size)
{
    return munmap((void *)(intptr_t)ring, 2 * size) < 0 ? -errno : 0;
}

int64_t zc_reader_start(const struct zc_reader *options)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    reader->options = *options;
    int64_t handle = job_start(&reader->job, options->event_fd, reader_run);
    if (handle < 0)
        free(reader);
    return handle;
}

int zc_reader_release(int64_t handle, uint64_t bytes)
{
    struct reader *reader = (struct reader *)(intptr_t)handle;
    atomic_fetch_add(&reader->released, bytes);
    job_wake(&reader->job);
    return 0;
}

static int reader_run(struct job *job)
{
    struct reader *reader = (struct reader *)job;
    for (;;) {
        uint64_t unread = job->stats.bytes - atomic_load(&reader->released);
        uint64_t room = reader->options.size - unread;
        int got = room > 0 ? read_some(reader, room) : job_poll_or_wake(job, -1, 0);
        if (got < 0)
            return job_fail(job, ZC_SIDE_SOURCE, got);
        if (got == 0 && room > 0)
            return ZC_END_EOF;
    }
}

/* Bytes, 0 at the end, or -errno. */
static int read_some(struct reader *reader, uint64_t room)
{
    struct job *job = &reader->job;
    char *to = (char *)(uintptr_t)reader->options.ring + job->stats.bytes % reader->options.size;
    for (;;) {
        ssize_t got = read(reader->options.fd, to, room < READ_MAX ? room : READ_MAX);
        if (got >= 0) {
            __atomic_store_n(&job->stats.bytes, job->stats.bytes + (uint64_t)got, __ATOMIC_RELEASE);
            job_wake_owner(job);
            return (int)got;
        }
        int error = errno == EINTR ? job_check(job) : -errno;
        if (error == -EAGAIN)
            error = job_poll(job, reader->options.fd, POLLIN, -1);
        if (error < 0)
            return error;
    }
}
