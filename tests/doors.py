#!/usr/bin/python3
"""Whether a door is named outside of its own folder: doors.py [BUILD].

A door is a folder below src/door. By the linker's word (what objects define
and lack) and the preprocessor's (what they were made of, in BUILD/obj/*.d)
nothing else may have a symbol or a header of it; registry.o alone has the one
symbol NAME_door. By their words no other file has an identifier that begins
with a door's name, or says which door it is (DOOR_NAME). Prints each finding,
and fails if there is one or too little was looked at.
"""
import os
import re
import sys

import graph

BUILD = sys.argv[1] if len(sys.argv) > 1 else 'build'
OBJ = BUILD + '/obj'
REGISTRY = 'door/registry'
findings = []


def finding(text):
    """Notes what is wrong."""
    findings.append(text)


def door_of(path, top):
    """The door whose folder below `top` a path is in; None: no door's."""
    parts = os.path.relpath(path, top).split(os.sep)
    return parts[0] if len(parts) > 1 and parts[0] != '..' else None


def check_symbols():
    """No object lacks a symbol that a door defines."""
    defined, wanted = graph.symbols(OBJ)
    owner = {name: door_of(file, 'door') for file, names in defined.items()
             for name in names if door_of(file, 'door') is not None}
    for file, names in sorted(wanted.items()):
        own = door_of(file, 'door')
        for name in sorted(names):
            door = owner.get(name)
            if door is None or door == own:
                continue
            if file == REGISTRY and name == door + '_door':
                continue
            finding(f'{file}: {name} is the door {door}\'s')
    return len(owner)


def check_includes():
    """No object was made of a door's file."""
    seen = 0
    for file in graph.sources():
        own = door_of(file, 'door')
        path = f'{OBJ}/{file}.d'
        try:
            with open(path, encoding='utf-8') as f:
                text = f.read()
        except FileNotFoundError:
            finding(f'{path} is missing: what the object was made of')
            continue
        # the first rule; those behind it name the headers once more
        rule = text.replace('\\\n', ' ').split('\n', 1)[0]
        for word in rule.split(':', 1)[1].split():
            seen += 1
            door = door_of(os.path.normpath(word), 'src/door')
            if door is not None and door != own:
                finding(f'{file}: it includes {word}, the door {door}\'s')
    return seen


def check_words(doors):
    """No other file has a word of a door's."""
    names = '|'.join(doors)
    word = re.compile(rf'\b(?:(?:{names})_\w+|(?i:DOOR)_(?:{names})\b\w*)',
                      re.I)
    seen = 0
    for path in sorted(graph.files()):
        if door_of(path, 'src/door') is not None:
            continue
        seen += 1
        if door_of(path, 'include/door') is not None or (
                path.startswith('include/door/') and
                os.path.basename(path)[:-2] in doors):
            finding(f'{path}: a header of a door lies in its own folder')
        for found in word.findall(graph.code(path)):
            finding(f'{path}: {found} is a door\'s')
    return seen


def main():
    """Looks at all of it."""
    doors = sorted(name for name in os.listdir('src/door')
                   if os.path.isdir('src/door/' + name))
    counts = (check_symbols(), check_includes(), check_words(doors))
    for text in findings:
        print('lint: ' + text)
    if len(doors) < 4 or min(counts) < 50:
        print(f'lint: only {counts} symbols, includes and files looked at')
        return 1
    return 1 if findings else 0


sys.exit(main())
