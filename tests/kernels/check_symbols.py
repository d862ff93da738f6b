#!/usr/bin/env python3
"""Fails when an object that is compiled for one instruction set holds a function that the linker may share.

A weak function outside the set's own namespace (an instantiation of the standard library) could become the
program's only copy, and run AVX-512 on a machine without it. Usage: check_symbols.py v4 OBJECT...
"""
import subprocess
import sys

own = f"hone::kernels::cpu::{sys.argv[1]}::"
problems = []
for line in subprocess.run(["nm", "-C", *sys.argv[2:]], capture_output=True, text=True, check=True).stdout.splitlines():
    parts = line.split(maxsplit=2)
    if len(parts) == 3 and parts[1] in "WV" and own not in parts[2] and "__asan" not in parts[2] and not parts[2].startswith("DW.ref."):
        problems.append(parts[2])
print("\n".join(sorted(set(problems))))
sys.exit(1 if problems else 0)
