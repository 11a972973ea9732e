"""Ufuncs against NumPy's: on host memory, and where a tracer takes part."""

import inspect
import itertools
import pickle
import warnings

import numpy
import pytest
from against_numpy import Box, Identity, check_call, check_host, check_traced, outcome, sample, value

import npx
from npx.array.ndarray import ndarray, payload, wrap
from npx.array.ufunc import array_ufunc, frompyfunc, lookup, ufunc
from npx.array.ufunc_traced import stack
from npx.dispatch.interpreter import active

UFUNCS = sorted({u for u in vars(numpy).values() if isinstance(u, numpy.ufunc)}, key=lambda u: u.__name__)
ELEMENTWISE = [u for u in UFUNCS if u.signature is None]
both = pytest.mark.parametrize("check", [check_host, check_traced])
by_name = pytest.mark.parametrize("name", [u.__name__ for u in ELEMENTWISE])


# ------------------------------------------------------------------------------------------------------- every ufunc
LAYOUTS = {
    "contiguous": lambda x: x,
    "reversed": lambda x: x[::-1],
    "strided": lambda x: numpy.repeat(x, 2, axis=-1)[..., ::2],
    "column": lambda x: numpy.asfortranarray(x.reshape(3, -1)),
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "unaligned": lambda x: numpy.frombuffer(b"\0" + x.tobytes(), "u1")[1:].view(x.dtype),
}


@by_name
@pytest.mark.parametrize("code", ["?", "b", "i", "l", "q", "L", "e", "f", "d", "F", "D", "O"])
def test_values(name, code):
    function = getattr(numpy, name)
    for layout in LAYOUTS.values() if code in "ld" else [LAYOUTS["contiguous"]]:
        operands = [layout(sample(12, code, seed)) for seed in range(function.nin)]
        check_call(name, *operands)


SCALARS = (2, 0, -1, 1.5, True, 10**30, 1j, numpy.float64(2), numpy.float32(2), numpy.int64(3), numpy.array(2.0))


@by_name
def test_scalar_operands(name):
    for scalar in SCALARS:
        if getattr(numpy, name).nin == 1:
            check_call(name, scalar)
            continue
        for code in "dfli?":
            check_call(name, sample(12, code), scalar)
            check_call(name, scalar, sample(12, code))


@pytest.mark.parametrize("name", [u.__name__ for u in ELEMENTWISE if u.nin == 2])
def test_shapes(name):
    for left, right in itertools.product([(), (3,), (2, 3), (3, 1), (0,), (1,), (2, 2, 3)], repeat=2):
        check_call(name, numpy.full(left, 3), numpy.full(right, 2))


@by_name
@pytest.mark.parametrize("code", ["l", "d"])
def test_traced_values(name, code):
    function = getattr(numpy, name)
    operands = [sample(12, code, seed) for seed in range(function.nin)]
    check_traced(lambda np, a: getattr(np, name)(*map(a, operands)))
    check_traced(lambda np, a: getattr(np, name)(a(operands[0]), *operands[1:]))
    check_traced(lambda np, a: getattr(np, name)(*(a(x[0]) for x in operands)))


# ------------------------------------------------------------------------------------------------------- keywords
X, Y = numpy.arange(1.0, 7.0).reshape(2, 3), numpy.array([2.0, -1.0, 4.0])
I, M = numpy.arange(6).reshape(2, 3), numpy.array([True, False, True])


def written(call, dtype=float):
    """A case whose call gets a fresh output: the result, whether it is that output, and what the output holds."""

    def case(np, a):
        out = a(numpy.full((2, 3), 9, dtype))
        result = call(np, a, out)
        return result, result is out, out

    return case


