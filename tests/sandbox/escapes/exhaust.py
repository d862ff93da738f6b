# Taking all there is, and leaving something behind.
#: a daemon that stays
pid = fork()
if pid == 0:
    attempt(os.setsid)
    if fork() == 0:
        os.close(1); os.close(2)
        time.sleep(600)
    os._exit(0)
#: a chain of processes that is never where one looks
pid = fork()
while pid == 0:
    attempt(os.setsid)
    if fork() > 0: os._exit(0)
#: children that nobody waits for
for _ in range(100):
    if fork() == 0: os._exit(0)
#: a fork bomb
while True: fork()
#: a fork bomb that ignores signals
import signal
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: fork()
#: a bomb of threads
import threading
try:
    while True: threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
except RuntimeError: os._exit(1)
#: ignore the end of CPU time
import signal
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
while True: pass
#: sleep for ever, deaf to signals
import signal
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: time.sleep(100)
#: all memory
all = []
while True: all.append(bytearray(10 << 20))
#: all memory, shared
import mmap
all = []
while True:
    m = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_SHARED)
    for i in range(0, 64 << 20, 4096): m[i] = 1
    all.append(m)
#: all memory, in pipes
all = []
while True:
    r, w = os.pipe()
    os.set_blocking(w, False)
    try:
        while os.write(w, b"x" * 65536): pass
    except BlockingIOError: all.append((r, w))
#: a huge number
9 ** 9 ** 9
#: a regular expression without end
import re
re.match(r"(a+)+$", "a" * 64 + "b")
#: recursion without end
import sys
sys.setrecursionlimit(1 << 30)
def f(): return [f() for _ in (1,)]
f()
#: fill the disk
with open("big", "wb") as f:
    while True: f.write(b"x" * (1 << 20))
#: fill the disk with many files
n = 0
while True:
    with open(f"f{n}", "wb") as f: f.write(b"x" * 65536)
    n += 1
#: use up the names of the disk
n = 0
while True:
    os.close(os.open(f"f{n}", os.O_CREAT | os.O_WRONLY)); n += 1
#: a file that says it is huge
attempt(lambda: os.truncate("sparse", 1 << 50))
fd = os.open("sparse", os.O_CREAT | os.O_RDWR)
if attempt(lambda: os.ftruncate(fd, 1 << 40)): escaped()
#: a folder deeper than any path
for n in range(3000):
    os.mkdir("d"); os.chdir("d")
#: a folder that cannot be removed
os.mkdir("d"); open("d/f", "w").close(); os.mkdir("d/e"); open("d/e/f", "w").close()
for path in ("d/e/f", "d/e", "d/f", "d", "."):
    attempt(lambda: os.fchmod(os.open(path, os.O_RDONLY), 0))
    attempt(lambda: os.chmod(path, 0))
#: all descriptors
all = []
try:
    while True: all.append(os.dup(0))
except OSError: pass
if len(all) > 2000: escaped(len(all))
#: output without end
while True: os.write(1, b"x" * 65536)
#: errors without end
while True: os.write(2, b"x" * 65536)
#: a core dump
os.abort()
