/* XBZRLE against QEMU's own example, at the page's ends, and cut anywhere. */
#include <errno.h>
#include <string.h>

#include "../../c/ram.h"
#include "check.h"

#define PAGE 1024u

/* Memory of its own at both sides, which ends where the bytes end. */
static int apply(const char *encoding, size_t size, uint8_t *page, size_t page_size)
{
    uint8_t *from = malloc(size), *to = malloc(page_size);
    CHECK(from && to);
    memcpy(from, encoding, size);
    memcpy(to, page, page_size);
    int error = xbzrle_apply(from, size, to, page_size);
    memcpy(page, to, page_size);
    free(from);
    free(to);
    return error;
}

/* docs/devel/migration/xbzrle.rst */
static void knows_qemus_example(void)
{
    static const char encoding[] = "\xe9\x07\x0f\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17"
                                   "\3\1\x67\1\1\x69";
    uint8_t page[PAGE] = {0}, expected[PAGE] = {0};
    for (uint8_t i = 0; i < 15; i++)
        expected[1001 + i] = (uint8_t)(i + 1);
    expected[1019] = 0x67;
    expected[1021] = 0x69;
    CHECK(apply(encoding, sizeof(encoding) - 1, page, PAGE) == 0);
    CHECK(memcmp(page, expected, PAGE) == 0);
    for (size_t size = 1; size < sizeof(encoding) - 1; size++) {
        bool is_whole = size == 18 || size == 21;
        CHECK(apply(encoding, size, page, PAGE) == (is_whole ? 0 : -EBADMSG));
    }
}

static void ends_where_the_page_ends(void)
{
    uint8_t page[PAGE] = {0};
    CHECK(apply("", 0, page, PAGE) == 0);
    CHECK(apply("\xff\x07\1A", 4, page, PAGE) == 0 && page[PAGE - 1] == 'A');
    CHECK(apply("\xff\x07\2AB", 5, page, PAGE) == -EBADMSG);
    CHECK(apply("\x80\x08\1A", 4, page, PAGE) == -EBADMSG);
    CHECK(apply("\xff\x7f\1A", 4, page, PAGE) == -EBADMSG);
    CHECK(apply("\0\1A\0\1B", 6, page, PAGE) == -EBADMSG);
    CHECK(apply("\0\1A\1\1B", 6, page, PAGE) == 0 && page[0] == 'A' && page[2] == 'B');
    CHECK(apply("\x80\0\1C", 4, page, PAGE) == 0 && page[0] == 'C');
    CHECK(apply("\x80\x80\1C", 4, page, PAGE) == -EBADMSG);
}

int main(void)
{
    knows_qemus_example();
    ends_where_the_page_ends();
    return 0;
}
