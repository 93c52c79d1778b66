#!/usr/bin/python3
"""The graph of files as the linker sees it: graph.py [FOLDER].

FOLDER (build/obj) holds the objects of src. A file calls another one if it
has an undefined symbol that the other defines. Prints for each folder its
files, what they call inside of it and the circles among them, and fails on

- a circle of more than CIRCLE_MAX files,
- a circle that goes through more than one folder,
- a call to a layer above, or to a neighbour of the same layer,
- rooms that know a socket, or more of connections than conn/recipient.h says,
- connections that know a channel.

What goes through a table of functions is no call: that is how a layer is
called from below.
"""
import collections
import os
import re
import subprocess
import sys

CIRCLE_MAX = 6

# A folder calls its own layer and those below. Of what lies deeper, such as
# door/plain, the first folder says the layer.
LAYER = {
    "base": 0, "codec": 1, "conf": 1, "hub": 2, "net": 2, "conn": 3,
    "room": 3, "show": 3, "takeover": 4, "door": 4, "process": 5, "worker": 6,
    "keeper": 6, "logger": 6, "master": 6, "mover": 6, "store": 6,
    "handshaker": 6, "redirector": 6,
    ".": 7,
}

# Who calls whom in one layer.
NEIGHBOURS = {
    ("codec", "conf"),  # judges a configuration that comes in a message
    ("room", "conn"),
}

# Circles that are larger: they may not grow.
KNOWN_CIRCLES = {}

# What rooms may include of conn: then they are told of no function besides.
ROOM_SEES = {"chat", "dialect", "door", "hold", "recipient", "turn"}

# What they may read of struct conn.
ROOM_READS = {"phase", "door", "dialect", "present", "user"}

# Functions on sockets, with the names that _FORTIFY_SOURCE gives them.
SOCKET = re.compile(
    r"(__)?(socket|accept4?|connect|shutdown|close|p?poll|select|ioctl|"
    r"(send|recv)(to|from|msg|mmsg)?|readv?|writev?|sendfile)(_chk)?|"
    r"(epoll|event|evtimer|bufferevent|io_uring)_\w+")

# Files of hub that are channels.
CHANNELS = {"hub/" + name for name in (
    "presence", "subscription", "publisher", "journal", "journal_suspect",
    "history", "follower", "charge")}


def sources():
    """Returns the files of src, without their endings."""
    return sorted(os.path.relpath(os.path.join(top, name), "src")[:-2]
                  for top, _, names in os.walk("src")
                  for name in names if name.endswith((".c", ".y")))


def files():
    """Returns {path: file} of all sources and headers."""
    return {os.path.join(top, name):
            os.path.relpath(os.path.join(top, name)[:-2], root)
            for root in ("src", "include")
            for top, _, names in os.walk(root)
            for name in names if name.endswith((".c", ".h", ".y"))}


def code(path):
    """Returns C without comments, strings and characters, but for includes."""
    with open(path, encoding="utf-8") as file:
        return re.sub(r"/\*.*?\*/|//[^\n]*|(?<!include )\"(?:\\.|[^\"\\\n])*\"|"
                      r"'(?:\\.|[^'\\])'", " ", file.read(), flags=re.S)


def symbols(folder):
    """Returns {file: symbols defined} and {file: symbols undefined}. Objects
    of files that are no more are passed over."""
    defined, wanted = {}, {}
    paths = [os.path.join(folder, file + ".o") for file in sources()]
    missing = [path for path in paths if not os.path.exists(path)]
    if missing or not paths:
        sys.exit("graph: not built: " + " ".join(missing))
    out = subprocess.run(["nm", "-A", "-P", "-g"] + paths, check=True,
                         capture_output=True, text=True).stdout
    for line in out.splitlines():
        path, rest = line.split(": ", 1)
        name, kind = rest.split()[:2]
        file = os.path.relpath(path, folder)[:-2]
        side = wanted if kind in "Uvw" else defined
        side.setdefault(file, set()).add(name)
    return defined, wanted


def edges_of(defined, wanted):
    """Returns {file: {file it calls: symbols}}."""
    home = {}
    for file, names in defined.items():
        if layer_of(file) == LAYER["."]:
            continue  # a main program: nothing can call it
        for name in names:
            home[name] = file
    edges = collections.defaultdict(lambda: collections.defaultdict(set))
    for file, names in wanted.items():
        for name in names:
            if home.get(name, file) != file:
                edges[file][home[name]].add(name)
    return edges


def folder_of(file):
    return os.path.dirname(file) or "."


def top_of(file):
    return folder_of(file).split("/")[0]


def layer_of(file):
    top = top_of(file)
    if top not in LAYER:
        sys.exit("graph: the folder %s has no layer" % top)
    return LAYER[top]


