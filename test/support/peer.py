"""A receiver that behaves as its argument says; prints the bytes that it got."""
import array
import fcntl
import socket
import struct
import sys
import termios
import time

server = socket.create_server(("127.0.0.1", 0))
print("listening", server.getsockname()[1], file=sys.stderr, flush=True)
peer, _ = server.accept()


def unread():
    count = array.array("i", [0])
    fcntl.ioctl(peer, termios.FIONREAD, count)
    return count[0]


def take_all(answer):
    total = 0
    while data := peer.recv(1 << 16):
        total += len(data)
        answer(data)
    return total


behaviour = sys.argv[1]
if behaviour == "reset-unread":
    while unread() < 100 << 10:
        time.sleep(0.001)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
elif behaviour == "never-read":
    sys.stdin.read()
    time.sleep(60)
elif behaviour == "early-fin":
    peer.shutdown(socket.SHUT_WR)
    print(take_all(lambda data: None))
elif behaviour == "echo":
    print(take_all(peer.sendall))
