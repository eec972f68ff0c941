/* What an error queue's message says, and that nothing in it is believed. */
#include "../../c/errqueue.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define CONTROL_SIZE 256

/* On the heap, of exactly this length: the sanitizer sees every byte read beyond. */
static struct msghdr message_of(const void *control, size_t size)
{
    char *copy = malloc(size ? size : 1);
    CHECK(copy);
    memcpy(copy, control, size);
    return (struct msghdr){.msg_control = copy, .msg_controllen = size};
}

static int parse(const void *control, size_t size, struct zc_notice *out)
{
    struct msghdr message = message_of(control, size);
    int error = errqueue_parse(&message, out);
    free(message.msg_control);
    return error;
}

/* Adds a control message at `at`; returns where the next one goes. */
static size_t put(char *control, size_t at, int level, int type, const void *data, size_t size)
{
    struct cmsghdr header = {.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
    memcpy(control + at, &header, sizeof(header));
    memcpy(control + at + CMSG_LEN(0), data, size);
    return at + CMSG_SPACE(size);
}

struct with_offender {
    struct sock_extended_err error;
    struct sockaddr_in6 offender;
};

static void reads_a_completion_of_each_family(void)
{
    const struct sock_extended_err error = {.ee_origin = SO_EE_ORIGIN_ZEROCOPY,
                                            .ee_code = SO_EE_CODE_ZEROCOPY_COPIED,
                                            .ee_info = 7,
                                            .ee_data = UINT32_MAX};
    const int families[][2] = {{IPPROTO_IP, IP_RECVERR}, {IPPROTO_IPV6, IPV6_RECVERR}, {287, 1}};
    for (int i = 0; i < 3; i++) {
        char control[CONTROL_SIZE] = {0};
        size_t size = put(control, 0, families[i][0], families[i][1], &error, sizeof(error));
        struct zc_notice notice;
        CHECK(parse(control, size, &notice) == 0);
        CHECK(notice.origin == SO_EE_ORIGIN_ZEROCOPY && notice.code == 1);
        CHECK(notice.info == 7 && notice.data == UINT32_MAX && notice.latency_ns == -1);
    }
}

static void reads_an_offender(void)
{
    struct with_offender icmp = {.error = {.ee_errno = ECONNREFUSED,
                                           .ee_origin = SO_EE_ORIGIN_ICMP6,
                                           .ee_type = 1,
                                           .ee_code = 4},
                                 .offender = {.sin6_family = AF_INET6, .sin6_addr = {{{1}}}}};
    char control[CONTROL_SIZE] = {0};
    size_t size = put(control, 0, IPPROTO_IPV6, IPV6_RECVERR, &icmp, sizeof(icmp));
    struct zc_notice notice;
    CHECK(parse(control, size, &notice) == 0);
    CHECK(notice.error == ECONNREFUSED && notice.type == 1 && notice.code == 4);
    CHECK(memcmp(notice.offender, &icmp.offender, sizeof(icmp.offender)) == 0);
}

static void reads_stamps_beside_the_error(void)
{
    const int64_t software[6] = {12, 34}, hardware[6] = {0, 0, 0, 0, 56, 78};
    const struct sock_extended_err error = {
        .ee_errno = ENOMSG, .ee_origin = SO_EE_ORIGIN_TIMESTAMPING, .ee_info = SCM_TSTAMP_ACK};
    char control[CONTROL_SIZE] = {0};
    struct zc_notice notice;
    size_t at = put(control, 0, SOL_SOCKET, SO_TIMESTAMPING, software, sizeof(software));
    size_t size = put(control, at, IPPROTO_IP, IP_RECVERR, &error, sizeof(error));
    CHECK(parse(control, size, &notice) == 0);
    CHECK(notice.info == SCM_TSTAMP_ACK && notice.stamp_s == 12 && notice.stamp_ns == 34);
    CHECK(!notice.hardware);
    put(control, 0, SOL_SOCKET, 65, hardware, sizeof(hardware));
    CHECK(parse(control, size, &notice) == 0);
    CHECK(notice.stamp_s == 56 && notice.stamp_ns == 78 && notice.hardware);
}

static void says_when_nothing_is_there(void)
{
    struct zc_notice notice;
    char control[CONTROL_SIZE] = {0};
    CHECK(parse(control, 0, &notice) == -EBADMSG);
    CHECK(parse(control, CONTROL_SIZE, &notice) == -EBADMSG);
    struct msghdr none = {.msg_control = NULL, .msg_controllen = 0};
    CHECK(errqueue_parse(&none, &notice) == -EBADMSG);
}

/* Cut at every length: either the whole error is there, or none of it. */
static void survives_truncation(void)
{
    struct with_offender icmp = {.error = {.ee_origin = SO_EE_ORIGIN_ICMP, .ee_info = 9}};
    const int64_t stamps[6] = {1, 2, 3, 4, 5, 6};
    char control[CONTROL_SIZE] = {0};
    size_t at = put(control, 0, SOL_SOCKET, SO_TIMESTAMPING, stamps, sizeof(stamps));
    size_t size = put(control, at, IPPROTO_IP, IP_RECVERR, &icmp, sizeof(icmp));
    for (size_t cut = 0; cut <= size; cut++) {
        struct zc_notice notice;
        int error = parse(control, cut, &notice);
        CHECK(error == (cut < at + CMSG_LEN(sizeof(icmp)) ? -EBADMSG : 0));
    }
}

/* Valid messages with random bytes changed, and random bytes alone: only the sanitizer judges. */
static void survives_noise(void)
{
    struct with_offender icmp = {.error = {.ee_origin = SO_EE_ORIGIN_ICMP}};
    const int64_t stamps[6] = {1, 2, 3, 4, 5, 6};
    srand(1);
    for (int round = 0; round < 200000; round++) {
        char control[CONTROL_SIZE] = {0};
        size_t at = put(control, 0, SOL_SOCKET, SO_TIMESTAMPING, stamps, sizeof(stamps));
        size_t size = put(control, at, IPPROTO_IPV6, IPV6_RECVERR, &icmp, sizeof(icmp));
        for (int changes = rand() % 8; changes >= 0; changes--)
            control[(size_t)rand() % size] = (char)rand();
        struct zc_notice notice;
        parse(control, (size_t)rand() % (size + 1), &notice);
    }
}

int main(void)
{
    reads_a_completion_of_each_family();
    reads_an_offender();
    reads_stamps_beside_the_error();
    says_when_nothing_is_there();
    survives_truncation();
    survives_noise();
    return 0;
}
