/*
 * xxh3.c: XXH3 with 64 bits, seed 0 and the default secret, as specified in
 * https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
#include <string.h>

#include "digest.h"

#define PRIME32_1 0x9E3779B1U
#define PRIME32_2 0x85EBCA77U
#define PRIME32_3 0xC2B2AE3DU
#define PRIME64_1 0x9E3779B185EBCA87U
#define PRIME64_2 0xC2B2AE3D27D4EB4FU
#define PRIME64_3 0x165667B19E3779F9U
#define PRIME64_4 0x85EBCA77C2B2AE63U
#define PRIME64_5 0x27D4EB2F165667C5U
#define PRIME_MX1 0x165667919E3779F9U
#define PRIME_MX2 0x9FB21C651E98DF25U

/* Up to this many bytes have formulas of their own, which need all of them at once. */
#define SHORT_MAX 240
#define STRIPES_PER_BLOCK (XXH3_BLOCK / XXH3_STRIPE)
#define SECRET_SIZE 192
#define SECRET_STEP 8 /* bytes further into the secret for each stripe of a block */

_Static_assert(STRIPES_PER_BLOCK == (SECRET_SIZE - XXH3_STRIPE) / SECRET_STEP, "spec, step 2");
_Static_assert(SHORT_MAX <= XXH3_BLOCK, "a short input is still whole in the window");

static const uint8_t secret[SECRET_SIZE] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static xxh3_mixer *best_mixer(void);
static void hold(struct xxh3 *hash, const uint8_t *data, size_t size);
static void mix_blocks(struct xxh3 *hash, const uint8_t *blocks, size_t count);
static uint64_t short_value(const uint8_t *data, size_t size);
static uint64_t long_value(const struct xxh3 *hash);

void xxh3_init(struct xxh3 *hash)
{
    static const uint64_t lanes[XXH3_LANES] = {PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
                                               PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1};
    hash->mix = best_mixer();
    memcpy(hash->lanes, lanes, sizeof(lanes));
    hash->length = 0;
    hash->held = 0;
}

/* The last block is treated differently: even a full one is held until another byte follows. */
void xxh3_update(struct xxh3 *hash, const uint8_t *data, size_t size)
{
    hash->length += size;
    size_t room = XXH3_BLOCK - hash->held;
    if (size > room) {
        if (hash->held > 0) {
            hold(hash, data, room);
            data += room;
            size -= room;
            mix_blocks(hash, hash->window + XXH3_STRIPE, 1);
            hash->held = 0;
        }
        size_t blocks = (size - 1) / XXH3_BLOCK;
        mix_blocks(hash, data, blocks);
        data += blocks * XXH3_BLOCK;
        size -= blocks * XXH3_BLOCK;
    }
    hold(hash, data, size);
}

uint64_t xxh3_value(const struct xxh3 *hash)
{
    if (hash->length <= SHORT_MAX)
        return short_value(hash->window + XXH3_STRIPE, (size_t)hash->length);
    return long_value(hash);
}

static void hold(struct xxh3 *hash, const uint8_t *data, size_t size)
{
    memcpy(hash->window + XXH3_STRIPE + hash->held, data, size);
    hash->held += size;
}

static void mix_blocks(struct xxh3 *hash, const uint8_t *blocks, size_t count)
{
    if (count == 0)
        return;
    hash->mix(hash->lanes, blocks, count);
    memcpy(hash->window, blocks + count * XXH3_BLOCK - XXH3_STRIPE, XXH3_STRIPE);
}

/* ---------------------------------------------------------------------------------------- words */

