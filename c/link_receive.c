/*
 * link_receive.c: what arrives on a link: read in bulk, cut into messages with the descriptors that
 * are theirs, and handed to whom each concerns.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "link.h"

static ssize_t receive_into_pipe(struct link *link, struct message *message);
static ssize_t receive_bytes(struct link *link, void *to, size_t room);
static size_t room_of(const struct link *link);
static void collect_fds(struct msghdr *from, struct message *strays);
static bool may_hold_more(struct link *link);
static int cut_one(struct link *link);
static struct message *begin_message(struct link *link);
static void choose_pipe(struct link *link, struct message *message);
static void give_strays(struct link *link, struct message *owner);
static void hand_over(struct link *link, struct message *message);

int link_receive(struct link *link)
{
    struct message *partial = link->partial;
    ssize_t got = -EAGAIN;
    if (partial && !partial->has_chosen)
        choose_pipe(link, partial);
    if (partial && partial->pipe >= 0)
        got = receive_into_pipe(link, partial);
    if (got == -EAGAIN)
        got = partial ? receive_bytes(link, partial->bytes + partial->filled,
                                      partial->size - partial->filled)
                      : receive_bytes(link, link->buffer + link->buffered, room_of(link));
    if (got == -EAGAIN)
        return 0;
    if (got == 0)
        return partial || link->buffered > 0 ? -ECONNRESET : ZC_END_EOF;
    if (got < 0)
        return (int)got;
    if (partial)
        partial->filled += (uint64_t)got;
    else
        link->buffered += (size_t)got;
    return 0;
}

/*
 * Bytes that went to the pipe of the reply's caller, by reference; 0 at the end, or -errno. EAGAIN:
 * there is no room, and we never wait for any: the rest of the message is read.
 */
static ssize_t receive_into_pipe(struct link *link, struct message *message)
{
    size_t left = message->size - message->filled;
    pthread_mutex_lock(&link->lock);
    ssize_t moved = -1;
    errno = EAGAIN;
    if (link_caller_of(link, message)) /* else the pipe is gone */
        moved = splice(link->options.fd, NULL, message->pipe, NULL, left, SPLICE_F_NONBLOCK);
    int error = errno;
    pthread_mutex_unlock(&link->lock);
    if (moved > 0)
        message->piped += (uint64_t)moved;
    else
        message->pipe = -1;
    return moved < 0 ? -error : moved;
}

void link_drain(struct link *link)
{
    shutdown(link->options.fd, SHUT_RD);
    while (receive_bytes(link, link->buffer, sizeof(link->buffer)) > 0)
        ;
    message_free(link->strays);
    link->strays = NULL;
}

/* Descriptors that came with a part of a header are its message's: no more is read with the rest.
 */
static size_t room_of(const struct link *link)
{
    bool has_strays = link->strays->fd_count > 0 || link->strays->fds_lost > 0;
    return (has_strays ? sizeof(struct header) : sizeof(link->buffer)) - link->buffered;
}

/* Bytes, 0 at the end, or -errno. One read never goes beyond what descriptors came with. */
static ssize_t receive_bytes(struct link *link, void *to, size_t room)
{
    char control[CMSG_SPACE(sizeof(int) * ZC_LINK_FDS_MAX)] __attribute__((aligned(8)));
    struct iovec part = {.iov_base = to, .iov_len = room};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t got;
    do {
        got = recvmsg(link->options.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    collect_fds(&message, link->strays);
    return got;
}

static void collect_fds(struct msghdr *from, struct message *strays)
{
    for (struct cmsghdr *each = CMSG_FIRSTHDR(from); each; each = CMSG_NXTHDR(from, each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS)
            continue;
        int fds[ZC_LINK_FDS_MAX];
        size_t size = each->cmsg_len - CMSG_LEN(0);
        memcpy(fds, CMSG_DATA(each), size);
        message_add_fds(strays, fds, (uint32_t)(size / sizeof(int)));
    }
    /* This process may have no more: the kernel does not tell how many it has closed. */
    if (from->msg_flags & MSG_CTRUNC)
        strays->fds_lost++;
}

/* Nothing is read before all of this is handed over: then every stray is of the last message. */
bool link_has_more(const struct link *link)
{
    if (link->partial)
        return link->partial->filled == link->partial->size;
    return !link->is_broken && link->buffered - link->cut >= sizeof(struct header);
}

int link_cut(struct link *link)
{
    int error = 0;
    while (error == 0 && link_has_more(link) && may_hold_more(link))
        error = cut_one(link);
    link->buffered -= link->cut;
    memmove(link->buffer, link->buffer + link->cut, link->buffered);
    link->cut = 0;
    return error;
}

static bool may_hold_more(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    bool may = link->is_ending || messages_have_room(&link->arrived, link->options.held_max);
    pthread_mutex_unlock(&link->lock);
    return may;
}

static int cut_one(struct link *link)
{
    struct message *message = link->partial;
    if (!message) {
        message = begin_message(link);
        if (!message)
            return -ENOMEM;
    }
    /*
     * recvmsg(2) stops after bytes that came with descriptors: they belong to the message that the
     * last byte is of. Where not even its header is whole, they wait.
     */
    if (link->cut == link->buffered)
        give_strays(link, message);
    bool is_whole = message->filled == message->size;
    link->partial = is_whole ? NULL : message;
    if (is_whole)
        hand_over(link, message);
    return 0;
}

/* What comes next in the buffer, as much as there is of it; or NULL. */
static struct message *begin_message(struct link *link)
{
    struct header header;
    memcpy(&header, link->buffer + link->cut, sizeof(header));
    bool is_bad = header.size < sizeof(header) || header.size > link->options.size_max;
    uint64_t size = is_bad ? sizeof(header) : header.size;
    struct message *message = message_new(size);
    if (!message)
        return NULL;
    size_t there = link->buffered - link->cut;
    message->filled = size < there ? size : there;
    memcpy(message->bytes, link->buffer + link->cut, message->filled);
    link->cut += message->filled;
    if (is_bad) {
        message->flags = ZC_MESSAGE_SIZE_BAD;
        link->is_broken = true;
    }
    return message;
}

/* For what of a reply is still to come, once its caller has what it must look at. */
static void choose_pipe(struct link *link, struct message *message)
{
    pthread_mutex_lock(&link->lock);
    struct caller *caller = link_caller_of(link, message);
    bool has_pipe = caller && caller->pipe_for && caller->waiting < caller->ids;
    message->has_chosen = !has_pipe || message->filled >= caller->piped_from;
    if (has_pipe && message->has_chosen) {
        message->pipe_at = message->filled;
        message->pipe = caller->pipe_for(caller, message_header(message).id);
    }
    pthread_mutex_unlock(&link->lock);
}

static void give_strays(struct link *link, struct message *owner)
{
    struct message *strays = link->strays;
    message_add_fds(owner, strays->fds, strays->fd_count);
    owner->fds_lost += strays->fds_lost;
    strays->fd_count = strays->fds_lost = 0;
}

static void hand_over(struct link *link, struct message *message)
{
    pthread_mutex_lock(&link->lock);
    bool is_news = false;
    if (link_offer_to_callers(link, message)) {
        /* It is theirs now. */
    } else if (link->is_ending) {
        message_free(message);
    } else if (link->unsettled == 0 && link_answer_from_regions(link, message)) {
        message_free(message);
    } else {
        is_news = !link->arrived.first;
        link->unsettled++;
        messages_put(&link->arrived, message);
    }
    pthread_mutex_unlock(&link->lock);
    if (is_news)
        job_wake_owner(link->job);
}
