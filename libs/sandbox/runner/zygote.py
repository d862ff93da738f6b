# The interpreter that every Python program is forked from. Arguments: the module, then what to
# import beforehand. Everything here is visible to programs, and holds nothing of theirs.
import builtins, ctypes, gc, importlib, linecache, os, sys, traceback


def run(source):
    main = type(sys)("__main__")
    main.__builtins__ = builtins
    sys.modules["__main__"] = main
    sys.argv = ["main.py"]
    code = 0
    try:
        text = source.decode()
        linecache.cache["main.py"] = (len(text), None, text.splitlines(True), "main.py")
        exec(compile(source, "main.py", "exec", dont_inherit=True), main.__dict__)
    except SystemExit as e:
        if e.code is None or isinstance(e.code, int):
            code = (e.code or 0) & 255
        else:
            print(e.code, file=sys.stderr)
            code = 1
    except BaseException as e:
        # The frame of this function is nobody's business.
        traceback.print_exception(type(e), e, e.__traceback__ and e.__traceback__.tb_next)
        code = 1
    return code


def start():
    module, *names = sys.argv[1:]
    for name in names:
        importlib.import_module(name)
    serve = ctypes.PyDLL(module).hone_sandbox_serve
    serve.restype = ctypes.c_void_p
    size = ctypes.c_int64()
    gc.collect()
    gc.freeze()
    return ctypes.string_at(serve(ctypes.byref(size)), size.value)


code = run(start())
try:
    import atexit, threading
    threading._shutdown()
    atexit._run_exitfuncs()
finally:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            code = code or 120
    os._exit(code)
