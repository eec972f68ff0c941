/* layout.c: what the compiler made of the structs in zc.h. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "zc.h"

struct field {
    const char *structure, *name;
    unsigned offset, size;
};

#define STRUCT(s)                                                                                  \
    {                                                                                              \
#s, "*", 0, sizeof(struct s)                                                               \
    }
#define FIELD(s, f)                                                                                \
    {                                                                                              \
#s, #f, offsetof(struct s, f), sizeof(((struct s *)0)->f)                                  \
    }

static const struct field fields[] = {
    STRUCT(zc_stats),
    FIELD(zc_stats, state),
    FIELD(zc_stats, error),
    FIELD(zc_stats, side),
    FIELD(zc_stats, end),
    FIELD(zc_stats, bytes),
    FIELD(zc_stats, calls),
    FIELD(zc_stats, sends),
    FIELD(zc_stats, completions),
    FIELD(zc_stats, copied),
    FIELD(zc_stats, unknown),
    FIELD(zc_stats, notifications),
    FIELD(zc_stats, joined),
    FIELD(zc_stats, unordered),
    FIELD(zc_stats, retries),
    FIELD(zc_stats, fallbacks),
    FIELD(zc_stats, discarded),
    FIELD(zc_stats, pending),
    FIELD(zc_stats, holes),
    FIELD(zc_stats, began_ns),
    FIELD(zc_stats, first_ns),
    FIELD(zc_stats, last_ns),
    FIELD(zc_stats, ended_ns),
    STRUCT(zc_move),
    FIELD(zc_move, digest),
    FIELD(zc_move, memory),
    FIELD(zc_move, limit),
    FIELD(zc_move, duration),
    FIELD(zc_move, interval),
    FIELD(zc_move, start_ns),
    FIELD(zc_move, request),
    FIELD(zc_move, rate),
    FIELD(zc_move, chunk),
    FIELD(zc_move, depth),
    FIELD(zc_move, pipe_size),
    FIELD(zc_move, mover),
    FIELD(zc_move, flags),
    FIELD(zc_move, source),
    FIELD(zc_move, sink),
    FIELD(zc_move, event_fd),
    FIELD(zc_move, answer),
    STRUCT(zc_answers),
    FIELD(zc_answers, interval),
    FIELD(zc_answers, start_ns),
    FIELD(zc_answers, counts),
    FIELD(zc_answers, fd),
    FIELD(zc_answers, event_fd),
    STRUCT(zc_datagrams),
    FIELD(zc_datagrams, memory),
    FIELD(zc_datagrams, size),
    FIELD(zc_datagrams, limit),
    FIELD(zc_datagrams, duration),
    FIELD(zc_datagrams, rate),
    FIELD(zc_datagrams, burst),
    FIELD(zc_datagrams, flags),
    FIELD(zc_datagrams, fd),
    FIELD(zc_datagrams, event_fd),
    STRUCT(zc_arrivals),
    FIELD(zc_arrivals, datagrams),
    FIELD(zc_arrivals, highest),
    FIELD(zc_arrivals, lost),
    FIELD(zc_arrivals, out_of_order),
    FIELD(zc_arrivals, malformed),
    FIELD(zc_arrivals, jitter_ns),
    STRUCT(zc_arrivals_options),
    FIELD(zc_arrivals_options, arrivals),
    FIELD(zc_arrivals_options, size),
    FIELD(zc_arrivals_options, flags),
    FIELD(zc_arrivals_options, fd),
    FIELD(zc_arrivals_options, event_fd),
    FIELD(zc_arrivals_options, reserved),
    STRUCT(zc_channel),
    FIELD(zc_channel, piece),
    FIELD(zc_channel, worthwhile),
    FIELD(zc_channel, fd),
    FIELD(zc_channel, event_fd),
    FIELD(zc_channel, depth),
    FIELD(zc_channel, flags),
    STRUCT(zc_part),
    FIELD(zc_part, address),
    FIELD(zc_part, size),
    STRUCT(zc_completion),
    FIELD(zc_completion, tag),
    FIELD(zc_completion, bytes),
    FIELD(zc_completion, held_ns),
    FIELD(zc_completion, uncopied),
    FIELD(zc_completion, copied),
    FIELD(zc_completion, unknown),
    FIELD(zc_completion, error),
    FIELD(zc_completion, held),
    FIELD(zc_completion, reserved),
    STRUCT(zc_notice),
    FIELD(zc_notice, read_ns),
    FIELD(zc_notice, latency_ns),
    FIELD(zc_notice, stamp_s),
    FIELD(zc_notice, stamp_ns),
    FIELD(zc_notice, origin),
    FIELD(zc_notice, error),
    FIELD(zc_notice, type),
    FIELD(zc_notice, code),
    FIELD(zc_notice, info),
    FIELD(zc_notice, data),
    FIELD(zc_notice, hardware),
    FIELD(zc_notice, reserved),
    FIELD(zc_notice, offender),
    STRUCT(zc_watch),
    FIELD(zc_watch, fd),
    FIELD(zc_watch, event_fd),
    FIELD(zc_watch, follow),
    FIELD(zc_watch, reserved),
    STRUCT(zc_wait),
    FIELD(zc_wait, timeout_ms),
    FIELD(zc_wait, fd),
    FIELD(zc_wait, events),
    FIELD(zc_wait, event_fd),
    FIELD(zc_wait, reserved),
    STRUCT(zc_finish),
    FIELD(zc_finish, linger_ms),
    FIELD(zc_finish, fd),
    FIELD(zc_finish, event_fd),
    STRUCT(zc_fd),
    FIELD(zc_fd, size),
    FIELD(zc_fd, position),
    FIELD(zc_fd, device),
    FIELD(zc_fd, mode),
    FIELD(zc_fd, flags),
    FIELD(zc_fd, domain),
    FIELD(zc_fd, type),
    FIELD(zc_fd, protocol),
    FIELD(zc_fd, block),
};

int zc_layouts(char *out, uint32_t capacity)
{
    size_t length = 0;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const struct field *f = &fields[i];
        size_t left = capacity - length;
        int printed = snprintf(out + length, left, "%s %s %u %u\n", f->structure, f->name,
                               f->offset, f->size);
        if (printed < 0 || (size_t)printed >= left)
            return -ENOBUFS;
        length += (size_t)printed;
    }
    return (int)length;
}
