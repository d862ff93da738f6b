#!/usr/bin/env python3
"""Fails when the tree breaks a rule of the house that the compiler cannot see.

- no folder or file named utils, util, common, misc or helpers;
- every *_test.cc is built, and no hone_test or add_test line is commented out;
- Catch2 is included in tests/testing only, gRPC in rpc, clients and services only, RocksDB in sources of
  buffer only, libcurl in sources of http only, CUDA in kernels/cuda and dist/nccl* only, FLINT, Arb and Calcium in
  libs/reward/math only;
- no work left for later in comments.
"""
import pathlib
import re
import sys

FOLDERS = ["proto", "services", "libs", "kernels", "tests", "bench"]
SOURCES = {".h", ".cc", ".cu", ".cuh"}
JUNK = re.compile(r"(?:^|/)(?:utils?|common|misc|helpers?)(?:\.\w+|/|$)")
LATER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
# header -> where it may be included
PLACES = {
    r"catch2/": r"tests/testing/",
    r"(?:grpcpp|grpc)/": r"(?:libs/(?:rpc|clients)/|services/|tests/|bench/)",
    r"curl/": r"libs/http/.*\.cc$",
    r"(?:flint/|(?:arb|acb)\w*\.h|ca\.h)": r"libs/reward/math/",
    r"rocksdb/": r"(?:libs/buffer/.*\.cc$|tests/buffer/)",
    r"(?:cuda_runtime|cuda_bf16|cuda_fp16|cuda_fp8|cublas\w*|cuda|nccl)\.h": r"(?:kernels/cuda/|libs/dist/nccl|tests/kernels/(?:cuda|simulated)|bench/)",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def check(root):
    problems = []
    files = [p for f in FOLDERS for p in sorted((root / f).rglob("*")) if p.is_file() and "__pycache__" not in p.parts]
    built = ""
    for path in files:
        name = path.relative_to(root).as_posix()
        if JUNK.search(name):
            problems.append(f"{name}: name it after what it holds")
        if path.name == "CMakeLists.txt":
            text = path.read_text()
            built += "\n".join(f"{path.parent.relative_to(root).as_posix()}/{word}" for word in re.findall(r"[\w./]+\.cc", text)) + "\n"
            for number, line in enumerate(text.splitlines(), 1):
                if re.match(r"\s*#.*\b(?:hone_test|add_test)\s*\(\s*\w", line):
                    problems.append(f"{name}:{number}: a test is commented out")
        if path.suffix in SOURCES | {".proto"}:
            text = path.read_text()
            for number, line in enumerate(text.splitlines(), 1):
                if LATER.search(line):
                    problems.append(f"{name}:{number}: do it now or delete it: {line.strip()}")
            for header in INCLUDE.findall(text):
                for pattern, place in PLACES.items():
                    if re.match(pattern, header) and not re.match(place, name):
                        problems.append(f"{name} includes {header}, which has its place in {place}")
    for path in files:
        name = path.relative_to(root).as_posix()
        if name.startswith("tests/") and name.endswith("_test.cc") and name + "\n" not in built:
            problems.append(f"{name} is not built by the CMakeLists.txt of its folder")
    return problems


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found))
    sys.exit(1 if found else 0)
