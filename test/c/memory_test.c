/* A memory's windows: where they begin, that they stay inside, and that each mover sends them. */
#include "../../c/memory.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../c/job.h"
#include "check.h"

#define PAGE 4096u
#define SIZE (1u << 20)

static struct job job;

static struct memory *new_memory(uint64_t size, uint64_t misalign, uint32_t flags)
{
    int64_t handle = zc_memory_new(size, misalign, flags);
    CHECK(handle > 0);
    struct memory *memory = (struct memory *)(intptr_t)handle;
    CHECK(memory_begin(memory, &job) == 0);
    return memory;
}

static void free_memory(struct memory *memory)
{
    CHECK(zc_memory_free((int64_t)(intptr_t)memory) == 0);
}

static void windows_begin_where_they_should(uint64_t misalign, uint64_t window)
{
    struct memory *memory = new_memory(SIZE, misalign, 0);
    char *first = memory_data(memory);
    unsigned wraps = 0;
    for (unsigned i = 0; i < 3 * SIZE / window; i++) {
        CHECK(memory_window(memory, window) == window);
        char *data = memory_data(memory);
        CHECK((uintptr_t)data % PAGE == misalign);
        CHECK(lseek(memory_fd(memory), 0, SEEK_CUR) % PAGE == (off_t)misalign);
        CHECK(data >= first && data + window <= first + SIZE + PAGE);
        wraps += i > 0 && data == first + misalign;
        char in_file;
        CHECK(pread(memory_fd(memory), &in_file, 1, lseek(memory_fd(memory), 0, SEEK_CUR)) == 1);
        CHECK(in_file == *data);
        lseek(memory_fd(memory), (off_t)window, SEEK_CUR); /* as sendfile(2) does */
        memory_took(memory, window);
    }
    CHECK(wraps >= 2);
    free_memory(memory);
}

static void a_window_is_taken_in_parts(void)
{
    struct memory *memory = new_memory(SIZE, 0, 0);
    CHECK(memory_window(memory, 10000) == 10000);
    char *begin = memory_data(memory);
    memory_took(memory, 3000);
    CHECK(memory_window(memory, 10000) == 7000);
    CHECK(memory_data(memory) == begin + 3000);
    memory_took(memory, 7000);
    CHECK(memory_window(memory, 10000) == 10000);
    CHECK(memory_data(memory) == begin + 3 * PAGE);
    free_memory(memory);
}

static void touching_changes_every_line(void)
{
    struct memory *memory = new_memory(SIZE, 0, ZC_MEMORY_TOUCH);
    static char before[SIZE];
    memcpy(before, memory_data(memory), SIZE);
    CHECK(memory_window(memory, SIZE) == SIZE);
    for (unsigned at = 0; at < SIZE; at += 64)
        CHECK(memcmp(before + at, memory_data(memory) + at, 64) != 0);
    free_memory(memory);
}

static void refuses_nonsense(void)
{
    CHECK(zc_memory_new(0, 0, 0) == -22);
    CHECK(zc_memory_new(SIZE, PAGE, 0) == -22);
    CHECK(zc_memory_new(UINT64_MAX, 0, 0) == -22);
    struct memory *memory = new_memory(SIZE, 0, 0);
    struct zc_move move = {.memory = (int64_t)(intptr_t)memory, .chunk = SIZE + 1, .depth = 2};
    CHECK(zc_move_start(&move) == -22);
    free_memory(memory);
}

static void await_end(int64_t handle, int event_fd)
{
    uint64_t ended;
    CHECK(read(event_fd, &ended, sizeof(ended)) == sizeof(ended));
    const struct zc_stats *stats = (const struct zc_stats *)(intptr_t)handle;
    CHECK(stats->error == 0 && stats->end == ZC_END_LIMIT);
    CHECK(stats->ended_ns > stats->began_ns);
    CHECK(zc_job_free(handle) == 0);
}

static void is_sent_by(uint32_t mover)
{
    const uint64_t limit = 40000, window = 10000;
    struct memory *memory = new_memory(SIZE, 0, 0);
    int pair[2], event_fd = zc_event_open();
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct zc_move move = {.memory = (int64_t)(intptr_t)memory,
                           .limit = limit,
                           .chunk = window,
                           .depth = 2,
                           .mover = mover,
                           .sink = pair[0],
                           .event_fd = event_fd};
    int64_t handle = zc_move_start(&move);
    CHECK(handle > 0);
    char got[10000];
    for (uint64_t at = 0; at < limit; at += window) {
        CHECK(recv(pair[1], got, window, MSG_WAITALL) == (ssize_t)window);
        char expected[10000];
        uint64_t page = at / window * 3 * PAGE;
        CHECK(pread(memory_fd(memory), expected, window, (off_t)page) == (ssize_t)window);
        CHECK(memcmp(got, expected, window) == 0);
    }
    await_end(handle, event_fd);
    close(event_fd);
    close(pair[0]);
    close(pair[1]);
    free_memory(memory);
}

/* Movers that use the descriptor's position, and movers that do not, may take turns. */
static void movers_take_turns(void)
{
    struct memory *memory = new_memory(SIZE, 0, ZC_MEMORY_TOUCH);
    for (unsigned i = 0; i < 3; i++) { /* as copies do: the descriptor stays where it was */
        CHECK(memory_window(memory, PAGE) == PAGE);
        memory_took(memory, PAGE);
    }
    CHECK(memory_begin(memory, &job) == 0);
    CHECK(memory_window(memory, PAGE) == PAGE);
    uint64_t in_file;
    off_t position = lseek(memory_fd(memory), 0, SEEK_CUR);
    CHECK(pread(memory_fd(memory), &in_file, sizeof(in_file), position) == sizeof(in_file));
    CHECK(in_file == 4 && memcmp(&in_file, memory_data(memory), sizeof(in_file)) == 0);
    free_memory(memory);
}

static void ends_when_its_time_is_over(void)
{
    struct memory *memory = new_memory(SIZE, 0, 0);
    int pair[2], event_fd = zc_event_open();
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct zc_move move = {.memory = (int64_t)(intptr_t)memory,
                           .limit = UINT64_MAX,
                           .duration = 20000000,
                           .chunk = 4096,
                           .depth = 2,
                           .sink = pair[0],
                           .event_fd = event_fd};
    int64_t handle = zc_move_start(&move);
    CHECK(handle > 0);
    struct pollfd ended = {.fd = event_fd, .events = POLLIN};
    char sink[SIZE];
    while (poll(&ended, 1, 0) == 0)
        CHECK(recv(pair[1], sink, sizeof(sink), MSG_DONTWAIT) != 0);
    await_end(handle, event_fd);
    close(event_fd);
    close(pair[0]);
    close(pair[1]);
    free_memory(memory);
}

int main(void)
{
    windows_begin_where_they_should(0, 65536);
    windows_begin_where_they_should(0, 10000);
    windows_begin_where_they_should(1, 65536);
    windows_begin_where_they_should(4095, 100);
    a_window_is_taken_in_parts();
    touching_changes_every_line();
    refuses_nonsense();
    is_sent_by(ZC_MOVER_COPY);
    is_sent_by(ZC_MOVER_SENDFILE);
    is_sent_by(ZC_MOVER_SPLICE);
    movers_take_turns();
    ends_when_its_time_is_over();
    return 0;
}