def circles(files, edges):
    """Tarjan's strongly connected components of more than one file."""
    index, low, stack, found = {}, {}, [], []

    def visit(file):
        index[file] = low[file] = len(index)
        stack.append(file)
        for other in edges.get(file, ()):
            if other not in index:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in stack:
                low[file] = min(low[file], index[other])
        if low[file] == index[file]:
            at = stack.index(file)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10000)
    for file in files:
        if file not in index:
            visit(file)
    return found


def judge_circle(circle):
    """Returns what is wrong with it, or None."""
    folders = sorted({folder_of(file) for file in circle})
    if len(folders) > 1:
        return "a circle goes through %s: %s" % (
            " and ".join(folders), " ".join(circle))
    if len(circle) > max(CIRCLE_MAX, KNOWN_CIRCLES.get(folders[0], 0)):
        return "a circle of %d files, more than %d: %s" % (
            len(circle), CIRCLE_MAX, " ".join(circle))
    return None


def judge_call(file, other, names):
    """Returns what is wrong with a call, or None."""
    one, two = top_of(file), top_of(other)
    if one == two or layer_of(file) > layer_of(other):
        return None
    if (one, two) in NEIGHBOURS:
        return None
    return "%s calls %s: %s" % (file, other, " ".join(sorted(names)))


def included(folder, file):
    """Returns the headers of an object, by the compiler's word."""
    with open(os.path.join(folder, file + ".d"), encoding="utf-8") as rule:
        # the first rule; those behind it name the headers once more
        words = rule.read().replace("\\\n", " ").split("\n", 1)[0].split()
    return [re.sub(r"^include/|\.h$", "", word) for word in words
            if word.endswith(".h")]


def judge_room(folder, file, wanted):
    """Returns what a file of src/room knows and must not."""
    bad = ["%s calls %s: rooms know no socket" % (file, name)
           for name in sorted(wanted) if SOCKET.fullmatch(name)]
    headers = included(folder, file)
    # of the system's headers the compiler's rule says nothing
    bad += ["%s: %s includes libevent: rooms know no socket" % (file, path)
            for path in ["src/%s.c" % file] + [
                path for header in headers
                for path in ("include/%s.h" % header, "%s.h" % header)
                if os.path.exists(path)]
            if re.search(r"#\s*include\s*<event", code(path))]
    for header in headers:
        top, name = os.path.split(header)
        if top == "net" or (top == "conn" and name not in ROOM_SEES):
            bad.append("%s includes %s: rooms may include conn/%s" % (
                file, header, ", ".join(sorted(ROOM_SEES))))
    for field in re.findall(r"\bconn\[[^]]*\]\s*\.\s*(\w+)|\bc->(\w+)",
                            code(os.path.join("src", file + ".c"))):
        if not set(field) & ROOM_READS:
            bad.append("%s reads %s of a connection" % (file, "".join(field)))
    return bad


def judge_conn(folder, file, edges):
    """Returns what a file of src/conn knows and must not."""
    bad = ["%s calls %s of %s: connections know no channel" % (
        file, " ".join(sorted(names)), other)
           for other, names in sorted(edges[file].items())
           if other in CHANNELS or top_of(other) == "room"]
    bad += ["%s includes %s: connections know no channel" % (file, header)
            for header in included(folder, file)
            if header in CHANNELS or header.startswith("room/")]
    return bad


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "build/obj"
    defined, wanted = symbols(folder)
    files = sorted(set(defined) | set(wanted))
    edges = edges_of(defined, wanted)
    found = circles(files, edges)
    bad = [judge_circle(circle) for circle in found]
    bad += [judge_call(file, other, names) for file in files
            for other, names in sorted(edges[file].items())]
    for file in files:
        if top_of(file) == "room":
            bad += judge_room(folder, file, wanted[file])
        elif top_of(file) == "conn":
            bad += judge_conn(folder, file, edges)
    for top in sorted({folder_of(file) for file in files}):
        own = [file for file in files if folder_of(file) == top]
        inside = sum(folder_of(other) == top
                     for file in own for other in edges[file])
        sizes = sorted((len(circle) for circle in found
                        if folder_of(circle[0]) == top), reverse=True)
        print("graph: %-16s %3d files, %3d calls inside%s" % (
            top, len(own), inside,
            ", circles of %s" % " + ".join(map(str, sizes)) if sizes else ""))
    for circle in found:
        print("graph: a circle of %d: %s" % (len(circle), " ".join(circle)))
    print("graph: %d files, %d calls" % (
        len(files), sum(len(edges[file]) for file in files)))
    bad = [what for what in bad if what is not None]
    for what in bad:
        print("lint: graph: " + what, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
