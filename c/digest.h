/* digest.h: digests of a stream of bytes, in any portions. Nothing here allocates. */
#ifndef ZC_DIGEST_H
#define ZC_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "zc.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie in memory");

#define XXH3_LANES 8
#define XXH3_STRIPE 64  /* bytes: one word for each lane */
#define XXH3_BLOCK 1024 /* bytes: a stripe for every 8 bytes of the secret, until its last 64 */

/* Takes `count` whole blocks into the lanes. */
typedef void xxh3_mixer(uint64_t lanes[XXH3_LANES], const uint8_t *blocks, size_t count);

struct xxh3 {
    xxh3_mixer *mix; /* the fastest that this processor has */
    uint64_t lanes[XXH3_LANES];
    uint64_t length;                          /* bytes so far */
    size_t held;                              /* bytes in the window's block */
    uint8_t window[XXH3_STRIPE + XXH3_BLOCK]; /* the stripe before the last block, the block */
};

void xxh3_init(struct xxh3 *hash);
void xxh3_update(struct xxh3 *hash, const uint8_t *data, size_t size);
uint64_t xxh3_value(const struct xxh3 *hash);
xxh3_mixer xxh3_mix_portable;

#define SHA256_WORDS 8
#define SHA256_BLOCK 64 /* bytes */

/* Takes `count` whole blocks into the state. */
typedef void sha256_compressor(uint32_t state[SHA256_WORDS], const uint8_t *blocks, size_t count);

struct sha256 {
    sha256_compressor *compress; /* the fastest that this processor has */
    uint32_t state[SHA256_WORDS];
    uint64_t length; /* bytes so far; the last `length % SHA256_BLOCK` are in `block` */
    uint8_t block[SHA256_BLOCK];
};

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const uint8_t *data, size_t size);
void sha256_value(const struct sha256 *hash, uint8_t out[SHA256_WORDS * 4]);
sha256_compressor sha256_compress_portable;

struct digest {
    uint32_t algorithm; /* ZC_DIGEST_ */
    union {
        struct xxh3 xxh3;
        struct sha256 sha256;
    };
};

/* `algorithm`: ZC_DIGEST_. Returns 0, or -EINVAL. */
int digest_init(struct digest *digest, uint32_t algorithm);

/* Takes the stream's next `size` bytes; `data` may be anything when `size` is 0. */
void digest_update(struct digest *digest, const void *data, size_t size);

/* The digest of all bytes so far. Returns how many bytes of `out` it has. More may follow. */
size_t digest_final(const struct digest *digest, uint8_t out[ZC_DIGEST_SIZE_MAX]);

#endif
