"""Implementations derived from a module that carries NumPy's names, such as ``jax.numpy`` and ``cupy``.

The module's functions are taken by name. What differs between such modules and NumPy is mostly the choice of dtypes, so
operands are brought to the dtypes of NumPy's own loop before the call, and the result to the dtype that the op's rule
gives. Types that the module lacks run on the host, counted.
"""

from collections.abc import Mapping

import numpy

from npx.dispatch import registry
from npx.dispatch.abstract import (
    SCALAR_TYPES,
    DataDependentShape,
    Hole,
    Slice,
    aval_of,
    result_dtype,
    type_key,
    ufunc_dtypes,
)
from npx.dispatch.debug import count_round_trip
from npx.ops.index_specs import rebuild

EVERY = slice(None)

#: which operands take the dtype of the result before the call
TO_RESULT = {
    "astype": EVERY,
    "concatenate": EVERY,
    "correlate": EVERY,
    "cumprod": EVERY,
    "cumsum": EVERY,
    "dot": EVERY,
    "einsum": EVERY,
    "make_complex": EVERY,
    "prod": EVERY,
    "setitem": slice(2),
    "add_at": slice(2),
    "sum": EVERY,
    "where": slice(1, 3),
}

#: ops whose operands take their common dtype
TO_COMMON = {"searchsorted"}

COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}

#: dtypes of numbers that GPUs and XLA know; those of ml_dtypes join where a module has them
NUMBERS = frozenset(map(numpy.dtype, "?bhilqBHILQefdFD"))


def structural_functions(xp):
    """The functions of ops whose params NumPy does not take by the same names, or whose operands it takes in a list."""
    return {
        "astype": lambda x, dtype: x,
        "concatenate": lambda *xs, axis: xp.concatenate(xs, axis=axis),
        "copy": lambda x: x,
        "cumprod": lambda x, axis, dtype=None: xp.cumprod(x, axis=axis),
        "cumsum": lambda x, axis, dtype=None: xp.cumsum(x, axis=axis),
        "cummax": lambda x, axis: xp.maximum.accumulate(x, axis=axis),
        "cummin": lambda x, axis: xp.minimum.accumulate(x, axis=axis),
        "einsum": lambda *xs, subscripts: xp.einsum(subscripts, *xs),
        "fft": lambda x, axis: xp.fft.fft(x, axis=axis),
        "ifft": lambda x, axis: xp.fft.ifft(x, axis=axis, norm="forward"),
        "irfft": lambda x, axis, n: xp.fft.irfft(x, n, axis=axis, norm="forward"),
        "lexsort": lambda *keys, axis: xp.lexsort(keys, axis=axis),
        "nonzero": lambda x: xp.stack(xp.nonzero(x)),
        "getitem": lambda x, *arrays, index: x[rebuild(index, arrays)],
        "prod": lambda x, axis, keepdims=False, dtype=None: xp.prod(x, axis=axis, keepdims=keepdims),
        "view_dtype": lambda x, dtype: x.view(dtype),
        "repeat": lambda x, repeats, axis: xp.repeat(x, repeats[0] if len(repeats) == 1 else list(repeats), axis=axis),
        "rfft": lambda x, axis: xp.fft.rfft(x, axis=axis),
        "sum": lambda x, axis, keepdims=False, dtype=None: xp.sum(x, axis=axis, keepdims=keepdims),
    }


#: ops whose operands and params are those of the function that has their name
SAME_CALL = (
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "broadcast_to",
    "correlate",
    "diagonal",
    "dot",
    "imag",
    "max",
    "min",
    "packbits",
    "partition",
    "real",
    "reshape",
    "searchsorted",
    "sort",
    "transpose",
    "unpackbits",
    "where",
)


