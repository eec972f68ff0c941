/* sketch.c: different pages counted by HyperLogLog (Flajolet et al., 2007), and a sample of them.
 */
#include "sketch.h"

#include <string.h>

#include "digest.h"

static void count(struct sketch *sketch, uint64_t hash);
static void sample(struct sketch *sketch, const uint8_t *page, size_t size);
static uint64_t next_random(struct sketch *sketch);

void sketch_add(struct sketch *sketch, const uint8_t *page, size_t size)
{
    struct xxh3 hash;
    xxh3_init(&hash);
    xxh3_update(&hash, page, size);
    count(sketch, xxh3_value(&hash));
    if (sketch->sample)
        sample(sketch, page, size);
    sketch->pages++;
}

static void count(struct sketch *sketch, uint64_t hash)
{
    uint8_t *reg = &sketch->registers[hash >> (64 - SKETCH_BITS)];
    uint64_t rest = hash << SKETCH_BITS | UINT64_C(1) << (SKETCH_BITS - 1);
    uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1);
    if (rank > *reg)
        *reg = rank;
}

/* Reservoir sampling. */
static void sample(struct sketch *sketch, const uint8_t *page, size_t size)
{
    uint64_t place = sketch->pages;
    if (place >= sketch->sample_max)
        place = next_random(sketch) % (sketch->pages + 1);
    if (place < sketch->sample_max)
        memcpy(sketch->sample + place * size, page, size);
}

/* splitmix64: the same for the same stream. */
static uint64_t next_random(struct sketch *sketch)
{
    uint64_t word = sketch->random += 0x9e3779b97f4a7c15u;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
}
