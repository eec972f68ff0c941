/*
 * Records, packets and mapped pages of any bytes, for libFuzzer. What is scanned at once, and what
 * comes in portions, must be the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../c/zc.h"
#include "../check.h"

#define BLOCKS 3
#define FLAG_SAMPLE 4
#define FLAG_IMAGE 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The seeds' blocks too; the last one's end cuts a page. */
static const struct {
    const char *name;
    uint64_t pages, more;
} blocks[BLOCKS] = {{"a", 3, 0}, {"rom", 1, 0}, {"m", 66, 100}};

struct subject {
    int64_t ram;
    int image;
    uint32_t page_size;
};

static struct subject begin(uint8_t options)
{
    static const uint32_t page_sizes[] = {1024, 4096, 16384, 65536};
    struct subject subject = {.page_size = page_sizes[options & 3], .image = -1};
    subject.ram = zc_ram_new(subject.page_size, options & FLAG_SAMPLE ? 2 : 0);
    CHECK(subject.ram > 0);
    if (options & FLAG_IMAGE)
        subject.image = memfd_create("zc-fuzz", MFD_CLOEXEC);
    uint64_t base = 0;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        uint64_t bytes = blocks[i].pages * subject.page_size + blocks[i].more;
        uint32_t length = (uint32_t)strlen(blocks[i].name);
        CHECK(zc_ram_add_block(subject.ram, blocks[i].name, length, bytes) == (int)i);
        CHECK(subject.image < 0 || zc_ram_image(subject.ram, i, subject.image, base) == 0);
        base += bytes;
    }
    CHECK(subject.image < 0 || ftruncate(subject.image, (off_t)base) == 0);
    return subject;
}

static void end(struct subject *subject)
{
    uint64_t bytes = (uint64_t)(subject->page_size) * 2;
    uint8_t *sample = malloc(bytes);
    CHECK(zc_ram_sample(subject->ram, sample, bytes) >= 0);
    free(sample);
    CHECK(zc_ram_free(subject->ram) == 0);
    if (subject->image >= 0)
        close(subject->image);
}

/* Memory of its own, which ends where the bytes end. */
static uint8_t *copy_of(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size);
    CHECK(copy);
    memcpy(copy, data, size);
    return copy;
}

/* Up to what is bad, or is not whole; bytes taken. */
static size_t scan(struct subject *subject, const uint8_t *data, size_t size, uint32_t *stop)
{
    size_t at = 0;
    do {
        struct zc_ram_scan found;
        uint8_t *rest = copy_of(data + at, size - at);
        CHECK(zc_ram_scan(subject->ram, ZC_RAM_MAIN, rest, size - at, &found) == 0);
        free(rest);
        CHECK(found.consumed <= size - at);
        at += found.consumed;
        *stop = found.stop;
    } while (*stop == ZC_RAM_END || *stop == ZC_RAM_FLUSH || *stop == ZC_RAM_SIZES);
    return at;
}

static size_t scan_portions(struct subject *subject, const uint8_t *data, size_t size,
                            uint32_t *stop)
{
    size_t at = 0;
    for (size_t there = 1, step = 1; *stop == ZC_RAM_MORE; there += step, step = step * 2 + 1) {
        if (there > size)
            there = size;
        at += scan(subject, data + at, there - at, stop);
        if (there == size)
            break;
    }
    return at;
}

static void same_bytes(int one, int other, off_t at, size_t size)
{
    uint8_t *bytes[2] = {malloc(size), malloc(size)};
    CHECK(pread(one, bytes[0], size, at) == (ssize_t)size);
    CHECK(pread(other, bytes[1], size, at) == (ssize_t)size);
    CHECK(memcmp(bytes[0], bytes[1], size) == 0);
    free(bytes[0]);
    free(bytes[1]);
}

