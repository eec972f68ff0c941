/* sha256.c: SHA-256, FIPS 180-4: https://doi.org/10.6028/NIST.FIPS.180-4 */
#include <stdbool.h>
#include <string.h>

#include "digest.h"

#define ROUNDS 64
/* The padding's last word: the message's length in bits, big-endian. */
#define LENGTH_SIZE 8

/* Section 4.2.2: the fractions of the cube roots of the first 64 primes. */
static const uint32_t constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static sha256_compressor *best_compressor(void);

void sha256_init(struct sha256 *hash)
{
    /* Section 5.3.3: the fractions of the square roots of the first 8 primes. */
    static const uint32_t state[SHA256_WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    hash->compress = best_compressor();
    memcpy(hash->state, state, sizeof(state));
    hash->length = 0;
}

void sha256_update(struct sha256 *hash, const uint8_t *data, size_t size)
{
    size_t held = hash->length % SHA256_BLOCK;
    size_t room = SHA256_BLOCK - held;
    hash->length += size;
    if (size >= room) {
        if (held > 0) {
            memcpy(hash->block + held, data, room);
            hash->compress(hash->state, hash->block, 1);
            data += room;
            size -= room;
            held = 0;
        }
        size_t blocks = size / SHA256_BLOCK;
        hash->compress(hash->state, data, blocks);
        data += blocks * SHA256_BLOCK;
        size -= blocks * SHA256_BLOCK;
    }
    memcpy(hash->block + held, data, size);
}

void sha256_value(const struct sha256 *hash, uint8_t out[SHA256_WORDS * 4])
{
    /* Section 5.1.1: a one bit, zeros, and the length, as one block or two. */
    uint8_t padded[2 * SHA256_BLOCK] = {0};
    size_t held = hash->length % SHA256_BLOCK;
    memcpy(padded, hash->block, held);
    padded[held] = 0x80;
    size_t blocks = held + 1 + LENGTH_SIZE <= SHA256_BLOCK ? 1 : 2;
    uint64_t bits = __builtin_bswap64(hash->length * 8);
    memcpy(padded + blocks * SHA256_BLOCK - LENGTH_SIZE, &bits, LENGTH_SIZE);

    uint32_t state[SHA256_WORDS];
    memcpy(state, hash->state, sizeof(state));
    hash->compress(state, padded, blocks);
    for (size_t i = 0; i < SHA256_WORDS; i++)
        state[i] = __builtin_bswap32(state[i]);
    memcpy(out, state, sizeof(state));
}

/* ------------------------------------------------------------------------------------- portable */

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word >> bits | word << (32 - bits);
}

/* Section 6.2.2, step 1. */
static void schedule_message(uint32_t schedule[ROUNDS], const uint8_t *block)
{
    memcpy(schedule, block, SHA256_BLOCK);
    for (size_t t = 0; t < 16; t++)
        schedule[t] = __builtin_bswap32(schedule[t]);
    for (size_t t = 16; t < ROUNDS; t++) {
        uint32_t near = schedule[t - 2], far = schedule[t - 15];
        uint32_t sigma1 = rotate(near, 17) ^ rotate(near, 19) ^ near >> 10;
        uint32_t sigma0 = rotate(far, 7) ^ rotate(far, 18) ^ far >> 3;
        schedule[t] = sigma1 + schedule[t - 7] + sigma0 + schedule[t - 16];
    }
}

