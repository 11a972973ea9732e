"""The reference backend: every op as plain loops over Python numbers, slow and readable as a definition.

Tests compare the other backends with it. It knows NumPy's dtypes by name, wraps integers round and rounds floats after
each step; it takes the dtypes of loops and results from the ops' rules.
"""

import cmath
import functools
import itertools
import math
import struct
from collections.abc import Mapping

import numpy

from npx.dispatch import registry
from npx.dispatch.abstract import DataDependentShape, Hole, Slice, aval_of, result_dtype, type_key, ufunc_dtypes
from npx.dispatch.interpreter import Operators
from npx.ops.contractions import correlate_bounds
from npx.ops.index_specs import layout

from .reference_scalars import UFUNCS, is_nan, maximum, minimum, ordered

NAME = "reference"
COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
SCALARS = {*UFUNCS, "nextafter", "spacing"}


class ReferenceArray(Operators):
    """A shape, a dtype, and the elements as a flat list of Python numbers in C order.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    data : iterable
        Python numbers; they are converted to `dtype`.
    """

    __slots__ = ("shape", "dtype", "data")

    def __init__(self, shape, dtype, data):
        self.shape, self.dtype = tuple(shape), numpy.dtype(dtype)
        self.data = [convert(x, self.dtype) for x in data]

    def __repr__(self):
        return f"ReferenceArray({self.shape}, {self.dtype.name}, {self.data})"

    def at(self, place):
        """The element at a place, a tuple of ints; like a broadcast array where the place has more axes."""
        place = place[len(place) - len(self.shape) :] if len(place) >= len(self.shape) else (0, *place)
        return self.data[offset(tuple(i if n != 1 else 0 for i, n in zip(place, self.shape)), self.shape)]


def convert(x, dtype):
    """A Python number as an element of `dtype` holds it."""
    if dtype.kind == "O":
        return x
    if dtype.kind == "b":
        return bool(x)
    if isinstance(x, complex) and dtype.kind != "c":
        x = x.real
    if dtype.kind in "iu":
        bits = 8 * dtype.itemsize
        if not math.isfinite(x):
            x = -(2**31) if bits == 32 and dtype.kind == "i" else -(2**63)  # what C makes of it
        return (int(x) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1) if dtype.kind == "i" else int(x) % 2**bits
    with numpy.errstate(over="ignore"):
        return dtype.type(x).item()


def places(shape):
    """Every place of an array, in C order."""
    return itertools.product(*map(range, shape))


def offset(place, shape):
    """The number of a place in C order."""
    return functools.reduce(lambda number, axis: number * axis[1] + axis[0], zip(place, shape), 0)


def fill(shape, dtype, element):
    """The array whose element at each place is ``element(place)``."""
    return ReferenceArray(shape, dtype, map(element, places(shape)))


# --------------------------------------------------------------------------------------------------------- elementwise


def neighbour(x, y, dtype):
    """The number of `dtype` next to x in the direction of y: one up or down in the bits."""
    if is_nan(x) or is_nan(y) or x == y:
        return x + y if x != y else y
    code, bits = {2: ("e", "h"), 4: ("f", "i"), 8: ("d", "q")}[dtype.itemsize]
    if x == 0:
        return math.copysign(struct.unpack(code, struct.pack(bits, 1))[0], y)
    number = struct.unpack(bits, struct.pack(code, x))[0]
    return struct.unpack(code, struct.pack(bits, number + (1 if (y > x) == (x > 0) else -1)))[0]


def spacing(x, dtype):
    if not math.isfinite(x):
        return math.nan
    away = x if dtype.itemsize > 2 else 1.0  # NumPy's float16 looks towards infinity, its other floats away from zero
    return neighbour(x, math.copysign(math.inf, away), dtype) - x if x else neighbour(0.0, 1.0, dtype)


def scalar_function(name, dtype):
    """What the ufunc called `name` does with Python numbers of `dtype`."""
    own = {"nextafter": neighbour, "spacing": spacing}
    return functools.partial(own[name], dtype=dtype) if name in own else UFUNCS[name]


