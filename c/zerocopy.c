/* zerocopy.c: the books of MSG_ZEROCOPY: ids out, ranges of ids back, in any order. */
#include "zerocopy.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "job.h"

/* Newer than the oldest headers that we compile with (Linux 6.7: include/linux/socket.h,
 * vm_sockets.h). */
#define ZC_SOL_VSOCK 287
#define ZC_VSOCK_RECVERR 1

#define BUFFER_RELEASED UINT16_MAX
/* CMSG_SPACE of a sock_extended_err with an IPv6 offender is 64. */
#define CONTROL_SIZE 128

static int read_notification(struct zerocopy *zerocopy);
static int take_control_message(struct zerocopy *zerocopy, const struct cmsghdr *message);

int zerocopy_open(struct zerocopy *zerocopy, int fd, struct zc_stats *stats)
{
    memset(zerocopy, 0, sizeof(*zerocopy));
    zerocopy->fd = fd;
    zerocopy->stats = stats;
    int on = 0;
    socklen_t length = sizeof(on);
    if (getsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, &length) == 0 && on)
        return -EBUSY;
    on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == 0)
        return 0;
    return errno == 524 ? -EOPNOTSUPP
                        : -errno; /* ENOTSUPP, the kernel's own: Linux < 5.x leaks it */
}

ssize_t zerocopy_send(struct zerocopy *zerocopy, unsigned buffer, const void *data, size_t size)
{
    if (zerocopy_in_flight(zerocopy) == ZEROCOPY_IDS_MAX)
        return -ENOBUFS;
    ssize_t sent = send(zerocopy->fd, data, size, MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return errno == ENOMEM ? -ENOBUFS : -errno; /* vsock says ENOMEM for the same thing */
    zerocopy_note_send(zerocopy, buffer);
    return sent;
}

/* A call takes one id, however much of it was sent. */
void zerocopy_note_send(struct zerocopy *zerocopy, unsigned buffer)
{
    zerocopy->buffer_of[zerocopy->next % ZEROCOPY_IDS_MAX] = (uint16_t)buffer;
    zerocopy->in_flight[buffer]++;
    zerocopy->next++;
    stat_add(&zerocopy->stats->sends, 1);
}

int zerocopy_drain(struct zerocopy *zerocopy)
{
    int messages = 0;
    for (;;) {
        int read = read_notification(zerocopy);
        if (read == -EAGAIN)
            return messages;
        if (read < 0)
            return read;
        messages++;
    }
}

static int read_notification(struct zerocopy *zerocopy)
{
    union {
        struct cmsghdr align;
        char bytes[CONTROL_SIZE];
    } control;
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof(control)};
    while (recvmsg(zerocopy->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    if (message.msg_flags & MSG_CTRUNC)
        return -EPROTO;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        int error = take_control_message(zerocopy, c);
        if (error < 0)
            return error;
    }
    return 0;
}

/* The level is that of the socket's family, not the peer's: IPv6 also for v4-mapped peers. */
static bool is_error_queue(const struct cmsghdr *message)
{
    return (message->cmsg_level == IPPROTO_IP && message->cmsg_type == IP_RECVERR) ||
           (message->cmsg_level == IPPROTO_IPV6 && message->cmsg_type == IPV6_RECVERR) ||
           (message->cmsg_level == ZC_SOL_VSOCK && message->cmsg_type == ZC_VSOCK_RECVERR);
}

static int take_control_message(struct zerocopy *zerocopy, const struct cmsghdr *message)
{
    struct sock_extended_err error;
    if (!is_error_queue(message) || message->cmsg_len < CMSG_LEN(sizeof(error)))
        return 0;
    memcpy(&error, CMSG_DATA(message), sizeof(error));
    if (error.ee_origin != SO_EE_ORIGIN_ZEROCOPY || error.ee_errno != 0)
        return 0;
    return zerocopy_release(zerocopy, error.ee_info, error.ee_data,
                            error.ee_code & SO_EE_CODE_ZEROCOPY_COPIED);
}

int zerocopy_release(struct zerocopy *zerocopy, uint32_t low, uint32_t high, bool copied)
{
    uint32_t first = low - zerocopy->oldest; /* distances wrap as the ids do */
    uint32_t last = high - zerocopy->oldest;
    if (first > last || last >= zerocopy_in_flight(zerocopy))
        return -EPROTO;
    struct zc_stats *stats = zerocopy->stats;
    stat_add(&stats->notifications, 1);
    stat_add(&stats->joined, first != last);
    stat_add(&stats->unordered, first != 0);
    for (uint32_t distance = first; distance <= last; distance++) {
        uint16_t *buffer = &zerocopy->buffer_of[(zerocopy->oldest + distance) % ZEROCOPY_IDS_MAX];
        if (*buffer == BUFFER_RELEASED)
            continue;
        zerocopy->in_flight[*buffer]--;
        *buffer = BUFFER_RELEASED;
        stat_add(&stats->completions, 1);
        stat_add(&stats->copied, copied);
    }
    while (zerocopy->oldest != zerocopy->next &&
           zerocopy->buffer_of[zerocopy->oldest % ZEROCOPY_IDS_MAX] == BUFFER_RELEASED)
        zerocopy->oldest++;
    return 0;
}
