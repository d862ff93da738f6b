#!/usr/bin/env python3
"""Fails when a source file has more than 600 lines, or more than 400 without a reason in large_files.txt.

Also fails for a line in large_files.txt that is no longer needed.
"""
import pathlib
import sys

MOST, LARGE = 600, 400
SUFFIXES = {".h", ".cc", ".cu", ".cuh", ".py", ".proto", ".cmake", ".sh"}
FOLDERS = ["proto", "services", "libs", "kernels", "deploy", "tests", "bench"]


def check(root):
    allowed = {}
    for line in (root / "tests/lint/large_files.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            allowed[name] = reason.strip()
    problems = [f"tests/lint/large_files.txt: {name} has no reason" for name, reason in allowed.items() if not reason]
    large = set()
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES:
                continue
            name = path.relative_to(root).as_posix()
            lines = len(path.read_text().splitlines())
            if lines > LARGE:
                large.add(name)
            if lines > MOST:
                problems.append(f"{name} has {lines} lines, at most {MOST} are accepted: split it by noun")
            elif lines > LARGE and name not in allowed:
                problems.append(f"{name} has {lines} lines: split it by noun, or say in tests/lint/large_files.txt why not")
    problems += [f"tests/lint/large_files.txt: {name} is not large" for name in sorted(set(allowed) - large)]
    return problems


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found))
    sys.exit(1 if found else 0)
