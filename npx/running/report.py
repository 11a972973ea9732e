"""``python -m npx --report``: what the program called, on which payloads, from which lines, and how long it took.

The functions, ufuncs and array methods that the program sees are wrapped before it starts; npx's own code calls the
unwrapped ones, or is recognised by its frame. Nothing here is imported without the option.
"""

import atexit
import collections
import functools
import os
import sys
import threading
import time
import types

import numpy

import npx
from npx import array, namespace, random
from npx.array.ndarray import ndarray
from npx.array.ufunc import ufunc
from npx.dispatch import debug
from npx.dispatch.interpreter import Tracer
from npx.dispatch.registry import backend_for
from npx.running import binding, hooks
from npx.transforms.jit import Jitted

_FOLDER = os.path.join(os.getcwd(), "")

#: rows of a table; the rest is summed up in one
MOST_ROWS = 25
#: accesses by an integer index, on one line, from which on it is reported as a Python loop
LOOP = 1000

#: what hands values to Python or to other libraries
CONVERSIONS = frozenset(
    "__array__ __bool__ __complex__ __dlpack__ __float__ __format__ __index__ __int__ __repr__ __str__ item tobytes "
    "tofile tolist".split()
)
#: special methods that are counted, besides these and the operators
ACCESSES = ("__getitem__", "__setitem__", "__contains__")

#: special method -> name of the ufunc that is meant, as NumPy's own mixin class has it
OPERATORS = {
    name: method.__closure__[0].cell_contents.__name__
    for name, method in vars(numpy.lib.mixins.NDArrayOperatorsMixin).items()
    if isinstance(method, types.FunctionType) and method.__closure__
}


_FUNCTIONS = (types.FunctionType, type(array))  # Cython's have a type of their own


class Tally:
    """What one thread has counted; each value is the number of calls and their seconds."""

    def __init__(self):
        new = lambda: collections.defaultdict(lambda: [0, 0.0])
        self.calls = new()  # (name, kind of payload)
        self.lines = new()  # line
        self.loops = new()  # line
        self.conversions = new()  # (name, kind of payload, line)
        self.depth = 0  # calls that are running: only the outermost counts for the whole time
        self.seconds = 0.0

    def add(self, other):
        """Add what another thread has counted."""
        for mine, theirs in ((getattr(self, key), getattr(other, key)) for key in TABLES):
            for key, (count, seconds) in theirs.items():
                mine[key][0] += count
                mine[key][1] += seconds
        self.seconds += other.seconds


TABLES = ("calls", "lines", "loops", "conversions")


class _Tallies(threading.local):
    def __init__(self):
        self.mine = Tally()
        _all_tallies.append(self.mine)


_all_tallies = []
_tallies = _Tallies()


# ------------------------------------------------------------------------------------------------- counting
def _counted(function, name):
    """`function`, counted where it is called from outside npx and NumPy."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        frame = sys._getframe(1)
        if _is_own(frame, name):
            return function(*args, **kwargs)
        tally = _tallies.mine
        tally.depth += 1
        start = time.perf_counter()
        result = None
        try:
            result = function(*args, **kwargs)
        finally:
            seconds = time.perf_counter() - start
            tally.depth -= 1
            _note(tally, name if isinstance(name, str) else name(args[0]), args, kwargs, result, frame, seconds)
        return result

    return call


def _note(tally, name, args, kwargs, result, frame, seconds):
    kind = _kind((*args, *kwargs.values(), result))
    line = _line(frame)
    entries = [tally.calls[OPERATORS.get(name, name.strip("_")), kind], tally.lines[line]]
    if name in CONVERSIONS and kind != "host":
        entries.append(tally.conversions[name, kind, line])
    if name in ACCESSES and len(args) > 1 and _is_integer(args[1]):
        entries.append(tally.loops[line])
    for entry in entries:
        entry[0] += 1
        entry[1] += seconds
    if not tally.depth:
        tally.seconds += seconds


def _is_own(frame, name):
    """Whether npx calls, or NumPy; a made-up name of a file may be the user's: ``<string>``, ``<stdin>``."""
    while name in CONVERSIONS and frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("numpy."):
        frame = frame.f_back  # NumPy converts for its own caller
    filename = frame.f_code.co_filename
    return not binding.called_by_user(frame) if filename.startswith("<") else debug.is_own_file(filename)


def _line(frame):
    """``file:line`` of the innermost frame of the user's, else of the caller."""
    caller = frame
    while frame is not None and not binding.is_of_user(frame.f_globals):
        frame = frame.f_back
    frame = frame or caller
    return f"{frame.f_code.co_filename.removeprefix(_FOLDER)}:{frame.f_lineno}"


def _is_integer(index):
    """Whether an index picks one element, or one row."""
    return isinstance(index, (int, numpy.integer)) or (type(index) is tuple and index and all(map(_is_integer, index)))


def _kind(values):
    """``"traced"`` where a tracer is among the values, else the backend of a device array, else ``"host"``."""
    found = "host"
    for x in values:
        if isinstance(x, (list, tuple)) and len(x) < 100:
            kind = _kind(x)
        elif type.__instancecheck__(ndarray, x):  # and no array of NumPy's, which `isinstance` takes too
            p = x.data_
            if isinstance(p, Tracer):
                return "traced"
            kind = "host" if isinstance(p, numpy.ndarray) else backend_for(type(p)).name
        else:
            continue
        if kind != "host":
            found = kind
    return found


