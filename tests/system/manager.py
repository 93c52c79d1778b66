#!/usr/bin/python3
"""A small service manager, as systemd is to a unit with Type=notify,
NotifyAccess=main and FileDescriptorStoreMax=18: it starts a program, keeps the
descriptors that it is given over the notify socket, and passes them on to the
next start, the newest first. As systemd does, it drops one that hangs up
unless that came with FDPOLL=0, keeps none twice, and closes what comes with
BARRIER=1.

    manager.py SOCKET PROGRAM ARG...

Reads `start` and `quit` on stdin; writes `ready PID`, `stored NAME COUNT`,
`removed NAME`, `dead STATUS`, and `bad WHAT` for what systemd would not accept,
to stdout.
"""
import array
import fcntl
import os
import select
import signal
import socket
import struct
import sys

STORE_MAX = 18
path, program, args = sys.argv[1], sys.argv[2], sys.argv[3:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(path)
notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
os.chmod(path, 0o666)
store = []  # (name, descriptor, whether it is polled)
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
                for _, fd, _ in store]
        for at, fd in enumerate(high):
            os.dup2(fd, 3 + at, inheritable=True)
        env['LISTEN_PID'] = str(os.getpid())
        env['LISTEN_FDS'] = str(len(high))
        env['LISTEN_FDNAMES'] = ':'.join(name for name, _, _ in store)
    os.execve(program, [program] + args, env)


def keep(name, fd, polled):
    """Puts one into the store."""
    if any(os.path.sameopenfile(fd, f) for _, f, _ in store):
        os.close(fd)
    elif len(store) == STORE_MAX:
        os.close(fd)
        say('bad', 'store full')
    else:
        store.insert(0, (name, fd, polled))
        say('stored', name, sum(n == name for n, _, _ in store))


def drop(wanted):
    """Takes those out of the store."""
    global store
    gone = [entry for entry in store if wanted(entry)]
    store = [entry for entry in store if entry not in gone]
    for _, fd, _ in gone:
        os.close(fd)


def hung_up(entry):
    """Whether it would be dropped for that."""
    if not entry[2]:
        return False
    poll = select.poll()
    poll.register(entry[1], 0)
    return bool(poll.poll(0))


def heard():
    """One datagram of the program."""
    data, ancillary, _, _ = notify.recvmsg(4096, 4096)
    fields = dict(line.split('=', 1) for line in data.decode().split('\n')
                  if '=' in line)
    fds = array.array('i')
    pid = 0
    for level, kind, raw in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(raw[:len(raw) - len(raw) % fds.itemsize])
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid = struct.unpack('3i', raw)[0]
    name = fields.get('FDNAME', 'stored')
    if pid != child:
        say('bad', 'sender', pid)
    elif 'BARRIER' in fields:
        if fields != {'BARRIER': '1'} or len(fds) != 1:
            say('bad', 'barrier')
    elif fields.get('FDSTORE') == '1':
        while fds:
            keep(name, fds.pop(0), fields.get('FDPOLL') != '0')
    elif fields.get('FDSTOREREMOVE') == '1':
        drop(lambda entry: entry[0] == name)
        say('removed', name)
    for fd in fds:
        os.close(fd)
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
    drop(hung_up)
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
