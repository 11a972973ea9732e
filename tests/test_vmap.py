"""`vmap` against a Python loop: axes, trees, ops without a batch rule, values that Python asks for, nesting, errors."""

import functools

import numpy
import pytest
from optable import ALL_OPS, assert_same, cases, plain

import npx as np
from npx.array.ndarray import payload, wrap_scalar
from npx.dispatch import debug

A = numpy.arange(24.0).reshape(2, 3, 4) / 7


def loop(f, *args, in_axes=0, out_axis=0):
    """What `vmap` means, for a function with one result."""
    axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
    size = next(a.shape[axis] for a, axis in zip(args, axes) if axis is not None)
    rows = [
        numpy.asarray(f(*(a if axis is None else numpy.moveaxis(a, axis, 0)[k] for a, axis in zip(args, axes))))
        for k in range(size)
    ]
    return numpy.stack(rows, axis=out_axis)


def close(found, expected):
    numpy.testing.assert_allclose(numpy.asarray(found), numpy.asarray(expected), rtol=1e-12, atol=1e-12)


def solve(x):
    """Loops and writes, as NumPy code has them."""
    y = np.zeros((3, 3))
    y[np.arange(3), np.arange(3)] = x[:3] + 1
    y[0, 1:] = x[2:]
    y[y > 2] = x[0]
    for k in range(2):
        y[k + 1] += y[k] * x[0]
    return y @ y.T


ROW_FUNCTIONS = {
    "elementwise": lambda x: np.sin(x) * x + 2,
    "reduction": lambda x: x.sum() + x.max(),
    "argmax": lambda x: np.argmax(x),
    "outer": lambda x: np.outer(x, x),
    "constant": lambda x: np.ones(2),
    "shape": lambda x: x.reshape(2, 2).T[::-1],
    "gather": lambda x: x[np.array([0, 0, 3])],
    "gather by value": lambda x: np.arange(10)[(x * 2).astype(int)],
    "where": lambda x: np.where(x > 1, x, 0),
    "sort": lambda x: np.sort(-x),
    "cumsum": lambda x: np.cumsum(x)[::-1],
    "concatenate": lambda x: np.concatenate([x, x[:1], numpy.ones(1)]),
    "einsum": lambda x: np.einsum("i,j->ij", x, x),
    "python number": lambda x: 2.5,
    "integer": lambda x: (x * 10).astype("i4") // 3,
    "solve": solve,
    "matmul": lambda x: numpy.arange(8.0).reshape(2, 4) @ x,
    "mean": lambda x: np.mean(x) + np.std(x),
}


@pytest.mark.parametrize("name", ROW_FUNCTIONS)
def test_one_axis(name):
    f = ROW_FUNCTIONS[name]
    x = A[0]
    out = np.vmap(f)(x)
    expected = loop(f, x)
    assert out.dtype == expected.dtype and type(out) is np.ndarray
    close(out, expected)


@pytest.mark.parametrize("name", ROW_FUNCTIONS)
def test_two_nested(name):
    f = ROW_FUNCTIONS[name]
    close(np.vmap(np.vmap(f))(A), loop(functools.partial(loop, f), A))


