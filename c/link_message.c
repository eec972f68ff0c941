/* link_message.c: messages of a link, and lists of them. */
#include <stdlib.h>
#include <string.h>

#include "close.h"
#include "link.h"

struct message *message_new(uint64_t size)
{
    struct message *message = malloc(sizeof(*message) + size);
    if (!message)
        return NULL;
    message->next = NULL;
    message->caller = NULL;
    message->size = size;
    message->filled = message->pipe_at = message->piped = 0;
    message->pipe = -1;
    message->has_chosen = false;
    message->flags = 0;
    message->fd_count = message->fds_lost = 0;
    return message;
}

void message_free(struct message *message)
{
    if (!message)
        return;
    for (uint32_t each = 0; each < message->fd_count; each++)
        close_later(message->fds[each]);
    free(message);
}

struct header message_header(const struct message *message)
{
    struct header header;
    memcpy(&header, message->bytes, sizeof(header));
    return header;
}

void message_add_fds(struct message *message, const int *fds, uint32_t count)
{
    for (uint32_t each = 0; each < count; each++) {
        if (message->fd_count < ZC_LINK_FDS_MAX) {
            message->fds[message->fd_count++] = fds[each];
        } else {
            close_later(fds[each]);
            message->fds_lost++;
        }
    }
}

void messages_init(struct messages *messages)
{
    messages->first = NULL;
    messages->last = &messages->first;
    messages->held = messages->fds = 0;
}

void messages_put(struct messages *messages, struct message *message)
{
    message->next = NULL;
    *messages->last = message;
    messages->last = &message->next;
    messages->held += sizeof(*message) + message->size;
    messages->fds += message->fd_count;
}

struct message *messages_take(struct messages *messages)
{
    struct message *message = messages->first;
    if (!message)
        return NULL;
    messages->first = message->next;
    if (!messages->first)
        messages->last = &messages->first;
    messages->held -= sizeof(*message) + message->size;
    messages->fds -= message->fd_count;
    return message;
}

bool messages_have_room(const struct messages *messages, uint64_t held_max)
{
    return !messages->first || (messages->held < held_max && messages->fds < ZC_LINK_FDS_MAX);
}

void messages_free(struct messages *messages)
{
    struct message *message;
    while ((message = messages_take(messages)))
        message_free(message);
}
