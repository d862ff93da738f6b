# Module _hone_wire: messages over a channel, and the plain values in them; ../wire.h describes the
# bytes. Both sides have it; each trusts only what it decodes into plain types itself.
import os
import struct

CHANNEL = 3  # a file descriptor
MAX_FRAME = 8 << 20
MAX_DEPTH = 64
U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")
_DOUBLE = struct.Struct("<d")
_COMPLEX = struct.Struct("<dd")
_unread = b""  # of the channel


class NotPlain(Exception):
    """A value without a place in a message."""


def receive():
    global _unread
    _read(4)
    size = U32.unpack_from(_unread)[0]
    if not 1 <= size <= MAX_FRAME:
        raise EOFError("a frame of %d bytes" % size)
    _read(4 + size)
    frame, _unread = _unread[4:4 + size], _unread[4 + size:]
    return frame[:1], frame[1:]


def _read(size):
    """Until `size` bytes are unread, or more: most frames come in one piece."""
    global _unread
    parts, missing = [_unread], size - len(_unread)
    while missing > 0:
        part = os.read(CHANNEL, max(4096, min(missing, 1 << 20)))
        if not part:
            raise EOFError("the channel is closed")
        parts.append(part)
        missing -= len(part)
    if len(parts) > 1:
        _unread = b"".join(parts)


def send(kind, *values, other=None):
    body = encode(kind, values, other)
    if len(body) > MAX_FRAME:
        raise NotPlain("a value of %d bytes" % len(body))
    body = U32.pack(len(body)) + body
    written = os.write(CHANNEL, body)
    while written < len(body):
        written += os.write(CHANNEL, body[written:written + (1 << 20)])


def encode(kind, values, other=None):
    out = [kind]
    for value in values:
        _encode(value, out, 0, other)
    return b"".join(out)


# `other(value, out)` encodes what is not plain.
def _encode(value, out, depth, other):
    if depth > MAX_DEPTH:
        raise NotPlain("nested more than %d deep" % MAX_DEPTH)
    if value is None:
        out.append(b"N")
    elif value is True:
        out.append(b"T")
    elif value is False:
        out.append(b"F")
    elif isinstance(value, int):
        put_bytes(b"I", b"%x" % int.__index__(value), out)
    elif isinstance(value, float):
        out.append(b"D" + _DOUBLE.pack(float.__float__(value)))
    elif isinstance(value, str):
        put_bytes(b"S", str.encode(value, "utf-8", "surrogatepass"), out)
    elif isinstance(value, (bytes, bytearray)):
        put_bytes(b"B", bytes(value), out)
    elif isinstance(value, complex):
        out.append(b"C" + _COMPLEX.pack(value.real, value.imag))
    elif isinstance(value, dict):
        out.append(b"M" + U32.pack(dict.__len__(value)))
        for k, v in dict.items(value):
            _encode(k, out, depth + 1, other)
            _encode(v, out, depth + 1, other)
    else:
        for tag, kind in _SEQUENCES:
            if isinstance(value, kind):
                out.append(tag + U32.pack(kind.__len__(value)))
                for v in kind.__iter__(value):
                    _encode(v, out, depth + 1, other)
                return
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            _encode(value.tolist(), out, depth + 1, other)
            return
        made = _made_from(value)
        if made is not None:
            out.append(b"X")
            _encode(made[0], out, depth + 1, other)
            _encode(made[1], out, depth + 1, other)
        elif other is not None:
            other(value, out)
        else:
            raise NotPlain("a value of type %s" % type(value).__name__)


_SEQUENCES = ((b"L", list), (b"U", tuple), (b"E", set), (b"Z", frozenset))


def put_bytes(tag, data, out):
    out.append(tag + U32.pack(len(data)))
    out.append(data)