@pytest.mark.parametrize("in_axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("out_axis", [0, 1, -1])
def test_axes(in_axis, out_axis):
    def f(x):
        return x[0] * x[-1]

    close(np.vmap(f, in_axes=in_axis, out_axes=out_axis)(A), loop(f, A, in_axes=in_axis, out_axis=out_axis))


def test_shared_arguments_and_keywords():
    def f(x, y, scale=1.0, *, shift=0.0):
        return x @ y * scale + shift

    x, y = A[0], A[1].T
    close(np.vmap(f, in_axes=(0, None, None))(x, y, 3.0), loop(f, x, y, in_axes=(0, None)) * 3)
    close(np.vmap(f, in_axes=(None, 1))(x, y, shift=numpy.arange(3.0)), (x @ y).T + numpy.arange(3.0)[:, None])


def test_trees_of_arguments_and_results():
    def f(p, x):
        return {"y": p["w"] * x, "n": (p["b"], 1)}

    p = {"w": A[0], "b": numpy.arange(4.0)}
    out = np.vmap(f, in_axes=({"w": 0, "b": None}, 0), out_axes={"y": 1, "n": (None, 0)})(p, numpy.arange(3.0))
    close(out["y"], (A[0] * numpy.arange(3.0)[:, None]).T)
    close(out["n"][0], p["b"])
    close(out["n"][1], [1, 1, 1])


def test_results_that_do_not_depend_on_the_element_can_be_written_to():
    shared = numpy.ones(2)
    out = np.vmap(lambda x: shared)(numpy.arange(3.0))
    out[0] = 5
    close(out, [[5, 5], [1, 1], [1, 1]])
    close(shared, [1, 1])


def test_axis_size():
    assert np.vmap(lambda: np.ones(2), axis_size=3)().shape == (3, 2)
    assert np.vmap(lambda x: x, in_axes=None, axis_size=3)(2.0).shape == (3,)
    assert np.vmap(lambda x: np.outer(x, x))(numpy.ones((0, 2))).shape == (0, 2, 2)


def test_elements_stand_for_scalars():
    """As in a loop over the axis: `s += 1` makes a new scalar and leaves the old one."""

    def f(s):
        t = s
        s += 1
        return s * t

    close(np.vmap(f)(numpy.arange(3.0)), [0, 2, 6])


def test_an_op_without_batch_rule_is_looped_over_and_counted():
    def f(x):
        return np.random.default_rng(0).permutation(4) * x + np.random.permutation(x)

    debug.loops.clear()
    assert np.vmap(f)(A[0]).shape == (3, 4)
    ((name, line),) = debug.loops
    assert "permutation" in name and "test_vmap.py:" in line


def test_buffers_from_outside():
    """Each element starts from the same content; what the last one left remains."""
    buffer, total = np.zeros(4), np.zeros(2)

    def f(x):
        buffer[:] = x
        buffer[1:] += buffer[:-1]
        total[0] = 1
        return buffer.sum()

    def in_numpy(x):
        y = x.copy()
        y[1:] += x[:-1]
        return y.sum()

    out = np.vmap(f)(A[0])
    close(out, [in_numpy(x) for x in A[0]])
    f(A[0][-1])
    last = buffer.copy()
    buffer[:] = 0
    np.vmap(f)(A[0])
    close(buffer, last)
    close(total, [1, 0])


def test_what_is_the_same_for_all_elements_has_a_value():
    flag = np.ones(1)
    close(np.vmap(lambda x: x * 2 if flag[0] > 0 else x)(numpy.arange(3.0)), [0, 2, 4])
    assert "one run" in np.vmap(lambda x: x * 2 if flag[0] > 0 and x.sum() > -1 else x).explain(numpy.arange(3.0))


def test_an_element_that_leaks_is_refused():
    kept = []

    def f(x):
        kept.append(x * 2)
        return x

    np.vmap(f)(numpy.arange(3.0))
    with pytest.raises(TypeError, match="vmap, which has ended"):
        kept[0] + 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: np.vmap(lambda x, y: x)(numpy.ones(2), numpy.ones(3)), ValueError, ["'x'", "'y'", "2", "3"]),
        (lambda: np.vmap(lambda x, y: x)(numpy.ones(2), 1.0), ValueError, ["'y'", "in_axes"]),
        (lambda: np.vmap(lambda x: x, in_axes=2)(numpy.ones(2)), ValueError, ["'x'", "no axis 2"]),
        (lambda: np.vmap(lambda x: x, in_axes=(0, 0))(numpy.ones(2)), ValueError, ["in_axes"]),
        (lambda: np.vmap(lambda x: x, in_axes="a")(numpy.ones(2)), TypeError, ["in_axes"]),
        (lambda: np.vmap(lambda x: x, in_axes=None)(numpy.ones(2)), ValueError, ["axis_size"]),
        (lambda: np.vmap(lambda x: x, axis_size=3)(numpy.ones(2)), ValueError, ["axis_size", "3", "2"]),
        (lambda: np.vmap(lambda x: x, out_axes=None)(numpy.ones(2)), ValueError, ["out_axes"]),
        (lambda: np.vmap(lambda x: x, out_axes=1)(numpy.ones(2)), ValueError, ["out_axes"]),
        (lambda: np.vmap(lambda x: x, out_axes=(0, 0))(numpy.ones(2)), ValueError, ["out_axes"]),
        (lambda: np.vmap(lambda x: None)(numpy.ones(2)), TypeError, ["None", "return"]),
        (lambda: np.vmap(lambda x: "text")(numpy.ones(2)), TypeError, ["str"]),
        (lambda: np.vmap(lambda name: 1.0)("text"), TypeError, ["'name'", "str"]),
        (lambda: np.vmap(3), TypeError, ["takes a function"]),
        (lambda: np.vmap(lambda x: x @ numpy.ones(5))(numpy.ones((2, 3))), ValueError, ["matmul"]),
        (lambda: np.vmap(lambda x: x[5])(numpy.ones((2, 3))), IndexError, ["5"]),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


