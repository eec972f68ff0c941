/* The books of MSG_ZEROCOPY, without a kernel: ids out, ranges back, in any order, across 2^32. */
#include "../../c/zerocopy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../c/job.h"
#include "check.h"

static struct zerocopy books;
static struct job job;
#define stats job.stats

static void start_at(uint32_t id)
{
    memset(&books, 0, sizeof(books));
    memset(&job, 0, sizeof(job));
    books.loans.job = &job;
    books.oldest = books.next = id;
}

/* What zerocopy_send does once send(2) has said yes. */
static void sent_from(unsigned buffer)
{
    zerocopy_note_send(&books, buffer);
}

static void releases_in_order(void)
{
    start_at(0);
    for (unsigned i = 0; i < 4; i++)
        sent_from(i);
    CHECK(zerocopy_release(&books, 0, 1, false) == 0);
    CHECK(loans_is_free(&books.loans, 0) && loans_is_free(&books.loans, 1));
    CHECK(!loans_is_free(&books.loans, 2));
    CHECK(zerocopy_in_flight(&books) == 2);
    CHECK(stats.completions == 2 && stats.copied == 0 && stats.unknown == 1);
    CHECK(stats.notifications == 1 && stats.joined == 1 && stats.unordered == 0);
}

static void holds_a_buffer_until_its_last_send(void)
{
    start_at(0);
    sent_from(7);
    sent_from(7);
    CHECK(zerocopy_release(&books, 1, 1, true) == 0);
    CHECK(!loans_is_free(&books.loans, 7));
    CHECK(zerocopy_in_flight(&books) == 2); /* the oldest is still out */
    CHECK(zerocopy_release(&books, 0, 0, false) == 0);
    CHECK(loans_is_free(&books.loans, 7));
    CHECK(zerocopy_in_flight(&books) == 0);
    CHECK(stats.completions == 2 && stats.copied == 1 && stats.unordered == 1);
}

static void wraps_at_2_to_the_32(void)
{
    start_at(UINT32_MAX - 1);
    for (unsigned i = 0; i < 4; i++)
        sent_from(i);
    CHECK(books.next == 2);
    CHECK(zerocopy_release(&books, UINT32_MAX - 1, 1, false) == 0);
    CHECK(zerocopy_in_flight(&books) == 0 && stats.completions == 4);
}

static void counts_an_id_once(void)
{
    start_at(0);
    for (unsigned i = 0; i < 3; i++)
        sent_from(0);
    CHECK(zerocopy_release(&books, 1, 1, false) == 0);
    CHECK(zerocopy_release(&books, 1, 1, false) == 0);
    CHECK(stats.completions == 1);
    CHECK(zerocopy_release(&books, 0, 2, false) == 0);
    CHECK(stats.completions == 3 && loans_is_free(&books.loans, 0));
}

static void refuses_what_was_never_sent(void)
{
    start_at(100);
    sent_from(0);
    CHECK(zerocopy_release(&books, 99, 99, false) == -EPROTO);
    CHECK(zerocopy_release(&books, 100, 101, false) == -EPROTO);
    CHECK(zerocopy_release(&books, 101, 100, false) == -EPROTO);
    CHECK(zerocopy_release(&books, 0, UINT32_MAX, false) == -EPROTO);
    CHECK(stats.completions == 0 && !loans_is_free(&books.loans, 0));
}

/* A joined range has one flag, which is its first id's. */
static void knows_of_a_range_only_its_first(void)
{
    start_at(0);
    for (unsigned i = 0; i < 3; i++)
        sent_from(i);
    CHECK(zerocopy_release(&books, 0, 2, true) == 0);
    CHECK(stats.completions == 3 && stats.copied == 1 && stats.unknown == 2);
    CHECK(books.loans.buffers[0].copied == 1 && books.loans.buffers[0].unknown == 0);
    CHECK(books.loans.buffers[2].copied == 0 && books.loans.buffers[2].unknown == 1);
    loans_reuse(&books.loans, 2);
    CHECK(books.loans.buffers[2].unknown == 0);
}

static void lists_each_freed_buffer_once(void)
{
    start_at(0);
    sent_from(5);
    CHECK(loans_next_freed(&books.loans) == -1);
    CHECK(zerocopy_release(&books, 0, 0, false) == 0);
    sent_from(5);
    CHECK(zerocopy_release(&books, 1, 1, false) == 0);
    CHECK(loans_next_freed(&books.loans) == 5);
    CHECK(loans_next_freed(&books.loans) == -1);
    sent_from(5);
    CHECK(zerocopy_release(&books, 2, 2, false) == 0);
    CHECK(loans_next_freed(&books.loans) == 5);
}

/* Random sends and random ranges back: whatever is out is held, whatever is back is free. */
static void keeps_the_books_in_any_order(void)
{
    static unsigned char released[1 << 16];
    static uint8_t buffer_of[1 << 16];
    srand(1);
    for (int round = 0; round < 50; round++) {
        uint32_t first = UINT32_MAX - (uint32_t)(rand() % 1000);
        uint32_t total = 0, back = 0;
        start_at(first);
        memset(released, 0, sizeof(released));
        while (total < 2000 || back < total) {
            if (total < 2000 && zerocopy_in_flight(&books) < ZEROCOPY_IDS_MAX && rand() % 2) {
                buffer_of[total] = (uint8_t)(rand() % 16);
                sent_from(buffer_of[total++]);
                continue;
            }
            if (back == total)
                continue;
            uint32_t low = (uint32_t)rand() % total;
            while (released[low])
                low = (low + 1) % total;
            uint32_t high = low;
            while (high + 1 < total && !released[high + 1] && rand() % 3)
                high++;
            CHECK(zerocopy_release(&books, first + low, first + high, false) == 0);
            for (uint32_t id = low; id <= high; id++, back++)
                released[id] = 1;
            uint32_t held[16] = {0};
            for (uint32_t id = 0; id < total; id++)
                held[buffer_of[id]] += !released[id];
            for (unsigned b = 0; b < 16; b++)
                CHECK(loans_is_free(&books.loans, b) == (held[b] == 0));
        }
        CHECK(stats.completions == total && zerocopy_in_flight(&books) == 0);
    }
}

int main(void)
{
    releases_in_order();
    holds_a_buffer_until_its_last_send();
    wraps_at_2_to_the_32();
    counts_an_id_once();
    refuses_what_was_never_sent();
    knows_of_a_range_only_its_first();
    lists_each_freed_buffer_once();
    keeps_the_books_in_any_order();
    return 0;
}
