"""Sends 16 MiB in portions, and fails if the receiver ends its side before the last of them."""
import select
import socket
import sys

PORTION = 256 << 10
PORTIONS = 64
# Seconds to look for what must not come, after each portion.
LOOK = 0.01


def connect(address):
    transport, rest = address.split(":", 1)
    if transport == "unix":
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(rest)
        return peer
    host, port = rest.split(":")
    return socket.create_connection((host, int(port)))


peer = connect(sys.argv[1])
for number in range(PORTIONS):
    peer.sendall(bytes([number]) * PORTION)
    readable, _, _ = select.select([peer], [], [], LOOK)
    if readable:
        sys.exit(f"after portion {number} the receiver said {peer.recv(16)!r}")
peer.shutdown(socket.SHUT_WR)
if peer.recv(1) != b"":
    sys.exit("the receiver said something")