#: NumPy's AVX-512 loops of these read what they have written already, so that results depend on the memory layout
UNRELIABLE = {f"{name}.{method}" for name in ("power", "arctan2") for method in ("reduce", "reduceat")}


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize(
    "op", [op for op in ALL_OPS if not op.effect and op.name not in UNRELIABLE], ids=lambda op: op.name
)
def test_every_op_over_any_axis(op):
    """Each operand alone, mapped over its last axis, with the results along their last."""
    only = plain if any(cases(op, only=plain)) else None
    for draws in zip(*(cases(op, only=only, seed=k) for k in range(2))):
        answers = [case.expected() for case in draws]
        if any(isinstance(a, Exception) for a in answers):
            continue
        for k, x in enumerate(draws[0].operands):
            if isinstance(x, numpy.ndarray):
                _check_last_axis(op, draws, k)


def _check_last_axis(op, draws, k):
    rows = [tuple(case.operands[k] if i == k else x for i, x in enumerate(draws[0].operands)) for case in draws]
    results = [op.spec(*row, **draws[0].params) for row in rows]
    columns = zip(*results) if op.nout > 1 else [results]
    columns = [[numpy.asarray(r) for r in column] for column in columns]
    if any(len({r.shape for r in column}) > 1 for column in columns):
        return
    operands = [numpy.stack([row[k] for row in rows], -1) if i == k else x for i, x in enumerate(rows[0])]

    def call(*arrays):
        out = op(*map(payload, arrays), **draws[0].params)
        return tuple(map(wrap_scalar, out)) if type(out) is tuple else wrap_scalar(out)

    axes = tuple(-1 if i == k else None for i in range(len(operands)))
    found = np.vmap(call, in_axes=axes, out_axes=-1)(*operands)
    for have, column in zip(found if op.nout > 1 else [found], columns, strict=True):
        assert_same(payload(have), numpy.stack(column, -1), f"{draws[0]} mapped over the last axis of operand {k}")


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.hypot, np.logical_and], ids=str)
def test_methods_of_ufuncs(ufunc):
    def at(u, x, y):
        z = x.copy()
        u.at(z, [0, 2, 0], y[:3])
        return z

    uses = [
        lambda u, x, y: u.reduce(x),
        lambda u, x, y: u.accumulate(x),
        lambda u, x, y: u.outer(x, y),
        lambda u, x, y: u.reduceat(x, [0, 2, 1]),
        lambda u, x, y: u.reduce(x, where=y > 1, initial=1),
        lambda u, x, y: u(x, y, out=u(y, x), where=y > 1),
        at,
    ]
    of_numpy = getattr(numpy, ufunc.__name__)
    for use in uses:
        if use is at and ufunc is np.logical_and:  # truth values are not written into floats
            continue
        for axes in ((0, 0), (0, None), (None, 0)):
            x, y = (A[k] if axis == 0 else A[k, 0] for k, axis in enumerate(axes))
            expected = loop(lambda x, y: use(of_numpy, x, y), x, y, in_axes=axes)  # noqa: B023
            found = np.vmap(lambda x, y: use(ufunc, np.asarray(x), np.asarray(y)), in_axes=axes)(x, y)  # noqa: B023
            assert found.dtype == expected.dtype
            close(found, expected)
