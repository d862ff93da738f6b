#!/usr/bin/env python3
"""Counts ctest's JUnit report: summary.py REPORT NAME prints "passed failed skipped" on stdout.

On stderr: each skipped test with its reason, and each failed test again, after their output has scrolled away.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

cases = list(ElementTree.parse(sys.argv[1]).getroot().iter("testcase"))
passed = failed = skipped = 0
for case in cases:
    status, name = case.get("status"), case.get("name")
    output = case.findtext("system-out") or ""
    if status == "run":
        passed += 1
    elif status in ("notrun", "disabled"):
        reason = re.search(r"SKIPPED:\s*(.+)", output, re.I)
        if reason or status == "disabled":
            skipped += 1
            print(f"SKIPPED: {name}: {reason.group(1).strip() if reason else 'disabled'}", file=sys.stderr)
        else:  # Its program is missing, or a fixture failed.
            failed += 1
            print(f"FAILED: {name}: did not run", file=sys.stderr)
    else:
        failed += 1
        print(f"FAILED: {name}", file=sys.stderr)
print(f"{sys.argv[2]}: {passed} passed, {failed} failed, {skipped} skipped", file=sys.stderr)
print(passed, failed, skipped)
