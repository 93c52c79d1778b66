"""hostile: speaks through the links of a live process as an attacker in it could.

	hostile.py PID LINKS COUNT HEX...

sends each datagram, COUNT times, over SOCK_SEQPACKET sockets of that process:
LINKS is `all`, `to:OTHER`: those whose other end the process OTHER has, or
`but:OTHER`: those whose other end it has not. Prints how many went out. Status
77: it may not be done here.
"""
import ctypes
import os
import re
import socket
import struct
import sys

PIDFD_GETFD = 438
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
NLM_F_REQUEST, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE = 1, 0x300, 2, 3
UDIAG_SHOW_PEER, UNIX_DIAG_PEER = 4, 2


def peers():
    """The inode of each Unix socket's other end (sock_diag(7))."""
    found = {}
    diag = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    diag.send(struct.pack('=IHHII' 'BBHIIIII', 40, SOCK_DIAG_BY_FAMILY,
                          NLM_F_REQUEST | NLM_F_DUMP, 0, 0, socket.AF_UNIX, 0, 0,
                          0xffffffff, 0, UDIAG_SHOW_PEER, 0xffffffff, 0xffffffff))
    while True:
        data = diag.recv(1 << 20)
        while data:
            size, kind = struct.unpack_from('=IH', data)
            if kind == NLMSG_DONE:
                return found
            if kind == NLMSG_ERROR:
                sys.exit(77)
            inode, at = struct.unpack_from('=I', data, 20)[0], 32
            while at < size:
                length, what = struct.unpack_from('=HH', data, at)
                if what == UNIX_DIAG_PEER:
                    found[inode] = struct.unpack_from('=I', data, at + 4)[0]
                at += (length + 3) & ~3
            data = data[(size + 3) & ~3:]


def chosen(which):
    """A function that says whether a link is one of those."""
    if which == 'all':
        return lambda link: True
    word, other = which.split(':')
    ends = set()
    for name in os.listdir(f'/proc/{other}/fd'):
        inode = re.match(r'socket:\[(\d+)\]',
                         os.readlink(f'/proc/{other}/fd/{name}'))
        if inode:
            ends.add(int(inode[1]))
    peer = peers()
    return lambda link: (peer.get(os.fstat(link.fileno()).st_ino) in ends) == \
        (word == 'to')


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
    wanted = chosen(sys.argv[2])
    count = int(sys.argv[3])
    datagrams = [bytes.fromhex(text) for text in sys.argv[4:]]
    sent = 0
    for link in filter(wanted, list(links(int(sys.argv[1])))):
        for datagram in datagrams * count:
            try:
                link.send(datagram, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                sent += 1
            except OSError:
                break
    print(sent)


main()
