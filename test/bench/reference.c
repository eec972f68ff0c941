/*
 * reference.c: the limit: what the kernel does when nothing is in its way. sendfile or splice on
 * one side, large reads or splice on the other; and a producer and a consumer for pipes.
 *
 *   reference send ADDRESS [FILE]   connects; sends FILE by sendfile, or standard input by splice
 *   reference recv ADDRESS          listens; TCP: reads and drops, unix: splices to /dev/null,
 *                                   a pipe on standard output: splices into it
 *   reference produce BYTES         writes zeros to standard output
 *   reference consume               reads standard input to its end
 *
 * ADDRESS: a port of 127.0.0.1, or the path of a unix socket.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"

#define BLOCK (1u << 20)

static char block[BLOCK];

static void send_all(const char *address, const char *file)
{
    int to = open_socket(address, connect);
    if (file) {
        int from = open(file, O_RDONLY);
        while (sendfile(to, from, NULL, 0x7ffff000) > 0)
            ;
    } else {
        fcntl(0, F_SETPIPE_SZ, BLOCK);
        while (splice(0, NULL, to, NULL, BLOCK, 0) > 0)
            ;
    }
    shutdown(to, SHUT_WR);
    while (read(to, block, BLOCK) > 0)
        ;
}

static void receive_all(const char *address)
{
    int listener = open_socket(address, bind);
    listen(listener, 1);
    int from = accept(listener, NULL, NULL);
    int null = open("/dev/null", O_WRONLY), pipe_fds[2];
    ssize_t got;
    struct stat out;
    if (fstat(1, &out) == 0 && S_ISFIFO(out.st_mode)) {
        fcntl(1, F_SETPIPE_SZ, 64 << 10);
        while (splice(from, NULL, 1, NULL, BLOCK, 0) > 0)
            ;
    } else if (strchr(address, '/') && pipe(pipe_fds) == 0) {
        fcntl(pipe_fds[0], F_SETPIPE_SZ, 256 << 10);
        while ((got = splice(from, NULL, pipe_fds[1], NULL, BLOCK, 0)) > 0)
            splice(pipe_fds[0], NULL, null, NULL, (size_t)got, 0);
    } else {
        while ((got = read(from, block, BLOCK)) > 0)
            if (write(null, block, (size_t)got) < 0)
                exit(1);
    }
}

static void produce(unsigned long long left)
{
    while (left > 0) {
        ssize_t put = write(1, block, left < BLOCK ? (size_t)left : BLOCK);
        if (put < 0)
            exit(1);
        left -= (unsigned long long)put;
    }
}

int main(int count, char **words)
{
    if (count > 2 && strcmp(words[1], "send") == 0)
        send_all(words[2], count > 3 ? words[3] : NULL);
    else if (count > 2 && strcmp(words[1], "recv") == 0)
        receive_all(words[2]);
    else if (count > 2 && strcmp(words[1], "produce") == 0)
        produce(strtoull(words[2], NULL, 10));
    else if (count > 1 && strcmp(words[1], "consume") == 0)
        while (read(0, block, BLOCK) > 0)
            ;
    else
        return 2;
    return 0;
}
