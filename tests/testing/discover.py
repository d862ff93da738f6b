#!/usr/bin/env python3
"""Writes a ctest script with one test per TEST_CASE of a test binary: discover.py BINARY OUTPUT PROPERTY...

Not Catch's own CMake module: that one loses test cases when a name holds a bracket, and labels after the first.
"""
import pathlib
import subprocess
import sys


def bracket(text):
    return f"[==[{text}]==]"


binary, output, properties = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
listing = subprocess.run([binary, "--list-test-names-only"], capture_output=True, text=True, timeout=120)
if listing.returncode != 0:
    sys.exit(f"{binary} --list-test-names-only failed with {listing.returncode}:\n{listing.stdout}{listing.stderr}")
names = [name for name in listing.stdout.splitlines() if name.strip()]
if not names:
    sys.exit(f"{binary} has no test case")
lines = []
for name in names:
    pattern = "".join("\\" + c if c in ",[]\\*" else c for c in name)  # Catch reads it as an expression.
    title = bracket(f"{pathlib.Path(binary).name}: {name}")
    lines.append(f"add_test({title} {bracket(binary)} {bracket(pattern)})\n"
                 f"set_tests_properties({title} PROPERTIES {' '.join(bracket(p) for p in properties)})\n")
output.write_text("".join(lines))
