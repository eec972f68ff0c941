/* ram_image.c: pages into files: side by side in one write, zeros as holes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ram.h"

#define PAGE_SIZE_MAX (64u << 10)

static uint64_t size_of(const struct ram *ram, const struct ram_block *block, uint64_t offset);
static int write_run(struct ram *ram);
static int make_hole(int fd, uint64_t position, size_t size);
static int write_all(int fd, struct iovec *parts, int count, uint64_t position);

int ram_image_put(struct ram *ram, struct ram_block *block, uint64_t offset, const uint8_t *page)
{
    if (block->fd < 0)
        return 0;
    struct ram_run *run = &ram->run;
    bool goes_on = run->block == block && run->count < RAM_RUN_PAGES &&
                   run->offset + (uint64_t)run->count * ram->page_size == offset;
    int error = goes_on ? 0 : ram_image_flush(ram);
    if (error < 0)
        return error;
    if (run->count == 0) {
        run->block = block;
        run->offset = offset;
    }
    run->pages[run->count++] = page;
    bit_set(block->kept, offset / ram->page_size);
    return 0;
}

int ram_image_clear(struct ram *ram, struct ram_block *block, uint64_t offset)
{
    if (block->fd < 0 || !bit_is_set(block->kept, offset / ram->page_size))
        return 0;
    int error = ram_image_flush(ram);
    if (error < 0)
        return error;
    bit_clear(block->kept, offset / ram->page_size);
    return make_hole(block->fd, block->base + offset, size_of(ram, block, offset));
}

/* Zeros, where the file system has no holes. */
static int make_hole(int fd, uint64_t position, size_t size)
{
    static const uint8_t zeros[PAGE_SIZE_MAX];
    struct iovec part = {(void *)(uintptr_t)zeros, size};
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (fallocate(fd, mode, (off_t)position, (off_t)size) == 0)
        return 0;
    return write_all(fd, &part, 1, position);
}

int ram_image_change(struct ram *ram, struct ram_block *block, uint64_t offset,
                     const uint8_t *encoding, size_t size)
{
    uint8_t page[PAGE_SIZE_MAX];
    memset(page, 0, ram->page_size);
    int error = block->fd < 0 ? 0 : ram_image_flush(ram);
    size_t wanted = size_of(ram, block, offset);
    if (error == 0 && block->fd >= 0 && bit_is_set(block->kept, offset / ram->page_size)) {
        ssize_t got = pread(block->fd, page, wanted, (off_t)(block->base + offset));
        error = got == (ssize_t)wanted ? 0 : got < 0 ? -errno : -EIO;
    }
    if (error == 0)
        error = xbzrle_apply(encoding, size, page, ram->page_size);
    if (error < 0 || block->fd < 0)
        return error;
    struct iovec part = {page, wanted};
    bit_set(block->kept, offset / ram->page_size);
    return write_all(block->fd, &part, 1, block->base + offset);
}

int ram_image_flush(struct ram *ram)
{
    int error = ram->run.count > 0 ? write_run(ram) : 0;
    ram->run.count = 0;
    return error;
}

static int write_run(struct ram *ram)
{
    const struct ram_run *run = &ram->run;
    struct iovec parts[RAM_RUN_PAGES];
    for (uint32_t i = 0; i < run->count; i++) {
        uint64_t offset = run->offset + (uint64_t)i * ram->page_size;
        parts[i].iov_base = (void *)(uintptr_t)run->pages[i];
        parts[i].iov_len = size_of(ram, run->block, offset);
    }
    return write_all(run->block->fd, parts, (int)run->count, run->block->base + run->offset);
}

/* Of the page there, as much as the block has. */
static uint64_t size_of(const struct ram *ram, const struct ram_block *block, uint64_t offset)
{
    uint64_t left = block->size - offset;
    return left < ram->page_size ? left : ram->page_size;
}

static int write_all(int fd, struct iovec *parts, int count, uint64_t position)
{
    while (count > 0) {
        ssize_t put = pwritev(fd, parts, count, (off_t)position);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        position += (uint64_t)put;
        for (; count > 0 && (size_t)put >= parts->iov_len; parts++, count--)
            put -= (ssize_t)parts->iov_len;
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + put;
            parts->iov_len -= (size_t)put;
        }
    }
    return 0;
}
