/* memory.c: a memfd that is mapped too, so that every mover can send from the same pages. */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "job.h"

/* How much is filled between two looks at whether the job was cancelled. */
#define FILL_STEP (16u << 20)
#define CACHE_LINE 64

struct memory {
    char *data;
    uint64_t size;
    uint64_t page;
    uint64_t misalign; /* every window begins so many bytes after a page does */
    uint64_t next;     /* page where the next window begins */
    uint64_t position; /* of the bytes to send */
    uint64_t left;     /* of the window */
    uint64_t filled;   /* bytes */
    uint64_t touches;
    int fd;
    bool touch;
    bool is_lost; /* where the descriptor stands: the last mover may not have used it */
};

static int map(struct memory *memory, uint32_t flags);
static void open_window(struct memory *memory, uint64_t size);
static void fill(char *data, uint64_t size, uint64_t seed);
static void touch(struct memory *memory, uint64_t size);
static uint64_t round_up(uint64_t value, uint64_t unit);

int64_t zc_memory_new(uint64_t size, uint64_t misalign, uint32_t flags)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    if (!memory)
        return -ENOMEM;
    memory->page = (uint64_t)sysconf(_SC_PAGESIZE);
    memory->size = size;
    memory->misalign = misalign;
    memory->touch = flags & ZC_MEMORY_TOUCH;
    int error = size == 0 || size > INT64_MAX || misalign >= memory->page ? -EINVAL : 0;
    if (error == 0)
        error = map(memory, flags);
    if (error == 0)
        return (int64_t)(intptr_t)memory;
    free(memory);
    return error;
}

static int map(struct memory *memory, uint32_t flags)
{
    unsigned huge = flags & ZC_MEMORY_HUGE ? MFD_HUGETLB : 0;
    memory->fd = memfd_create("zc-memory", MFD_CLOEXEC | huge);
    if (memory->fd < 0)
        return -errno;
    struct stat stat;
    int error = fstat(memory->fd, &stat) < 0 ? -errno : 0;
    memory->size = round_up(memory->size + memory->misalign, (uint64_t)stat.st_blksize);
    if (error == 0 && ftruncate(memory->fd, (off_t)memory->size) < 0)
        error = -errno;
    if (error == 0) {
        memory->data = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
        error = memory->data == MAP_FAILED ? -errno : 0;
    }
    if (error < 0)
        close(memory->fd);
    return error;
}

int zc_memory_free(int64_t handle)
{
    struct memory *memory = (struct memory *)(intptr_t)handle;
    munmap(memory->data, memory->size);
    close(memory->fd);
    free(memory);
    return 0;
}

int memory_fd(const struct memory *memory)
{
    return memory->fd;
}

struct iovec memory_all(const struct memory *memory)
{
    return (struct iovec){.iov_base = memory->data, .iov_len = memory->size};
}

uint64_t memory_window_max(const struct memory *memory)
{
    return memory->size - memory->misalign;
}

int memory_begin(struct memory *memory, struct job *job)
{
    for (; memory->filled < memory->size; memory->filled += FILL_STEP) {
        int error = job_check(job);
        if (error < 0)
            return error;
        uint64_t left = memory->size - memory->filled;
        fill(memory->data + memory->filled, left < FILL_STEP ? left : FILL_STEP, memory->filled);
    }
    memory->left = 0;
    memory->is_lost = true;
    return 0;
}

uint64_t memory_window(struct memory *memory, uint64_t size)
{
    if (memory->left == 0)
        open_window(memory, size);
    return memory->left;
}

bool memory_is_between(const struct memory *memory)
{
    return memory->left == 0;
}

char *memory_data(const struct memory *memory)
{
    return memory->data + memory->position;
}

void memory_took(struct memory *memory, uint64_t size)
{
    memory->position += size;
    memory->left -= size;
}

static void open_window(struct memory *memory, uint64_t size)
{
    if (memory->next + memory->misalign + size > memory->size)
        memory->next = 0;
    uint64_t position = memory->next + memory->misalign;
    if (memory->is_lost || position != memory->position)
        lseek(memory->fd, (off_t)position, SEEK_SET);
    memory->is_lost = false;
    memory->position = position;
    memory->left = size;
    memory->next = round_up(memory->next + size, memory->page);
    if (memory->touch)
        touch(memory, size);
}

/* One word of every cache line: what a program that makes its data would have written. */
static void touch(struct memory *memory, uint64_t size)
{
    char *data = memory_data(memory);
    uint64_t value = ++memory->touches;
    for (uint64_t at = 0; at + sizeof(value) <= size; at += CACHE_LINE)
        memcpy(data + at, &value, sizeof(value));
}

/* splitmix64: nothing on the way can compress it or find two pages the same. */
static void fill(char *data, uint64_t size, uint64_t seed)
{
    for (uint64_t at = 0; at + sizeof(seed) <= size; at += sizeof(seed)) {
        uint64_t word = seed + at * 0x9e3779b97f4a7c15u;
        word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
        word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
        word ^= word >> 31;
        memcpy(data + at, &word, sizeof(word));
    }
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}
