"""The other array methods: those that NumPy forwards to its Python layer, and small ones."""

from npx import numpy_layer
from npx.api.shaping import diagonal
from npx.api.support import METHODS, deliver, method
from npx.array.ndarray import payload, wrap
from npx.dispatch.payloads import conj, ops

#: method -> the function of `numpy._core._methods` that NumPy's C code calls for it
_IN_PYTHON = {
    "sum": "_sum",
    "prod": "_prod",
    "max": "_amax",
    "min": "_amin",
    "any": "_any",
    "all": "_all",
    "mean": "_mean",
    "var": "_var",
    "std": "_std",
    "clip": "_clip",
}


def _forward(name, target):
    def method_of(self, *args, **kwargs):
        return getattr(numpy_layer.module("numpy._core._methods"), target)(self, *args, **kwargs)

    method_of.__name__, method_of.__doc__ = name, f"`ndarray.{name}`."
    METHODS[name] = method_of


for _name, _target in _IN_PYTHON.items():
    _forward(_name, _target)


@method("trace")
def trace(self, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    """`ndarray.trace`."""
    return diagonal(self, offset, axis1, axis2).sum(-1, dtype=dtype, out=out)


@method("conj", "conjugate")
def conjugate(self):
    """`ndarray.conj`: a real array itself."""
    return wrap(conj(payload(self))) if self.dtype.kind == "c" else self


@method("round")
def round(self, decimals=0, out=None):
    """`ndarray.round`."""
    p = payload(self)
    if p.dtype.kind in "iu":
        return _round_integers(p, decimals, out)
    if p.dtype.kind == "c":
        halves = [_rounded(getattr(ops, part)(p), decimals) for part in ("real", "imag")]
        return deliver(ops.add(halves[0], ops.multiply(halves[1], 1j)), out)
    return deliver(_rounded(p, decimals), out)


def _round_integers(p, decimals, out):
    if decimals >= 0:
        return deliver(ops.copy(p), out)
    return deliver(ops.astype(_rounded(p, decimals), dtype=p.dtype), out)


def _rounded(p, decimals):
    """Scale, round to an integer, scale back: NumPy's own three steps."""
    if decimals == 0:
        return ops.rint(p)
    factor = float(10 ** abs(decimals))
    first, last = (ops.multiply, ops.divide) if decimals > 0 else (ops.divide, ops.multiply)
    return last(ops.rint(first(p, factor)), factor)


@method("fill")
def fill(self, value):
    """`ndarray.fill`."""
    self[...] = value


def _refuse(name):
    def method_of(self, *args, **kwargs):
        raise TypeError(f"{name} needs an array in host memory that no transform is tracing")

    method_of.__name__, method_of.__doc__ = name, f"`ndarray.{name}`, which only host memory has."
    METHODS[name] = method_of


for _name in ("resize", "setfield", "getfield", "setflags", "byteswap"):
    _refuse(_name)
