"""Abstract values: the shape and dtype that a payload has, without its data."""

import functools
from typing import NamedTuple

import numpy

from .aval import Aval, aval_of, typed, weak_aval  # noqa: F401  the names that others import from here

SCALAR_TYPES = (bool, int, float, complex)


class Slice(NamedTuple):
    """A slice in an index spec: hashable, entries are ints or None."""

    start: int | None = None
    stop: int | None = None
    step: int | None = None


class Hole(NamedTuple):
    """The place of the k-th index operand in an index spec."""

    k: int


class Mask(NamedTuple):
    """A single truth value in an index spec: an advanced index of length 1 or 0 that covers no axis."""

    value: bool
    kind: str = "mask"  # keeps Mask(True) and Hole(1) different keys


class Varying(int):
    """The length of an axis that differs along an axis mapped over; as an int, the most that it can be.

    A subclass says with `true_length` what to answer where Python asks for it, and with ``tag(value, shape)`` how a
    payload that was made for a shape with this length is known to have it.
    """

    __slots__ = ()


class DataDependentShape(TypeError):
    """Raised by the rule of an op whose result shape depends on the operands' values: make tracers concrete first."""


def type_key(aval):
    """What NumPy's promotion sees of a value: its dtype, or the Python type of a weak scalar."""
    return aval.weak or aval.dtype


def result_dtype(*avals):
    """NumPy's ``result_type`` over abstract values (NEP 50)."""
    return _result_dtype(tuple(type_key(a) for a in avals))


_WEAK_SAMPLE = {int: 0, float: 0.0, complex: 0j}
_PYTHON_TYPES = {numpy.dtype(t): kind for t, kind in (("i8", int), ("u8", int), ("f8", float), ("c16", complex))}


@functools.lru_cache(4096)
def _result_dtype(keys):
    return numpy.result_type(*(_WEAK_SAMPLE.get(k, k) if isinstance(k, type) else k for k in keys))


def broadcast_shape(*shapes):
    """The common shape; ValueError in NumPy's words where there is none."""
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    try:
        return numpy.broadcast_shapes(*shapes)
    except ValueError:
        listed = " ".join(str(s).replace(" ", "") for s in shapes)
        raise ValueError(f"operands could not be broadcast together with shapes {listed} ") from None


@functools.lru_cache(8192)
def ufunc_dtypes(ufunc, keys, nout):
    """Operand and result dtypes of the loop that `ufunc` takes for operands described by `keys` (see `type_key`).

    Raises
    ------
    TypeError
        As NumPy does, where no loop takes these operands.
    """
    return ufunc.resolve_dtypes(keys + (None,) * nout)


def ufunc_rule(ufunc, nin, nout):
    """The shape and dtype rule of a NumPy ufunc without core dimensions."""

    def rule(avals, params):
        keys = tuple(a.weak or a.dtype for a in avals)
        dtypes = ufunc_dtypes(ufunc, keys, nout)[nin:]
        shape = broadcast_shape(*(a.shape for a in avals))
        weak = avals and all(a.weak for a in avals)  # Python scalars only: the result is one too
        outs = tuple(Aval(shape, d, _PYTHON_TYPES.get(d) if weak else None) for d in dtypes)
        return outs[0] if nout == 1 else outs

    return rule
