# Reaching what is outside.
#: read a file of the machine
if attempt(lambda: open("/etc/hostname").read()) or attempt(lambda: open("/etc/shadow").read()): escaped()
#: read a file that anybody may read
if attempt(lambda: open(SECRET).read()): escaped(SECRET)
#: read a secret through a symbolic link
os.symlink(SECRET, "link")
if attempt(lambda: open("link").read()): escaped()
#: read a secret through a hard link
if attempt(lambda: os.link(SECRET, "hard")) and attempt(lambda: open("hard").read()): escaped()
#: read a secret through many dots
if attempt(lambda: open("../" * 40 + SECRET).read()): escaped()
#: list the root of the machine
if attempt(lambda: os.listdir(os.path.dirname(SECRET))): escaped()
#: list the work folders of others
if attempt(lambda: os.listdir("..")) and os.getcwd() != "/work": escaped(os.getcwd())
#: write to /tmp
if attempt(lambda: open(f"/tmp/{NAME}", "w").write("x")): escaped()
#: write to /dev/shm
if attempt(lambda: open(f"/dev/shm/{NAME}", "w").write("x")): escaped()
#: write to /var/tmp and to homes
for path in (f"/var/tmp/{NAME}", "/root/.bashrc", f"/home/{NAME}", f"/run/{NAME}"):
    if attempt(lambda: open(path, "a").write("x")): escaped(path)
#: write beside the work folder
if attempt(lambda: open("../hone-escape", "w").write("x")): escaped()
#: leave a sitecustomize for the next run
for folder in ("/usr/lib/python3.11", "/usr/local/lib/python3.11/dist-packages", "/usr/lib/python3/dist-packages"):
    if attempt(lambda: open(folder + "/sitecustomize.py", "w").write("x")): escaped(folder)
#: change a file of /usr
if attempt(lambda: open("/usr/bin/env", "r+b")): escaped("open")
if attempt(lambda: os.truncate("/usr/bin/env", 0)): escaped("truncate")
if attempt(lambda: os.open("/usr/bin/env", os.O_RDONLY | os.O_TRUNC)): escaped("O_TRUNC")
#: change the mode and times of the secret
if attempt(lambda: os.chmod(SECRET, 0o600)): escaped("chmod")
if attempt(lambda: os.utime(SECRET, (0, 0))): escaped("utime")
if attempt(lambda: os.setxattr(SECRET, "user.x", b"x")): escaped("xattr")
if attempt(lambda: os.chown(SECRET, os.getuid(), os.getgid())): escaped("chown")
#: truncate or remove the secret
if attempt(lambda: os.truncate(SECRET, 0)): escaped("truncate")
if attempt(lambda: os.open(SECRET, os.O_RDONLY | os.O_TRUNC)): escaped("O_TRUNC")
if attempt(lambda: os.unlink(SECRET)): escaped("unlink")
if attempt(lambda: os.rename(SECRET, "mine")): escaped("rename")
#: open by handle
handle = ctypes.create_string_buffer(200)
mount = ctypes.c_int()
ctypes.memmove(handle, b"\x80\0\0\0", 4)
if call(303, -100, SECRET.encode(), handle, ctypes.byref(mount), 0) == 0: escaped("name_to_handle_at")
if call(304, -100, handle, 0) >= 0: escaped("open_by_handle_at")
#: kill the host
if attempt(lambda: os.kill(HOST, 0)): escaped()
#: kill the parent
if os.getppid() > 1 and attempt(lambda: os.kill(os.getppid(), 0)): escaped("kill")
if call(234, os.getppid(), os.getppid(), 0) == 0 and os.getppid() > 1: escaped("tgkill")
#: kill a sibling
if attempt(lambda: os.kill(SIBLING, 0)): escaped("kill")
if call(200, SIBLING, 0) == 0: escaped("tkill")
#: kill all
attempt(lambda: os.kill(-1, 9))
#: kill the process group
attempt(lambda: os.killpg(0, 9))
#: signal by pidfd
fd = call(434, HOST, 0)
if fd >= 0 and call(424, fd, 0, 0, 0) == 0: escaped()
#: signal with a value
info = ctypes.create_string_buffer(128)
if call(129, HOST, 10, info) == 0: escaped("rt_sigqueueinfo")
if call(297, HOST, HOST, 10, info) == 0: escaped("rt_tgsigqueueinfo")
#: signal through a descriptor's owner
import fcntl
r, w = os.pipe()
if attempt(lambda: fcntl.fcntl(r, fcntl.F_SETOWN, HOST)):
    try: fcntl.fcntl(r, fcntl.F_SETFL, fcntl.fcntl(r, fcntl.F_GETFL) | os.O_ASYNC); os.write(w, b"x")
    except OSError: pass
