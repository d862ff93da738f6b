# Module _hone_tester, the trusted side: runs the tests of the data set. The program under test is
# another process; here are only proxies, whose calls travel as plain values. What comes back was made by this
# process out of plain types, so that no operator, attribute or frame of it belongs to the program.
import ast
import builtins
import importlib
import marshal
import symtable
import sys

from _hone_wire import U64, NotPlain, decode, put_bytes, receive, rehearse, send


class CandidateError(Exception):
    """The program raised something that this process has no class for."""


class Gone(BaseException):
    """The program cannot be asked any more; no test may catch this."""


def _ask(operation, target, *arguments, **keywords):
    try:
        send(b"c", operation, target, list(arguments), keywords, other=_encode_remote)
    except NotPlain as error:
        raise CandidateError("the test passes %s" % error) from None
    kind, body = receive()
    if kind == b"g":
        raise Gone(decode(body)[0])
    try:
        values = decode(body, Remote)
    except (NotPlain, TypeError, ValueError, ArithmeticError) as error:
        raise CandidateError("the program's value cannot be read: %s" % error) from None
    if kind == b"v":
        return values[0]
    name, text = values
    error = getattr(builtins, name, None) if isinstance(name, str) else None
    if isinstance(error, type) and issubclass(error, Exception) and not issubclass(error, UnicodeError):
        raise error(text)
    raise CandidateError("%s: %s" % (name, text))


def _encode_remote(value, out):
    if isinstance(value, Remote):
        out.append(b"H" + U64.pack(object.__getattribute__(value, "_number")))
        put_bytes(b"S", b"", out)
    elif isinstance(value, Function):
        raise NotPlain("a function of the program")
    else:
        raise NotPlain("a value of type %s" % type(value).__name__)


class Function:
    """A name that the program defines."""

    def __init__(self, name):
        self.__name__ = name

    def __call__(self, *arguments, **keywords):
        return _ask("call", self.__name__, *arguments, **keywords)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_ask("get of", self.__name__), name)


class Remote:
    """An object of the program: everything is asked, and equality with a plain value is never its
    to say: it is False."""

    def __init__(self, number, name):
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_type", name)

    def __call__(self, *arguments, **keywords):
        return _ask("call", self, *arguments, **keywords)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _ask("get", self, name)

    def __setattr__(self, name, value):
        _ask("set", self, name, value)

    def __iter__(self):
        return iter(_plain(_ask("items", self), list))

    def __next__(self):
        return _ask("next", self)

    def __len__(self):
        return _plain(_ask("length", self), int)

    def __getitem__(self, key):
        return _ask("item", self, key)

    def __contains__(self, item):
        return item in iter(self)

    def __bool__(self):
        return _plain(_ask("truth", self), bool)

    def __str__(self):
        return _plain(_ask("text", self), str)

    def __repr__(self):
        return "<%s>" % object.__getattribute__(self, "_type")

    def __eq__(self, other):
        # Two objects of the program are its own business: neither is an expected value.
        return isinstance(other, Remote) and _plain(_ask("equal", self, other), bool)

    def __hash__(self):
        return object.__getattribute__(self, "_number")


def _plain(value, kind):
    if type(value) is not kind:
        raise CandidateError("the program answered with a %s, not a %s" % (type(value).__name__, kind.__name__))
    return value


class Failed(BaseException):
    """A test failed and the others need not be run."""


class Tally:
    """Every assert statement is a test: it passed if it was reached and held each time."""

    def __init__(self, total, every):
        self.total = total
        self.every = every  # go on after a failure
        self.failed = set()
        self.reached = set()
        self.why = ""

    def hold(self, number):
        self.reached.add(number)

    def fail(self, number, text, error=None):
        self.reached.add(number)
        self.failed.add(number)
        if not self.why:
            self.why = text + (": %s: %s" % (type(error).__name__, str(error)[:200]) if error is not None else "")
        if not self.every:
            raise Failed


Tally.Exception = Exception


def _judge(body, lines, number):
    """assert X  ->  try: if X: hold(n) else: fail(n)  except Exception: fail(n, error)
    in all statements of `body`; gives the n after the last. Expressions have no statements: walking
    them, as ast.NodeTransformer does, takes longer than the tests."""
    for i, node in enumerate(body):
        if isinstance(node, ast.Assert):
            body[i] = _judged(node, number, _text(node.test, lines))
            number += 1
            continue
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            number = _judge(getattr(node, field, ()), lines, number)
    return number


def _judged(node, number, text):
    place = {"lineno": node.lineno, "col_offset": node.col_offset,
             "end_lineno": node.end_lineno, "end_col_offset": node.end_col_offset}

    def of_tally(name):
        return ast.Attribute(ast.Name("__tally__", ast.Load(), **place), name, ast.Load(), **place)

    def call(name, *arguments):
        return ast.Expr(ast.Call(of_tally(name), [ast.Constant(number, **place), *arguments], [], **place), **place)

    why = ast.Constant(text, **place)
    handler = ast.ExceptHandler(of_tally("Exception"), "__error__",
                                [call("fail", why, ast.Name("__error__", ast.Load(), **place))], **place)
    return ast.Try([ast.If(node.test, [call("hold")], [call("fail", why)], **place)], [handler], [], [], **place)