CALLS = {
    "dtype": lambda np, a: np.add(a(X), 1, dtype="f4"),
    "dtype refused": lambda np, a: np.add(a(X), 1, dtype=int),
    "dtype, unsafe": lambda np, a: np.add(a(X), 1.7, dtype=int, casting="unsafe"),
    "dtype of all results": lambda np, a: np.divmod(a(I), 2, dtype="f8"),
    "signature string": lambda np, a: np.add(a(I), a(I), signature="dd->d"),
    "signature tuple": lambda np, a: np.multiply(a(I), 2, signature=(None, None, "f4")),
    "sig": lambda np, a: np.sqrt(a(I), sig="f->f", casting="unsafe"),
    "signature and dtype": lambda np, a: np.add(a(X), 1, signature="dd->d", dtype=float),
    "bad signature": lambda np, a: np.add(a(X), 1, signature="dd->"),
    "no such loop": lambda np, a: np.bitwise_and(a(X), 1),
    "casting": lambda np, a: np.add(a(I), a(X), casting="no"),
    "bad casting": lambda np, a: np.add(a(X), 1, casting="whatever"),
    "order": lambda np, a: np.add(a(X), 1, order="F"),
    "bad order": lambda np, a: np.add(a(X), 1, order="Z"),
    "subok": lambda np, a: np.add(a(X), 1, subok=False),
    "unknown keyword": lambda np, a: np.add(a(X), 1, keepdims=True),
    "too few": lambda np, a: np.add(a(X)),
    "too many": lambda np, a: np.add(a(X), 1, 2, 3),
    "shapes": lambda np, a: np.add(a(X), a(Y[:2])),
    "list operand": lambda np, a: np.add(a(X), [1, 2, 3]),
    "list of arrays": lambda np, a: np.add([a(Y), a(2 * Y)], 1),
    "keyword None": lambda np, a: np.add(a(X), 1, out=None, dtype=None, where=True),
    "out of bounds": lambda np, a: np.add(a(I.astype("i1")), 300, dtype="i1"),
    "ellipsis": lambda np, a: np.add(a(Y[0]), 1, out=...),
    "out no array": lambda np, a: np.add(a(X), 1, out=3),
    "out tuple too long": lambda np, a: np.add(a(X), 1, out=(a(X), a(X))),
    "out needs tuple": lambda np, a: np.divmod(a(X), 2, out=a(X)),
    "out twice": lambda np, a: np.add(a(X), 1, a(X + 0), out=a(X + 0)),
    "out": written(lambda np, a, out: np.add(a(X), 1, out=out)),
    "out by position": written(lambda np, a, out: np.add(a(X), 1, out)),
    "out in a tuple": written(lambda np, a, out: np.add(a(X), 1, out=(out,))),
    "out broadcasts operands": written(lambda np, a, out: np.add(a(Y), 1, out=out)),
    "out too small": written(lambda np, a, out: np.add(a(X), 1, out=out[0])),
    "out and where": written(lambda np, a, out: np.divide(a(X), a(Y - 2), out=out, where=a(Y) != 2)),
    "out and a broad where": written(lambda np, a, out: np.add(a(Y), 1, out=out, where=[[True], [False]])),
    "out casts": written(lambda np, a, out: np.add(a(X), 1, out=out), "f4"),
    "out refuses": written(lambda np, a, out: np.add(a(X), 1, out=out), int),
    "out is an operand": written(lambda np, a, out: np.multiply(out, out, out=out)),
    "out is a view": written(lambda np, a, out: (np.add(a(Y), 1, out=out[1]), out)[1]),
    "two outs": written(lambda np, a, out: np.modf(a(X), out=(out, None))),
    "where is no mask": lambda np, a: np.add(a(X), 1, where=[1, 0, 1], out=a(X + 0)),
    "where does not fit": lambda np, a: np.add(a(X), 1, where=[True, False], out=a(X + 0)),
}


@both
@pytest.mark.parametrize("name", CALLS)
def test_calls(check, name):
    check(CALLS[name])


def test_where_without_out_is_zero_in_a_trace():
    with active(Identity()) as interpreter:
        got = npx.add(wrap(Box(interpreter, X)), 1, where=[True, False, True])
        assert value(got).tolist() == [[2, 0, 4], [5, 0, 7]]


def test_where_hides_warnings_in_a_trace():
    with active(Identity()) as interpreter, warnings.catch_warnings(), numpy.errstate(all="warn"):
        warnings.simplefilter("error")
        x = wrap(Box(interpreter, numpy.array([-1.0, 0.0, 4.0])))
        got = npx.log(x, out=wrap(Box(interpreter, numpy.zeros(3))), where=x > 0)
        assert value(got).tolist() == [0, 0, numpy.log(4)]


def test_a_numpy_array_cannot_hold_a_traced_result():
    with active(Identity()) as interpreter, pytest.raises(TypeError, match="give an npx array"):
        npx.add(wrap(Box(interpreter, X)), 1, out=numpy.zeros((2, 3)))