class NumpyLike(Mapping):
    """Op name -> implementation, built when it is first asked for.

    Parameters
    ----------
    name : str
        The backend's name.
    xp : module
        Its functions serve every ufunc and every op in `SAME_CALL`.
    functions : mapping of str to callable
        Op name -> function to take instead; it gets arrays in the dtypes of NumPy's loop, and the op's params.
    put : callable
        ``put(host array or scalar, dtype) -> array``.
    cast : callable
        ``cast(array, dtype) -> array``.
    to_host : callable
        ``to_host(array) -> numpy.ndarray``.
    is_array : callable
        Whether a value is the module's own array.
    is_concrete : callable, optional
        Whether the elements of an array can be looked at now.
    dtypes : collection of numpy.dtype, optional
        What arrays can hold.
    """

    def __init__(
        self, name, xp, functions, *, put, cast, to_host, is_array, is_concrete=lambda array: True, dtypes=NUMBERS
    ):
        same = {op: getattr(xp, op) for op in SAME_CALL if hasattr(xp, op)}
        self.name, self.xp = name, xp
        self.functions = {**same, **structural_functions(xp), **functions}
        self.put, self.cast, self.to_host, self.dtypes = put, cast, to_host, dtypes
        self.is_array, self.is_concrete = is_array, is_concrete
        self._ready = {}

    def function(self, op):
        """The function behind `op`; None where there is none."""
        found = self.functions.get(op.name)
        if found is None and isinstance(op.spec, numpy.ufunc):
            found = getattr(self.xp, op.name, None)
        return found

    def __getitem__(self, name):
        if name not in self._ready:
            op = registry.OPS[name]
            if self.function(op) is None:
                raise KeyError(name)
            self._ready[name] = lambda *args, **params: self.apply(op, args, tuple(map(aval_of, args)), params)
        return self._ready[name]

    def __iter__(self):
        return (name for name, op in registry.OPS.items() if self.function(op) is not None)

    def __len__(self):
        return sum(1 for _ in self)

    def apply(self, op, args, avals, params):
        """Run `op`, which has a function, on arrays and scalars described by `avals`."""
        try:
            outs = op.abstract(avals, params)
        except DataDependentShape:
            if not all(self.is_concrete(a) for a in args if self.is_array(a)):
                raise
            result = self.function(op)(*self._operands(op, args, [a.dtype for a in avals]), **params)
            return self._result(result, result.dtype)
        dtypes = self._operand_dtypes(op, avals, outs)
        if not self.dtypes.issuperset((*dtypes, *(out.dtype for out in outs))):
            return self.on_host(op, args, params)
        if "index" in params:
            self._check_bounds(args, avals[0].shape, params["index"])
        elif op.name in COMPARISONS and any(map(_overflows, args, dtypes)):
            return self._compare_overflowing(op, args, dtypes, outs[0])
        result = self.function(op)(*self._operands(op, args, dtypes), **params)
        if op.nout == 1:
            return self._result(result, outs[0].dtype)
        return tuple(self._result(r, out.dtype) for r, out in zip(result, outs))

    def _operand_dtypes(self, op, avals, outs):
        """The dtypes in which the function shall get its operands: those of the loop that NumPy would run."""
        if isinstance(op.spec, numpy.ufunc):
            return ufunc_dtypes(op.spec, tuple(map(type_key, avals)), op.nout)[: len(avals)]
        if op.name in TO_COMMON:
            return [result_dtype(*avals)] * len(avals)
        dtypes = [a.dtype for a in avals]
        taken = slice(1) if "." in op.name else TO_RESULT.get(op.name, slice(0))  # a dot: a method of a ufunc
        dtypes[taken] = [outs[0].dtype] * len(dtypes[taken])
        return dtypes

    def _operands(self, op, values, dtypes):
        """The arrays to call the function with; scalars for functions that broadcast."""
        keep_scalars = op.kind in ("elementwise", "indexing")
        for value, dtype in zip(values, dtypes):
            if isinstance(value, (*SCALAR_TYPES, numpy.generic)):
                scalar = numpy.asarray(value, dtype)  # raises OverflowError for an int that does not fit, as NumPy does
                yield scalar[()] if keep_scalars else self.put(scalar, dtype)
            else:
                yield self._result(value, dtype)

    def _result(self, value, dtype):
        if self.is_array(value):
            return value if value.dtype == dtype else self.cast(value, dtype)
        return self.put(value, dtype)

    def _compare_overflowing(self, op, args, dtypes, out):
        """A comparison with a Python int beyond the other operand's dtype: every element compares as 0 does."""
        value = op.spec(*(a if _overflows(a, dtype) else 0 for a, dtype in zip(args, dtypes)))
        return self.put(numpy.full(out.shape, value), out.dtype)

    def _check_bounds(self, args, shape, index):
        """Raise IndexError where an index operand whose elements are known points outside."""
        axis = 0
        indices = args[len(args) - len({entry.k for entry in index if type(entry) is Hole}) :]
        for entry in index:
            if type(entry) is Hole:
                self._check_axis(indices[entry.k], axis, shape[axis])
            axis += type(entry) in (int, Slice, Hole)

    def _check_axis(self, places, axis, n):
        on_device = self.is_array(places)
        if numpy.size(places) == 0 or (on_device and not self.is_concrete(places)):
            return
        xp = self.xp if on_device else numpy
        low, high = int(xp.min(places)), int(xp.max(places))
        if low < -n or high >= n:
            raise IndexError(f"index {low if low < -n else high} is out of bounds for axis {axis} with size {n}")

    def on_host(self, op, args, params):
        """Run `op` on the host, counted; a result that the module's arrays cannot hold stays there."""
        count_round_trip(op.name, self.name)
        out = op(*(self.to_host(a) if self.is_array(a) else a for a in args), **params)
        return self._return(out) if op.nout == 1 else tuple(map(self._return, out))

    def _return(self, value):
        value = numpy.asarray(value)
        return self.put(value, value.dtype) if value.dtype in self.dtypes else value


def _overflows(value, dtype):
    """Whether `value` is a Python int that `dtype`, an integer type, cannot hold."""
    if type(value) is not int or dtype.kind not in "iu":
        return False
    limits = numpy.iinfo(dtype)
    return not limits.min <= value <= limits.max