# ------------------------------------------------------------------------------------------------- switching it on
def start():
    """Count from now on, and write the report when the program ends."""
    _count_functions()
    hooks.set_members(ndarray, dict(_methods_of(ndarray)))
    hooks.set_members(ufunc, dict(_methods_of_ufuncs()))
    Jitted.__call__ = _counted(Jitted.__call__, lambda self: f"jit({getattr(self, '__name__', 'function')})")
    debug.not_of_user.append(binding.is_installed)
    atexit.register(_finish, os.getpid(), time.perf_counter())


def _count_functions():
    """Wrap the functions of the namespaces, those made so far and those to come."""
    expose_function = namespace._expose_function

    def counted(real, module):
        function = expose_function(real, module)
        return _counted(function, _name_in(function, getattr(function, "__module__", None) or module))

    namespace._expose_function = counted
    made = {}  # id of a function -> its counted version, one for all the places where it is found
    for key, (real, ours) in list(namespace._exposed.items()):
        if isinstance(ours, _FUNCTIONS):
            made[id(ours)] = _counted(ours, _name_in(ours, ours.__module__))
            namespace._exposed[key] = real, made[id(ours)]
    for module in (npx, random):
        for name, value in list(vars(module).items()):
            if isinstance(value, _FUNCTIONS) and not name.startswith("_"):
                setattr(module, name, made.get(id(value)) or _counted(value, _name_in(value, module.__name__)))
    for cls in (random.Generator, random.RandomState):
        for name, method in list(vars(cls).items()):
            if callable(method) and not name.startswith("_"):
                setattr(cls, name, _counted(method, f"random.{name}"))


def _name_in(function, module):
    """``linalg.inv`` for `npx.linalg.inv`."""
    return f"{module}.{function.__name__}".removeprefix("npx.")


def _methods_of(cls):
    """The counted versions of the operators, accesses, conversions and public methods of the array class."""
    for name, member in list(vars(cls).items()):
        special = name in OPERATORS or name in ACCESSES or name in CONVERSIONS
        if callable(member) and not isinstance(member, type) and (special or not name.startswith("_")):
            yield name, _counted(member, name)


def _methods_of_ufuncs():
    yield "__call__", _counted(ufunc.__call__, lambda self: self.__name__)
    for method in ("reduce", "accumulate", "reduceat", "outer", "at"):
        yield method, _counted(getattr(ufunc, method), lambda self, method=method: f"{self.__name__}.{method}")


# ------------------------------------------------------------------------------------------------- the report
def _finish(process, began):
    if os.getpid() != process:  # a fork's copy of what the parent counts
        return
    whole = time.perf_counter() - began
    tally = Tally()
    for one in _all_tallies:
        tally.add(one)
    sys.stdout.flush()
    print(text(tally, whole, debug.round_trips, debug.loops), file=sys.stderr)


def text(tally, whole, round_trips, element_calls):
    """The report.

    Parameters
    ----------
    tally : Tally
    whole : float
        Seconds that the program took.
    round_trips, element_calls : Counter
        `npx.dispatch.debug.round_trips` and `loops`.
    """
    count = sum(calls for calls, _ in tally.calls.values())
    trips = [
        (f"{str(line).removeprefix(_FOLDER)}  {op} ({backend})", n, None)
        for (op, backend, line), n in round_trips.items()
    ]
    conversions = [
        (f"{line}  {name.strip('_')} ({kind})", *entry) for (name, kind, line), entry in tally.conversions.items()
    ]
    per_element = [(f"{str(line).removeprefix(_FOLDER)}  {op}", n, None) for (op, line), n in element_calls.items()]
    loops = [(line, *entry) for line, entry in tally.loops.items() if entry[0] >= LOOP]
    parts = [
        f"npx {npx.__version__}: {whole:.3f} s, of which {tally.seconds:.3f} s in {count} calls of npx",
        _table_of_calls(tally.calls),
        _table("lines that took longest", [(line, *entry) for line, entry in tally.lines.items()]),
        _table("round trips through the host", trips),
        _table("values handed to Python or to other libraries", conversions),
        _table("called once per element under vmap", per_element),
        _table("Python loops over elements or rows", loops),
    ]
    return "\n\n".join(filter(None, parts))


def _table_of_calls(calls):
    """One row for each name, one column for each kind of payload."""
    kinds = sorted({kind for _, kind in calls}, key=lambda kind: (kind != "host", kind == "traced", kind))
    rows = collections.defaultdict(lambda: [0] * len(kinds) + [0.0])
    for (name, kind), (count, seconds) in calls.items():
        rows[name][kinds.index(kind)] += count
        rows[name][-1] += seconds
    return _table("calls", [(name, *row) for name, row in rows.items()], kinds)


def _table(title, rows, heads=("times",)):
    """Rows of a text, counts, and seconds or None; those that took longest, or happened most, come first."""
    if not rows:
        return ""
    timed = rows[0][-1] is not None
    rows = sorted(rows, key=lambda row: (-row[-1] if timed else -row[1], row[0]))
    left = rows[MOST_ROWS:]
    if left:
        sums = [sum(column) for column in list(zip(*left))[1 : len(heads) + 1]]
        rows = [*rows[:MOST_ROWS], (f"{len(left)} more", *sums, sum(row[-1] for row in left) if timed else None)]
    width = max(len(title), *(len(row[0]) + 2 for row in rows))
    lines = [title.ljust(width) + "".join(f"{head:>10}" for head in heads) + (f"{'seconds':>10}" if timed else "")]
    for name, *counts, seconds in rows:
        cells = "".join(f"{count:>10}" for count in counts)
        lines.append(f"  {name}".ljust(width) + cells + (f"{seconds:>10.6f}" if timed else ""))
    return "\n".join(lines)