# Name and arguments of a plain value of the standard library, for _make.
def _made_from(value):
    kind = type(value)
    name = kind.__name__
    if kind is type and value.__module__ == "builtins":
        return "type", (value.__name__,)
    if kind is range:
        return name, (value.start, value.stop, value.step)
    module = kind.__module__
    if module == "collections" and name == "deque":
        return name, (list(value), value.maxlen)
    if module == "decimal" and name == "Decimal":
        return name, (str(value),)
    if module == "fractions" and name == "Fraction":
        return name, (value.numerator, value.denominator)
    if module == "datetime" and name == "datetime":
        return name, tuple(value.timetuple())[:6] + (value.microsecond,)
    if module == "datetime" and name == "date":
        return name, (value.year, value.month, value.day)
    if module == "datetime" and name == "time":
        return name, (value.hour, value.minute, value.second, value.microsecond)
    if module == "datetime" and name == "timedelta":
        return name, (value.days, value.seconds, value.microseconds)
    return None


_MODULES = {"range": "builtins", "type": "builtins", "deque": "collections", "Decimal": "decimal", "Fraction": "fractions",
            "datetime": "datetime", "date": "datetime", "time": "datetime", "timedelta": "datetime"}


def _make(name, arguments):
    if name not in _MODULES or type(arguments) is not tuple:
        raise NotPlain("an unknown kind of value")
    if name == "type":
        made = getattr(__import__("builtins"), arguments[0])
        if type(made) is not type:
            raise NotPlain("an unknown type")
        return made
    return getattr(__import__(_MODULES[name]), name)(*arguments)


# All values of a message. `handle(number, name)` makes what stands for an object of the other side.
def decode(body, handle=None):
    values = []
    at = 0
    while at < len(body):
        value, at = _decode(body, at, 0, handle)
        values.append(value)
    return values


def _decode(body, at, depth, handle):
    if depth > MAX_DEPTH:
        raise NotPlain("nested more than %d deep" % MAX_DEPTH)
    tag = body[at:at + 1]
    at += 1
    if tag == b"N":
        return None, at
    if tag == b"T":
        return True, at
    if tag == b"F":
        return False, at
    if tag == b"D":
        return _DOUBLE.unpack_from(body, at)[0], at + 8
    if tag == b"C":
        return complex(*_COMPLEX.unpack_from(body, at)), at + 16
    if tag == b"X":
        name, at = _decode(body, at, depth + 1, handle)
        arguments, at = _decode(body, at, depth + 1, handle)
        return _make(name, arguments), at
    if tag == b"H":
        number = U64.unpack_from(body, at)[0]
        name, at = _decode(body, at + 8, depth + 1, handle)
        if handle is None:
            raise NotPlain("an object")
        return handle(number, name), at
    count = U32.unpack_from(body, at)[0]
    at += 4
    if tag in b"ISB":
        data = body[at:at + count]
        if len(data) != count:
            raise NotPlain("a message that ends early")
        at += count
        if tag == b"I":
            return int(data, 16), at
        return (data.decode("utf-8", "surrogatepass") if tag == b"S" else data), at
    if tag == b"M":
        found = {}
        for _ in range(count):
            key, at = _decode(body, at, depth + 1, handle)
            found[key], at = _decode(body, at, depth + 1, handle)
        return found, at
    for known, kind in _SEQUENCES:
        if tag == known:
            items = []
            for _ in range(count):
                item, at = _decode(body, at, depth + 1, handle)
                items.append(item)
            return (items if kind is list else kind(items)), at
    raise NotPlain("an unknown kind of value")


# For a module that is loaded before any program: runs `main` with messages to read, so that forks
# find its code as fast as it gets and share the memory that a first run writes to. What it answers
# is lost.
def rehearse(main, *messages):
    global CHANNEL, _unread
    import _socket  # without what else `socket` brings
    ours, theirs = _socket.socketpair()
    for kind, *values in messages:
        body = encode(kind, values)
        ours.sendall(U32.pack(len(body)) + body)
    ours.shutdown(_socket.SHUT_WR)
    channel, CHANNEL = CHANNEL, theirs.fileno()
    try:
        main()
    finally:
        CHANNEL, _unread = channel, b""
        ours.close()
        theirs.close()
