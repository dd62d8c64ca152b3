"""The library reaches shared memory through lib/atomic.h alone: nothing else in it is atomic, volatile or a fence, and the
words behind the shared types are not touched. Usage: sources.py LIB-FOLDER"""
import pathlib
import re
import sys

FORBIDDEN = [
    (r"\bstdatomic\b|\batomic_ops\b|\bAO_\w+", "atomics"),
    (r"\b__atomic_\w+|\b__sync_\w+|\b_Interlocked\w+|\bInterlocked\w+", "atomics"),
    (r"\b_Atomic\b|\bvolatile\b", "atomics"),
    (r"\b__asm__\b|\basm\b|\bMemoryBarrier\b", "a fence"),
    (r"(\.|->)word\b", "a plain access to a shared word"),
]

# Private copies of a shared word.
ALLOWED = {
    ("validate.c", "identity->magic.word"),
    ("ring.c", "copy->magic.word"),
    ("validate.c", "header->magic.word"),
    ("entry.c", "header->magic.word"),
    ("names.c", "header.magic.word"),
    ("segment.c", "header->magic.word"),
    ("segment.c", "header.magic.word"),
}


def strip_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda match: "\n" * match.group().count("\n"), text, flags=re.S)


def main():
    wrong = 0
    files = [path for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.[ch]")) if path.name != "atomic.h"]
    for path in files:
        for number, line in enumerate(strip_comments(path.read_text(encoding="utf-8")).splitlines(), 1):
            for pattern, what in FORBIDDEN:
                if not re.search(pattern, line):
                    continue
                if any(path.name == name and allowed in line for name, allowed in ALLOWED):
                    continue
                print(f"{path}:{number}: {what} outside lib/atomic.h: {line.strip()}")
                wrong += 1
    print(f"{len(files)} files, {wrong} wrong")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
