/* errqueue.c: reads the error queue, and believes no length in it. */
#include "errqueue.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "job.h"

/* Newer than the oldest headers that we compile with (Linux 6.7: include/linux/socket.h,
 * vm_sockets.h). */
#define ZC_SOL_VSOCK 287
#define ZC_VSOCK_RECVERR 1
/* SO_TIMESTAMPING_NEW: the same three 64-bit pairs as the old one has on 64-bit machines. */
#define ZC_SCM_TIMESTAMPING_NEW 65
/* An error with an IPv6 offender takes 64; timestamps, and what a socket's owner asked for, more.
 */
#define CONTROL_SIZE 512

static bool take_error(const struct cmsghdr *c, size_t size, struct zc_notice *out);
static void take_stamps(const struct cmsghdr *c, size_t size, struct zc_notice *out);

int errqueue_read(int fd, struct zc_notice *out)
{
    union {
        struct cmsghdr align;
        char bytes[CONTROL_SIZE];
    } control;
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof(control)};
    while (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    int error = errqueue_parse(&message, out);
    out->read_ns = job_now();
    return error;
}

int errqueue_parse(const struct msghdr *message, struct zc_notice *out)
{
    *out = (struct zc_notice){.latency_ns = -1};
    const char *end = (const char *)message->msg_control + message->msg_controllen;
    bool found = false;
    struct msghdr walk = *message; /* the macros want one that they may change */
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&walk); c; c = CMSG_NXTHDR(&walk, c)) {
        if (c->cmsg_len < CMSG_LEN(0) || c->cmsg_len > (size_t)(end - (char *)c))
            break;
        size_t size = c->cmsg_len - CMSG_LEN(0);
        if (take_error(c, size, out))
            found = true;
        else
            take_stamps(c, size, out);
    }
    return found ? 0 : -EBADMSG;
}

/* The level is that of the socket's family, not the peer's: IPv6 also for v4-mapped peers. */
static bool is_error(const struct cmsghdr *c)
{
    return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
           (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR) ||
           (c->cmsg_level == ZC_SOL_VSOCK && c->cmsg_type == ZC_VSOCK_RECVERR);
}

static bool take_error(const struct cmsghdr *c, size_t size, struct zc_notice *out)
{
    struct sock_extended_err error;
    if (!is_error(c) || size < sizeof(error))
        return false;
    memcpy(&error, CMSG_DATA(c), sizeof(error));
    out->origin = error.ee_origin;
    out->error = error.ee_errno;
    out->type = error.ee_type;
    out->code = error.ee_code;
    out->info = error.ee_info;
    out->data = error.ee_data;
    size_t offender = size - sizeof(error); /* a sockaddr, AF_UNSPEC or missing where none is */
    if (offender > sizeof(out->offender))
        offender = sizeof(out->offender);
    memcpy(out->offender, CMSG_DATA(c) + sizeof(error), offender);
    return true;
}

/* The first of three is the software's, the third the hardware's (timestamping.rst, 2.1). */
static void take_stamps(const struct cmsghdr *c, size_t size, struct zc_notice *out)
{
    bool is_stamps = c->cmsg_level == SOL_SOCKET &&
                     (c->cmsg_type == SO_TIMESTAMPING || c->cmsg_type == ZC_SCM_TIMESTAMPING_NEW);
    int64_t stamps[3][2];
    if (!is_stamps || size < sizeof(stamps))
        return;
    memcpy(stamps, CMSG_DATA(c), sizeof(stamps));
    bool is_software = stamps[0][0] != 0 || stamps[0][1] != 0;
    const int64_t *stamp = is_software ? stamps[0] : stamps[2];
    out->stamp_s = stamp[0];
    out->stamp_ns = stamp[1];
    out->hardware = !is_software;
}