def test_host_array_takes_a_traced_result():
    with active(Identity()) as interpreter:
        out = wrap(numpy.zeros((2, 3)))
        row = out[1]
        assert npx.add(wrap(Box(interpreter, X)), 1, out=out) is out
        assert value(row).tolist() == [5, 6, 7]


def test_failed_call_leaves_out_unchanged():
    with active(Identity()) as interpreter:
        out = wrap(numpy.zeros(2))
        with pytest.raises(ValueError):
            npx.add(wrap(Box(interpreter, X)), 1, out=out)
        assert value(out).tolist() == [0, 0]


# ------------------------------------------------------------------------------------------------------- methods
E, B = numpy.ones((2, 0)), numpy.array([[True, False, True], [True, True, False]])

METHODS = {
    **{
        f"{name}.reduce over {axis}": lambda np, a, name=name, axis=axis: getattr(np, name).reduce(a(X), axis=axis)
        for name in ("add", "multiply", "maximum", "minimum", "logaddexp", "logical_and", "hypot", "fmax")
        for axis in (0, -1, None, (0, 1), (), (1,))
    },
    **{
        f"add.reduce of {code}": lambda np, a, code=code: np.add.reduce(a(X.astype(code)), axis=1)
        for code in "?bBhilLqefdFD"
    },
    "bitwise reduce": lambda np, a: np.bitwise_xor.reduce(a(I), axis=None),
    "subtract.reduce": lambda np, a: np.subtract.reduce(a(X), axis=1),
    "subtract.reduce over two": lambda np, a: np.subtract.reduce(a(X), axis=(0, 1)),
    "subtract.reduce with initial": lambda np, a: np.subtract.reduce(a(X), initial=10),
    "reduce a number": lambda np, a: np.add.reduce(a(numpy.array(3.0))),
    "reduce with dtype": lambda np, a: np.add.reduce(a(I), dtype="f4"),
    "reduce with keepdims": lambda np, a: np.add.reduce(a(X), axis=1, keepdims=True),
    "reduce by position": lambda np, a: np.add.reduce(a(X), 1, "f4", None, True, 5),
    "reduce with initial": lambda np, a: np.multiply.reduce(a(X), initial=2),
    "max with initial": lambda np, a: np.maximum.reduce(a(X), axis=1, initial=4),
    "max of nothing with initial": lambda np, a: np.maximum.reduce(a(E), axis=1, initial=4),
    "max of nothing": lambda np, a: np.maximum.reduce(a(E), axis=1),
    "max over nothing": lambda np, a: np.maximum.reduce(a(E), axis=0),
    "sum of nothing": lambda np, a: np.add.reduce(a(E), axis=1),
    "sum of nothing, no initial": lambda np, a: np.add.reduce(a(E), axis=1, initial=None),
    "sum where": lambda np, a: np.add.reduce(a(X), axis=1, where=a(B)),
    "any where": lambda np, a: np.logical_or.reduce(a(X), where=B),
    "max where": lambda np, a: np.maximum.reduce(a(X), axis=1, where=B, initial=2),
    "max where, no initial": lambda np, a: np.maximum.reduce(a(X), axis=1, where=B),
    "reduce where, one row": lambda np, a: np.multiply.reduce(a(X), axis=0, where=M),
    "reduce of bool": lambda np, a: np.add.reduce(a(B), axis=1),
    "reduce a list": lambda np, a: np.add.reduce([a(Y), a(Y)]),
    "bad axis": lambda np, a: np.add.reduce(a(X), axis=2),
    "axis twice": lambda np, a: np.add.reduce(a(X), axis=(1, -1)),
    "axis no int": lambda np, a: np.add.reduce(a(X), axis=1.0),
    "reduce unary": lambda np, a: np.exp.reduce(a(X)),
    "reduce divmod": lambda np, a: np.divmod.reduce(a(X)),
    "reduce matmul": lambda np, a: np.matmul.reduce(a(X)),
    "reduce nothing given": lambda np, a: np.add.reduce(),
    "reduce unknown keyword": lambda np, a: np.add.reduce(a(X), order="C"),
    "reduce axis given twice": lambda np, a: np.add.reduce(a(X), 0, axis=1),
    "reduce into": written(lambda np, a, out: np.add.reduce(a(X), out=out[0])),
    "reduce into the wrong shape": written(lambda np, a, out: np.add.reduce(a(X), out=out)),
    "reduce into out": written(lambda np, a, out: np.add.reduce(a(X[None]), out=out)),
    "reduce into ints": lambda np, a: np.add.reduce(a(X + 0.5), out=a(numpy.zeros(3, int))),
    "reduce into floats": lambda np, a: np.add.reduce(a(I), out=a(numpy.zeros(3))),
    "reduce, ellipsis": lambda np, a: np.add.reduce(a(Y), out=...),
    **{
        f"{name}.accumulate": lambda np, a, name=name: getattr(np, name).accumulate(a(X), axis=1)
        for name in ("add", "multiply", "maximum", "minimum", "logaddexp", "subtract", "logical_or")
    },
    "accumulate bools": lambda np, a: np.add.accumulate(a(B)),
    "accumulate with dtype": lambda np, a: np.add.accumulate(a(I), axis=-1, dtype="f4"),
    "accumulate into": written(lambda np, a, out: np.add.accumulate(a(X), out=out)),
    "accumulate a number": lambda np, a: np.add.accumulate(a(numpy.array(1.0))),
    "accumulate over two": lambda np, a: np.add.accumulate(a(X), axis=(0, 1)),
    "accumulate flat": lambda np, a: np.add.accumulate(a(X), axis=None),
    "accumulate bad axis": lambda np, a: np.add.accumulate(a(X), axis=5),
    "reduceat": lambda np, a: np.add.reduceat(a(X), [0, 2, 1], axis=1),
    "reduceat bools": lambda np, a: np.add.reduceat(a(B), [0, 2, 1], axis=1),
    "reduceat by name": lambda np, a: np.maximum.reduceat(a(X), indices=[1, 0]),
    "reduceat traced places": lambda np, a: np.add.reduceat(a(X), a(numpy.array([0, 1]))),
    "reduceat out of bounds": lambda np, a: np.add.reduceat(a(X), [0, 2]),
    "reduceat into": written(lambda np, a, out: np.add.reduceat(a(X), [0, 1], out=out)),
    "outer": lambda np, a: np.subtract.outer(a(X), a(Y)),
    "outer with a number": lambda np, a: np.subtract.outer(a(X), 2),
    "outer of a number": lambda np, a: np.subtract.outer(2, a(X)),
    "outer with dtype": lambda np, a: np.add.outer(a(Y), [1, 2], dtype="f4"),
    "outer divmod": lambda np, a: np.divmod.outer(a(X), a(Y)),
    "outer of numbers": lambda np, a: np.add.outer(a(Y[0]), a(Y[1])),
    "outer unary": lambda np, a: np.exp.outer(a(X), a(Y)),
    "outer matmul": lambda np, a: np.matmul.outer(a(X), a(Y)),
    "outer of one": lambda np, a: np.add.outer(a(X)),
    "call matmul": lambda np, a: np.matmul(a(X), a(Y)),
    "matmul, shapes": lambda np, a: np.matmul(a(X), a(X)),
    "matmul with a number": lambda np, a: np.matmul(a(X), 2),
    "matmul axes": lambda np, a: np.matmul(a(X), a(X), axes=[(0, 1), (1, 0), (1, 0)]),
    "matmul vector axes": lambda np, a: np.matmul(a(Y), a(X), axes=[(0,), (1, 0), (0,)]),
    "matmul dtype": lambda np, a: np.matmul(a(I), a(I.T), dtype="f4"),
    "matmul into": written(lambda np, a, out: np.matmul(a(X), a(numpy.eye(3)), out=out)),
    "vecdot": lambda np, a: np.vecdot(a(X), a(Y)),
    "vecdot of vectors": lambda np, a: np.vecdot(a(Y), a(Y)),
    "vecdot axis": lambda np, a: np.vecdot(a(X), a(X), axis=0),
    "vecdot keepdims": lambda np, a: np.vecdot(a(X), a(X), keepdims=True),
    "vecdot axis and keepdims": lambda np, a: np.vecdot(a(X), a(X), axis=0, keepdims=True),
    "vecdot axes": lambda np, a: np.vecdot(a(X), a(Y), axes=[1, 0]),
    "vecdot bad axis": lambda np, a: np.vecdot(a(X), a(X), axis=7),
}


