/*
 * ram.c: the records of a "ram" section (QEMU, migration/ram.c): told apart, checked and counted
 * where they lie; their pages go on to images, and nowhere else.
 */
#include "ram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FLAG_ZERO 0x002
#define FLAG_MEM_SIZE 0x004
#define FLAG_PAGE 0x008
#define FLAG_EOS 0x010
#define FLAG_CONTINUE 0x020
#define FLAG_XBZRLE 0x040
#define FLAG_COMPRESSED 0x100 /* up to QEMU 9.0 */
#define FLAG_MULTIFD_FLUSH 0x200

#define WORD_SIZE 8
#define XBZRLE_HEADER 3
#define XBZRLE_ENCODING 1
#define PAGE_SIZE_MIN 1024
#define PAGE_SIZE_MAX 65536

/* One record: what of it is there, and where. */
struct record {
    uint64_t offset;     /* in the block */
    const uint8_t *body; /* after the block's name */
    size_t left;         /* bytes from there to the end of what is there */
};

enum kind { NORMAL, EMPTY, ZERO, XBZRLE };

static int64_t take_page(struct ram *ram, uint64_t flags, const struct record *record,
                         uint32_t *stop);
static int64_t take_normal(struct ram *ram, const struct record *record, uint32_t *stop);
static int64_t take_zero(struct ram *ram, const struct record *record, uint32_t *stop);
static int64_t take_xbzrle(struct ram *ram, const struct record *record, uint32_t *stop);
static uint32_t find_block(struct ram *ram, uint64_t flags, struct record *record);
static struct ram_block *block_of_name(struct ram *ram, const void *name, size_t length);
static bool are_pages_of(const struct ram *ram, const struct ram_block *block,
                         const uint8_t *offsets, uint64_t count);
static int take_contents(struct ram *ram, struct ram_block *block, uint64_t offset,
                         const uint8_t *page);
static void follow_round(struct ram *ram, const struct ram_block *block, uint64_t offset);
static void next_round(struct ram *ram);
static void end_round(struct ram *ram);
static void count_page(struct ram *ram, struct ram_block *block, uint64_t offset, enum kind kind,
                       uint64_t bytes);
static void *map_bits(uint64_t pages);
static size_t bits_size(uint64_t pages);
static uint64_t big_endian(const uint8_t *bytes);

int64_t zc_ram_new(uint32_t page_size, uint32_t sample_pages)
{
    bool is_power = (page_size & (page_size - 1)) == 0;
    if (!is_power || page_size < PAGE_SIZE_MIN || page_size > PAGE_SIZE_MAX)
        return -EINVAL;
    struct ram *ram = calloc(1, sizeof(*ram));
    if (!ram)
        return -ENOMEM;
    ram->page_size = page_size;
    ram->looks = sample_pages > 0;
    ram->sketch.sample_max = sample_pages;
    if (sample_pages > 0 && !(ram->sketch.sample = calloc(sample_pages, page_size))) {
        free(ram);
        return -ENOMEM;
    }
    return (int64_t)(intptr_t)ram;
}

int zc_ram_free(int64_t handle)
{
    struct ram *ram = (struct ram *)(intptr_t)handle;
    for (uint32_t i = 0; i < ram->block_count; i++) {
        struct ram_block *block = &ram->blocks[i];
        munmap(block->sent, bits_size(ram_pages(ram, block)));
        if (block->kept)
            munmap(block->kept, bits_size(ram_pages(ram, block)));
    }
    free(ram->blocks);
    free(ram->sketch.sample);
    free(ram);
    return 0;
}

int zc_ram_add_block(int64_t handle, const void *name, uint32_t length, uint64_t size)
{
    struct ram *ram = (struct ram *)(intptr_t)handle;
    if (length == 0 || length > sizeof(ram->blocks->name))
        return -EINVAL;
    if (ram->block_count >= ZC_RAM_BLOCKS_MAX || size > ZC_RAM_SIZE_MAX - ram->size)
        return -E2BIG;
    if (block_of_name(ram, name, length))
        return -EEXIST;
    bool is_full = (ram->block_count & (ram->block_count - 1)) == 0; /* room for twice as many */
    struct ram_block *blocks =
        is_full ? realloc(ram->blocks, (2 * (size_t)ram->block_count + 1) * sizeof(*blocks))
                : ram->blocks;
    if (!blocks)
        return -ENOMEM;
    ram->blocks = blocks;
    struct ram_block *block = &blocks[ram->block_count];
    *block = (struct ram_block){.name_length = (uint8_t)length, .size = size, .fd = -1};
    memcpy(block->name, name, length);
    block->sent = map_bits(ram_pages(ram, block));
    if (!block->sent)
        return -ENOMEM;
    ram->size += size;
    return (int)ram->block_count++;
}