def ufunc(op, *args):
    """Apply a ufunc's definition at each place."""
    avals = tuple(map(aval_of, args))
    outs = op.abstract(avals, {})
    dtypes = ufunc_dtypes(op.spec, tuple(map(type_key, avals)), op.nout)
    function = scalar_function(op.name, dtypes[0])
    args = [operand(a, dtype, op.name in COMPARISONS) for a, dtype in zip(args, dtypes)]
    results = [function(*(a.at(place) for a in args)) for place in places(outs[0].shape)]
    if op.nout == 1:
        return ReferenceArray(outs[0].shape, outs[0].dtype, results)
    return tuple(ReferenceArray(out.shape, out.dtype, (r[k] for r in results)) for k, out in enumerate(outs))


def operand(x, dtype, exact):
    """An operand in the dtype of the loop; a Python int must fit, or is taken as it is where it is compared."""
    if isinstance(x, ReferenceArray):
        return astype(x, dtype)
    if type(x) is int and exact and dtype.kind in "iu":
        return ReferenceArray((), object, [x])
    return from_host(numpy.asarray(x, dtype))


def astype(x, dtype):
    return ReferenceArray(x.shape, dtype, x.data)


def where(condition, x, y, *, out):
    x, y = astype(x, out.dtype), astype(y, out.dtype)
    return fill(out.shape, out.dtype, lambda p: x.at(p) if condition.at(p) else y.at(p))


# ---------------------------------------------------------------------------------------------------- along some axes


def gathered(x, axes):
    """For each place on the other axes, the list of elements over `axes`, in C order."""
    groups = {}
    kept = tuple(n for k, n in enumerate(x.shape) if k not in axes)
    for place in places(kept):
        groups[place] = []
    for place in places(x.shape):
        groups[tuple(i for k, i in enumerate(place) if k not in axes)].append(x.at(place))
    return groups


def reduction(function, cast=False):
    """An op that takes the elements over its axes to one; with `cast` they take the result's dtype first."""

    def reduce(x, *, axis, out, keepdims=False, dtype=None):
        x = astype(x, out.dtype) if cast else x
        groups = gathered(x, axis if isinstance(axis, tuple) else (axis,))
        return ReferenceArray(out.shape, out.dtype, map(function, groups.values()))

    return reduce


def along(function):
    """An op that takes each line of elements along an axis to another, perhaps of another length."""

    def act(x, *, axis, out, **params):
        lines = gathered(x, (axis,))
        new = {k: function(line, **params) for k, line in lines.items()}
        return fill(out.shape, out.dtype, lambda p: new[p[:axis] + p[axis + 1 :]][p[axis]])

    return act


def scan(function):
    """An op that combines each element along an axis with the result so far, rounding at each step."""

    def accumulate(x, *, axis, out, dtype=None):
        def line(elements):
            return itertools.accumulate(elements, lambda so_far, e: convert(function(so_far, e), out.dtype))

        return along(lambda elements: list(line(elements)))(astype(x, out.dtype), axis=axis, out=out)

    return accumulate


def fold(function, dtype, *start):
    """The reduction of a list from left to right, rounding at each step."""
    return lambda elements: functools.reduce(lambda a, b: convert(function(a, b), dtype), elements, *start)


def ufunc_method(ufunc_name, method):
    """The op that is a method of a binary ufunc: ``logaddexp.reduce``."""
    identity = registry.OPS[ufunc_name].spec.identity
    start = () if identity is None else (identity,)

    def act(x, *indices, axis, out, dtype, keepdims=False):
        function = scalar_function(ufunc_name, out.dtype)
        if method == "accumulate":
            return scan(function)(x, axis=axis, out=out)
        if method == "reduce":
            return reduction(fold(function, out.dtype, *start), cast=True)(x, axis=axis, out=out)
        starts, reduce = indices[0].data, fold(function, out.dtype)
        split = along(lambda line: [reduce(part) for part in segments(line, starts)])
        return split(astype(x, out.dtype), axis=axis, out=out)

    return act


def segments(line, starts):
    """The stretches that ``reduceat`` reduces: each up to the next start, a single element where that is not beyond."""
    ends = [*starts[1:], len(line)]
    return [line[a:b] if a < b else [line[a]] for a, b in zip(starts, ends)]


