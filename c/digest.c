/* digest.c: one door to the digest algorithms. */
#include "digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int64_t zc_digest_new(uint32_t algorithm)
{
    struct digest *digest = malloc(sizeof(*digest));
    if (!digest)
        return -ENOMEM;
    int error = digest_init(digest, algorithm);
    if (error < 0) {
        free(digest);
        return error;
    }
    return (intptr_t)digest;
}

int zc_digest_value(int64_t digest, uint8_t *out)
{
    return (int)digest_final((const struct digest *)(intptr_t)digest, out);
}

int zc_digest_free(int64_t digest)
{
    free((struct digest *)(intptr_t)digest);
    return 0;
}

int digest_init(struct digest *digest, uint32_t algorithm)
{
    digest->algorithm = algorithm;
    switch (algorithm) {
    case ZC_DIGEST_XXH3:
        xxh3_init(&digest->xxh3);
        return 0;
    case ZC_DIGEST_SHA256:
        sha256_init(&digest->sha256);
        return 0;
    default:
        return -EINVAL;
    }
}

void digest_update(struct digest *digest, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (digest->algorithm == ZC_DIGEST_XXH3)
        xxh3_update(&digest->xxh3, data, size);
    else
        sha256_update(&digest->sha256, data, size);
}

size_t digest_final(const struct digest *digest, uint8_t out[ZC_DIGEST_SIZE_MAX])
{
    if (digest->algorithm == ZC_DIGEST_XXH3) {
        uint64_t canonical = __builtin_bswap64(xxh3_value(&digest->xxh3));
        memcpy(out, &canonical, sizeof(canonical));
        return sizeof(canonical);
    }
    sha256_value(&digest->sha256, out);
    return SHA256_WORDS * sizeof(uint32_t);
}
