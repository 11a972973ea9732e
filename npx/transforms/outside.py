"""The arrays that a function finds outside, put back to what they were where it runs more than once in one call.

Each of the runs starts from what the arrays held before the first one; in the end they hold what the run with the last
element made of them.
"""

import numpy

from npx.array.memory import Box, protect_memory, save
from npx.array.ndarray import ndarray
from npx.array.views import restore, root_of, write
from npx.dispatch.interpreter import Tracer

from .closure import CONTAINERS, DEPTH

#: what no array is looked for in
OPAQUE = (type, type(numpy), type(lambda: None), type(len), str, int, float, type(None), numpy.ndarray, numpy.generic)


#: items of a container or object that are looked through in each call
MOST_ITEMS = 1000


def arrays_of(surroundings, arguments):
    """The owners of the npx arrays that a function can write to: from outside, and among its arguments."""
    found = {}
    for value in (*surroundings.values(), *arguments):
        _collect(value, found, DEPTH)
    return list(found.values())


def _collect(value, found, depth):
    if type(value) is ndarray:
        if not value.scalar:
            root = root_of(value)
            found[id(root)] = root
        return
    items = _items(value) if depth else ()
    if len(items) <= MOST_ITEMS:
        for item in list(items):
            _collect(item, found, depth - 1)


def _items(value):
    """What a container or an object holds."""
    if isinstance(value, CONTAINERS):
        return value.values() if isinstance(value, dict) else value
    if isinstance(value, OPAQUE):
        return ()
    attributes = getattr(value, "__dict__", None)
    return attributes.values() if isinstance(attributes, dict) else ()


class Outside:
    """What arrays from outside held before a function ran.

    Parameters
    ----------
    owners : list of ndarray
        Those that are known beforehand; `note` finds others.
    """

    def __init__(self, owners):
        self.before = {id(root): (root, _saved(root)) for root in owners}
        self.final = {}  # id -> (owner, payload): what the run with the last element left

    def note(self, interpreter):
        """Note the arrays that a run has lifted to tracers, before these are settled."""
        for ref in interpreter.lifted:
            root = ref()
            if root is not None and id(root) not in self.before and abs(root.birth) < interpreter.birth:
                held = interpreter.replaced.get(id(root)) if root.home is None else root.home.copy()
                if held is not None:
                    self.before[id(root)] = (root, Box(held))

    def keep(self):
        """Remember what the arrays hold now: they shall hold it in the end."""
        for key, (root, box) in self.before.items():
            if _changed(root, box):
                held = root.data_
                self.final[key] = (root, held.copy() if isinstance(held, numpy.ndarray) else held)

    def put_back(self):
        """Give the arrays what they held before."""
        for key, (root, box) in self.before.items():
            if _changed(root, box):
                _give(root, box.value)
                self.before[key] = (root, _saved(root))

    def finish(self):
        """Give the arrays what the run with the last element left in them."""
        for root, value in self.final.values():
            _give(root, value)


def _saved(root):
    return save(root.data_)


def _changed(root, box):
    """Whether an owner holds something else than its box, which gets a copy of memory that is written to."""
    return root.data_ is not box.value


def _give(root, value):
    """Let an owner hold a value, whatever it holds now."""
    now = root.data_
    if isinstance(now, Tracer) and now.interpreter.captures and not isinstance(value, Tracer):
        value = now.interpreter.capture(value, root)
    if isinstance(value, numpy.ndarray) and isinstance(now, numpy.ndarray):
        protect_memory(now)
        numpy.copyto(now, value)
    elif isinstance(value, numpy.ndarray) and root.home is not None:
        numpy.copyto(root.home, value)
        restore(root, root.home)
    else:
        write(root, value)
