#!/usr/bin/python3
"""Who names a framing or a transport: members.py [FOLDER].

FOLDER (build/obj) holds the objects of src. A member of a table is a row
ROW(NAME) of its macro, and its files are NAME.c, NAME_*.c and NAME.h beside the
table. Anywhere else nothing of it may be named: by the linker no symbol, by the
preprocessor no include, and of what its header declares no word. The table
itself is let off, and so is the print of what versions share.
"""
import os
import re
import sys

import graph

TABLES = {"codec/framing": "FRAMINGS", "net/transport": "TRANSPORTS"}
LET_OFF = {"hub/layout"}


def rows(table, macro):
    """Returns the names of a table's members."""
    text = graph.code(f"src/{table}.c").replace("\\\n", " ")
    line = re.search(rf"#define {macro} (.*)", text)
    return re.findall(r"ROW\((\w+)\)", line[1]) if line else []


def judge(table, name, objects):
    """Returns what is wrong with who names a member."""
    folder = os.path.dirname(table)
    own = re.compile(rf"{folder}/{name}(_\w+)?$")
    free = LET_OFF | {table}
    bad = []
    defined, wanted = objects
    symbols = set().union(*(s for f, s in defined.items() if own.match(f)))
    if not symbols:
        bad.append(f"{name} of {table} defines no symbol")
    for file, some in sorted(wanted.items()):
        if not own.match(file) and file not in free:
            bad += [f"{file} uses {s} of {folder}/{name}"
                    for s in sorted(some & symbols)]
    header = f"include/{folder}/{name}.h"
    words = set()
    if os.path.exists(header):
        words = set(re.findall(rf"\b(?:{name}|{name.upper()})_\w+",
                               graph.code(header)))
    for path, file in sorted(graph.files().items()):
        if own.match(file) or file in free:
            continue
        text = graph.code(path)
        if re.search(rf'#include "(\S*/)?{name}(_\w+)?\.h"', text):
            bad.append(f"{path} includes a header of {folder}/{name}")
        bad += [f"{path} names {word} of {folder}/{name}"
                for word in sorted(words & set(re.findall(r"\w+", text)))]
    return bad


def main():
    """Judges all tables; returns the exit status."""
    objects = graph.symbols(sys.argv[1] if len(sys.argv) > 1 else "build/obj")
    bad = []
    for table, macro in TABLES.items():
        names = rows(table, macro)
        if not names:
            bad.append(f"no row of {macro} found in {table}")
        for name in names:
            bad += judge(table, name, objects)
    for line in bad:
        print("members:", line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
