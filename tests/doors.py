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
import subprocess
import sys

BUILD = sys.argv[1] if len(sys.argv) > 1 else 'build'
OBJ = BUILD + '/obj'
REGISTRY = OBJ + '/door/registry.o'
findings = []


def finding(text):
    """Notes what is wrong."""
    findings.append(text)


def files(top, end):
    """The files below a folder whose names end so."""
    for folder, _, names in os.walk(top):
        for name in sorted(names):
            if name.endswith(end):
                yield os.path.join(folder, name)


def door_of(path, top):
    """The door whose folder below `top` a path is in; None: no door's."""
    parts = os.path.relpath(path, top).split(os.sep)
    return parts[0] if len(parts) > 1 and parts[0] != '..' else None


def symbols(path, option):
    """Global symbols of an object: --defined-only or --undefined-only."""
    out = subprocess.run(['nm', '-g', '-P', option, path], check=True,
                         capture_output=True, text=True).stdout
    return [line.split()[0] for line in out.splitlines() if line.strip()]


def check_symbols(objects):
    """No object lacks a symbol that a door defines."""
    owner = {}
    for path in objects:
        door = door_of(path, OBJ + '/door')
        if door is not None:
            for name in symbols(path, '--defined-only'):
                owner[name] = door
    for path in objects:
        own = door_of(path, OBJ + '/door')
        for name in symbols(path, '--undefined-only'):
            door = owner.get(name)
            if door is None or door == own:
                continue
            if path == REGISTRY and name == door + '_door':
                continue
            finding(f'{path}: {name} is the door {door}\'s')
    return len(owner)


def check_includes(objects):
    """No object was made of a door's file."""
    seen = 0
    for path in objects:
        own = door_of(path, OBJ + '/door')
        try:
            with open(path[:-1] + 'd', encoding='utf-8') as f:
                text = f.read()
        except FileNotFoundError:
            finding(f'{path}: there is no list of what it is made of')
            continue
        # the first rule; those behind it name the headers once more
        rule = text.replace('\\\n', ' ').split('\n', 1)[0]
        for word in rule.split(':', 1)[1].split():
            seen += 1
            door = door_of(os.path.normpath(word), 'src/door')
            if door is not None and door != own:
                finding(f'{path}: it includes {word}, the door {door}\'s')
    return seen


def bare(text):
    """C without comments, strings and characters."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\])\'',
                  ' ', text, flags=re.S)


def check_words(doors):
    """No other file has a word of a door's."""
    names = '|'.join(doors)
    word = re.compile(rf'\b(?:(?:{names})_\w+|(?i:DOOR)_(?:{names})\b\w*)',
                      re.I)
    seen = 0
    for top in ('src', 'include'):
        for path in files(top, ('.c', '.h', '.y')):
            if door_of(path, 'src/door') is not None:
                continue
            seen += 1
            if door_of(path, 'include/door') is not None or (
                    path.startswith('include/door/') and
                    os.path.basename(path)[:-2] in doors):
                finding(f'{path}: a header of a door lies in its own folder')
            with open(path, encoding='utf-8') as f:
                for found in word.findall(bare(f.read())):
                    finding(f'{path}: {found} is a door\'s')
    return seen


def main():
    """Looks at all of it."""
    doors = sorted(name for name in os.listdir('src/door')
                   if os.path.isdir('src/door/' + name))
    objects = list(files(OBJ, '.o'))
    counts = (check_symbols(objects), check_includes(objects),
              check_words(doors))
    for text in findings:
        print('lint: ' + text)
    if len(doors) < 4 or min(counts) < 50:
        print(f'lint: only {counts} symbols, includes and files looked at')
        return 1
    return 1 if findings else 0


sys.exit(main())
