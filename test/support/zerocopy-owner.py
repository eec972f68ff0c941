"""Sends with MSG_ZEROCOPY to 127.0.0.1:PORT and never reads its error queue until it is told to.

Says "ready FD OTHER" on stderr, OTHER being no socket; then "send", "count" (prints the notifications that it can read) and
"close" come on standard input, a line each. Between them its zero-copy sends wait unread.
"""
import array
import fcntl
import os
import socket
import sys
import time

SO_ZEROCOPY, MSG_ZEROCOPY, MSG_ERRQUEUE = 60, 0x4000000, 0x2000
SIOCOUTQ = 0x5411

link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
link.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)


def send():
    """Until all of it is acknowledged: from then on nothing changes by itself."""
    for _ in range(10):
        link.sendall(bytes(65536), MSG_ZEROCOPY)
    while unacknowledged() > 0:
        time.sleep(0.001)


def unacknowledged():
    count = array.array("i", [0])
    fcntl.ioctl(link, SIOCOUTQ, count)
    return count[0]


def count():
    read = 0
    try:
        while True:
            link.recvmsg(0, 512, MSG_ERRQUEUE | socket.MSG_DONTWAIT)
            read += 1
    except BlockingIOError:
        return read


send()
print("ready", link.fileno(), os.open("/dev/null", os.O_RDONLY), file=sys.stderr, flush=True)
for line in sys.stdin:
    if line == "send\n":
        send()
        print("sent", file=sys.stderr, flush=True)
    elif line == "count\n":
        print("read", count(), file=sys.stderr, flush=True)
    elif line == "close\n":
        link.close()
        print("closed", file=sys.stderr, flush=True)
