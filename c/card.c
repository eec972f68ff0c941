/*
 * card.c: a network interface's number, and its flow rules, as ethtool(8) -n shows them: of those
 * netlink tells nothing (include/uapi/linux/ethtool.h).
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "zc.h"

/* Each is a question of its own: who has more is not asked. */
#define RULES_MAX 4096

static int count_rules(int fd, const char *name, uint32_t queue);
static int ask_rules(int fd, const char *name, struct ethtool_rxnfc *rules);
static bool steers_to(const struct ethtool_rx_flow_spec *rule, uint32_t queue);

int zc_card_index(const char *name)
{
    unsigned index = if_nametoindex(name);
    return index == 0 ? -errno : (int)index;
}

int zc_card_rules(const char *name, uint32_t queue)
{
    int fd = zc_socket_open(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    int count = count_rules(fd, name, queue);
    close(fd);
    return count;
}

static int count_rules(int fd, const char *name, uint32_t queue)
{
    struct ethtool_rxnfc found = {.cmd = ETHTOOL_GRXCLSRLCNT};
    int error = ask_rules(fd, name, &found);
    if (error < 0)
        return error;
    uint32_t max = found.rule_cnt;
    if (max > RULES_MAX)
        return -E2BIG;
    struct ethtool_rxnfc *all = calloc(1, sizeof(*all) + max * sizeof(all->rule_locs[0]));
    if (!all)
        return -ENOMEM;
    all->cmd = ETHTOOL_GRXCLSRLALL;
    all->rule_cnt = max;
    error = max > 0 ? ask_rules(fd, name, all) : 0;
    int count = 0;
    for (uint32_t each = 0; error == 0 && each < max && each < all->rule_cnt; each++) {
        struct ethtool_rxnfc rule = {.cmd = ETHTOOL_GRXCLSRULE,
                                     .fs.location = all->rule_locs[each]};
        /* One that cannot be read was taken away just now. */
        if (ask_rules(fd, name, &rule) == 0 && steers_to(&rule.fs, queue))
            count++;
    }
    free(all);
    return error < 0 ? error : count;
}

static int ask_rules(int fd, const char *name, struct ethtool_rxnfc *rules)
{
    struct ifreq request = {.ifr_data = (void *)rules};
    size_t length = strlen(name);
    if (length >= sizeof(request.ifr_name))
        return -ENODEV;
    memcpy(request.ifr_name, name, length + 1);
    return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

/* One that steers to a table of queues (FLOW_RSS) may: which are in it is not looked up. */
static bool steers_to(const struct ethtool_rx_flow_spec *rule, uint32_t queue)
{
    if (rule->ring_cookie == RX_CLS_FLOW_DISC || rule->ring_cookie == RX_CLS_FLOW_WAKE)
        return false;
    if (rule->flow_type & FLOW_RSS)
        return true;
    return ethtool_get_flow_spec_ring(rule->ring_cookie) == queue &&
           ethtool_get_flow_spec_ring_vf(rule->ring_cookie) == 0;
}
