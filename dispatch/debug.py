"""`NPX_DEBUG`, the user's source line, and the counts behind ``python -m npx --report``."""

import collections
import contextlib
import os
import sys
import threading
from typing import NamedTuple

#: the stages whose text goes to stderr: any of dispatch, graph, rewrite, jit, vmap (comma separated)
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
    """A round trip through the host, or a loop over the elements of `vmap`, in strict mode (``NPX_STRICT=1``)."""


def count_round_trip(op_name, backend_name):
    """Note that `op_name` has no implementation on `backend_name` and runs on the host."""
    line = user_line()
    if os.environ.get("NPX_STRICT") == "1":
        raise StrictError(f"{op_name} is not implemented by the {backend_name} backend ({line})")
    round_trips[op_name, backend_name, line] += 1
    log("dispatch", f"{op_name}: {backend_name} -> host -> {backend_name} at {line}")


#: (op name, user's line) -> number of times that vmap called the op once per element, for want of a batch rule
loops = collections.Counter()
#: (what Python asked for, user's line) -> number of times that vmap divided the elements by their answers
splits = collections.Counter()


def count_loop(op_name, size):
    """Note that `op_name` is called once for each of `size` elements."""
    line = user_line()
    if os.environ.get("NPX_STRICT") == "1" and size > 1:
        raise StrictError(f"{op_name} would be called once for each of {size} elements under vmap ({line})")
    loops[op_name, line] += 1
    log("vmap", f"{op_name}: one call for each of {size} elements at {line}")
    _note(Event("loop", op_name, size, line))


def count_split(reason, n_answers, size):
    """Note that the elements have `n_answers` answers to a question of Python's: the function runs once for each.

    Answers that all differ leave each element to itself, which is a loop.
    """
    line = user_line()
    if n_answers == size > 2:
        count_loop(reason, size)
    splits[reason, line] += 1
    log("vmap", f"{reason}: {n_answers} answers for {size} elements at {line}")
    _note(Event("split", reason, n_answers, line))


class Event(NamedTuple):
    """What `vmap` notes: a loop over `number` elements, or a split of them by `number` answers."""

    kind: str
    what: str
    number: int
    line: str | None


_watched = threading.local()


def _note(event):
    for events in getattr(_watched, "lists", ()):
        events.append(event)


@contextlib.contextmanager
def watching():
    """Within the block, a list gets what this thread's `vmap` notes."""
    _watched.lists = [*getattr(_watched, "lists", ()), []]
    events = _watched.lists[-1]
    try:
        yield events
    finally:
        _watched.lists = [other for other in _watched.lists if other is not events]
