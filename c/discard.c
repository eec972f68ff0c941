/* discard.c: the mover to /dev/null: TCP's bytes are dropped where they are. */
#include <errno.h>

#include "move.h"

static int discard_all(struct move *move);

int discard_run(struct move *move)
{
    if (!move_source_is_tcp(move) || !move->sink_is_null || move->digest)
        return job_fail(&move->job, ZC_SIDE_SOURCE, -EOPNOTSUPP);
    /* One call that waits, instead of one that does not, a poll, and one again. */
    return move_waiting(move, move->options.source, discard_all);
}

static int discard_all(struct move *move)
{
    int64_t quota;
    while ((quota = move_quota(move, move->options.chunk)) > 0) {
        ssize_t dropped = move_read(move, NULL, (size_t)quota);
        if (dropped < 0)
            return (int)dropped;
        if (dropped == 0)
            return ZC_END_EOF;
        move_count(move, (uint64_t)dropped);
    }
    return quota < 0 ? (int)quota : ZC_END_LIMIT;
}
