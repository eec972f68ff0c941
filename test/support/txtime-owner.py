"""Sends a datagram that asks to leave in the past, through an ETF queue that drops it and says so.

Says "ready FD" on stderr, and keeps the message unread until standard input ends.
"""
import socket
import struct
import sys
import time

SO_TXTIME, SCM_TXTIME, REPORT_ERRORS = 61, 61, 2

link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", time.CLOCK_TAI, REPORT_ERRORS))
link.connect(("10.77.9.2", 9))
past = time.clock_gettime_ns(time.CLOCK_TAI) - 10**9
link.sendmsg([b"late"], [(socket.SOL_SOCKET, SCM_TXTIME, struct.pack("Q", past))])
print("ready", link.fileno(), file=sys.stderr, flush=True)
sys.stdin.read()