int zc_ram_image(int64_t handle, uint32_t index, int fd, uint64_t base)
{
    struct ram *ram = (struct ram *)(intptr_t)handle;
    if (index >= ram->block_count)
        return -EINVAL;
    struct ram_block *block = &ram->blocks[index];
    if (!block->kept)
        block->kept = map_bits(ram_pages(ram, block));
    block->fd = fd;
    block->base = base;
    return block->kept ? 0 : -ENOMEM;
}

int zc_ram_scan(int64_t handle, uint32_t channel, const void *bytes, uint64_t length,
                struct zc_ram_scan *out)
{
    struct ram *ram = (struct ram *)(intptr_t)handle;
    if (channel >= ZC_RAM_CHANNELS)
        return -EINVAL;
    uint32_t before = ram->blocks_of[channel];
    ram->channel = channel;
    ram->current = before > 0 ? &ram->blocks[before - 1] : NULL;
    const uint8_t *data = bytes;
    uint64_t at = 0;
    uint32_t stop = ZC_RAM_MORE;
    uint64_t offset = 0, flags = 0;
    int64_t taken = 0;
    while (stop == ZC_RAM_MORE && length - at >= WORD_SIZE) {
        uint64_t word = big_endian(data + at);
        flags = word & (ram->page_size - 1);
        offset = word - flags;
        struct record record = {
            .offset = offset, .body = data + at + WORD_SIZE, .left = length - at - WORD_SIZE};
        taken = WORD_SIZE;
        if (flags == FLAG_EOS)
            stop = ZC_RAM_END;
        else if (flags == FLAG_MULTIFD_FLUSH)
            stop = ZC_RAM_FLUSH;
        else if (flags == FLAG_MEM_SIZE)
            stop = ZC_RAM_SIZES;
        else
            taken = take_page(ram, flags, &record, &stop);
        if (stop == ZC_RAM_FLUSH)
            end_round(ram);
        if (taken <= 0)
            break;
        at += (uint64_t)taken;
    }
    int error = taken < 0 ? (int)taken : ram_image_flush(ram);
    uint32_t current = ram->current ? (uint32_t)(ram->current - ram->blocks) : 0;
    ram->blocks_of[channel] = ram->current ? current + 1 : 0;
    *out = (struct zc_ram_scan){
        .consumed = at, .offset = offset, .flags = (uint32_t)flags, .stop = stop, .block = current};
    return error < 0 ? error : 0;
}

/* Bytes of the whole record; 0 where it is not whole, or bad, which `stop` says; or -errno. */
static int64_t take_page(struct ram *ram, uint64_t flags, const struct record *found,
                         uint32_t *stop)
{
    struct record record = *found;
    uint64_t kind = flags & ~(uint64_t)FLAG_CONTINUE;
    if (kind != FLAG_PAGE && kind != FLAG_ZERO && kind != FLAG_XBZRLE && kind != FLAG_COMPRESSED) {
        *stop = ZC_RAM_BAD_FLAGS;
        return 0;
    }
    *stop = find_block(ram, flags, &record);
    if (*stop != ZC_RAM_MORE || record.left == 0)
        return 0;
    if (record.offset >= ram->current->size) {
        *stop = ZC_RAM_BAD_OFFSET;
        return 0;
    }
    if (kind == FLAG_COMPRESSED) {
        *stop = ZC_RAM_COMPRESSED;
        return WORD_SIZE + (record.body - found->body);
    }
    int64_t taken = kind == FLAG_PAGE   ? take_normal(ram, &record, stop)
                    : kind == FLAG_ZERO ? take_zero(ram, &record, stop)
                                        : take_xbzrle(ram, &record, stop);
    return taken <= 0 ? taken : WORD_SIZE + (record.body - found->body) + taken;
}

/* Makes it the current one. With nothing left after it the record is not whole. */
static uint32_t find_block(struct ram *ram, uint64_t flags, struct record *record)
{
    if (flags & FLAG_CONTINUE)
        return ram->current ? ZC_RAM_MORE : ZC_RAM_BAD_CONTINUE;
    size_t length = record->left > 0 ? record->body[0] : 0;
    if (record->left < 1 + length) {
        record->left = 0;
        return ZC_RAM_MORE;
    }
    struct ram_block *block = block_of_name(ram, record->body + 1, length);
    if (!block)
        return ZC_RAM_BAD_BLOCK;
    ram->current = block;
    record->body += 1 + length;
    record->left -= 1 + length;
    return ZC_RAM_MORE;
}

