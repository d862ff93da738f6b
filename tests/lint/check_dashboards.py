#!/usr/bin/env python3
"""Fails when a Grafana dashboard would not import, or shows something that a reader cannot place.

A dashboard has a fixed uid, no id, and one datasource variable that everything uses; each panel has a title, a description, a
unit and its own place; each rate uses $__rate_interval; each query is confined to the chosen jobs.
"""
import json
import pathlib
import re
import sys

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def check(root):
    problems = []
    for path in sorted((root / "deploy/grafana/dashboards").glob("*.json")):
        name = path.relative_to(root).as_posix()
        try:
            board = json.loads(path.read_text())
        except json.JSONDecodeError as e:
            problems.append(f"{name}: {e}")
            continue
        if not board.get("uid") or board.get("id") is not None or board.get("editable") is not False:
            problems.append(f"{name}: needs a uid, no id, and editable false")
        known = {v["name"] for v in board["templating"]["list"]}
        taken, ids = set(), set()
        for p in board["panels"]:
            where = f"{name}: panel {p.get('title')!r}"
            at = p["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            if cells & taken or at["x"] + at["w"] > 24:
                problems.append(f"{where} overlaps another, or leaves the 24 columns")
            taken |= cells
            if p["id"] in ids:
                problems.append(f"{where}: id {p['id']} is taken")
            ids.add(p["id"])
            if p["type"] == "row":
                continue
            if not p.get("title") or not p.get("description") or not p["fieldConfig"]["defaults"].get("unit"):
                problems.append(f"{where} lacks a title, a description or a unit")
            for t in p["targets"]:
                expr = t["expr"]
                if p["datasource"] != SOURCE or t["datasource"] != SOURCE:
                    problems.append(f"{where} does not use the datasource variable")
                if any("$__rate_interval" not in r for r in re.findall(r"\[[^\]]*\]", expr)):
                    problems.append(f"{where}: a range that is not $__rate_interval: {expr}")
                if 'job=~"$job"' not in expr:
                    problems.append(f"{where}: not confined to $job: {expr}")
                unknown = set(re.findall(r"\$(\w+)", expr)) - known - {"__rate_interval"}
                problems += [f"{where}: no variable {v}" for v in sorted(unknown)]
    return problems


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found))
    sys.exit(1 if found else 0)