#: trace the host and a sibling
for pid in (HOST, SIBLING, os.getppid()):
    for request in (16, 0x4206):
        if call(101, request, pid, 0, 0) == 0: escaped(f"ptrace {request} {pid}")
if call(101, 0, 0, 0, 0) == 0: escaped("traceme")
#: read and write memory of others
buffer = ctypes.create_string_buffer(64)
class Part(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
local, remote = Part(ctypes.addressof(buffer), 64), Part(0x400000, 64)
for pid in (HOST, SIBLING, os.getppid()):
    for number in (310, 311):
        if call(number, pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0: escaped(number)
#: advise the memory of others
fd = call(434, HOST, 0)
if call(440, fd, 0, 0, 21, 0) >= 0: escaped()
#: look around in /proc
for pid in (HOST, SIBLING, os.getppid(), 1):
    for what in ("mem", "environ", "cmdline", "maps", "stat"):
        if attempt(lambda: open(f"/proc/{pid}/{what}", "rb").read(1)): escaped(f"{pid} {what}")
    if attempt(lambda: os.listdir(f"/proc/{pid}/fd")): escaped(f"{pid} fd")
    if attempt(lambda: os.listdir(f"/proc/{pid}/root")): escaped(f"{pid} root")
#: look at oneself in /proc
if attempt(lambda: open("/proc/self/mem", "r+b")): escaped()
#: change a system setting
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"):
    if attempt(lambda: open(path, "w")): escaped(path)
#: lower the limits of others
limit = (ctypes.c_uint64 * 2)(4, 4)
for pid in (HOST, SIBLING, os.getppid()):
    if pid > 1 and call(302, pid, 7, ctypes.byref(limit), 0) == 0: escaped(pid)
#: read the limits of others
limit = (ctypes.c_uint64 * 2)()
for pid in (HOST, SIBLING):
    if call(302, pid, 7, 0, ctypes.byref(limit)) == 0: escaped(pid)
#: raise one's own limits
import resource
for what in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
    soft, hard = resource.getrlimit(what)
    if attempt(lambda: resource.setrlimit(what, (hard + 1, hard + 1))): escaped(what)
#: change the scheduling of others
value = ctypes.c_int(0)
mask = ctypes.create_string_buffer(b"\x01" + b"\0" * 127)
for pid in (HOST, SIBLING, os.getppid()):
    if pid < 2: continue
    if call(144, pid, 3, ctypes.byref(value)) == 0: escaped("sched_setscheduler")
    if call(203, pid, 128, mask) == 0: escaped("sched_setaffinity")
    if call(142, pid, ctypes.byref(value)) == 0: escaped("sched_setparam")
    if call(141, 0, pid, 19) == 0: escaped("setpriority")
    if call(251, 1, pid, 3 << 13) == 0: escaped("ioprio_set")
#: raise one's own priority
if attempt(lambda: os.nice(-5)): escaped("nice")
value = ctypes.c_int(1)
if call(144, 0, 1, ctypes.byref(value)) == 0: escaped("realtime")
#: use a descriptor that was left open
for fd in range(3, 1024):
    try: found = os.readlink(f"/proc/self/fd/{fd}") if os.path.exists("/proc/self/fd") else os.fstat(fd)
    except OSError: continue
    escaped(f"{fd} {found}")
#: reach descriptors that standard streams lead to
import stat
for fd in (0, 1, 2):
    if stat.S_ISDIR(os.fstat(fd).st_mode) or stat.S_ISCHR(os.fstat(fd).st_mode) and os.isatty(fd): escaped(fd)
if attempt(lambda: os.write(0, b"x")): escaped("write to stdin")
#: internet sockets
import socket
for family in (socket.AF_INET, socket.AF_INET6):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        if attempt(lambda: socket.socket(family, kind)): escaped(f"{family} {kind}")
#: look up a name
import socket
if attempt(lambda: socket.getaddrinfo("example.org", 80)): escaped()
#: local sockets
import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    if attempt(lambda: socket.socket(socket.AF_UNIX, kind).connect("\0hone-escape")): escaped("connect")
    if attempt(lambda: socket.socket(socket.AF_UNIX, kind).bind("\0hone-escape-2")): escaped("bind")
    if attempt(lambda: socket.socket(socket.AF_UNIX, kind).connect("/dev/log")): escaped("log")
#: send from a pair of sockets to an address
import socket
if attempt(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", "\0hone-escape")): escaped()
#: kernel sockets
import socket
for family in (16, 17, 38, 40, 44, 31, 15):
    for kind in (1, 2, 3, 5):
        if attempt(lambda: socket.socket(family, kind)): escaped(f"family {family}")
#: io_uring
parameters = ctypes.create_string_buffer(256)
if call(425, 8, parameters) >= 0: escaped()
#: userfaultfd
if call(323, 1) >= 0: escaped()
#: bpf
attributes = ctypes.create_string_buffer(b"\x02\0\0\0\x04\0\0\0\x04\0\0\0\x01\0\0\0" + b"\0" * 112)
if call(321, 0, attributes, 128) >= 0: escaped()
#: keys
if call(250, 0, -3, 1) >= 0: escaped("keyctl")
if call(248, b"user", b"hone", b"x", 1, -3) >= 0: escaped("add_key")
#: performance counters
attributes = ctypes.create_string_buffer(b"\x01\0\0\0\x80\0\0\0" + b"\0" * 120)
if call(298, attributes, 0, -1, -1, 0) >= 0: escaped()
#: become root
for f in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0)):
    if attempt(f): escaped()
#: run a setuid program
if attempt(lambda: os.execv("/usr/bin/su", ["su", "-c", "echo ESCAPED"])): escaped()
#: become root by running a setuid program
for path in ("/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/chsh"):
    pid = fork()
    if pid == 0:
        try: os.execv(path, [path, "--version"])
        except OSError: os._exit(1)
    if pid > 0: os.waitpid(pid, 0)
if os.geteuid() == 0: escaped()
#: capabilities
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)(0xffffffff, 0xffffffff, 0, 0xffffffff, 0xffffffff, 0)
if call(126, header, data) == 0: escaped("capset")
data = (ctypes.c_uint32 * 6)()
call(125, header, data)
if any(data): escaped("has some")
#: drop the guard against new privileges
if libc.prctl(38, 0, 0, 0, 0) == 0: escaped("no_new_privs")
if libc.prctl(1, 0, 0, 0, 0) == 0: escaped("pdeathsig")
if libc.prctl(36, 1, 0, 0, 0) == 0: escaped("subreaper")
if libc.prctl(4, 1, 0, 0, 0) == 0: escaped("dumpable")
#: new namespaces
for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x08000000, 0x04000000, 0x02000000, 0x80):
    if call(272, flag) == 0: escaped(hex(flag))
    pid = call(56, flag | 17, 0, 0, 0, 0)
    if pid == 0: os._exit(0)
    if pid > 0: escaped(f"clone {flag:#x}")
