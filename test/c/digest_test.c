/* Digests against values from other implementations (sha256sum, Bun), in any portions. */
#include "../../c/digest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* Past two of XXH3's blocks. */
#define LENGTH_MAX 2048
#define STREAM_SIZE (100 * 1024)

static const uint32_t algorithms[] = {ZC_DIGEST_XXH3, ZC_DIGEST_SHA256};

/* Whether to do without what this processor has beyond the usual. */
static bool portable;

static void start(struct digest *digest, uint32_t algorithm)
{
    CHECK(digest_init(digest, algorithm) == 0);
    if (!portable)
        return;
    if (algorithm == ZC_DIGEST_XXH3)
        digest->xxh3.mix = xxh3_mix_portable;
    else
        digest->sha256.compress = sha256_compress_portable;
}

static size_t digest_of(uint32_t algorithm, const void *data, size_t size,
                        uint8_t out[ZC_DIGEST_SIZE_MAX])
{
    struct digest digest;
    start(&digest, algorithm);
    digest_update(&digest, data, size);
    return digest_final(&digest, out);
}

static bool is_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        if (hex[2 * i] != digits[bytes[i] >> 4] || hex[2 * i + 1] != digits[bytes[i] & 15])
            return false;
    }
    return hex[2 * size] == '\0';
}

static void fill(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((uint32_t)i * 0x9e3779b1 >> 24);
}

static void knows_public_values(void)
{
    static const struct {
        uint32_t algorithm;
        const char *text, *hex;
    } known[] = {
        {ZC_DIGEST_XXH3, "", "2d06800538d394c2"},
        {ZC_DIGEST_XXH3, "a", "e6c632b61e964e1f"},
        {ZC_DIGEST_XXH3, "abc", "78af5f94892f3950"},
        {ZC_DIGEST_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {ZC_DIGEST_SHA256, "abc",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint8_t out[ZC_DIGEST_SIZE_MAX];
        size_t size = digest_of(known[i].algorithm, known[i].text, strlen(known[i].text), out);
        CHECK(is_hex(out, size, known[i].hex));
    }
}

static void knows_a_million_times_a(void)
{
    static char text[1000000];
    memset(text, 'a', sizeof(text));
    uint8_t out[ZC_DIGEST_SIZE_MAX];
    size_t size = digest_of(ZC_DIGEST_XXH3, text, sizeof(text), out);
    CHECK(is_hex(out, size, "b1fd6fae5285c4eb"));
    size = digest_of(ZC_DIGEST_SHA256, text, sizeof(text), out);
    CHECK(is_hex(out, size, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
}

/* SHA-256 over the digests of the first 0, 1, … LENGTH_MAX bytes of fill(): Bun has the same. */
static void knows_every_length(void)
{
    static const char *const hex[] = {
        "0ab2ea40bde837ef3cbc7abff089082127dc796972d9db5ac5610a0a9a79282e",
        "e3b7f2776cdca5417fa11d84a14dd221662be3b209acb394ba3dfc3fde2ceebf",
    };
    for (size_t i = 0; i < 2; i++) {
        struct digest all;
        start(&all, ZC_DIGEST_SHA256);
        uint8_t out[ZC_DIGEST_SIZE_MAX];
        for (size_t size = 0; size <= LENGTH_MAX; size++) {
            /* Memory of its own, unaligned, which ends where the bytes end. */
            uint8_t *memory = malloc(1 + size);
            CHECK(memory);
            fill(memory + 1, size);
            digest_update(&all, out, digest_of(algorithms[i], memory + 1, size, out));
            free(memory);
        }
        CHECK(is_hex(out, digest_final(&all, out), hex[i]));
    }
}

/* From memory of its own, so that no byte before or after can be taken for a neighbour's. */
static void update_from_copy(struct digest *digest, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size);
    CHECK(copy);
    memcpy(copy, data, size);
    digest_update(digest, copy, size);
    free(copy);
}

static void takes_any_portions(void)
{
    static uint8_t stream[STREAM_SIZE];
    static const size_t portion_max[] = {3, 70, 1030, 5000, STREAM_SIZE};
    fill(stream, sizeof(stream));
    srand(1);
    for (size_t round = 0; round < 200; round++) {
        uint32_t algorithm = algorithms[round % 2];
        size_t size = (size_t)rand() % sizeof(stream);
        struct digest digest;
        start(&digest, algorithm);
        for (size_t at = 0, portion; at < size; at += portion) {
            portion = (size_t)rand() % (portion_max[round % 5] + 1);
            if (portion > size - at)
                portion = size - at;
            update_from_copy(&digest, stream + at, portion);
        }
        uint8_t in_portions[ZC_DIGEST_SIZE_MAX], at_once[ZC_DIGEST_SIZE_MAX];
        size_t length = digest_of(algorithm, stream, size, at_once);
        CHECK(digest_final(&digest, in_portions) == length);
        CHECK(memcmp(in_portions, at_once, length) == 0);
    }
}

static void goes_on_after_a_value(void)
{
    uint8_t bytes[LENGTH_MAX];
    fill(bytes, sizeof(bytes));
    for (size_t i = 0; i < 2; i++) {
        struct digest digest;
        start(&digest, algorithms[i]);
        for (size_t size = 0; size <= sizeof(bytes); size++) {
            uint8_t so_far[ZC_DIGEST_SIZE_MAX], at_once[ZC_DIGEST_SIZE_MAX];
            size_t length = digest_of(algorithms[i], bytes, size, at_once);
            CHECK(digest_final(&digest, so_far) == length);
            CHECK(memcmp(so_far, at_once, length) == 0);
            if (size < sizeof(bytes))
                update_from_copy(&digest, bytes + size, 1);
        }
    }
}

static void takes_nothing_from_nowhere(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct digest digest;
        start(&digest, algorithms[i]);
        digest_update(&digest, NULL, 0);
        uint8_t out[ZC_DIGEST_SIZE_MAX], empty[ZC_DIGEST_SIZE_MAX];
        size_t size = digest_of(algorithms[i], "", 0, empty);
        CHECK(digest_final(&digest, out) == size && memcmp(out, empty, size) == 0);
    }
}

static void is_owned_by_whoever_made_it(void)
{
    int64_t handle = zc_digest_new(ZC_DIGEST_XXH3);
    CHECK(handle > 0);
    uint8_t out[ZC_DIGEST_SIZE_MAX];
    CHECK(zc_digest_value(handle, out) == 8 && is_hex(out, 8, "2d06800538d394c2"));
    CHECK(zc_digest_free(handle) == 0);
}

static void refuses_other_algorithms(void)
{
    struct digest digest;
    CHECK(digest_init(&digest, 0) == -EINVAL);
    CHECK(digest_init(&digest, ZC_DIGEST_SHA256 + 1) == -EINVAL);
    CHECK(zc_digest_new(UINT32_MAX) == -EINVAL);
}

static void digests(void)
{
    knows_public_values();
    knows_a_million_times_a();
    knows_every_length();
    takes_any_portions();
    goes_on_after_a_value();
    takes_nothing_from_nowhere();
}

int main(void)
{
    digests();
    portable = true;
    digests();
    is_owned_by_whoever_made_it();
    refuses_other_algorithms();
    return 0;
}
