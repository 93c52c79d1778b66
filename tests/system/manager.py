#!/usr/bin/python3
"""A small service manager, as systemd is to a unit with Type=notify and
FileDescriptorStoreMax: it starts a program, keeps the descriptors that it is
given over the notify socket, and passes them on to the next start.

    manager.py SOCKET PROGRAM ARG...

Reads `start` and `quit` on stdin; writes `ready PID`, `stored NAME COUNT`,
`removed NAME` and `dead STATUS` to stdout.
"""
import array
import fcntl
import os
import select
import signal
import socket
import sys

path, program, args = sys.argv[1], sys.argv[2], sys.argv[3:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(path)
os.chmod(path, 0o666)
store = []  # (name, descriptor)
child = 0


def say(*words):
    print(*words, flush=True)


def start():
    """Starts the program with what is stored from descriptor 3 on."""
    global child
    child = os.fork()
    if child != 0:
        return
    env = dict(os.environ, NOTIFY_SOCKET=path)
    if store:
        # First out of the way, then into place.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200)
                for _, fd in store]
        for at, fd in enumerate(high):
            os.dup2(fd, 3 + at, inheritable=True)
        env['LISTEN_PID'] = str(os.getpid())
        env['LISTEN_FDS'] = str(len(high))
        env['LISTEN_FDNAMES'] = ':'.join(name for name, _ in store)
    os.execve(program, [program] + args, env)


def heard():
    """One datagram of the program."""
    global store
    data, ancillary, _, _ = notify.recvmsg(4096, 4096)
    fields = dict(line.split('=', 1) for line in data.decode().split('\n')
                  if '=' in line)
    fds = array.array('i')
    for level, kind, raw in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(raw[:len(raw) - len(raw) % fds.itemsize])
    name = fields.get('FDNAME', 'stored')
    if fields.get('FDSTORE') == '1':
        store += [(name, fd) for fd in fds]
        say('stored', name, sum(n == name for n, _ in store))
    elif fields.get('FDSTOREREMOVE') == '1':
        for n, fd in store:
            if n == name:
                os.close(fd)
        store = [(n, fd) for n, fd in store if n != name]
        say('removed', name)
    if fields.get('READY') == '1':
        say('ready', child)


def reap():
    """Says when the program is dead."""
    global child
    if child == 0:
        return
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid == child:
        child = 0
        say('dead', status)


while True:
    readable, _, _ = select.select([sys.stdin, notify], [], [], 0.02)
    if notify in readable:
        heard()
    reap()
    if sys.stdin in readable:
        word = sys.stdin.readline().strip()
        if word == 'start':
            start()
        elif word in ('quit', ''):
            break
if child != 0:
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
