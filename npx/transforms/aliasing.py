"""Whether arrays that a compiled function takes for separate ones lie in the same memory."""

import numpy

from npx.array.ndarray import ndarray, payload
from npx.array.views import root_of

#: how much work NumPy may spend on whether two interleaved arrays have an element in common
MOST_WORK = 10_000


def entangled(arrays, written):
    """Whether an array that is written to shares memory with another one.

    Parameters
    ----------
    arrays : list of array
    written : collection of int
        Positions of those that are written to.
    """
    together = {}  # owner of the memory -> positions
    for k, x in enumerate(arrays):
        together.setdefault(_owner(x), []).append(k)
    return any(
        _share(arrays[k], arrays[other])
        for positions in together.values()
        if len(positions) > 1
        for k in positions
        if k in written
        for other in positions
        if other != k
    )


def _owner(x):
    """What identifies the memory that an array looks into."""
    p = payload(x)
    if not isinstance(p, numpy.ndarray):
        return id(root_of(x)) if type(x) is ndarray else id(p)
    while isinstance(p.base, numpy.ndarray):
        p = p.base
    return id(p) if p.base is None else id(p.base)


def _share(x, y):
    """Whether two arrays with one owner have an element in common."""
    p, q = payload(x), payload(y)
    if not (isinstance(p, numpy.ndarray) and isinstance(q, numpy.ndarray)):
        return True
    try:
        return numpy.shares_memory(p, q, max_work=MOST_WORK)
    except numpy.exceptions.TooHardError:
        return True
