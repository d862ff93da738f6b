#!/usr/bin/env python3
"""Fails when the metrics in the code, in libs/telemetry/README.md, and in dashboards and alerts differ.

A table line `| `hone_a_<part>_total` | ...` documents names that are put together at run time.
"""
import pathlib
import re
import sys

ROW = re.compile(r"^\| `(hone_[a-z0-9_<>]+)` \|", re.M)
LITERAL = re.compile(r'"(hone_[a-z0-9_]*)"')
WORD = re.compile(r"\bhone_[a-z0-9_]+\b")
# String literals of that shape that name something else.
NOT_METRICS = re.compile(r"hone_test_.*|hone_health_names")


def as_pattern(name):
    return re.compile(re.sub(r"<[a-z_]+>", "[a-z0-9_]+", name) + "(?:_bucket|_sum|_count)?")


def check(root):
    problems = []
    documented = ROW.findall((root / "libs/telemetry/README.md").read_text())
    problems += [f"libs/telemetry/README.md names {n} twice" for n in sorted({n for n in documented if documented.count(n) > 1})]
    patterns = [as_pattern(name) for name in documented]
    code = ""
    for path in sorted(p for f in ("libs", "services") for p in (root / f).rglob("*") if p.suffix in {".h", ".cc"}):
        text = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.M)  # Comments are examples, not metrics.
        code += text
        for name in LITERAL.findall(text):
            if NOT_METRICS.fullmatch(name):
                continue
            prefix = name.endswith("_")  # The rest is put together at run time.
            if not any(d.startswith(name) for d in documented if "<" in d) if prefix else not any(p.fullmatch(name) for p in patterns):
                problems.append(f"{path.relative_to(root)}: {name} is not in the table of libs/telemetry/README.md")
    for name in documented:
        pieces = re.split(r"<[a-z_]+>", name)
        if len(pieces) == 1 and f'"{name}"' not in code or any(p and f'{p}"' not in code and f'"{p}' not in code for p in pieces):
            problems.append(f"libs/telemetry/README.md: {name} is not in the code")
    shown = [p for f in ("deploy", "charts") for p in sorted((root / f).rglob("*")) if p.suffix in {".json", ".yaml", ".yml"}]
    for path in shown:
        for name in sorted(set(WORD.findall(path.read_text()))):
            if not any(p.fullmatch(name) for p in patterns):
                problems.append(f"{path.relative_to(root)}: {name} is not a metric of libs/telemetry/README.md")
    return problems


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found))
    sys.exit(1 if found else 0)
