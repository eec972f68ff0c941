/* Which flow rules steer to a queue, with a driver of our own behind ioctl(2). */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../../c/zc.h"
#include "check.h"

#define RULES 5

/* The driver's: by location, which is ten times the number. */
static struct ethtool_rx_flow_spec rules[RULES];
static uint32_t rule_count, told_count;
static int answer_error;
static uint32_t gone =
    UINT32_MAX; /* the location of one that is taken away between two questions */

static int answer(struct ethtool_rxnfc *question)
{
    switch (question->cmd) {
    case ETHTOOL_GRXCLSRLCNT:
        question->rule_cnt = told_count;
        return 0;
    case ETHTOOL_GRXCLSRLALL:
        if (question->rule_cnt < rule_count)
            return -EMSGSIZE;
        question->rule_cnt = rule_count;
        for (uint32_t each = 0; each < rule_count; each++)
            question->rule_locs[each] = each * 10;
        return 0;
    case ETHTOOL_GRXCLSRULE:
        if (question->fs.location % 10 || question->fs.location / 10 >= rule_count ||
            question->fs.location == gone)
            return -ENOENT;
        question->fs = rules[question->fs.location / 10];
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    struct ifreq *interface = va_arg(arguments, struct ifreq *);
    va_end(arguments);
    CHECK(fd >= 0 && request == SIOCETHTOOL);
    CHECK(strcmp(interface->ifr_name, "card0") == 0);
    int error = answer_error;
    if (error == 0)
        error = answer((struct ethtool_rxnfc *)(void *)interface->ifr_data);
    errno = -error;
    return error < 0 ? -1 : 0;
}

static void have(uint32_t flow_type, uint64_t cookie)
{
    CHECK(rule_count < RULES);
    rules[rule_count++] =
        (struct ethtool_rx_flow_spec){.flow_type = flow_type, .ring_cookie = cookie};
    told_count = rule_count;
}

static void no_rules_are_none(void)
{
    CHECK(zc_card_rules("card0", 0) == 0);
}

static void only_those_of_the_queue_count(void)
{
    have(TCP_V4_FLOW, 1);
    have(TCP_V6_FLOW, 2);
    have(TCP_V4_FLOW, RX_CLS_FLOW_DISC);
    have(TCP_V4_FLOW, UINT64_C(1) << 32 | 1); /* queue 1 of a virtual function */
    CHECK(zc_card_rules("card0", 0) == 0);
    CHECK(zc_card_rules("card0", 1) == 1);
    CHECK(zc_card_rules("card0", 2) == 1);
}

static void a_table_of_queues_may_have_any(void)
{
    have(TCP_V4_FLOW | FLOW_RSS, 0);
    CHECK(zc_card_rules("card0", 0) == 1);
    CHECK(zc_card_rules("card0", 2) == 2);
}

static void what_changes_meanwhile_is_passed_over(void)
{
    gone = 10;
    CHECK(zc_card_rules("card0", 2) == 1);
    gone = UINT32_MAX;
    told_count = rule_count + 3;
    CHECK(zc_card_rules("card0", 1) == 2);
    told_count = 1;
    CHECK(zc_card_rules("card0", 1) == -EMSGSIZE);
}

static void what_cannot_be_told_is_an_error(void)
{
    told_count = UINT32_MAX;
    CHECK(zc_card_rules("card0", 1) == -E2BIG);
    answer_error = -EOPNOTSUPP;
    CHECK(zc_card_rules("card0", 1) == -EOPNOTSUPP);
    CHECK(zc_card_rules("a name that is none", 1) == -ENODEV);
}

int main(void)
{
    no_rules_are_none();
    only_those_of_the_queue_count();
    a_table_of_queues_may_have_any();
    what_changes_meanwhile_is_passed_over();
    what_cannot_be_told_is_an_error();
    return 0;
}