@both
@pytest.mark.parametrize("name", METHODS)
def test_methods(check, name):
    check(METHODS[name])


def after_at(call):
    """A case that operates in place on the rows and columns of a fresh array."""

    def case(np, a):
        x = a(numpy.arange(12.0).reshape(3, 4))
        return call(np, a, x), x

    return case


AT = {
    "rows": lambda np, a, x: np.add.at(x, [0, 2, 0], a(numpy.arange(4.0))),
    "places": lambda np, a, x: np.add.at(x, ([0, 0, 1], [1, 1, 3]), a(Y)),
    "subtract": lambda np, a, x: np.subtract.at(x, ([0, 0, 1], [1, 1, 3]), a(Y)),
    "one place": lambda np, a, x: np.add.at(x, (1, 2), 5),
    "slice": lambda np, a, x: np.multiply.at(x, (slice(None), [1, 1]), a(Y[:2])),
    "mask": lambda np, a, x: np.add.at(x, numpy.arange(12).reshape(3, 4) > 6, 1.0),
    "negative": lambda np, a, x: np.add.at(x, [-1, -1], 1.0),
    "maximum": lambda np, a, x: np.maximum.at(x, ([0, 0, 1], [1, 1, 3]), a(10 * Y)),
    "unary": lambda np, a, x: np.negative.at(x, [0, 0, 0, 2]),
    "divide": lambda np, a, x: np.divide.at(x, [1, 1], 2.0),
    "power": lambda np, a, x: np.power.at(x, [1, 1, 2], 2),
    "nowhere": lambda np, a, x: np.add.at(x, numpy.zeros(0, int), 1.0),
    "out of bounds": lambda np, a, x: np.add.at(x, [5], 1.0),
    "unary with operand": lambda np, a, x: np.exp.at(x, [1], 1.0),
    "binary without": lambda np, a, x: np.add.at(x, [1]),
    "two results": lambda np, a, x: np.divmod.at(x, [1], 2),
    "does not cast": lambda np, a, x: np.add.at(x, [1], 1j),
    "no array": lambda np, a, x: np.add.at([1, 2], [0], a(Y)),
    "keywords": lambda np, a, x: np.add.at(x, [1], b=1.0),
}


