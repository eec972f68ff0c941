/* link_send.c: what leaves a link: at once where the socket takes it, else kept until it does. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "close.h"
#include "link.h"

static ssize_t send_parts(int fd, const struct iovec *parts, const int *fds, uint32_t fd_count);
static int keep(struct link *link, struct caller *caller, const struct iovec parts[2],
                uint64_t sent, const int *fds, uint32_t fd_count);
static void put_last(struct link *link, struct caller *caller, struct message *message);
static void take_first(struct link *link);
static void copy_rest(unsigned char *message, const struct iovec parts[2], uint64_t sent);
static int duplicate(struct message *message, const int *fds, uint32_t fd_count);
static void drop_fds(struct messages *leaving);
static void tell_refused(struct link *link);
static void fail(struct link *link, int error);

int link_send(struct link *link, struct caller *caller, const struct iovec parts[2], const int *fds,
              uint32_t fd_count)
{
    if (!link->job || link->send_error)
        return -EPIPE;
    ssize_t sent = 0;
    if (!link->leaving.first)
        sent = send_parts(link->options.fd, parts, fds, fd_count);
    if (sent < 0 && sent != -EAGAIN)
        return (int)sent;
    if (sent < 0)
        sent = 0;
    if ((uint64_t)sent == parts[0].iov_len + parts[1].iov_len)
        return 0;
    int error = keep(link, caller, parts, (uint64_t)sent, fds, fd_count);
    if (error < 0 && sent > 0) /* nothing can follow a part of a message */
        fail(link, error);
    return error;
}

int link_send_refused(struct link *link, uint64_t size)
{
    const struct messages *leaving = &link->leaving;
    uint64_t held = leaving->held + sizeof(struct message) + size;
    if (!leaving->first || held <= link->options.held_max)
        return 0;
    link->was_refused = true;
    return -EAGAIN;
}

/* Bytes, or -errno. The descriptors go with the first of them. */
static ssize_t send_parts(int fd, const struct iovec *parts, const int *fds, uint32_t fd_count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * ZC_LINK_FDS_MAX)];
    } control;
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = 2};
    if (fd_count > 0) {
        size_t size = sizeof(int) * fd_count;
        memset(&control, 0, CMSG_SPACE(size));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(&control.header), fds, size);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(size);
    }
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static int keep(struct link *link, struct caller *caller, const struct iovec parts[2],
                uint64_t sent, const int *fds, uint32_t fd_count)
{
    struct message *message = message_new(parts[0].iov_len + parts[1].iov_len);
    int error = message ? 0 : -ENOMEM;
    if (error == 0 && sent == 0)
        error = duplicate(message, fds, fd_count);
    if (error < 0) {
        message_free(message);
        return error;
    }
    copy_rest(message->bytes, parts, sent);
    message->filled = sent;
    put_last(link, caller, message);
    job_wake(link->job);
    return 0;
}

static void put_last(struct link *link, struct caller *caller, struct message *message)
{
    message->caller = caller;
    if (caller)
        caller->waiting++;
    messages_put(&link->leaving, message);
}

static void take_first(struct link *link)
{
    struct message *message = messages_take(&link->leaving);
    if (message->caller)
        message->caller->waiting--;
    message_free(message);
}

void link_disown(struct link *link, const struct caller *caller)
{
    for (struct message *each = link->leaving.first; each; each = each->next)
        if (each->caller == caller)
            each->caller = NULL;
}

/* What is left of both parts after their first `sent` bytes, to its place in the message. */
static void copy_rest(unsigned char *message, const struct iovec parts[2], uint64_t sent)
{
    for (int each = 0; each < 2; each++) {
        uint64_t skipped = sent < parts[each].iov_len ? sent : parts[each].iov_len;
        if (skipped < parts[each].iov_len)
            memcpy(message + skipped, (const char *)parts[each].iov_base + skipped,
                   parts[each].iov_len - skipped);
        message += parts[each].iov_len;
        sent -= skipped;
    }
}

int link_send_message(struct link *link, struct caller *caller, struct message *message)
{
    if (!link->job || link->send_error) {
        message_free(message);
        return -EPIPE;
    }
    put_last(link, caller, message);
    int error = link_flush(link);
    if (link->leaving.first)
        job_wake(link->job);
    return error;
}

static int duplicate(struct message *message, const int *fds, uint32_t fd_count)
{
    for (uint32_t each = 0; each < fd_count; each++) {
        int fd = fcntl(fds[each], F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return -errno;
        message_add_fds(message, &fd, 1);
    }
    return 0;
}

int link_flush(struct link *link)
{
    struct message *message;
    while ((message = link->leaving.first)) {
        struct iovec parts[2] = {{.iov_base = message->bytes + message->filled,
                                  .iov_len = message->size - message->filled}};
        ssize_t sent = send_parts(link->options.fd, parts, message->fds, message->fd_count);
        if (sent == -EAGAIN)
            return 0;
        if (sent < 0) {
            fail(link, (int)sent);
            return (int)sent;
        }
        drop_fds(&link->leaving);
        message->filled += (uint64_t)sent;
        if (message->filled == message->size)
            take_first(link);
    }
    tell_refused(link);
    return 0;
}

static void tell_refused(struct link *link)
{
    if (link->was_refused)
        job_wake_owner(link->job);
    link->was_refused = false;
}

/* The job ends once it has read what the peer said before. */
static void fail(struct link *link, int error)
{
    link->send_error = error;
    messages_free(&link->leaving);
    tell_refused(link);
    job_wake(link->job);
}

/* The peer has the first message's now. */
static void drop_fds(struct messages *leaving)
{
    struct message *message = leaving->first;
    leaving->fds -= message->fd_count;
    for (uint32_t each = 0; each < message->fd_count; each++)
        close_later(message->fds[each]);
    message->fd_count = 0;
}