#: new namespaces by clone3
arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
pid = call(435, arguments, 88)
if pid == 0: os._exit(0)
if pid > 0: escaped()
#: join a namespace
fd = call(434, HOST, 0)
if call(308, fd, 0x20000000) == 0: escaped()
#: mount
os.mkdir("m")
for kind, flags in ((b"tmpfs", 0), (b"proc", 0), (b"sysfs", 0), (b"", 4096)):
    if call(165, b"/", b"m", kind, flags, 0) == 0: escaped(kind)
#: mount in the new way
if call(430, b"tmpfs", 0) >= 0: escaped("fsopen")
if call(428, -100, b"/", 1) >= 0: escaped("open_tree")
if call(442, -100, b"/", 0, ctypes.create_string_buffer(32), 32) == 0: escaped("mount_setattr")
#: unmount
for path in (b"/", b"/work", b"/usr", b"/proc", b"/dev"):
    if call(166, path, 2) == 0: escaped(path)
#: another root
if attempt(lambda: os.chroot(".")): escaped("chroot")
if call(155, b".", b".") == 0: escaped("pivot_root")
#: device nodes
import stat
for kind, device in ((stat.S_IFCHR, os.makedev(1, 1)), (stat.S_IFBLK, os.makedev(8, 0)), (stat.S_IFCHR, os.makedev(1, 11))):
    if attempt(lambda: os.mknod("device", kind | 0o666, device)): escaped(kind)
