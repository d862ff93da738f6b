# Attempts to get out of a sandbox, to harm what is outside, or to leave something behind. Each block
# after a line "#: name" of the other files here is run after this prelude, as a program of its own,
# and prints ESCAPED when it got what it wanted. HOST, SIBLING (pids), SECRET (a file that anybody may read),
# and NAME and KEY for what is to be left behind, are given.
import ctypes, errno, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])


def escaped(what=""):
    print("ESCAPED", what, flush=True)


def attempt(f):
    """Whether `f` does not raise; its value may not be an error of a system call."""
    try:
        value = f()
    except BaseException:
        return False
    return not (isinstance(value, int) and value < 0)


def fork():
    try:
        return os.fork()
    except OSError:
        return -1


