/* The RAM of a migrated machine: records at the ends of memory, images, and what fails. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../c/ram.h"
#include "check.h"

#define PAGE 1024u
#define SIZE (64u << 10)

static int64_t new_ram(uint64_t size, uint32_t sample_pages)
{
    int64_t ram = zc_ram_new(PAGE, sample_pages);
    CHECK(ram > 0);
    CHECK(zc_ram_add_block(ram, "m", 1, size) == 0);
    return ram;
}

static int new_image(int64_t ram)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    CHECK(fd >= 0 && zc_ram_image(ram, 0, fd, 0) == 0);
    return fd;
}

/* A word, and the block's name where it does not go on with the one before. Returns its length. */
static size_t put_word(uint8_t *to, uint64_t word, const char *name)
{
    uint64_t big_endian = __builtin_bswap64(word);
    memcpy(to, &big_endian, sizeof(big_endian));
    if (!name)
        return sizeof(big_endian);
    to[8] = (uint8_t)strlen(name);
    memcpy(to + 9, name, strlen(name));
    return 9 + strlen(name);
}

/* In memory of its own, which ends where the bytes end. */
static struct zc_ram_scan scan(int64_t ram, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size);
    CHECK(copy);
    if (size > 0)
        memcpy(copy, bytes, size);
    struct zc_ram_scan found;
    CHECK(zc_ram_scan(ram, ZC_RAM_MAIN, copy, size, &found) == 0);
    free(copy);
    return found;
}

static void waits_for_whole_records(void)
{
    uint8_t records[3 * PAGE];
    size_t page = put_word(records, 0x008, "m");
    memset(records + page, 7, PAGE);
    page += PAGE;
    size_t change = page + put_word(records + page, 0x060, NULL);
    memcpy(records + change, "\1\0\3\1\1\7", 6);
    change += 6;
    size_t zero = change + put_word(records + change, 0x402, "m");
    records[zero++] = 0;
    size_t all = zero + put_word(records + zero, 0x010, NULL);
    for (size_t there = 0; there <= all; there++) {
        int64_t ram = new_ram(SIZE, 0);
        struct zc_ram_scan found = scan(ram, records, there);
        size_t expected = there < page     ? 0
                          : there < change ? page
                          : there < zero   ? change
                          : there < all    ? zero
                                           : all;
        CHECK(found.consumed == expected);
        CHECK(found.stop == (there == all ? ZC_RAM_END : ZC_RAM_MORE));
        CHECK(zc_ram_free(ram) == 0);
    }
}

static uint32_t stop_of(uint64_t word, const char *name, const char *body, size_t size)
{
    uint8_t record[PAGE];
    size_t length = put_word(record, word, name);
    memcpy(record + length, body, size);
    int64_t ram = new_ram(3 * PAGE - 1, 0);
    struct zc_ram_scan found = scan(ram, record, length + size);
    CHECK(zc_ram_free(ram) == 0);
    return found.stop;
}

static void refuses_bad_records(void)
{
    CHECK(stop_of(0x800 | 0x002, "m", "\0", 1) == ZC_RAM_MORE);
    CHECK(stop_of(0xc00 | 0x002, "m", "\0", 1) == ZC_RAM_BAD_OFFSET);
    CHECK(stop_of(UINT64_MAX << 10 | 0x002, "m", "\0", 1) == ZC_RAM_BAD_OFFSET);
    CHECK(stop_of(0x002, "n", "\0", 1) == ZC_RAM_BAD_BLOCK);
    CHECK(stop_of(0x002, "", "\0", 1) == ZC_RAM_BAD_BLOCK);
    CHECK(stop_of(0x022, NULL, "\0", 1) == ZC_RAM_BAD_CONTINUE);
    CHECK(stop_of(0x002, "m", "\1", 1) == ZC_RAM_BAD_FILL);
    CHECK(stop_of(0x000, "m", "", 0) == ZC_RAM_BAD_FLAGS);
    CHECK(stop_of(0x00a, "m", "", 0) == ZC_RAM_BAD_FLAGS);
    CHECK(stop_of(0x080, "m", "", 0) == ZC_RAM_BAD_FLAGS);
    CHECK(stop_of(0x100, "m", "\0\0\0\1", 4) == ZC_RAM_COMPRESSED);
    CHECK(stop_of(0x040, "m", "\2\0\0", 3) == ZC_RAM_BAD_XBZRLE);
    CHECK(stop_of(0x040, "m", "\1\4\1", 3) == ZC_RAM_BAD_XBZRLE);
    CHECK(stop_of(0x040, "m", "\1\0\1\5", 4) == ZC_RAM_BAD_XBZRLE);
    CHECK(stop_of(0x040, "m", "\1\0\0", 3) == ZC_RAM_MORE);
}