def place_of(best):
    """The first place of the maximum or minimum of a list."""

    def find(elements):
        target = functools.reduce(best, elements)
        return next(i for i, e in enumerate(elements) if (is_nan(e) if is_nan(target) else e == target))

    return find


def sorting_order(elements):
    return sorted(range(len(elements)), key=lambda i: ordered(elements[i]))


def lexsort(*keys, axis, out):
    """The order by the last key, then the last but one, and so on."""
    lines = [gathered(k, (axis,)) for k in reversed(keys)]

    def order(p):
        keyed = [line[p] for line in lines]
        return sorted(range(out.shape[axis]), key=lambda i: [ordered(k[i]) for k in keyed])

    return fill(out.shape, out.dtype, lambda p: order(p[:axis] + p[axis + 1 :])[p[axis]])


def searchsorted(x, v, *, side, out):
    """How many elements of x stand before each of v."""
    dtype = result_dtype(aval_of(x), aval_of(v))
    x, v = astype(x, dtype), astype(v, dtype)

    def count(value):
        before = (lambda e: ordered(e) < value) if side == "left" else (lambda e: ordered(e) <= value)
        return sum(map(before, x.data))

    return fill(out.shape, out.dtype, lambda p: count(ordered(v.at(p))))


# -------------------------------------------------------------------------------------------------------------- shapes


def transpose(x, *, axes, out):
    return fill(out.shape, x.dtype, lambda p: x.at(tuple(p[axes.index(k)] for k in range(len(axes)))))


def concatenate(*arrays, axis, out):
    sources = [(k, i) for k, a in enumerate(arrays) for i in range(a.shape[axis])]

    def element(p):
        k, i = sources[p[axis]]
        return arrays[k].at((*p[:axis], i, *p[axis + 1 :]))

    return fill(out.shape, out.dtype, element)


def repeat(line, repeats):
    counts = repeats * len(line) if len(repeats) == 1 else repeats
    return [e for e, n in zip(line, counts) for _ in range(n)]


def diagonal(x, *, offset, axis1, axis2, out):
    def element(p):
        place = list(p[:-1])
        step = {axis1: p[-1] + max(0, -offset), axis2: p[-1] + max(0, offset)}
        for axis in sorted(step):
            place.insert(axis, step[axis])
        return x.at(tuple(place))

    return fill(out.shape, x.dtype, element)


# ------------------------------------------------------------------------------------------------------------ indexing


def indexed_places(x, arrays, index):
    """The shape of ``x[index]``, and for each of its places, in C order, the place in x."""
    where = layout(x.shape, index, tuple(a.shape for a in arrays))
    end = where.at + len(where.advanced)

    def source(p):
        advanced, basic, place = p[where.at : end], iter(p[: where.at] + p[end:]), []
        for entry in index:
            if entry is None:
                next(basic)
            elif type(entry) is Slice:
                place.append(range(*slice(*entry).indices(x.shape[len(place)]))[next(basic)])
            elif type(entry) in (int, Hole):
                i = entry if type(entry) is int else arrays[entry.k].at(advanced)
                place.append(checked(i, len(place), x.shape[len(place)]))
        return tuple(place)

    return where.shape, [source(p) for p in places(where.shape)]


def checked(i, axis, n):
    """An index on an axis of length n, counted from the start."""
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of bounds for axis {axis} with size {n}")
    return i % n


def getitem(x, *arrays, index, out):
    return ReferenceArray(out.shape, x.dtype, (x.at(p) for p in indexed_places(x, arrays, index)[1]))


def write(combine):
    """`setitem` or `add_at`: what becomes of an element and the value written to it."""

    def written(x, v, *arrays, index, out):
        shape, targets = indexed_places(x, arrays, index)
        data, v = list(x.data), astype(v, x.dtype)
        for place, target in zip(places(shape), targets):
            k = offset(target, x.shape)
            data[k] = convert(combine(data[k], v.at(place)), x.dtype)
        return ReferenceArray(x.shape, x.dtype, data)

    return written


# ------------------------------------------------------------------------------------------------------------ products