/* Section 6.2.2, steps 2 to 4. */
static void compress_block(uint32_t state[SHA256_WORDS], const uint32_t schedule[ROUNDS])
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (size_t t = 0; t < ROUNDS; t++) {
        uint32_t sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        uint32_t choice = (e & f) ^ (~e & g);
        uint32_t t1 = h + sum1 + choice + constants[t] + schedule[t];
        uint32_t sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + sum0 + majority;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void sha256_compress_portable(uint32_t state[SHA256_WORDS], const uint8_t *blocks, size_t count)
{
    uint32_t schedule[ROUNDS];
    for (; count > 0; count--, blocks += SHA256_BLOCK) {
        schedule_message(schedule, blocks);
        compress_block(state, schedule);
    }
}

/* ------------------------------------------------------------------------- x86's SHA extensions */

#ifdef __x86_64__
#include <cpuid.h>
#include <smmintrin.h>

#define SHA_TARGET static __attribute__((target("sha,sse4.1")))

/* What <immintrin.h> makes _mm_sha256*_epu32 of; all of that header takes longer than this file. */
typedef int ints __attribute__((vector_size(16)));
#define RNDS2(a, b, c) ((__m128i)__builtin_ia32_sha256rnds2((ints)(a), (ints)(b), (ints)(c)))
#define MSG1(a, b) ((__m128i)__builtin_ia32_sha256msg1((ints)(a), (ints)(b)))
#define MSG2(a, b) ((__m128i)__builtin_ia32_sha256msg2((ints)(a), (ints)(b)))

/* As SHA256RNDS2 has them: the highest word first. */
struct words {
    __m128i abef, cdgh;
};

/* Four rounds, with their words of the schedule and of the constants. */
SHA_TARGET inline void four_rounds(struct words *words, __m128i message, const uint32_t *constant)
{
    __m128i sum = _mm_add_epi32(message, _mm_loadu_si128((const __m128i *)constant));
    /* Two rounds turn CDGH into the next ABEF, and the old ABEF is the next CDGH. */
    words->cdgh = RNDS2(words->cdgh, words->abef, sum);
    words->abef = RNDS2(words->abef, words->cdgh, _mm_unpackhi_epi64(sum, sum));
}

/* The schedule's next four words, from its last sixteen. */
SHA_TARGET inline __m128i next_message(__m128i w0, __m128i w4, __m128i w8, __m128i w12)
{
    __m128i minus7 = _mm_alignr_epi8(w12, w8, 4);
    return MSG2(_mm_add_epi32(MSG1(w0, w4), minus7), w12);
}

SHA_TARGET inline __m128i load_message(const uint8_t *from)
{
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)from), swap);
}

SHA_TARGET inline void compress_block_sha(struct words *words, const uint8_t *block)
{
    struct words before = *words;
    __m128i w0 = load_message(block), w4 = load_message(block + 16);
    __m128i w8 = load_message(block + 32), w12 = load_message(block + 48);
    for (size_t t = 0; t < ROUNDS; t += 16) {
        four_rounds(words, w0, constants + t);
        w0 = next_message(w0, w4, w8, w12);
        four_rounds(words, w4, constants + t + 4);
        w4 = next_message(w4, w8, w12, w0);
        four_rounds(words, w8, constants + t + 8);
        w8 = next_message(w8, w12, w0, w4);
        four_rounds(words, w12, constants + t + 12);
        w12 = next_message(w12, w0, w4, w8);
    }
    words->abef = _mm_add_epi32(words->abef, before.abef);
    words->cdgh = _mm_add_epi32(words->cdgh, before.cdgh);
}

SHA_TARGET void compress_sha(uint32_t state[SHA256_WORDS], const uint8_t *blocks, size_t count)
{
    /* Memory has abcd and efgh, the lowest word first: turned round, and the halves joined. */
    __m128i dcba = _mm_loadu_si128((const __m128i *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, _MM_SHUFFLE(2, 3, 0, 1));
    __m128i ghef = _mm_shuffle_epi32(hgfe, _MM_SHUFFLE(2, 3, 0, 1));
    struct words words = {_mm_unpacklo_epi64(ghef, cdab), _mm_unpackhi_epi64(ghef, cdab)};

    for (; count > 0; count--, blocks += SHA256_BLOCK)
        compress_block_sha(&words, blocks);

    ghef = _mm_unpacklo_epi64(words.abef, words.cdgh);
    cdab = _mm_unpackhi_epi64(words.abef, words.cdgh);
    _mm_storeu_si128((__m128i *)state, _mm_shuffle_epi32(cdab, _MM_SHUFFLE(2, 3, 0, 1)));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_shuffle_epi32(ghef, _MM_SHUFFLE(2, 3, 0, 1)));
}

static sha256_compressor *best_compressor(void)
{
    unsigned a, b, c, d;
    /* clang 14's __builtin_cpu_supports does not know "sha". */
    bool sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
    return sha && __builtin_cpu_supports("sse4.1") ? compress_sha : sha256_compress_portable;
}
#else
static sha256_compressor *best_compressor(void)
{
    return sha256_compress_portable;
}
#endif
