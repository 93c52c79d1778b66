"""hostile: speaks through the links of a live process as an attacker in it could.

	hostile.py PID COUNT HEX...

sends each datagram, COUNT times, over each SOCK_SEQPACKET socket of that
process. Prints how many went out. Status 77: it may not be done here.
"""
import ctypes
import os
import socket
import sys

PIDFD_GETFD = 438


def links(pid):
    """Duplicates of the process's links."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    for name in os.listdir(f'/proc/{pid}/fd'):
        try:
            if 'socket' not in os.readlink(f'/proc/{pid}/fd/{name}'):
                continue
        except FileNotFoundError:
            continue
        fd = libc.syscall(PIDFD_GETFD, process, int(name), 0)
        if fd < 0:
            sys.exit(77)
        link = socket.socket(fileno=fd)
        if link.family == socket.AF_UNIX and \
                link.type & 0xf == socket.SOCK_SEQPACKET:
            yield link


def main():
    """Sends all that was asked for."""
    count = int(sys.argv[2])
    datagrams = [bytes.fromhex(text) for text in sys.argv[3:]]
    sent = 0
    for link in list(links(int(sys.argv[1]))):
        for datagram in datagrams * count:
            try:
                link.send(datagram, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                sent += 1
            except OSError:
                break
    print(sent)


main()
