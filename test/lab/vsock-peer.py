"""The plainest peer: receives into stdout, or sends stdin, on a vsock port of the local CID."""
import socket
import sys

direction, port = sys.argv[1], int(sys.argv[2])
server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
server.bind((1, port))
server.listen()
peer, _ = server.accept()
if direction == "receive":
    while data := peer.recv(1 << 16):
        sys.stdout.buffer.write(data)
else:
    peer.sendall(sys.stdin.buffer.read())
    peer.shutdown(socket.SHUT_WR)
    peer.recv(1)