static void names_are_any_bytes(void)
{
    int64_t ram = zc_ram_new(PAGE, 0);
    char longest[256] = "";
    CHECK(zc_ram_add_block(ram, "a\0b", 3, PAGE) == 0);
    CHECK(zc_ram_add_block(ram, "a\0b", 3, PAGE) == -EEXIST);
    CHECK(zc_ram_add_block(ram, "a", 1, PAGE) == 1);
    CHECK(zc_ram_add_block(ram, longest, 255, PAGE) == 2);
    CHECK(zc_ram_add_block(ram, longest, 256, PAGE) == -EINVAL);
    CHECK(zc_ram_add_block(ram, "", 0, PAGE) == -EINVAL);
    uint8_t record[] = {0, 0, 0, 0, 0, 0, 0, 2, 3, 'a', 0, 'b', 0};
    CHECK(scan(ram, record, sizeof(record)).consumed == sizeof(record));
    struct zc_ram_counts counts;
    CHECK(zc_ram_counts_of_block(ram, 0, &counts) == 0 && counts.zero == 1);
    CHECK(zc_ram_counts_of_block(ram, 3, &counts) == -EINVAL);
    CHECK(zc_ram_free(ram) == 0);
}

static void has_limits(void)
{
    CHECK(zc_ram_new(0, 0) == -EINVAL);
    CHECK(zc_ram_new(512, 0) == -EINVAL);
    CHECK(zc_ram_new(3000, 0) == -EINVAL);
    CHECK(zc_ram_new(128 << 10, 0) == -EINVAL);
    int64_t ram = new_ram(ZC_RAM_SIZE_MAX - 1, 0);
    CHECK(zc_ram_add_block(ram, "n", 1, 2) == -E2BIG);
    CHECK(zc_ram_add_block(ram, "n", 1, UINT64_MAX) == -E2BIG);
    CHECK(zc_ram_add_block(ram, "n", 1, 1) == 1);
    for (uint32_t i = 2; i < ZC_RAM_BLOCKS_MAX; i++)
        CHECK(zc_ram_add_block(ram, &i, sizeof(i), 0) == (int)i);
    CHECK(zc_ram_add_block(ram, "o", 1, 0) == -E2BIG);
    CHECK(zc_ram_image(ram, ZC_RAM_BLOCKS_MAX, 0, 0) == -EINVAL);
    CHECK(zc_ram_kept(ram, ZC_RAM_BLOCKS_MAX) == -EINVAL && zc_ram_kept(ram, 0) == 0);
    CHECK(zc_ram_free(ram) == 0);
}

static void the_last_page_may_be_cut(void)
{
    int64_t ram = new_ram(PAGE + 100, 0);
    int fd = new_image(ram);
    uint8_t record[2 * PAGE];
    size_t length = put_word(record, 0x408, "m");
    memset(record + length, 7, PAGE);
    scan(ram, record, length + PAGE);
    CHECK(lseek(fd, 0, SEEK_END) == PAGE + 100);
    length = put_word(record, 0x440, "m");
    memcpy(record + length, "\1\0\4\143\2\10\10", 7); /* its last byte, and one past it */
    CHECK(scan(ram, record, length + 7).consumed == length + 7);
    uint8_t end[3];
    CHECK(pread(fd, end, 3, PAGE + 98) == 2 && end[0] == 7 && end[1] == 8);
    length = put_word(record, 0x402, "m");
    record[length] = 0;
    scan(ram, record, length + 1);
    CHECK(lseek(fd, 0, SEEK_END) == PAGE + 100);
    CHECK(pread(fd, end, 2, PAGE + 98) == 2 && end[0] == 0 && end[1] == 0);
    CHECK(zc_ram_free(ram) == 0);
    close(fd);
}

/* A packet's memory is its caller's: nothing of it is written once the call is over. */
static void a_bad_packet_leaves_nothing(void)
{
    int64_t ram = new_ram(SIZE, 0);
    int fd = new_image(ram);
    uint64_t *offsets = malloc(2 * sizeof(*offsets));
    uint8_t *pages = malloc(2 * (size_t)PAGE);
    CHECK(offsets && pages);
    offsets[0] = 0;
    offsets[1] = UINT64_MAX;
    memset(pages, 7, 2 * (size_t)PAGE);
    struct zc_ram_packet packet = {
        .offsets = (uintptr_t)offsets, .pages = (uintptr_t)pages, .normal = 2};
    CHECK(zc_ram_packet(ram, 0, &packet) == -EBADMSG);
    CHECK(zc_ram_packet(ram, 1, &packet) == -EINVAL);
    free(offsets);
    free(pages);
    CHECK(scan(ram, NULL, 0).consumed == 0);
    uint8_t zero[PAGE];
    size_t length = put_word(zero, 0x002, "m");
    zero[length] = 0;
    scan(ram, zero, length + 1);
    CHECK(lseek(fd, 0, SEEK_END) == 0);
    struct zc_ram_counts counts;
    CHECK(zc_ram_counts(ram, &counts) == 0 && counts.normal == 0 && counts.zero == 1);
    CHECK(zc_ram_free(ram) == 0);
    close(fd);
}

