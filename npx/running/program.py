"""Runs a program in `__main__` as Python itself does: arguments, search path, tracebacks, exit codes."""

import contextlib
import io
import os
import pkgutil
import re
import runpy
import sys
from importlib.machinery import BuiltinImporter, SourceFileLoader

from npx.dispatch import debug

#: how they say it who take no other arrays than NumPy's: most name its class, some the one they got
_REFUSAL = re.compile(r"\b(numpy|np)\.ndarray\b|npx\.array\.ndarray\.ndarray|can't unbox array")
_ADVICE = "npx: what takes numpy.ndarray only, gets one from x.__array__(), which copies nothing on the host"


def run_module(name, args):
    """``python -m name``."""
    _become_main()
    sys.argv[:] = ["-m", *args]
    _guarded(runpy._run_module_as_main, name)


def run_code(source, args):
    """``python -c source``."""
    sys.argv[:] = ["-c", *args]
    _set_first_path("")
    _run_source(source, "<string>")


def run_file(path, args):
    """``python path``: a script, ``-`` for standard input, or a folder or zip file that holds ``__main__.py``."""
    sys.argv[:] = [path, *args]
    if path == "-":
        _set_first_path("")
        _run_source(sys.stdin.buffer.read(), "<stdin>", __file__="<stdin>", __cached__=None)
    elif pkgutil.get_importer(path) is not None:
        _run_container(_absolute(path))
    else:
        _run_script(path)


def _run_container(path):
    _set_first_path(path)
    _become_main()
    try:
        _guarded(runpy._run_module_as_main, "__main__", False)
    except SystemExit as stop:
        if str(stop.code).startswith(f"{sys.executable}: can't find '__main__' module in"):
            stop.code += "\nnpx: name a file of it, or give it a __main__.py"
        raise


def _run_script(path):
    full = _absolute(path)
    try:
        with io.open_code(full) as file:
            content = file.read()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.orig_argv[0]}: can't open file {full!r}: {reason}", file=sys.stderr)
        print("npx: `python -m npx FILE` runs a file, `python -m npx -m NAME` a module", file=sys.stderr)
        sys.exit(2)
    _set_first_path(os.path.dirname(os.path.realpath(full)))
    compiled = pkgutil.read_code(io.BytesIO(content))
    loader = SourceFileLoader("__main__", full)
    _run_source(content if compiled is None else compiled, full, __file__=full, __cached__=None, __loader__=loader)


def _run_source(source, filename, **names):
    """Compile and run source, or run code, in `__main__`."""
    namespace = _become_main(**names)
    try:
        code = compile(source, filename, "exec", dont_inherit=True) if isinstance(source, (str, bytes)) else source
    except Exception as error:
        _show_from(None, error)
        raise
    _guarded(exec, code, namespace)


def _absolute(path):
    """The absolute path as Python forms it, which leaves ``.`` and ``..`` in it where it can."""
    return os.path.abspath(path) if os.name == "nt" else os.path.join(os.getcwd(), path)


def _become_main(**names):
    """Turn `__main__`, where npx's own entry point has run, into a new module; return its globals."""
    namespace = vars(sys.modules["__main__"])
    kept = {key: namespace[key] for key in ("__builtins__", "__annotations__") if key in namespace}
    namespace.clear()
    namespace.update(__name__="__main__", __doc__=None, __package__=None, __spec__=None, __loader__=BuiltinImporter)
    namespace.update(kept, **names)
    return namespace


def _set_first_path(folder):
    """Put `folder` where ``python -m`` has put the current one."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


# ------------------------------------------------------------------------------------------------- uncaught exceptions
def _guarded(run, *args):
    """Call `run`; the traceback of what it raises begins at what it called."""
    try:
        run(*args)
    except BaseException as error:
        _show_from(error.__traceback__.tb_next, error)
        _advise(error)
        raise


def _show_from(traceback, error):
    """Let the interpreter, which shows an uncaught exception when npx's own frames are done, begin at `traceback`."""
    hook = sys.excepthook

    def show(kind, value, whole):
        sys.excepthook = hook
        if value is not error:
            return hook(kind, value, whole)
        sys.last_traceback = traceback
        return hook(kind, value.with_traceback(traceback), traceback)

    sys.excepthook = show


def _advise(error):
    """Add a line on what to do where an npx array was refused for not being NumPy's."""
    if isinstance(error, AttributeError):  # names the class of the object, whatever the attribute
        return
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    with contextlib.suppress(Exception):  # from the exception's own `__str__`
        if not debug.is_own_file(last.tb_frame.f_code.co_filename) and _REFUSAL.search(str(error)):
            error.add_note(_ADVICE)