static struct ram_block *block_of_name(struct ram *ram, const void *name, size_t length)
{
    for (uint32_t i = 0; i < ram->block_count; i++) {
        struct ram_block *block = &ram->blocks[i];
        if (block->name_length == length && memcmp(block->name, name, length) == 0)
            return block;
    }
    return NULL;
}

static int64_t take_normal(struct ram *ram, const struct record *record, uint32_t *stop)
{
    (void)stop;
    if (record->left < ram->page_size)
        return 0;
    follow_round(ram, ram->current, record->offset);
    int error = take_contents(ram, ram->current, record->offset, record->body);
    return error < 0 ? error : (int64_t)ram->page_size;
}

static int64_t take_zero(struct ram *ram, const struct record *record, uint32_t *stop)
{
    if (record->body[0] != 0) {
        *stop = ZC_RAM_BAD_FILL;
        return 0;
    }
    int error = ram_image_clear(ram, ram->current, record->offset);
    if (error < 0)
        return error;
    follow_round(ram, ram->current, record->offset);
    count_page(ram, ram->current, record->offset, ZERO, 1);
    return 1;
}

static int64_t take_xbzrle(struct ram *ram, const struct record *record, uint32_t *stop)
{
    if (record->left < XBZRLE_HEADER)
        return 0;
    size_t size = (size_t)record->body[1] << 8 | record->body[2];
    if (record->body[0] != XBZRLE_ENCODING || size > ram->page_size) {
        *stop = ZC_RAM_BAD_XBZRLE;
        return 0;
    }
    if (record->left < XBZRLE_HEADER + size)
        return 0;
    int error =
        ram_image_change(ram, ram->current, record->offset, record->body + XBZRLE_HEADER, size);
    if (error == -EBADMSG) {
        *stop = ZC_RAM_BAD_XBZRLE;
        return 0;
    }
    if (error < 0)
        return error;
    follow_round(ram, ram->current, record->offset);
    count_page(ram, ram->current, record->offset, XBZRLE, size);
    return (int64_t)(XBZRLE_HEADER + size);
}

int zc_ram_packet(int64_t handle, uint32_t index, const struct zc_ram_packet *packet)
{
    struct ram *ram = (struct ram *)(intptr_t)handle;
    const uint8_t *offsets = (const uint8_t *)(uintptr_t)packet->offsets;
    const uint8_t *pages = (const uint8_t *)(uintptr_t)packet->pages;
    if (index >= ram->block_count)
        return -EINVAL;
    struct ram_block *block = &ram->blocks[index];
    uint64_t count = (uint64_t)packet->normal + packet->zero;
    if (!are_pages_of(ram, block, offsets, count))
        return -EBADMSG;
    int error = 0;
    for (uint64_t i = 0; error == 0 && i < count; i++) {
        uint64_t offset = big_endian(offsets + i * sizeof(uint64_t));
        if (i < packet->normal && pages) {
            error = take_contents(ram, block, offset, pages + i * ram->page_size);
        } else if (i < packet->normal) {
            count_page(ram, block, offset, NORMAL, ram->page_size);
        } else {
            count_page(ram, block, offset, ZERO, 0);
            error = ram_image_clear(ram, block, offset);
        }
    }
    return error < 0 ? error : ram_image_flush(ram);
}

static bool are_pages_of(const struct ram *ram, const struct ram_block *block,
                         const uint8_t *offsets, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t offset = big_endian(offsets + i * sizeof(uint64_t));
        if (offset >= block->size || offset % ram->page_size != 0)
            return false;
    }
    return true;
}

int zc_ram_mapped(int64_t handle, uint32_t index, uint64_t offset, const void *bytes,
                  uint64_t length, const void *bitmap)
{
    struct ram *ram = (struct ram *)(intptr_t)handle;
    if (index >= ram->block_count || offset % ram->page_size != 0 || length % ram->page_size != 0)
        return -EINVAL;
    struct ram_block *block = &ram->blocks[index];
    const uint8_t *present = bitmap, *data = bytes;
    int error = 0;
    for (uint64_t at = 0; error == 0 && at < length; at += ram->page_size) {
        uint64_t page = (offset + at) / ram->page_size;
        if (offset + at >= block->size || !(present[page / 8] >> (page % 8) & 1))
            continue;
        error = take_contents(ram, block, offset + at, data + at);
    }
    return error < 0 ? error : ram_image_flush(ram);
}

