/* xbzrle.c: pages that were sent again as what has changed. */
#include <errno.h>
#include <string.h>

#include "ram.h"

static int read_run(const uint8_t *encoding, size_t size, size_t *at);

int xbzrle_apply(const uint8_t *encoding, size_t size, uint8_t *page, size_t page_size)
{
    size_t to = 0;
    for (size_t at = 0; at < size;) {
        bool is_first = at == 0;
        int kept = read_run(encoding, size, &at);
        int changed = kept < 0 ? kept : read_run(encoding, size, &at);
        if (changed <= 0 || (kept == 0 && !is_first))
            return -EBADMSG;
        to += (size_t)kept;
        if (to > page_size || (size_t)changed > page_size - to || (size_t)changed > size - at)
            return -EBADMSG;
        memcpy(page + to, encoding + at, (size_t)changed);
        to += (size_t)changed;
        at += (size_t)changed;
    }
    return 0;
}

/* A ULEB128 number of at most two bytes, or -EBADMSG. */
static int read_run(const uint8_t *encoding, size_t size, size_t *at)
{
    if (*at >= size)
        return -EBADMSG;
    uint8_t low = encoding[(*at)++];
    if (low < 0x80)
        return low;
    if (*at >= size || encoding[*at] >= 0x80)
        return -EBADMSG;
    return (low & 0x7f) | encoding[(*at)++] << 7;
}
