"""`NPX_DEBUG`, the user's source line, and the counts behind ``python -m npx --report``."""

import collections
import os
import sys

#: the stages whose text goes to stderr: any of dispatch, graph, rewrite, jit (comma separated)
STAGES = frozenset(filter(None, os.environ.get("NPX_DEBUG", "").split(",")))

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_IN_REPOSITORY = os.path.isdir(os.path.join(_ROOT, "npx"))  # else installed: everything lies in the package npx
_OWN = tuple(os.path.join(_ROOT, d, "") for d in (("npx", "dispatch", "kernels") if _IN_REPOSITORY else ("",)))
_NUMPY = os.sep + "numpy" + os.sep


def log(stage, text):
    """Write `text` to stderr where `NPX_DEBUG` names `stage`."""
    if stage in STAGES:
        print(f"npx.{stage}: {text}", file=sys.stderr)


def is_own_file(filename):
    """Whether a code object's file belongs to npx or to NumPy (and not to the user)."""
    return filename.startswith(_OWN) or _NUMPY in filename or filename.startswith("<")


#: functions of a file's name that know more files that are not the user's: those of installed packages, for the runner
not_of_user = []


def user_line():
    """``file:line`` of the innermost frame outside npx and NumPy, or None."""
    frame = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if not is_own_file(filename) and not any(other(filename) for other in not_of_user):
            return f"{filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None


#: (op name, backend name, user's line) -> number of round trips through the host
round_trips = collections.Counter()


class StrictError(RuntimeError):
    """A round trip through the host, in strict mode (``NPX_STRICT=1``)."""


def count_round_trip(op_name, backend_name):
    """Note that `op_name` has no implementation on `backend_name` and runs on the host."""
    line = user_line()
    if os.environ.get("NPX_STRICT") == "1":
        raise StrictError(f"{op_name} is not implemented by the {backend_name} backend ({line})")
    round_trips[op_name, backend_name, line] += 1
    log("dispatch", f"{op_name}: {backend_name} -> host -> {backend_name} at {line}")


#: (op name, user's line) -> number of times that vmap called the op once per element, for want of a batch rule
loops = collections.Counter()


def count_loop(op_name):
    """Note that `op_name` is called once per element."""
    line = user_line()
    loops[op_name, line] += 1
    log("dispatch", f"{op_name}: one call per element under vmap at {line}")