static uint32_t read32(const uint8_t *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

static uint64_t read64(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

static uint64_t fold_product(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t avalanche(uint64_t x)
{
    x = (x ^ x >> 37) * PRIME_MX1;
    return x ^ x >> 32;
}

/* -------------------------------------------------------------------------- more than 240 bytes */

/* A word goes to its neighbour's lane: these sums are kept apart until the end, for the vectors. */
static inline void accumulate(uint64_t lanes[XXH3_LANES], const uint8_t *stripes, size_t count,
                              const uint8_t *key)
{
    uint64_t products[XXH3_LANES] = {0}, sums[XXH3_LANES] = {0};
    for (size_t stripe = 0; stripe < count; stripe++) {
        /* gcc for arm64 does not vectorise this: unrolled, it keeps the lanes in registers. */
#pragma GCC unroll 8
        for (size_t i = 0; i < XXH3_LANES; i++) {
            uint64_t word = read64(stripes + stripe * XXH3_STRIPE + i * 8);
            uint64_t value = word ^ read64(key + stripe * SECRET_STEP + i * 8);
            sums[i] += word;
            products[i] += (uint64_t)(uint32_t)value * (value >> 32);
        }
    }
    for (size_t i = 0; i < XXH3_LANES; i++)
        lanes[i] += products[i] + sums[i ^ 1];
}

static inline void scramble(uint64_t lanes[XXH3_LANES])
{
    const uint8_t *key = secret + SECRET_SIZE - XXH3_STRIPE;
    for (size_t i = 0; i < XXH3_LANES; i++)
        lanes[i] = (lanes[i] ^ (lanes[i] >> 47) ^ read64(key + i * 8)) * PRIME32_1;
}

void xxh3_mix_portable(uint64_t lanes[XXH3_LANES], const uint8_t *blocks, size_t count)
{
    for (; count > 0; count--, blocks += XXH3_BLOCK) {
        accumulate(lanes, blocks, STRIPES_PER_BLOCK, secret);
        scramble(lanes);
    }
}

static uint64_t long_value(const struct xxh3 *hash)
{
    uint64_t lanes[XXH3_LANES];
    memcpy(lanes, hash->lanes, sizeof(lanes));
    const uint8_t *block = hash->window + XXH3_STRIPE;
    const uint8_t *last_stripe = block + hash->held - XXH3_STRIPE;
    accumulate(lanes, block, (hash->held - 1) / XXH3_STRIPE, secret);
    accumulate(lanes, last_stripe, 1, secret + SECRET_SIZE - XXH3_STRIPE - 7);

    uint64_t value = hash->length * PRIME64_1;
    for (size_t i = 0; i < XXH3_LANES; i += 2) {
        const uint8_t *key = secret + 11 + i * 8;
        value += fold_product(lanes[i] ^ read64(key), lanes[i + 1] ^ read64(key + 8));
    }
    return avalanche(value);
}

/* ------------------------------------------------------------------------------ up to 240 bytes */

static uint64_t mix16(const uint8_t *data, const uint8_t *key)
{
    return fold_product(read64(data) ^ read64(key), read64(data + 8) ^ read64(key + 8));
}

static uint64_t avalanche_xxh64(uint64_t x)
{
    x = (x ^ x >> 33) * PRIME64_2;
    x = (x ^ x >> 29) * PRIME64_3;
    return x ^ x >> 32;
}

static uint64_t value_of_1_to_3(const uint8_t *data, size_t size)
{
    uint32_t first = data[0], middle = data[size / 2], last = data[size - 1];
    uint32_t combined = last | (uint32_t)size << 8 | first << 16 | middle << 24;
    return avalanche_xxh64(read32(secret) ^ read32(secret + 4) ^ combined);
}

static uint64_t value_of_4_to_8(const uint8_t *data, size_t size)
{
    uint64_t combined = (uint64_t)read32(data) << 32 | read32(data + size - 4);
    uint64_t x = read64(secret + 8) ^ read64(secret + 16) ^ combined;
    x ^= (x << 49 | x >> 15) ^ (x << 24 | x >> 40);
    x *= PRIME_MX2;
    x ^= (x >> 35) + size;
    x *= PRIME_MX2;
    return x ^ x >> 28;
}

static uint64_t value_of_9_to_16(const uint8_t *data, size_t size)
{
    uint64_t low = read64(secret + 24) ^ read64(secret + 32) ^ read64(data);
    uint64_t high = read64(secret + 40) ^ read64(secret + 48) ^ read64(data + size - 8);
    return avalanche(size + __builtin_bswap64(low) + high + fold_product(low, high));
}

/* Pairs of 16 bytes, from both ends towards the middle. */
static uint64_t value_of_17_to_128(const uint8_t *data, size_t size)
{
    uint64_t value = size * PRIME64_1;
    for (size_t i = 0; i <= (size - 1) / 32; i++) {
        value += mix16(data + i * 16, secret + i * 32);
        value += mix16(data + size - (i + 1) * 16, secret + i * 32 + 16);
    }
    return avalanche(value);
}

static uint64_t value_of_129_to_240(const uint8_t *data, size_t size)
{
    uint64_t value = size * PRIME64_1;
    for (size_t i = 0; i < 8; i++)
        value += mix16(data + i * 16, secret + i * 16);
    value = avalanche(value);
    for (size_t i = 8; i < size / 16; i++)
        value += mix16(data + i * 16, secret + (i - 8) * 16 + 3);
    value += mix16(data + size - 16, secret + 119);
    return avalanche(value);
}

static uint64_t short_value(const uint8_t *data, size_t size)
{
    if (size > 128)
        return value_of_129_to_240(data, size);
    if (size > 16)
        return value_of_17_to_128(data, size);
    if (size > 8)
        return value_of_9_to_16(data, size);
    if (size > 3)
        return value_of_4_to_8(data, size);
    if (size > 0)
        return value_of_1_to_3(data, size);
    return avalanche_xxh64(read64(secret + 56) ^ read64(secret + 64));
}

/* -------------------------------------------------------------------------------- x86 with AVX2 */

#ifdef __x86_64__
#include <immintrin.h>

#define HALF (XXH3_LANES / 2)
#define AVX2_TARGET static __attribute__((target("avx2")))

AVX2_TARGET inline __m256i load(const uint8_t *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

AVX2_TARGET inline __m256i mix_half(__m256i lanes, const uint8_t *stripe, const uint8_t *key)
{
    __m256i words = load(stripe);
    __m256i value = _mm256_xor_si256(words, load(key));
    __m256i product = _mm256_mul_epu32(value, _mm256_srli_epi64(value, 32));
    __m256i swapped = _mm256_shuffle_epi32(words, _MM_SHUFFLE(1, 0, 3, 2));
    return _mm256_add_epi64(lanes, _mm256_add_epi64(product, swapped));
}

AVX2_TARGET void mix_avx2(uint64_t lanes[XXH3_LANES], const uint8_t *blocks, size_t count)
{
    for (; count > 0; count--, blocks += XXH3_BLOCK) {
        __m256i low = load((const uint8_t *)lanes), high = load((const uint8_t *)(lanes + HALF));
        for (size_t i = 0; i < STRIPES_PER_BLOCK; i++) {
            const uint8_t *stripe = blocks + i * XXH3_STRIPE, *key = secret + i * SECRET_STEP;
            low = mix_half(low, stripe, key);
            high = mix_half(high, stripe + HALF * 8, key + HALF * 8);
        }
        _mm256_storeu_si256((__m256i *)lanes, low);
        _mm256_storeu_si256((__m256i *)(lanes + HALF), high);
        scramble(lanes);
    }
}

static xxh3_mixer *best_mixer(void)
{
    return __builtin_cpu_supports("avx2") ? mix_avx2 : xxh3_mix_portable;
}
#else
static xxh3_mixer *best_mixer(void)
{
    return xxh3_mix_portable;
}
#endif