/* A page that is sent as it is; one of zeros is none the less. */
static int take_contents(struct ram *ram, struct ram_block *block, uint64_t offset,
                         const uint8_t *page)
{
    bool matters = ram->looks || block->fd >= 0;
    bool is_empty = matters && is_zero(page, ram->page_size);
    count_page(ram, block, offset, is_empty ? EMPTY : NORMAL, ram->page_size);
    if (is_empty)
        return ram_image_clear(ram, block, offset);
    if (ram->looks)
        sketch_add(&ram->sketch, page, ram->page_size);
    return ram_image_put(ram, block, offset, page);
}

/* A round goes through all blocks in their order: what comes before the last page begins a new one.
 */
static void follow_round(struct ram *ram, const struct ram_block *block, uint64_t offset)
{
    if (ram->channel != ZC_RAM_MAIN)
        return;
    uint64_t place = (uint64_t)(block - ram->blocks) << 48 | offset / ram->page_size;
    if (place < ram->last)
        next_round(ram);
    ram->last = place;
}

static void next_round(struct ram *ram)
{
    if (ram->round + 1 < ZC_RAM_ROUNDS_MAX)
        ram->round++;
    ram->last = 0;
}

/* With multifd pages come in no order, and each round ends here. */
static void end_round(struct ram *ram)
{
    const struct zc_ram_counts *counts = &ram->rounds[ram->round];
    if (counts->normal + counts->zero + counts->xbzrle > 0)
        next_round(ram);
}

static void count_page(struct ram *ram, struct ram_block *block, uint64_t offset, enum kind kind,
                       uint64_t bytes)
{
    uint64_t page = offset / ram->page_size;
    struct zc_ram_counts *all[] = {&block->counts, &ram->rounds[ram->round], &ram->counts};
    bool again = bit_is_set(block->sent, page);
    bit_set(block->sent, page);
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        all[i]->normal += kind == NORMAL || kind == EMPTY;
        all[i]->empty += kind == EMPTY;
        all[i]->zero += kind == ZERO;
        all[i]->xbzrle += kind == XBZRLE;
        all[i]->again += again;
        all[i]->bytes += bytes;
    }
}

int zc_ram_counts(int64_t handle, struct zc_ram_counts *out)
{
    *out = ((const struct ram *)(intptr_t)handle)->counts;
    return 0;
}

int zc_ram_counts_of_block(int64_t handle, uint32_t index, struct zc_ram_counts *out)
{
    const struct ram *ram = (const struct ram *)(intptr_t)handle;
    if (index >= ram->block_count)
        return -EINVAL;
    *out = ram->blocks[index].counts;
    return 0;
}

int zc_ram_counts_of_round(int64_t handle, uint32_t index, struct zc_ram_counts *out)
{
    const struct ram *ram = (const struct ram *)(intptr_t)handle;
    if (index > ram->round)
        return -EINVAL;
    *out = ram->rounds[index];
    return 0;
}

int64_t zc_ram_kept(int64_t handle, uint32_t index)
{
    const struct ram *ram = (const struct ram *)(intptr_t)handle;
    return index < ram->block_count ? (int64_t)(intptr_t)ram->blocks[index].kept : -EINVAL;
}

int zc_ram_registers(int64_t handle, uint8_t out[ZC_RAM_REGISTERS])
{
    memcpy(out, ((const struct ram *)(intptr_t)handle)->sketch.registers, ZC_RAM_REGISTERS);
    return 0;
}

int zc_ram_sample(int64_t handle, void *out, uint64_t capacity)
{
    const struct ram *ram = (const struct ram *)(intptr_t)handle;
    uint64_t pages = ram->sketch.pages;
    if (pages > ram->sketch.sample_max)
        pages = ram->sketch.sample_max;
    if (pages * ram->page_size > capacity)
        return -ENOBUFS;
    if (pages > 0)
        memcpy(out, ram->sketch.sample, pages * ram->page_size);
    return (int)pages;
}

bool is_zero(const uint8_t *bytes, size_t size)
{
    uint64_t first;
    memcpy(&first, bytes, sizeof(first));
    return first == 0 && memcmp(bytes, bytes + sizeof(first), size - sizeof(first)) == 0;
}

/* Pages of it that are never touched take no memory. NULL: there is no room. */
static void *map_bits(uint64_t pages)
{
    void *bits = mmap(NULL, bits_size(pages), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return bits == MAP_FAILED ? NULL : bits;
}

static size_t bits_size(uint64_t pages)
{
    return pages / 64 * sizeof(uint64_t) + sizeof(uint64_t);
}

static uint64_t big_endian(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return __builtin_bswap64(word);
}
