#!/usr/bin/env python3
"""Fails when the wire is not explained: the comments in proto/ are its reference documentation.

- a file, a service and every group of rpcs (lines without an empty one between them) have a comment;
- a message that is not a request or response, and every enum, has a comment above it or at a field;
- enums begin with <NAME>_UNSPECIFIED = 0 and their values carry the enum's name. Public formats (proto/google, proto/grpc)
  keep the names that the world gave them.
"""
import pathlib
import re
import sys


def check(root):
    problems = []
    for path in sorted((root / "proto").rglob("*.proto")):
        lines = path.read_text().splitlines()
        name = path.relative_to(root).as_posix()

        def above(i):  # Whether line i, or one right above it, carries a comment.
            while i > 0 and re.match(r"\s*(rpc|option|reserved)\b", lines[i]) and "//" not in lines[i]:
                i -= 1
            return "//" in lines[i] or (i > 0 and lines[i - 1].lstrip().startswith("//"))

        if not any(line.startswith("//") for line in lines):
            problems.append(f"{name}: nothing says what the file is for")
        for i, line in enumerate(lines):
            where = f"{name}:{i + 1}"
            if found := re.match(r"\s*(service|rpc|message|enum)\s+(\w+)", line):
                kind, noun = found.groups()
                end, depth = i, 0
                while kind in ("message", "enum"):
                    depth += lines[end].count("{") - lines[end].count("}")
                    if depth <= 0:
                        break
                    end += 1
                inside = any("//" in l for l in lines[i:end + 1])
                if kind in ("service", "rpc") and not above(i):
                    problems.append(f"{where}: {kind} {noun} has no comment")
                if kind in ("message", "enum") and not noun.endswith(("Request", "Response")) and not above(i) and not inside:
                    problems.append(f"{where}: {kind} {noun} has no comment, nor has any of its fields")
                if kind == "enum" and not name.startswith(("proto/google/", "proto/grpc/")):
                    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", noun).upper() + "_"
                    values = re.findall(r"^\s*(?:enum\s+\w+\s*\{)?\s*([A-Z][A-Z0-9_]*)\s*=\s*(\d+)", "\n".join(lines[i:end + 1]), re.M)
                    if not values or values[0] != (prefix + "UNSPECIFIED", "0"):
                        problems.append(f"{where}: enum {noun} does not begin with {prefix}UNSPECIFIED = 0")
                    problems += [f"{where}: {v} does not begin with {prefix}" for v, _ in values if not v.startswith(prefix)]
    return problems


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found))
    sys.exit(1 if found else 0)