def einsum(*arrays, subscripts, out):
    """For each value of the result's letters, the sum over all others of the product of the operands."""
    operands, _, result = subscripts.partition("->")
    operands = operands.split(",")
    sizes = {}
    for letters, a in zip(operands, arrays):
        sizes.update((d, n) for d, n in zip(letters, a.shape) if sizes.get(d, 1) == 1)
    summed = [d for d in sizes if d not in result]
    arrays = [astype(a, out.dtype) for a in arrays]

    def element(p):
        at = dict(zip(result, p))
        total = convert(0, out.dtype)
        for q in places([sizes[d] for d in summed]):
            at.update(zip(summed, q))
            total += math.prod(a.at(tuple(at[d] for d in letters)) for letters, a in zip(operands, arrays))
        return total

    return fill(out.shape, out.dtype, element)


LOOP = "ABCDEFGH"


def stacked(core, ndim):
    """The letters of an array whose last axes are `core`; those before them line up with other arrays' at the end."""
    return LOOP[len(LOOP) - ndim + len(core) :] + core


def contract(x, y, cores, out):
    """A product over the last axes, which `cores` names for both operands and the result."""
    x_letters, y_letters, letters = (stacked(core, len(a.shape)) for core, a in zip(cores, (x, y, out)))
    return einsum(x, y, subscripts=f"{x_letters},{y_letters}->{letters}", out=out)


def conjugate(x):
    return ReferenceArray(x.shape, x.dtype, (e.conjugate() for e in x.data))


def matmul(x, y, *, out):
    row, column = len(x.shape) == 1, len(y.shape) == 1
    cores = (
        "j" if row else "ij",
        "j" if column else "jk",
        "" if row and column else "k" if row else "i" if column else "ik",
    )
    return contract(x, y, cores, out)


def dot(x, y, *, out):
    """The sum over the last axis of x and the last but one of y, all other axes in turn."""
    if not (x.shape and y.shape):
        return contract(x, y, ("", "", ""), out)
    x_letters = "abcdefgh"[: len(x.shape) - 1]
    y_letters = "ijklmnop"[: len(y.shape) - 1]
    subscripts = f"{x_letters}z,{y_letters[:-1]}z{y_letters[-1:]}->{x_letters}{y_letters}"
    return einsum(x, y, subscripts=subscripts, out=out)


def correlate(a, v, *, mode, out):
    """At each shift the sum of the products of a and the conjugate of v."""
    (m,), (n,) = a.shape, v.shape
    a, v = astype(a, out.dtype), conjugate(astype(v, out.dtype))
    first = correlate_bounds(m, n, mode)[0] - (n - 1)

    def element(p):
        shift = first + p[0]
        return sum(a.data[k + shift] * v.data[k] for k in range(n) if 0 <= k + shift < m)

    return fill(out.shape, out.dtype, element)


def fourier(sign, count=lambda n: n):
    """The sums over a line times the powers of a root of unity, as many as `count` says."""

    def line(elements):
        n = len(elements)
        root = sign * 2j * cmath.pi / max(n, 1)
        return [sum(e * cmath.exp(root * (j * k % n)) for j, e in enumerate(elements)) for k in range(count(n))]

    return line


