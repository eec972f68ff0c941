/* A ring that is closed: what it was given is its owner's again. */
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../c/uring.h"
#include "check.h"

#define PIECE ((size_t)1 << 20)
#define PIECES 64
#define ASYNC 16 /* IOSQE_ASYNC: on another thread of the kernel's, from the start */

static struct uring open_ring(void)
{
    struct uring ring;
    struct uring_options options = {.entries = PIECES, .completions = 2 * PIECES};
    int error = uring_open(&ring, &options);
    if (error < 0) {
        fprintf(stderr, "no io_uring here: %s\n", strerror(-error));
        exit(0);
    }
    return ring;
}

static int file_of(char byte)
{
    static char bytes[PIECE];
    int fd = memfd_create("uring-close-test", MFD_CLOEXEC);
    memset(bytes, byte, sizeof(bytes));
    for (int piece = 0; piece < PIECES; piece++)
        CHECK(write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes));
    return fd;
}

static void queue(struct uring *ring, uint8_t opcode, int fd, char *memory)
{
    for (uint64_t piece = 0; piece < PIECES; piece++) {
        struct uring_sqe *sqe = uring_prepare(ring, opcode, fd, piece);
        CHECK(sqe);
        sqe->flags = ASYNC;
        sqe->address = (uintptr_t)(memory + piece * PIECE);
        sqe->length = (uint32_t)PIECE;
        sqe->offset = piece * PIECE;
    }
}

static bool is_zero(const char *memory)
{
    return memory[0] == 0 && memcmp(memory, memory + 1, PIECE * PIECES - 1) == 0;
}

/* Reads that were cancelled while other threads made them write into nothing any more. */
static void what_is_under_way_ends_first(void)
{
    char *memory = mmap(NULL, PIECE * PIECES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(memory != MAP_FAILED);
    int fd = file_of('x');
    for (int round = 0; round < 10; round++) {
        struct uring ring = open_ring();
        queue(&ring, URING_READ, fd, memory);
        CHECK(uring_enter(&ring, 0) == 0);
        CHECK(uring_close(&ring));
        memset(memory, 0, PIECE * PIECES);
        for (int look = 0; look < 5; look++)
            CHECK(is_zero(memory));
    }
    munmap(memory, PIECE * PIECES);
    close(fd);
}

static void what_was_not_submitted_never_is(void)
{
    char byte = 'x';
    int fd = memfd_create("uring-close-test", MFD_CLOEXEC);
    struct uring ring = open_ring();
    struct uring_sqe *sqe = uring_prepare(&ring, URING_WRITEV, fd, 0);
    struct {
        char *data;
        size_t size;
    } vector = {&byte, 1};
    sqe->address = (uintptr_t)&vector;
    sqe->length = 1;
    CHECK(uring_close(&ring));
    struct stat stat;
    CHECK(fstat(fd, &stat) == 0 && stat.st_size == 0);
    close(fd);
}

int main(void)
{
    what_is_under_way_ends_first();
    what_was_not_submitted_never_is();
    return 0;
}