#: open devices
for path in ("/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/fuse", "/dev/kvm", "/dev/tty", "/dev/ptmx", "/dev/console", "/dev/net/tun", "/dev/nvidia0"):
    if attempt(lambda: os.open(path, os.O_RDWR)): escaped(path)
#: type into a terminal
import fcntl
for fd in (0, 1, 2):
    if attempt(lambda: fcntl.ioctl(fd, 0x5412, b"x")): escaped(fd)
#: a file in memory that can be run
fd = call(319, b"x", 0)
if fd >= 0: escaped("memfd_create")
if call(447, 0) >= 0: escaped("memfd_secret")
#: System V and POSIX queues, which outlive processes
if call(29, KEY, 4096, 0o1666) >= 0: escaped("shmget")
if call(68, KEY, 0o1666) >= 0: escaped("msgget")
if call(64, KEY, 1, 0o1666) >= 0: escaped("semget")
if call(240, NAME.encode(), 0o102, 0o666, 0) >= 0: escaped("mq_open")
#: the clock, the name, the kernel
for number in (164, 227, 305, 159):
    if call(number, 0, ctypes.create_string_buffer(64)) >= 0: escaped(number)
if call(170, b"evil", 4) == 0: escaped("sethostname")
for number in (246, 320, 175, 313, 169, 167, 163, 103, 172, 173, 154, 180):
    if call(number, 0, 0, 0, 0) == 0: escaped(number)
#: another personality
if call(135, 0x0040000) >= 0: escaped()
#: a filter of one's own that notifies
if call(317, 1, 8, ctypes.create_string_buffer(16)) >= 0: escaped()
#: system calls of another architecture
x32 = 0x40000000
if call(x32 + 39) > 0: escaped("x32")
#: system calls through the 32-bit gate
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex("53b814000000cd805bc3"))  # getpid by int 0x80
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
if f() > 0: escaped()
#: watch files of others
if call(294, 0) >= 0 and call(254, call(294, 0), os.path.dirname(SECRET).encode(), 0xfff) >= 0: escaped("inotify")
if call(300, 0, 0) >= 0: escaped("fanotify")
#: the result of another: an output that is a link to a secret
os.symlink(SECRET, "out"); os.mkdir("dir")
#: the result of another: an output in a folder that is a link
os.symlink(os.path.dirname(SECRET), "dir"); open("out", "w").close()
#: the result of another: an output that never ends
os.mkdir("dir")
if not attempt(lambda: os.mkfifo("out")): os.symlink("/dev/zero", "out")
#: frames of the interpreter that forked us
f = sys._getframe()
while f.f_back: f = f.f_back
if any(SECRET in repr(v) for k, v in f.f_globals.items() if k != "SECRET" and f is not sys._getframe()): escaped()
#: trade the work folder for another while it is read
pid = fork()
for n in range(2000):
    try: os.symlink(SECRET, "out")
    except OSError: pass
    try: os.unlink("out"); open("out", "w").close(); os.unlink("out")
    except OSError: pass
if pid == 0: os._exit(0)
