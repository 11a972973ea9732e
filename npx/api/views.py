"""Where views of functional payloads would lie, if the owner were C-contiguous host memory.

A stand-in has the shape, strides and relative address of an array, but no data behind it: it answers whether a reshape
can be a view, and whether two arrays overlap. It must not be read.
"""

import numpy
from numpy.lib.stride_tricks import as_strided

from npx.array.ndarray import ndarray, payload
from npx.array.views import root_of
from npx.dispatch.interpreter import Tracer
from npx.ops.index_specs import rebuild


def stand_in(x, roots=None):
    """The stand-in of an npx array, or None where it is a copy of gathered elements.

    Parameters
    ----------
    x : ndarray
    roots : dict, optional
        Stand-ins of owners so far, by id; arrays that are to be compared share it.
    """
    roots = {} if roots is None else roots
    if isinstance(x.home, numpy.ndarray):
        return x.home
    if x.view_ is None:
        return _stand_in_of_owner(x if x.base_ is None or isinstance(x.data_, numpy.ndarray) else root_of(x), roots)
    base = stand_in(x.base_, roots)
    if base is None or x.view_.arrays:
        return None
    return _step(base, x.view_.name, x.view_.params)


def _stand_in_of_owner(x, roots):
    if isinstance(x.home, numpy.ndarray):
        return x.home
    if isinstance(x.data_, numpy.ndarray):
        return x.data_
    found = roots.get(id(x))
    if found is None and isinstance(x.data_, Tracer):
        found = x.data_.interpreter.memory_of(x)
    if found is None:
        one, shape = numpy.empty(1, x.data_.dtype), tuple(x.data_.shape)
        strides = numpy.cumprod([one.itemsize, *shape[:0:-1]])[::-1] if shape else ()
        found = roots[id(x)] = as_strided(one, shape, tuple(map(int, strides)))
    return found


def _step(base, name, params):
    if name == "getitem":
        return base[rebuild(params["index"])]
    if name == "transpose":
        return base.transpose(params["axes"])
    if name == "reshape":
        return reshape_in_place(base, params["shape"])
    if name == "view_dtype":
        return base.view(params["dtype"])
    if name == "as_pairs":
        return base.view(base.real.dtype)
    if name == "from_pairs":
        return base.view(numpy.result_type(base.dtype, numpy.complex64))
    if name in ("real", "imag"):
        return getattr(base, name)
    return getattr(numpy, name)(base, **params)


def reshape_in_place(stand, shape):
    """The stand-in in another shape, or None where that would need a copy."""
    view = stand.view()
    try:
        numpy.ndarray.shape.__set__(view, shape)
    except AttributeError:
        return None
    return view


def lies_in_order(x, order):
    """Whether an array would lie in memory in the order that is asked for; without one it always does."""
    if order not in ("C", "F"):
        return True
    lies = stand_in(x)
    return lies is not None and (lies.flags.c_contiguous if order == "C" else lies.flags.f_contiguous)


def stand_ins(*arrays):
    """Stand-ins of several arrays, lying together as the arrays do; an array that shares with no other is empty."""
    roots = {}
    return [_shared(a, roots) for a in arrays]


def _shared(a, roots):
    p = payload(a)
    stand = stand_in(a, roots) if isinstance(a, ndarray) else p if isinstance(p, numpy.ndarray) else None
    return numpy.empty(0) if stand is None else stand