@both
@pytest.mark.parametrize("name", AT)
def test_at(check, name):
    check(after_at(AT[name]))


def test_at_through_a_view_with_traced_places():
    with active(Identity()) as interpreter:
        x = wrap(numpy.zeros((2, 3)))
        npx.add.at(x[1], wrap(Box(interpreter, numpy.array([0, 0, 2]))), 1.0)
        assert value(x).tolist() == [[0, 0, 0], [2, 0, 1]]


# ------------------------------------------------------------------------------------------------------- the object
@pytest.mark.parametrize("real", UFUNCS, ids=lambda u: u.__name__)
def test_attributes(real):
    ours = lookup(real)
    assert ours is getattr(npx, real.__name__) and isinstance(ours, ufunc) and lookup(real) is ours
    for name in ("nin", "nout", "nargs", "ntypes", "types", "identity", "signature", "__name__", "__doc__"):
        got, want = getattr(ours, name), getattr(real, name)
        assert got == want or got is want
    assert repr(ours) == repr(real)
    assert signature_of(ours) == signature_of(real)
    assert pickle.loads(pickle.dumps(ours)) is ours
    with pytest.raises(AttributeError):
        ours.nothing  # noqa: B018


def signature_of(function):
    """Its signature; None for the ufuncs of a NumPy before 2.3, which have none."""
    try:
        return inspect.signature(function)
    except ValueError:
        return None


def test_numpy_ufuncs_on_npx_arrays():
    x = wrap(Y.copy())
    assert type(numpy.add(x, 1)) is ndarray and value(numpy.add(x, 1)).tolist() == (Y + 1).tolist()
    assert numpy.add.reduce(x) == Y.sum()
    assert type(Y + x) is ndarray
    if numpy.lib.NumpyVersion(numpy.__version__) >= "2.3.0":  # the first with out=...
        assert type(npx.add(Y[0], 1, out=...)) is ndarray
    out = wrap(numpy.zeros(3))
    assert numpy.add(Y, Y, out=out) is out and value(out).tolist() == (2 * Y).tolist()
    numpy.add.at(x, [0, 0], 1)
    assert value(x)[0] == Y[0] + 2
    assert array_ufunc(x, numpy.subtract, "outer", x, x).shape == (3, 3)
    with active(Identity()) as interpreter:
        traced = wrap(Box(interpreter, Y))
        assert value(numpy.exp(traced)).tolist() == numpy.exp(Y).tolist()


