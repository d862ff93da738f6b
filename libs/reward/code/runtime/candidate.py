# Module _hone_candidate: the side of the program under test. Nothing here is trusted: whatever the
# program does to this process, all that leaves it are values.
import builtins
import itertools
import sys
import types

from _hone_wire import U64, decode, put_bytes, receive, rehearse, send

MOST_ITEMS = 1 << 18


class _Objects:
    """What is not plain stays here; the tester gets a number for it."""

    def __init__(self):
        self.by_number = []

    def encode(self, value, out):
        self.by_number.append(value)
        name = type(value).__name__.encode("utf-8", "replace")
        out.append(b"H" + U64.pack(len(self.by_number) - 1))
        put_bytes(b"S", name, out)

    def decode(self, number, name):
        return self.by_number[number]


def _operate(namespace, operation, target, arguments, keywords):
    if isinstance(target, str) and operation in ("call", "get of"):
        target = namespace[target] if target in namespace else getattr(namespace["__builtins__"], target)
    if operation == "call":
        return target(*arguments, **keywords)
    if operation == "get of":
        return target
    if operation == "get":
        return getattr(target, *arguments)
    if operation == "set":
        return setattr(target, *arguments)
    if operation == "items":
        items = list(itertools.islice(iter(target), MOST_ITEMS + 1))
        if len(items) > MOST_ITEMS:
            raise OverflowError("more than %d items" % MOST_ITEMS)
        return items
    if operation == "next":
        return next(target)
    if operation == "length":
        return len(target)
    if operation == "item":
        return target[arguments[0]]
    if operation == "contains":
        return arguments[0] in target
    if operation == "text":
        return str(target)
    if operation == "truth":
        return bool(target)
    if operation == "equal":
        return bool(target == arguments[0])
    raise ValueError("unknown operation")


def _why(error):
    try:
        text = str(error)
    except BaseException:
        text = ""
    return type(error).__name__, text[:500]


def main():
    objects = _Objects()
    kind, body = receive()
    source, = decode(body)
    module = types.ModuleType("candidate")
    sys.modules["candidate"] = module
    try:
        exec(compile(source, "candidate.py", "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        send(b"x", *_why(error))
        return
    send(b"o")
    namespace = module.__dict__
    namespace["__builtins__"] = builtins
    while True:
        try:
            kind, body = receive()
        except EOFError:
            return
        try:
            answer = _operate(namespace, *decode(body, objects.decode))
            send(b"v", answer, other=objects.encode)
        except BaseException as error:
            send(b"x", *_why(error))


_PROGRAM = """
from typing import List, Optional

def f(numbers: List[int], words: Optional[str] = None) -> List[int]:
    \"\"\" Some text.
    >>> f([1], 'a')
    [2]
    \"\"\"
    found = []
    for i, n in enumerate(numbers):
        if n > 0 and words:
            found.append(n * len(words) + i)
    return sorted(found, key=lambda n: -n)
"""


def _rehearse():
    for _ in range(4):
        rehearse(main, (b"l", _PROGRAM), *[
            (b"c", "call", "f", arguments, {})
            for arguments in ([[1, 2]], [[3], "ab"], [(1, 2.5), "x"], [{"k": None}, True], [None], ["abc", "b"])])
        del sys.modules["candidate"]


_rehearse()