def inverse_of_half(line, n):
    """The real numbers, times their number, whose transform begins with `line`."""
    whole = [*line, *(line[n - k].conjugate() for k in range(len(line), n))]
    for k in {0, n // 2} if n % 2 == 0 else {0}:
        whole[k] = whole[k].real
    return [x.real for x in fourier(1)(whole)]


# ------------------------------------------------------------------------------------ results as long as the data says


def nonzero(x, *, out=None):
    found = [p for p in places(x.shape) if x.at(p)]
    return ReferenceArray(
        (len(x.shape), len(found)), numpy.intp, (p[axis] for axis in range(len(x.shape)) for p in found)
    )


def bincount(x, *weights, minlength, out=None):
    if any(k < 0 for k in x.data):
        raise ValueError("'list' argument must have no negative elements")
    counts = [0] * max(minlength, 1 + max(x.data, default=-1))
    for k, weight in zip(x.data, weights[0].data if weights else [1] * len(x.data)):
        counts[k] += weight
    return ReferenceArray((len(counts),), float if weights else numpy.intp, counts)


# ----------------------------------------------------------------------------------------------------------- the table


def reshaped(x, *, out, **_):
    """The same elements in another shape, or of another dtype."""
    return ReferenceArray(out.shape, out.dtype, x.data)


FUNCTIONS = {
    "add_at": write(lambda old, v: old + v),
    "all": reduction(all),
    "any": reduction(any),
    "argmax": reduction(place_of(maximum)),
    "argmin": reduction(place_of(minimum)),
    "argpartition": along(lambda line, kth: sorting_order(line)),
    "argsort": along(lambda line, stable: sorting_order(line)),
    "astype": reshaped,
    "bincount": bincount,
    "broadcast_to": lambda x, shape, out: fill(shape, x.dtype, lambda p: x.at(p)),
    "concatenate": concatenate,
    "copy": reshaped,
    "correlate": correlate,
    "cummax": scan(maximum),
    "cummin": scan(minimum),
    "cumprod": scan(lambda x, y: x * y),
    "cumsum": scan(lambda x, y: x + y),
    "diagonal": diagonal,
    "dot": dot,
    "einsum": einsum,
    "fft": along(fourier(-1)),
    "getitem": getitem,
    "ifft": along(fourier(1)),
    "imag": lambda x, out: ReferenceArray(x.shape, out.dtype, (e.imag for e in x.data)),
    "irfft": along(inverse_of_half),
    "lexsort": lexsort,
    "make_complex": lambda re, im, out: fill(out.shape, out.dtype, lambda p: complex(re.at(p), im.at(p))),
    "matmul": matmul,
    "matvec": lambda x, y, out: contract(x, y, ("ij", "j", "i"), out),
    "max": reduction(functools.partial(functools.reduce, maximum)),
    "min": reduction(functools.partial(functools.reduce, minimum)),
    "nonzero": nonzero,
    "partition": along(lambda line, kth: sorted(line, key=ordered)),
    "prod": reduction(math.prod, cast=True),
    "real": lambda x, out: ReferenceArray(x.shape, out.dtype, (e.real for e in x.data)),
    "repeat": along(repeat),
    "reshape": reshaped,
    "rfft": along(fourier(-1, lambda n: n // 2 + 1)),
    "searchsorted": searchsorted,
    "setitem": write(lambda old, v: v),
    "sort": along(lambda line, stable: sorted(line, key=ordered)),
    "sum": reduction(sum, cast=True),
    "transpose": transpose,
    "vecdot": lambda x, y, out: contract(conjugate(x), y, ("i", "i", ""), out),
    "vecmat": lambda x, y, out: contract(conjugate(x), y, ("i", "ij", "j"), out),
    "where": where,
}


class Implementations(Mapping):
    """Op name -> function of payloads."""

    def __getitem__(self, name):
        op = registry.OPS[name]
        if name in FUNCTIONS:
            return structural(op, FUNCTIONS[name])
        if name in SCALARS:
            return functools.partial(ufunc, op)
        function, _, method = name.partition(".")
        if method and function in SCALARS:
            return structural(op, ufunc_method(function, method))
        raise KeyError(name)

    def __iter__(self):
        return (name for name in registry.OPS if self.get(name) is not None)

    def __len__(self):
        return sum(1 for _ in self)


def structural(op, function):
    def act(*args, **params):
        try:
            (out,) = op.abstract(tuple(map(aval_of, args)), params)
        except DataDependentShape:
            out = None
        arrays = [a if isinstance(a, ReferenceArray) else from_host(numpy.asarray(a)) for a in args]
        return function(*arrays, out=out, **params)

    return act


def from_host(array, device=None):
    """A NumPy array as a `ReferenceArray`; TypeError for dtypes that are no Python numbers."""
    if array.dtype.kind not in "biufc" or array.dtype.char in "gG":
        raise TypeError(f"the reference backend has no arrays of dtype {array.dtype}")
    return ReferenceArray(array.shape, array.dtype.newbyteorder("="), array.ravel().tolist())


def to_host(array):
    return numpy.array(array.data, array.dtype).reshape(array.shape)


BACKEND = registry.register_backend(
    registry.Backend(NAME, payload_type=ReferenceArray, impls=Implementations(), asarray=from_host, to_host=to_host)
)
