"""Listens on a unix socket, PATH, and takes one connection, of which it never reads. Prints a line when
it listens, and one when BYTES wait to be read."""
import array
import fcntl
import signal
import socket
import sys
import termios
import time

server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("listening", flush=True)
peer, _ = server.accept()
count = array.array("i", [0])
while count[0] < int(sys.argv[2]):
    time.sleep(0.001)
    fcntl.ioctl(peer, termios.FIONREAD, count)
print("held", flush=True)
signal.pause()