static void same(const struct subject *one, const struct subject *other)
{
    struct zc_ram_counts counts[2];
    for (uint32_t round = 0; zc_ram_counts_of_round(one->ram, round, &counts[0]) == 0; round++) {
        CHECK(zc_ram_counts_of_round(other->ram, round, &counts[1]) == 0);
        CHECK(memcmp(&counts[0], &counts[1], sizeof(counts[0])) == 0);
    }
    if (one->image < 0)
        return;
    for (off_t begin = 0, end; (begin = lseek(one->image, begin, SEEK_DATA)) >= 0; begin = end) {
        CHECK(lseek(other->image, begin, SEEK_DATA) == begin);
        end = lseek(one->image, begin, SEEK_HOLE);
        CHECK(lseek(other->image, begin, SEEK_HOLE) == end);
        same_bytes(one->image, other->image, begin, (size_t)(end - begin));
    }
}

static void fuzz_scan(uint8_t options, const uint8_t *data, size_t size)
{
    struct subject at_once = begin(options), in_portions = begin(options);
    uint32_t stop = ZC_RAM_MORE, stop_of_portions = ZC_RAM_MORE;
    size_t taken = scan(&at_once, data, size, &stop);
    CHECK(scan_portions(&in_portions, data, size, &stop_of_portions) == taken);
    CHECK(stop == stop_of_portions);
    same(&at_once, &in_portions);
    end(&at_once);
    end(&in_portions);
}

static void fuzz_packet(uint8_t options, const uint8_t *data, size_t size)
{
    if (size < 2)
        return;
    struct subject subject = begin(options);
    struct zc_ram_packet packet = {.normal = data[0] % 4, .zero = data[1] % 4};
    size_t offsets_size = (size_t)(packet.normal + packet.zero) * 8;
    size_t pages_size = (size_t)packet.normal * subject.page_size;
    uint8_t *offsets = calloc(1, offsets_size + 1), *pages = calloc(1, pages_size + 1);
    CHECK(offsets && pages);
    data += 2;
    size -= 2;
    size_t some = size < offsets_size ? size : offsets_size;
    memcpy(offsets, data, some);
    size_t rest = size - some < pages_size ? size - some : pages_size;
    memcpy(pages, data + some, rest);
    packet.offsets = (uintptr_t)offsets;
    packet.pages = rest > 0 ? (uintptr_t)pages : 0;
    int error = zc_ram_packet(subject.ram, options % BLOCKS, &packet);
    CHECK(error == 0 || error == -EBADMSG);
    free(offsets);
    free(pages);
    struct zc_ram_counts counts;
    CHECK(zc_ram_counts(subject.ram, &counts) == 0);
    CHECK(counts.normal == (error == 0 ? packet.normal : 0));
    uint32_t stop;
    scan(&subject, data, size, &stop);
    end(&subject);
}

static void fuzz_mapped(uint8_t options, const uint8_t *data, size_t size)
{
    if (size < 40)
        return;
    struct subject subject = begin(options);
    size_t length = (size_t)(data[0] % 4 + 1) * subject.page_size;
    uint64_t offset = (uint64_t)data[1] * subject.page_size;
    uint8_t *pages = calloc(1, length), *bitmap = copy_of(data + 2, 38);
    CHECK(pages);
    memcpy(pages, data + 40, size - 40 < length ? size - 40 : length);
    CHECK(zc_ram_mapped(subject.ram, 2, offset, pages, length, bitmap) == 0);
    struct zc_ram_counts counts;
    CHECK(zc_ram_counts(subject.ram, &counts) == 0);
    CHECK(counts.normal <= length / subject.page_size);
    free(pages);
    free(bitmap);
    end(&subject);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t options = data[0];
    uint32_t kind = options >> 4;
    if (kind == 0)
        fuzz_packet(options, data + 1, size - 1);
    else if (kind == 1)
        fuzz_mapped(options, data + 1, size - 1);
    else
        fuzz_scan(options, data + 1, size - 1);
    return 0;
}
