"""Python's operators on tracers, and the few array methods with which rules are written: each calls an op."""

import operator

import numpy

from npx.dispatch.abstract import SCALAR_TYPES
from npx.dispatch.interpreter import Tracer, install_operator
from npx.dispatch.payloads import ops
from npx.dispatch.registry import BACKENDS

UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}
COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
#: the operators that have a reflected form
BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "divmod": "divmod",
    "pow": "power",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}


def is_payload(x):
    """Whether an operand may go to an op: anything else decides itself what the operator does."""
    if isinstance(x, (numpy.ndarray, numpy.generic, Tracer, *SCALAR_TYPES)):
        return True
    return any(isinstance(x, backend.payload_type) for backend in BACKENDS.values())


def binary(name):
    """The methods ``x @ y`` and, reflected, ``y @ x`` of the op `name`."""

    def forward(self, other):
        return getattr(ops, name)(self, other) if is_payload(other) else NotImplemented

    def reflected(self, other):
        return getattr(ops, name)(other, self) if is_payload(other) else NotImplemented

    return forward, reflected


def unary(name):
    return lambda self: getattr(ops, name)(self)


for python, name in UNARY.items():
    install_operator(f"__{python}__", unary(name))
for python, name in COMPARISONS.items():
    install_operator(f"__{python}__", binary(name)[0])
for python, name in BINARY.items():
    forward, reflected = binary(name)
    install_operator(f"__{python}__", forward)
    install_operator(f"__r{python}__", reflected)


def reshape(self, *shape):
    """``x.reshape(2, 3)`` or ``x.reshape((2, 3))``; one length may be -1."""
    shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
    return ops.reshape(self, shape=numpy.broadcast_to(numpy.False_, self.shape).reshape(shape).shape)


def total(self, axis=None, dtype=None, keepdims=False):
    """``x.sum()``, in NumPy's dtype."""
    axis = range(self.ndim) if axis is None else axis if isinstance(axis, tuple) else (operator.index(axis),)
    axis = tuple(sorted(a % self.ndim for a in axis))
    dtype = numpy.add.resolve_dtypes((None, self.dtype, None), reduction=True)[2] if dtype is None else dtype
    return ops.sum(self, axis=axis, dtype=numpy.dtype(dtype), keepdims=keepdims)


install_operator("T", property(lambda self: ops.transpose(self, axes=tuple(reversed(range(self.ndim))))))
install_operator("real", property(lambda self: ops.real(self)))
install_operator("imag", property(lambda self: ops.imag(self)))
install_operator("conj", lambda self: ops.conjugate(self))
install_operator("astype", lambda self, dtype: ops.astype(self, dtype=numpy.dtype(dtype)))
install_operator("reshape", reshape)
install_operator("sum", total)
