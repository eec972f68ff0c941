/*
 * vfio-user-reference.c: a vfio-user client as libvfio-user's samples/client.c is one: a request by
 * one sendmsg(2), then its reply, by one recv(2) of the header and another one of the rest, then
 * the next. The calls that do that there are not exported by the library, and so they are written
 * anew.
 *
 *   vfio-user-reference reads SOCKET REGION SIZE MILLISECONDS   reads its begin over and over
 *   vfio-user-reference state SOCKET SIZE                       reads what STOP_COPY gives, by SIZE
 *
 * Each prints a line: how many reads, or bytes; seconds. For the state they are all that it stood
 * still: the change to STOP_COPY, and the one back to RUNNING, are in them.
 */
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "address.h"

#define SIZE_MAX_REPLY (2u << 20)

enum { VERSION = 1, REGION_READ = 9, DEVICE_FEATURE = 16, MIG_DATA_READ = 17 };
enum { REPLY = 1, ERROR = 1 << 5 };

struct header {
    uint16_t id, command;
    uint32_t size, flags, error;
};

struct region_access {
    uint64_t offset;
    uint32_t region, count;
};

struct state_feature {
    uint32_t argsz, flags, state;
    int32_t fd;
};

struct data_head {
    uint32_t argsz, size;
};

static unsigned char reply[SIZE_MAX_REPLY];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void receive(int fd, void *to, size_t size)
{
    if (recv(fd, to, size, MSG_WAITALL) != (ssize_t)size)
        fail("receive");
}

/* The bytes of the reply's payload. */
static size_t call(int fd, uint16_t command, const void *payload, size_t size)
{
    static uint16_t id;
    struct header header = {
        .id = ++id, .command = command, .size = (uint32_t)(sizeof(header) + size)};
    struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)(uintptr_t)payload, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (sendmsg(fd, &message, MSG_NOSIGNAL) != (ssize_t)header.size)
        fail("send");
    receive(fd, &header, sizeof(header));
    if (header.id != id || !(header.flags & REPLY) || (header.flags & ERROR) ||
        header.size < sizeof(header) || header.size - sizeof(header) > sizeof(reply)) {
        fprintf(stderr, "command %u: errno %u\n", command, header.error);
        exit(1);
    }
    size_t rest = header.size - sizeof(header);
    if (rest > 0)
        receive(fd, reply, rest);
    return rest;
}

static int open_device(const char *path)
{
    static const struct {
        uint16_t major, minor;
        char json[64];
    } version = {0, 1, "{\"capabilities\":{\"max_data_xfer_size\":1048576}}"};
    int fd = open_socket(path, connect);
    call(fd, VERSION, &version, 2 * sizeof(uint16_t) + strlen(version.json) + 1);
    return fd;
}

static void read_region(const char *path, uint32_t region, uint32_t size, double milliseconds)
{
    int fd = open_device(path);
    struct region_access access = {.region = region, .count = size};
    double began = now(), end = began + milliseconds / 1e3;
    unsigned long count = 0;
    for (; now() < end; count++)
        if (call(fd, REGION_READ, &access, sizeof(access)) != sizeof(access) + size)
            fail("read");
    printf("%lu %.9f\n", count, now() - began);
}

static void set_state(int fd, uint32_t state)
{
    struct state_feature feature = {
        .argsz = sizeof(feature),
        .flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
        .state = state,
        .fd = -1,
    };
    call(fd, DEVICE_FEATURE, &feature, sizeof(feature));
}

static void read_state(const char *path, uint32_t size)
{
    int fd = open_device(path);
    struct data_head ask = {.argsz = (uint32_t)sizeof(ask) + size, .size = size}, got;
    double bytes = 0, began = now();
    set_state(fd, VFIO_DEVICE_STATE_STOP_COPY);
    do {
        call(fd, MIG_DATA_READ, &ask, sizeof(ask));
        memcpy(&got, reply, sizeof(got));
        bytes += got.size;
    } while (got.size == size);
    set_state(fd, VFIO_DEVICE_STATE_RUNNING);
    printf("%.0f %.9f\n", bytes, now() - began);
}

int main(int count, char **words)
{
    if (count == 6 && strcmp(words[1], "reads") == 0)
        read_region(words[2], (uint32_t)atoi(words[3]), (uint32_t)atoi(words[4]), atof(words[5]));
    else if (count == 4 && strcmp(words[1], "state") == 0)
        read_state(words[2], (uint32_t)atoi(words[3]));
    else
        return 2;
    return 0;
}
