/* ram.h: the RAM of a migrated machine: its blocks, what was sent of each, and where pages go. */
#ifndef ZC_RAM_H
#define ZC_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sketch.h"
#include "zc.h"

/* Pages that can be written with one pwritev(2). */
#define RAM_RUN_PAGES 256

struct ram_block {
    uint8_t name[255];
    uint8_t name_length; /* bytes, of any value */
    uint64_t size;       /* bytes; the last page may be cut short by it */
    uint64_t *sent;      /* a bit a page: sent at least once */
    uint64_t *kept; /* a bit a page: the image has it, and it is not all zeros; NULL: no image */
    struct zc_ram_counts counts;
    uint64_t base; /* where the image begins in `fd` */
    int fd;        /* -1: none */
};

/* Pages that lie side by side in an image, and are not written yet. */
struct ram_run {
    const struct ram_block *block;
    uint64_t offset; /* of the first */
    uint32_t count;
    const uint8_t *pages[RAM_RUN_PAGES]; /* in the caller's memory */
};

struct ram {
    struct ram_block *blocks;
    uint32_t block_count;
    uint32_t page_size;
    uint32_t round; /* index of the present one */
    bool looks;     /* at what pages have in them */
    uint64_t size;  /* of all blocks; bytes */
    struct zc_ram_counts counts;
    uint32_t channel;          /* that is scanned */
    struct ram_block *current; /* of the record before, there */
    uint32_t
        blocks_of[ZC_RAM_CHANNELS]; /* that block's index and 1, until the next scan; 0: none */
    uint64_t
        last; /* the last page's place in the order in which a round goes, to see it begin anew */
    struct zc_ram_counts rounds[ZC_RAM_ROUNDS_MAX];
    struct sketch sketch;
    struct ram_run run;
};

static inline uint64_t ram_pages(const struct ram *ram, const struct ram_block *block)
{
    return (block->size + ram->page_size - 1) / ram->page_size;
}

/* The block's image gets a page, which must stay until ram_image_flush; or -errno. */
int ram_image_put(struct ram *ram, struct ram_block *block, uint64_t offset, const uint8_t *page);
/* The page is all zeros: a hole, where nothing else was written. */
int ram_image_clear(struct ram *ram, struct ram_block *block, uint64_t offset);
/* What the encoding changes of the page, over what the image has. -EBADMSG: it is none. */
int ram_image_change(struct ram *ram, struct ram_block *block, uint64_t offset,
                     const uint8_t *encoding, size_t size);
/* Writes what ram_image_put has been given. */
int ram_image_flush(struct ram *ram);

/*
 * Applies an XBZRLE encoding to a page (QEMU, docs/devel/migration/xbzrle.rst): runs of bytes to
 * keep and bytes to put, by turns. 0, or -EBADMSG.
 */
int xbzrle_apply(const uint8_t *encoding, size_t size, uint8_t *page, size_t page_size);

bool is_zero(const uint8_t *bytes, size_t size);

static inline bool bit_is_set(const uint64_t *bits, uint64_t index)
{
    return bits[index / 64] >> (index % 64) & 1;
}

static inline void bit_set(uint64_t *bits, uint64_t index)
{
    bits[index / 64] |= UINT64_C(1) << (index % 64);
}

static inline void bit_clear(uint64_t *bits, uint64_t index)
{
    bits[index / 64] &= ~(UINT64_C(1) << (index % 64));
}

#endif