def test_frompyfunc():
    f = npx.frompyfunc(lambda x, y: (x, y), 2, 2)
    assert isinstance(f, ufunc) and frompyfunc(len, 1, 1).nin == 1
    left, right = f(wrap(numpy.arange(3)), 7)
    assert type(left) is ndarray and left.dtype == object and value(right).tolist() == [7, 7, 7]
    gcd = npx.frompyfunc(lambda x, y: x + y, 2, 1, identity=0)
    assert gcd.reduce(wrap(numpy.arange(4))) == 6
    with active(Identity()) as interpreter:  # its function gets traced scalars
        left, right = f(wrap(Box(interpreter, Y)), 1)
        assert type(payload(left)) is Box and left.dtype == Y.dtype and left.shape == Y.shape
        assert value(right).tolist() == numpy.ones(Y.shape).tolist()


class Answers:
    """A foreign array type that answers every ufunc."""

    def __array_ufunc__(self, function, method, *inputs, **kwargs):
        return function, method, len(inputs)


class Silent:
    """A foreign type that knows no ufunc."""

    def __array_ufunc__(self, function, method, *inputs, **kwargs):
        return NotImplemented


class Refuses:
    """A foreign type that wants no ufuncs."""

    __array_ufunc__ = None


class Converts:
    """A foreign type that is an array when it is asked."""

    def __array__(self, dtype=None, copy=None):
        return numpy.array([1, 2, 3])


FOREIGN = {
    "answers": lambda np, a: np.add(a(X), Answers())[1:],
    "answers reduce": lambda np, a: np.add.reduce(a(X), out=Answers())[1:],
    "silent": lambda np, a: type(outcome(lambda np, a: np.add(a(X), Silent()), np, a)[0]),
    "refuses": lambda np, a: np.add(a(X), Refuses()),
    "converts": lambda np, a: np.add(a(Y), Converts()),
}


@both
@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_operands(check, name):
    check(FOREIGN[name])


def test_stack():
    with active(Identity()) as interpreter:
        box = Box(interpreter, Y)
        assert stack([box, [1, 2, 3]]).value.tolist() == [Y.tolist(), [1, 2, 3]]
        assert stack([Box(interpreter, numpy.float64(2)), 1]).value.tolist() == [2, 1]
        with pytest.raises(ValueError, match="inhomogeneous"):
            stack([box, [1, 2]])


# ------------------------------------------------------------------------------------------------------- transforms
def masked_division(x):
    out = npx.zeros(3)
    npx.divide(1.0, x, out=out, where=x != 0)
    return npx.add.reduce(out)


def scattered(x):
    total = npx.zeros(3)
    npx.add.at(total, [0, 0, 1], x)
    npx.multiply.at(total, [0, 0], x[:2])
    return npx.add.reduce(total * total)


def overwritten(x):
    y = npx.array([1.0, 2.0, 3.0])
    product = y * x
    npx.add(y, 1, out=y)
    npx.add.at(y, [0], 1)
    return npx.add.reduce(product * y)


GRADIENTS = {
    masked_division: ([1.0, 0.0, 2.0], [-1.0, 0.0, -0.25]),
    scattered: ([1.0, 2.0, 3.0], [96.0, 60.0, 6.0]),
    overwritten: ([0.1, 0.2, 0.3], [3.0, 6.0, 12.0]),
}


@pytest.mark.parametrize("function", GRADIENTS, ids=lambda f: f.__name__)
def test_transforms(function):
    at, gradient = map(npx.array, GRADIENTS[function])
    numpy.testing.assert_allclose(npx.grad(function)(at), gradient)
    numpy.testing.assert_allclose(npx.jit(function)(at), function(at))
    numpy.testing.assert_allclose(npx.vmap(function)(npx.stack([at, 2 * at])), [function(at), function(2 * at)])
