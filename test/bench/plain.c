/*
 * plain.c: what `zc bench --modes copy` measures, as a loop and nothing else: what zc costs, and
 * whether its figures are right.
 *
 *   plain send ADDRESS SIZE MILLISECONDS MEMORY   connects; sends MEMORY bytes over and over
 *   plain recv ADDRESS                            listens; reads by 1 MiB
 *
 * ADDRESS: a port of 127.0.0.1, or the path of a unix socket. Each prints a line: bytes, seconds,
 * CPU seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "address.h"

#define READ_SIZE (1u << 20)

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* As zc asks for; TCP's adapt. */
static void raise_buffer(int fd, const char *address)
{
    int size = 4 << 20;
    if (strchr(address, '/'))
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* Pages of the same kind as zc's: how the kernel maps them decides too. */
static char *noise(size_t size)
{
    int fd = memfd_create("plain", 0);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        exit(1);
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        exit(1);
    unsigned word = 1;
    for (size_t at = 0; at + sizeof(word) <= size; at += sizeof(word)) {
        word = word * 1664525u + 1013904223u;
        memcpy(memory + at, &word, sizeof(word));
    }
    return memory;
}

static void print(double bytes, double seconds, double cpu)
{
    printf("%.0f %.9f %.6f\n", bytes, seconds, cpu);
}

static void send_all(const char *address, size_t size, double milliseconds, size_t memory_size)
{
    char *memory = noise(memory_size);
    int to = open_socket(address, connect);
    raise_buffer(to, address);
    double bytes = 0, cpu = cpu_seconds(), began = seconds_of(CLOCK_MONOTONIC);
    size_t at = 0;
    while (seconds_of(CLOCK_MONOTONIC_COARSE) < began + milliseconds / 1e3) {
        if (at + size > memory_size)
            at = 0;
        for (size_t sent = 0; sent < size;) {
            ssize_t put = write(to, memory + at + sent, size - sent);
            if (put < 0)
                exit(1);
            sent += (size_t)put;
        }
        bytes += (double)size;
        at += size;
    }
    shutdown(to, SHUT_WR);
    print(bytes, seconds_of(CLOCK_MONOTONIC) - began, cpu_seconds() - cpu);
}

static void receive_all(const char *address)
{
    static char block[READ_SIZE];
    int listener = open_socket(address, bind);
    listen(listener, 1);
    int from = accept(listener, NULL, NULL);
    ssize_t got = recv(from, block, 1, MSG_PEEK);
    double bytes = 0, cpu = cpu_seconds(), began = seconds_of(CLOCK_MONOTONIC);
    while (got > 0 && (got = read(from, block, READ_SIZE)) > 0)
        bytes += (double)got;
    print(bytes, seconds_of(CLOCK_MONOTONIC) - began, cpu_seconds() - cpu);
}

int main(int count, char **words)
{
    if (count == 6 && strcmp(words[1], "send") == 0)
        send_all(words[2], strtoull(words[3], NULL, 10), atof(words[4]),
                 strtoull(words[5], NULL, 10));
    else if (count == 3 && strcmp(words[1], "recv") == 0)
        receive_all(words[2]);
    else
        return 2;
    return 0;
}
