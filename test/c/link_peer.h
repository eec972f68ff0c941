/* link_peer.h: a link, and the other end of its socket, which may say anything. */
#ifndef LINK_PEER_H
#define LINK_PEER_H

#include <dirent.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "../../c/link.h"
#include "await.h"

struct pair {
    int peer; /* blocking */
    int ours;
    int event_fd;
    int64_t job;
};

static inline struct pair pair_open(uint64_t size_max, uint64_t held_max)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK(zc_fd_nonblocking(fds[1], 1) == 0);
    struct pair pair = {.peer = fds[0], .ours = fds[1], .event_fd = zc_event_open()};
    struct zc_link options = {
        .size_max = size_max, .held_max = held_max, .fd = pair.ours, .event_fd = pair.event_fd};
    pair.job = zc_link_start(&options);
    CHECK(pair.job > 0);
    return pair;
}

/* Waits for the end of the link, which nothing is taken from any more. */
static inline struct zc_stats pair_close(struct pair *pair)
{
    struct zc_stats stats = await(pair->job, pair->event_fd);
    if (pair->peer >= 0)
        close(pair->peer);
    close(pair->ours);
    close(pair->event_fd);
    return stats;
}

static inline bool has_ended(const struct pair *pair)
{
    const struct zc_stats *stats = (const struct zc_stats *)(intptr_t)pair->job;
    return __atomic_load_n(&stats->state, __ATOMIC_ACQUIRE) == ZC_STATE_ENDED;
}

static inline void await_end(const struct pair *pair)
{
    uint64_t news;
    while (!has_ended(pair))
        CHECK(read(pair->event_fd, &news, sizeof(news)) == sizeof(news));
}

/* The next message, waited for. */
static inline void take(const struct pair *pair, void *out, size_t capacity,
                        struct zc_message *told)
{
    int got;
    while ((got = zc_link_take(pair->job, out, capacity, told)) == 0) {
        uint64_t news;
        CHECK(read(pair->event_fd, &news, sizeof(news)) == sizeof(news));
    }
    CHECK(got == 1);
}

static inline void close_all(const int32_t *fds, uint32_t count)
{
    for (uint32_t each = 0; each < count; each++)
        CHECK(close(fds[each]) == 0);
}

/* In one call of sendmsg(2), unless it is too large for one. */
static inline void put(int fd, const void *bytes, size_t size, const int *fds, uint32_t fd_count)
{
    char control[CMSG_SPACE(sizeof(int) * ZC_LINK_FDS_MAX)] __attribute__((aligned(8)));
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
    }
    CHECK(sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)size);
}

/* Whether there was as much before the end. */
static inline bool get(int fd, void *out, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t some = recv(fd, (char *)out + got, size - got, 0);
        if (some <= 0)
            return false;
        got += (size_t)some;
    }
    return true;
}

/* The id, the command and every byte of the body tell the number. */
static inline void fill_message(unsigned char *out, uint32_t size, uint32_t number)
{
    struct header header = {.id = (uint16_t)(number % CALLER_ID_MIN), .command = 99, .size = size};
    memcpy(out, &header, sizeof(header));
    for (uint32_t at = sizeof(header); at < size; at++)
        out[at] = (unsigned char)((number * 31 + at) * 2654435761u >> 13);
}

static inline bool is_message(const unsigned char *bytes, uint64_t size, uint32_t number)
{
    unsigned char *wanted = malloc(size);
    CHECK(wanted);
    fill_message(wanted, (uint32_t)size, number);
    bool is_same = memcmp(bytes, wanted, size) == 0;
    free(wanted);
    return is_same;
}

/* A file that holds the number. */
static inline int numbered_fd(uint32_t number)
{
    int fd = memfd_create("numbered", MFD_CLOEXEC);
    CHECK(fd >= 0 && pwrite(fd, &number, sizeof(number), 0) == sizeof(number));
    return fd;
}

static inline uint32_t number_of(int fd)
{
    uint32_t number;
    CHECK(pread(fd, &number, sizeof(number), 0) == sizeof(number));
    return number;
}

static inline unsigned open_fds(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

#endif