def _text(node, lines):
    """The source of an expression; columns count bytes."""
    source = b"\n".join(lines[node.lineno - 1:node.end_lineno])
    end = len(source) - len(lines[node.end_lineno - 1]) + node.end_col_offset
    return " ".join(source[node.col_offset:end].decode("utf-8", "replace").split())[:160]


def _free_names(test, known):
    """What `test` and its functions take from the module, but neither it nor `known` defines."""
    used, made, tables = set(), set(known), [symtable.symtable(test, "tests.py", "exec")]
    for table in tables:
        top = table is tables[0]
        tables += table.get_children()
        for symbol in table.get_symbols():
            if top or symbol.is_global():
                if symbol.is_assigned() or symbol.is_imported():
                    made.add(symbol.get_name())
                if symbol.is_referenced():
                    used.add(symbol.get_name())
    return used - made


def _module_names(tree, names):
    """Of `math.isclose(...)` in tests that import nothing: never the program's to define."""
    names = names & sys.stdlib_module_names
    return names and names & {node.value.id for node in ast.walk(tree)
                              if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}


def _compile_setup(setup):
    try:
        return compile(setup, "prompt.py", "exec", dont_inherit=True)
    except SyntaxError:
        return None


def _prepare(tests, known):
    """Code of each test, the number of assert statements, modules and names that the tests take from
    elsewhere. `tests` must parse."""
    codes, number, modules, functions, known = [], 0, set(), set(), set(known)
    for test in tests:
        tree = ast.parse(test)
        names = _free_names(test, known)
        of_modules = _module_names(tree, names)
        modules |= of_modules
        functions |= {name for name in names - of_modules if not hasattr(builtins, name)}
        known |= modules | functions
        lines = test.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8").split(b"\n")
        number = _judge(tree.body, lines, number)
        codes.append(compile(tree, "tests.py", "exec", dont_inherit=True))
    return codes, number, sorted(modules), sorted(functions)


def _run(setup, tests, entry_point, own_names, every, prepared):
    """`setup` may fail to define anything (a prompt that ends in a signature)."""
    namespace = {"__name__": "tests"}
    prepared = marshal.loads(prepared) if prepared else None
    setup = prepared[0] if prepared else _compile_setup(setup)
    if setup:
        exec(setup, namespace)
    for name in (*own_names, entry_point):
        if name:
            namespace[name] = Function(name)
    if not prepared:
        prepared = (setup, *_prepare(tests, {*namespace, "__tally__"}))
        send(b"p", marshal.dumps(prepared))
    _, codes, total, modules, functions = prepared
    tally = Tally(total, every)
    namespace["__tally__"] = tally
    for name in modules:
        namespace[name] = importlib.import_module(name)
    for name in functions:
        namespace[name] = Function(name)
    broken = ""
    try:
        for code in codes:
            try:
                exec(code, namespace)
            except Exception as error:
                broken = broken or "%s: %s" % (type(error).__name__, str(error)[:300])
                if not every:
                    break
        if entry_point and not broken and "check" in namespace and not isinstance(namespace["check"], Function):
            try:
                namespace["check"](namespace[entry_point])
            except Exception as error:
                broken = "%s: %s" % (type(error).__name__, str(error)[:300])
    except Failed:
        pass
    except Gone as gone:
        broken = str(gone)
    except SystemExit:
        broken = "SystemExit in the tests"
    passed = len(tally.reached - tally.failed)
    # Where all went well, a statement that was never reached is no test.
    total = len(tally.reached) if not broken and not tally.failed else tally.total
    if not broken and total == 0 and tally.total == 0:
        passed = total = 1  # tests without assert statements: they came to their end
    return passed, max(total, 1), tally.why or broken


def main():
    kind, body = receive()
    try:
        result = _run(*decode(body))
    except Exception as error:
        send(b"b", "the tests cannot be run: %s: %s" % (type(error).__name__, error))
        return
    send(b"e", *result)


_PROMPT = """
from typing import List

def f(numbers: List[int]) -> List[int]:
    \"\"\" Some text. \"\"\"
"""
_TESTS = """
METADATA = {"author": "a", "dataset": "test"}

def check(candidate):
    assert candidate([1, 2]) == [2, 3], "some"
    assert abs(candidate(n for n in (1, 2))[0] - math.pi) > 1e-6
    for i in range(3):
        assert candidate([i, "a"]) == (True, None)
    assert candidate({"k": 2.5}) == {"k": 2.5}
    assert f(1)
"""


def _rehearse():
    for every in (True, False) * 2:
        messages = []
        answers = [(b"v", [2, 3]), (b"x", "ValueError", "why"), *[(b"v", (True, None))] * 3, (b"v", {"k": 2.5}),
                   (b"v", True)]
        rehearse(main, (b"l", _PROMPT, [_TESTS], "f", [], every, None), *answers)


_rehearse()
