"""Sends in two halves, and fails if the receiver ended its side between them."""
import select
import socket
import sys

_, host, port = sys.argv[1].split(":")
peer = socket.create_connection((host, int(port)))
peer.sendall(bytes(1 << 20))
ended, _, _ = select.select([peer], [], [], 0.5)
if ended:
    sys.exit("the receiver ended its side first")
peer.sendall(bytes(1 << 20))
peer.shutdown(socket.SHUT_WR)
if peer.recv(1) != b"":
    sys.exit("the receiver said something")
