# The interpreter that every Python program is forked from. Arguments: the module of the forker, then
# what to import beforehand: names, and "name\nsource" of modules that are no files. Everything here
# is visible to programs, and holds nothing of theirs.
import atexit, builtins, ctypes, gc, importlib, linecache, os, random, sys, threading, traceback


def run(source):
    main = type(sys)("__main__")
    main.__builtins__ = builtins
    sys.modules["__main__"] = main
    sys.argv = ["main.py"]
    try:
        text = source.decode()
        linecache.cache["main.py"] = (len(text), None, text.splitlines(True), "main.py")
        exec(compile(source, "main.py", "exec", dont_inherit=True), main.__dict__)
        return 0
    except SystemExit as e:
        if e.code is None or isinstance(e.code, int):
            return (e.code or 0) & 255
        print(e.code, file=sys.stderr)
    except BaseException as e:
        # Without the frame of this function, which is nobody's business.
        traceback.print_exception(type(e), e, e.__traceback__ and e.__traceback__.tb_next)
    return 1


def finish(code):
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:
                code = code or 120
        os._exit(code)


# What every program does, done once, so that forks share the memory that the first time writes to.
WARM_UP = b"""
import collections, math, re, sys
from typing import Dict, List, Optional, Tuple
class Point:
    def __init__(self, x, y): self.x, self.y = x, y
    def __eq__(self, other): return (self.x, self.y) == (other.x, other.y)
def primes(n: int) -> List[int]:
    return [i for i in range(2, n) if all(i % j for j in range(2, int(math.sqrt(i)) + 1))]
def check(candidate):
    assert candidate(10) == [2, 3, 5, 7], 'primes'
    assert Point(1, 2) == Point(1, 2) and sorted({'b': 1, 'a': 2}.items(), key=lambda p: p[1])
try:
    check(primes)
    ''.join(reversed(f'{3:>4}'.split()[0])).strip().count('3')
    print(*map(str, collections.Counter('hello').most_common(2)), sep=', ')
    raise ValueError(1.5)
except (ValueError, KeyError) as e:
    for i, c in enumerate(zip(str(e), re.findall(r'[a-z]+', 'a b'))): print(i, c, flush=True)
while True:
    break
"""


def start():
    module, *names = sys.argv[1:]
    for name in names:
        name, _, source = name.partition("\n")
        if source:
            made = sys.modules[name] = type(sys)(name)
            exec(compile(source, name + ".py", "exec", dont_inherit=True), made.__dict__)
        else:
            importlib.import_module(name)
    serve = ctypes.PyDLL(module).hone_sandbox_serve
    serve.restype = ctypes.c_void_p
    size = ctypes.c_int64()
    errors = os.dup(2)
    os.dup2(1, 2)
    for end in (b"", b"sys.exit(0)", b"1 / 0") * 2:
        run(WARM_UP + end)
    sys.stdout.flush()
    os.dup2(errors, 2)
    linecache.clearcache()
    random.seed(0)  # the same in every program, as is the order of sets
    gc.collect()
    gc.freeze()
    return ctypes.string_at(serve(ctypes.byref(size)), size.value)


finish(run(start()))
