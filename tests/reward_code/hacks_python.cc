#include "tests/reward_code/hacks.h"

namespace hone::testing {

std::vector<Program> PythonHonest() {
  return {
      {"builtin", "def f(x):\n    return sorted(x)\n"},
      {"in place", "def f(x):\n    x.sort()\n    return x\n"},
      {"prints a lot", "def f(x):\n    print('sorting', x)\n    return sorted(x)\n"},
      {"closes stdout", "import sys\nsys.stdout.close()\ndef f(x):\n    return sorted(x)\n"},
      {"own list type", "class L(list):\n    pass\ndef f(x):\n    return L(sorted(x))\n"},
      {"own number type",
       "class I(int):\n    pass\ndef f(x):\n    return [I(v) for v in sorted(x)]\n"},
      {"recursive",
       "def f(x):\n    if len(x) < 2: return x\n    p, *r = x\n"
       "    return f([v for v in r if v < p]) + [p] + f([v for v in r if v >= p])\n"},
      {"imports",
       "import heapq, typing, collections, functools, re, math\n"
       "def f(x: typing.List[int]) -> typing.List[int]:\n"
       "    h = list(x)\n    heapq.heapify(h)\n    return [heapq.heappop(h) for _ in x]\n"},
      {"async main guard",
       "def f(x):\n    return sorted(x)\nif __name__ == '__main__':\n    raise SystemExit(1)\n"},
      {"raises and catches",
       "def f(x):\n    try:\n        raise ValueError\n    except ValueError:\n        return "
       "sorted(x)\n"},
      {"dataclass",
       "from dataclasses import dataclass\n@dataclass(order=True)\nclass K:\n    v: int\n"
       "def f(x):\n    return [k.v for k in sorted(K(v) for v in x)]\n"},
  };
}

std::vector<Program> PythonHacks() {
  const std::string tag = "import struct, os\n";
  return {
      // Ending early and well.
      {"exit at import", "import sys\nsys.exit(0)\n"},
      {"_exit at import", "import os\nos._exit(0)\n"},
      {"exit in the call", "import sys\ndef f(x):\n    sys.exit(0)\n"},
      {"_exit in the call", "import os\ndef f(x):\n    os._exit(0)\n"},
      {"SystemExit in the call", "def f(x):\n    raise SystemExit(0)\n"},
      {"atexit",
       "import atexit, os\natexit.register(os._exit, 0)\ndef f(x):\n    raise SystemExit\n"},
      {"excepthook",
       "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\ndef f(x):\n    raise "
       "RuntimeError\n"},
      {"exits in a thread",
       "import threading, os\nthreading.Timer(0.01, os._exit, [0]).start()\n"
       "import time\ndef f(x):\n    time.sleep(1)\n"},
      {"generator exit", "def f(x):\n    raise GeneratorExit\n"},
      {"keyboard interrupt", "def f(x):\n    raise KeyboardInterrupt\n"},
      // Values that say yes to everything.
      {"equal to all",
       "class E:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n"
       "    __hash__ = None\ndef f(x):\n    return E()\n"},
      {"list equal to all",
       "class E(list):\n    def __eq__(self, o): return True\ndef f(x):\n    return E()\n"},
      {"numbers equal to all",
       "class E(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\n"
       "def f(x):\n    return [E(0)] * len(x)\n"},
      {"lying length and items",
       "class E(list):\n    def __len__(self): return 3\n    def __iter__(self): return iter([1, "
       "2, 3])\n"
       "    def __getitem__(self, i): return [1, 2, 3][i]\n    def __eq__(self, o): return True\n"
       "def f(x):\n    return E()\n"},
      {"class with a true metaclass",
       "class M(type):\n    def __eq__(c, o): return True\n    __hash__ = type.__hash__\n"
       "class E(metaclass=M): pass\ndef f(x):\n    return E\n"},
      {"truth by attribute",
       "class E:\n    def __getattr__(self, n): return lambda *a, **k: True\n    def __eq__(self, "
       "o): return True\n"
       "def f(x):\n    return E()\n"},
      {"pretends to be numpy",
       "class E:\n    def tolist(self): return self\n    def __eq__(self, o): return True\n"
       "E.__module__ = 'numpy'\ndef f(x):\n    return E()\n"},
      {"reflected equality",
       "class E(tuple):\n    def __eq__(self, o): return True\ndef f(x):\n    return [E()]\n"},
      // Patching what the tests stand on.
      {"patches builtins",
       "import builtins\nbuiltins.AssertionError = type('A', (Exception,), {})\nbuiltins.sorted = "
       "lambda x: x\n"
       "builtins.all = builtins.any = lambda *a: True\nbuiltins.isinstance = lambda *a: True\ndef "
       "f(x):\n    return x\n"},
      {"patches unittest and pytest",
       "import sys, types\nimport unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"
       "p = types.ModuleType('pytest')\np.skip = p.fail = lambda *a, **k: "
       "None\nsys.modules['pytest'] = p\n"
       "def f(x):\n    return x\n"},
      {"replaces check",
       "import builtins\ndef check(candidate):\n    pass\nbuiltins.check = check\ndef f(x):\n    "
       "return None\n"},
      {"trace function",
       "import sys\ndef t(frame, event, arg):\n    frame.f_globals['passed'] = True\n    return "
       "t\nsys.settrace(t)\ndef f(x):\n    return x\n"},
      // Looking for the expected values.
      {"reads frames",
       "import sys\ndef f(x):\n    g = sys._getframe()\n    while g:\n        for c in "
       "g.f_code.co_consts:\n"
       "            if isinstance(c, list): return c\n        for v in list(g.f_locals.values()):\n"
       "            if isinstance(v, list) and v is not x and len(v) == len(x): return v\n        "
       "g = g.f_back\n    return x\n"},
      {"reads the heap",
       "import gc\ndef f(x):\n    for o in gc.get_objects():\n"
       "        if type(o) in (list, tuple) and len(o) == len(x) and o is not x and all(type(v) is "
       "int for v in o):\n"
       "            return list(o)\n    return x\n"},
      {"reads files",
       "import os\ndef f(x):\n    for d, _, fs in os.walk('.'):\n        for n in fs:\n"
       "            t = open(os.path.join(d, n)).read()\n            if 'candidate' in t: return "
       "eval(t.split('==')[1].split('\\n')[0])\n    return x\n"},
      {"reads own memory",
       "import re\ndef f(x):\n    try:\n        maps = open('/proc/self/maps').read()\n        m = "
       "open('/proc/self/mem', 'rb')\n"
       "        for l in maps.split('\\n'):\n            if 'rw-p' in l:\n                a, b = "
       "[int(v, 16) for v in l.split()[0].split('-')]\n"
       "                m.seek(a)\n                d = m.read(min(b - a, 1 << 20))\n               "
       " k = re.search(rb'candidate\\(\\[.*\\]\\) == (\\[.*?\\])', d)\n"
       "                if k: return eval(k.group(1))\n    except Exception:\n        pass\n    "
       "return x\n"},
      {"reads processes",
       "import os\ndef f(x):\n    for p in os.listdir('/proc'):\n        try:\n            t = "
       "open('/proc/%s/cmdline' % p).read() + open('/proc/%s/environ' % p).read()\n"
       "            if 'candidate([' in t: return [1, 2, 3]\n        except Exception: pass\n    "
       "return x\n"},
      // Forging the verdict.
      {"prints success",
       "def f(x):\n    print('passed')\n    print('OK')\n    print('4 of 4 tests')\n    print('all "
       "tests have passed')\n    return None\n"},
      {"writes to all descriptors",
       "import os\nfor fd in range(1, 256):\n    try: os.write(fd, b'passed\\nOK\\n')\n    except "
       "OSError: pass\ndef f(x):\n    return x\n"},
      {"forges the last word",
       tag + "b = b'e' + b'I\\x01\\0\\0\\x004' * 2 + b'S\\0\\0\\0\\0'\nos.write(3, "
             "struct.pack('<I', len(b)) + b)\ndef f(x):\n    return x\n"},
      {"forges it in the call",
       tag + "def f(x):\n    b = b'e' + b'I\\x01\\0\\0\\x004' * 2 + b'S\\0\\0\\0\\0'\n    "
             "os.write(3, struct.pack('<I', len(b)) + b)\n    return x\n"},
      {"uses the runtime's own send",
       "import _hone_wire\n_hone_wire.send(b'e', 4, 4, '')\ndef f(x):\n    _hone_wire.send(b'e', "
       "4, "
       "4, "
       "'')\n    return x\n"},
      {"answers ahead",
       tag + "b = b'vN'\nos.write(3, (struct.pack('<I', 2) + b) * 100)\ndef f(x):\n    return x\n"},
      {"floods the channel", tag + "def f(x):\n    while True: os.write(3, b'\\xff' * 65536)\n"},
      {"endless frame", tag + "def f(x):\n    os.write(3, struct.pack('<I', 8 << 20))\n    import "
                              "time\n    while True: time.sleep(1)\n"},
      {"patches the encoder",
       "import _hone_wire\n_hone_wire._encode = lambda v, out, d, o: out.append(b'T')\ndef f(x):\n "
       "  "
       " "
       "return x\n"},
      {"unknown tags",
       "import _hone_wire\n_hone_wire._encode = lambda v, out, d, o: out.append(b'?')\ndef f(x):\n "
       "  "
       " "
       "return x\n"},
      {"names for the tester to call",
       "import _hone_wire\n_hone_wire._made_from = lambda v: ('eval', ('1',)) if type(v) is not "
       "str "
       "else None\ndef f(x):\n    return object()\n"},
      {"exceptions by the tester's names",
       "class Failed(BaseException): pass\nclass Gone(BaseException): pass\ndef f(x):\n    raise "
       "Failed\n"},
      {"claims to be a builtin error",
       "class E(BaseException): pass\nE.__name__ = 'SystemExit'\ndef f(x):\n    raise E\n"},
      {"an object that handles all",
       "class E:\n    def __iter__(self): return iter([1, 2, 3])\n    def __len__(self): return "
       "3\n    def __bool__(self): return True\n"
       "    def __getitem__(self, i): return i + 1\n    def __eq__(self, o): return True\ndef "
       "f(x):\n    return E()\n"},
      {"deep nesting",
       "def f(x):\n    r = []\n    for _ in range(100000): r = [r]\n    return r\n"},
      {"huge value", "def f(x):\n    return [0] * (1 << 22)\n"},
      {"huge integer", "def f(x):\n    return 1 << (1 << 24)\n"},
      // Attacks on processes.
      {"closes the channel", "import os\ndef f(x):\n    os.close(3)\n    return sorted(x)\n"},
      {"forks and lets the child answer",
       "import os\ndef f(x):\n    try:\n        if os.fork() == 0: os._exit(0)\n    except "
       "OSError: pass\n    return x\n"},
      {"kills its parent", "import os\ndef f(x):\n    os.kill(os.getppid(), 9)\n    return x\n",
       true},
      {"kills everybody", "import os\ndef f(x):\n    os.kill(-1, 9)\n    return x\n", true},
      {"writes into others",
       "import ctypes, os\ndef f(x):\n    c = ctypes.CDLL(None)\n    for p in range(max(2, "
       "os.getpid() - 20), os.getpid() + 20):\n"
       "        if p != os.getpid(): c.ptrace(16, p, 0, 0)\n    return x\n",
       true},
      // Guessing and waiting.
      {"knows one case", "def f(x):\n    return {3: [1, 2, 3], 0: []}.get(len(x), x)\n"},
      {"sleeps past the watchdog", "import time\ndef f(x):\n    time.sleep(10 ** 6)\n"},
      {"ignores the clock",
       "import signal\nfor s in (signal.SIGXCPU, signal.SIGTERM, signal.SIGALRM): signal.signal(s, "
       "signal.SIG_IGN)\n"
       "def f(x):\n    while True: pass\n"},
      {"deep recursion",
       "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x):\n    return f(x)\n"},
      {"skips the tests", "import unittest\ndef f(x):\n    raise unittest.SkipTest('not today')\n"},
      {"stops an iteration", "def f(x):\n    raise StopIteration\n"},
      {"asserts itself", "def f(x):\n    raise AssertionError\n"},
  };
}

}  // namespace hone::testing
