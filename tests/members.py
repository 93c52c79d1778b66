#!/usr/bin/python3
"""Who names a framing or a transport: members.py [FOLDER].

FOLDER (build/obj) holds the objects of src. A member of a table is a row
ROW(NAME) of its macro, and its files are NAME.c, NAME_*.c and NAME.h beside the
table. Anywhere else nothing of it may be named: by the linker no symbol, by the
preprocessor no include, and of what its header declares no word. The table
itself is let off.

A test build adds rows, of doors too (Makefile, -DCHATD_DOORS_MORE and so on):
each is defined by one file of tests/doors, which names no other member, and
nothing of src and include names it.
"""
import glob
import os
import re
import sys

import graph

TABLES = {"codec/framing": "FRAMINGS", "net/transport": "TRANSPORTS"}
KINDS = {"DOORS": "door", "FRAMINGS": "framing", "TRANSPORTS": "transport"}


def rows(table, macro):
    """Returns the names of a table's members."""
    text = graph.code(f"src/{table}.c").replace("\\\n", " ")
    line = re.search(rf"#define {macro} (.*)", text)
    return re.findall(r"ROW\((\w+)\)", line[1]) if line else []


def judge(table, name, objects):
    """Returns what is wrong with who names a member."""
    folder = os.path.dirname(table)
    own = re.compile(rf"{folder}/{name}(_\w+)?$")
    free = {table}
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
    words = {f"{name}_{KINDS[TABLES[table]]}"}
    if os.path.exists(header):
        words |= set(re.findall(rf"\b(?:{name}|{name.upper()})_\w+",
                               graph.code(header)))
    for path, file in sorted(graph.files().items()):
        if own.match(file) or file in free:
            continue
        text = graph.code(path)
        # a header of that name may be another folder's
        there = f"{folder}/" if os.path.dirname(file) != folder \
            else f"(?:{folder}/)?"
        if re.search(rf'#include "(?:\S*/src/)?{there}{name}(_\w+)?\.h"',
                     text):
            bad.append(f"{path} includes a header of {folder}/{name}")
        bad += [f"{path} names {word} of {folder}/{name}"
                for word in sorted(words & set(re.findall(r"\w+", text)))]
    return bad


def test_rows():
    """Returns the symbols of the rows that a test build adds."""
    with open("Makefile", encoding="utf-8") as file:
        text = file.read()
    return [f"{name}_{KINDS[kind]}"
            for kind, row in re.findall(r"-DCHATD_(\w+)_MORE='([^']*)'", text)
            for name in re.findall(r"ROW\((\w+)\)", row)]


def judge_tests(members):
    """Returns what is wrong with test rows; members: (name, kind) of src."""
    added = test_rows()
    bad = [] if len(added) >= 3 else [f"only {added} are rows of a test build"]
    owner = {}
    for path in sorted(glob.glob("tests/doors/*.[ch]")):
        text = graph.code(path)
        own = re.findall(r"^const struct \w+ (\w+) =", text, re.M)
        for symbol in own:
            if symbol in owner or symbol not in added:
                bad.append(f"{path} defines {symbol}, which is no row, or one "
                           "of another file")
            owner[symbol] = path
        if not own:
            bad.append(f"{path} defines no row of a test build")
        strange = [name for name, _ in members] + [
            symbol.rsplit("_", 1)[0] for symbol in added if symbol not in own]
        words = set(re.findall(r"\w+", text))
        bad += [f"{path} names {word} of the member {name}"
                for name in strange for word in sorted(words)
                if re.fullmatch(rf"(?:{name}|{name.upper()})_\w+", word)]
        bad += [f"{path} includes {name}, which is not for all"
                for name in re.findall(r'#include "([^"]*)"', text)
                if not os.path.exists("include/" + name)]
    bad += [f"{symbol} is a row of a test build that no file defines"
            for symbol in added if symbol not in owner]
    for path in sorted(graph.files()):
        bad += [f"{path} names {symbol} of a test build"
                for symbol in added
                if re.search(rf"\b{symbol}\b", graph.code(path))]
    return bad


def main():
    """Judges all tables; returns the exit status."""
    objects = graph.symbols(sys.argv[1] if len(sys.argv) > 1 else "build/obj")
    bad = []
    members = [(name, "door") for name in rows("door/registry", "DOORS")]
    if len(members) < 4:
        bad.append(f"only the doors {members} found")
    for table, macro in TABLES.items():
        names = rows(table, macro)
        members += [(name, macro) for name in names]
        if not names:
            bad.append(f"no row of {macro} found in {table}")
        for name in names:
            bad += judge(table, name, objects)
    bad += judge_tests(members)
    for line in bad:
        print("members:", line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