/* So too after an image that could not be written. */
static void a_failed_write_leaves_nothing(void)
{
    int64_t ram = new_ram(SIZE, 0);
    int full = open("/dev/full", O_WRONLY);
    CHECK(full >= 0 && zc_ram_image(ram, 0, full, 0) == 0);
    uint8_t *records = malloc(3 * (PAGE + 10));
    size_t size = 0;
    for (uint64_t page = 0; page < 6; page += 2) { /* no two of them in one write */
        size += put_word(records + size, page * PAGE | 0x008, "m");
        memset(records + size, 7, PAGE);
        size += PAGE;
    }
    struct zc_ram_scan found;
    CHECK(zc_ram_scan(ram, ZC_RAM_MAIN, records, size, &found) == -ENOSPC);
    free(records);
    int fd = new_image(ram);
    CHECK(zc_ram_scan(ram, ZC_RAM_MAIN, NULL, 0, &found) == 0);
    CHECK(lseek(fd, 0, SEEK_END) == 0);
    CHECK(zc_ram_free(ram) == 0);
    close(full);
    close(fd);
}

static void takes_what_a_bitmap_has(void)
{
    int64_t ram = new_ram(3 * PAGE + 5, 1);
    int fd = new_image(ram);
    uint8_t pages[4 * PAGE], got[4 * PAGE], bitmap = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4;
    memset(pages, 7, sizeof(pages));
    memset(pages + 2 * PAGE, 0, PAGE);
    CHECK(zc_ram_mapped(ram, 0, 0, pages, sizeof(pages), &bitmap) == 0);
    CHECK(zc_ram_mapped(ram, 0, 1, pages, PAGE, &bitmap) == -EINVAL);
    CHECK(zc_ram_mapped(ram, 0, 0, pages, PAGE + 1, &bitmap) == -EINVAL);
    CHECK(zc_ram_mapped(ram, 1, 0, pages, PAGE, &bitmap) == -EINVAL);
    memset(pages, 0, PAGE);
    CHECK(pread(fd, got, sizeof(got), 0) == 3 * PAGE + 5);
    CHECK(memcmp(got, pages, 3 * PAGE + 5) == 0);
    struct zc_ram_counts counts;
    CHECK(zc_ram_counts(ram, &counts) == 0 && counts.normal == 3 && counts.empty == 1);
    CHECK(*(const uint64_t *)(intptr_t)zc_ram_kept(ram, 0) == (1 << 1 | 1 << 3));
    CHECK(zc_ram_sample(ram, got, PAGE - 1) == -ENOBUFS);
    CHECK(zc_ram_sample(ram, got, PAGE) == 1 && got[0] == 7);
    CHECK(zc_ram_free(ram) == 0);
    close(fd);
}

static void an_empty_page_counts_in_its_round(void)
{
    int64_t ram = new_ram(SIZE, 1);
    uint8_t records[3 * PAGE];
    size_t size = put_word(records, PAGE | 0x002, "m");
    records[size++] = 0;
    size += put_word(records + size, 0x008, "m");
    memset(records + size, 0, PAGE);
    scan(ram, records, size + PAGE);
    struct zc_ram_counts first, second;
    CHECK(zc_ram_counts_of_round(ram, 0, &first) == 0);
    CHECK(zc_ram_counts_of_round(ram, 1, &second) == 0);
    CHECK(first.zero == 1 && first.empty == 0 && second.normal == 1 && second.empty == 1);
    CHECK(zc_ram_counts_of_round(ram, 2, &second) == -EINVAL);
    CHECK(zc_ram_free(ram) == 0);
}

/* Back and forth: there are no more rounds than can be told. */
static void rounds_are_not_without_end(void)
{
    int64_t ram = new_ram(SIZE, 0);
    uint8_t records[64];
    size_t size = put_word(records, PAGE | 0x002, "m");
    records[size++] = 0;
    size += put_word(records + size, 0x022, NULL);
    records[size++] = 0;
    for (uint32_t i = 0; i < 2 * ZC_RAM_ROUNDS_MAX; i++)
        CHECK(scan(ram, records, size).consumed == size);
    struct zc_ram_counts counts;
    CHECK(zc_ram_counts_of_round(ram, ZC_RAM_ROUNDS_MAX - 1, &counts) == 0);
    CHECK(counts.zero == 2 * ZC_RAM_ROUNDS_MAX + 3);
    CHECK(zc_ram_counts_of_round(ram, ZC_RAM_ROUNDS_MAX, &counts) == -EINVAL);
    CHECK(zc_ram_free(ram) == 0);
}

int main(void)
{
    waits_for_whole_records();
    refuses_bad_records();
    names_are_any_bytes();
    has_limits();
    the_last_page_may_be_cut();
    a_bad_packet_leaves_nothing();
    a_failed_write_leaves_nothing();
    takes_what_a_bitmap_has();
    an_empty_page_counts_in_its_round();
    rounds_are_not_without_end();
    return 0;
}
