/* sketch.h: what pages have in common, told from a bounded memory of them. */
#ifndef ZC_SKETCH_H
#define ZC_SKETCH_H

#include <stddef.h>
#include <stdint.h>

#include "zc.h"

#define SKETCH_BITS 14
_Static_assert(ZC_RAM_REGISTERS == 1 << SKETCH_BITS, "one for each value of so many bits");

struct sketch {
    uint64_t pages; /* so far */
    uint64_t random;
    uint8_t *sample; /* pages picked at random, each with the same chance; NULL: none are kept */
    uint32_t sample_max;
    uint8_t registers[ZC_RAM_REGISTERS]; /* HyperLogLog: of each kind of hash, the rarest rank */
};

void sketch_add(struct sketch *sketch, const uint8_t *page, size_t size);

#endif
