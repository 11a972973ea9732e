"""Bad input: what NumPy raises is raised, under every transform, and an array is never left half written."""

import os
import subprocess
import sys
import traceback

import numpy
import pytest

import npx

X = numpy.arange(1.0, 13.0).reshape(3, 4)


def write(x, index, value):
    """`x[index] = value` on a copy."""
    x = x.copy()
    x[index] = value
    return x


def add_into(x, y):
    x = x.copy()
    x += y
    return x


#: what is wrong -> a program that NumPy refuses; `x` has X's shape and dtype
BAD = {
    "shapes of operands": lambda np, x: x + np.ones(5),
    "shapes in place": lambda np, x: add_into(x, np.ones((2, 3, 4))),
    "shapes of a product": lambda np, x: x @ np.ones((7, 2)),
    "shapes of where": lambda np, x: np.where(x > 2, x, np.ones(3)),
    "shape of out": lambda np, x: np.multiply(x, x, out=np.zeros((4, 3))),
    "shapes joined": lambda np, x: np.concatenate([x, np.ones((3, 5))]),
    "dimensions joined": lambda np, x: np.concatenate([x, np.ones(3)]),
    "shapes stacked": lambda np, x: np.stack([x, np.ones((3, 5))]),
    "split": lambda np, x: np.split(x, 5)[0],
    "size of a reshape": lambda np, x: x.reshape(5, 2),
    "two unknown sizes": lambda np, x: x.reshape(-1, -1),
    "broadcast_to": lambda np, x: np.broadcast_to(x, (3, 5)),
    "squeeze": lambda np, x: np.squeeze(x, axis=0),
    "einsum": lambda np, x: np.einsum("ij,jk->ik", x, x),
    "axis of a sum": lambda np, x: x.sum(axis=7),
    "axis twice": lambda np, x: x.sum(axis=(0, 0)),
    "axis of a sort": lambda np, x: np.sort(x, axis=2),
    "axis of concatenate": lambda np, x: np.concatenate([x, x], axis=3),
    "transpose": lambda np, x: x.transpose(0, 0),
    "empty max": lambda np, x: x[:0].max(),
    "index too large": lambda np, x: x[10],
    "index too small": lambda np, x: x[0, -5],
    "indices too many": lambda np, x: x[0, 0, 0],
    "two ellipses": lambda np, x: x[..., ...],
    "float index": lambda np, x: x[1.5],
    "string index": lambda np, x: x["a"],
    "float array index": lambda np, x: x[np.array([0.0, 1.0])],
    "index array out of bounds": lambda np, x: x[np.array([0, 3])],
    "index arrays that do not fit": lambda np, x: x[np.array([0, 1]), np.array([0, 1, 2])],
    "mask of another shape": lambda np, x: x[np.ones(7, dtype=bool)],
    "write: shape": lambda np, x: write(x, slice(0, 2), np.ones(3)),
    "write: index": lambda np, x: write(x, 3, 0.0),
    "write: index array": lambda np, x: write(x, [0, 3], 0.0),
    "write: mask": lambda np, x: write(x, np.ones((3, 5), dtype=bool), 0.0),
    "dtype without a loop": lambda np, x: x << 1,
    "dtype unknown": lambda np, x: x.astype("no such dtype"),
    "cast in place": lambda np, x: add_into(np.arange(4), x[0]),
    "cast into out": lambda np, x: np.add(x, x, out=np.zeros((3, 4), dtype=int)),
    "argument unknown": lambda np, x: np.sum(x, no_such_argument=1),
    "clip without bounds of one shape": lambda np, x: np.clip(x, np.ones(3), np.ones(2)),
}

#: transform -> (function of the program, arguments as npx arrays)
TRANSFORMS = {
    "eager": (lambda f: f, X),
    "grad": (lambda f: npx.grad(lambda x: f(x).sum()), X),
    "jvp": (lambda f: lambda x: npx.jvp(f, (x,), (x,)), X),
    "vmap": (npx.vmap, numpy.stack([X, X])),
    "jit": (npx.jit, X),
    "jit of grad": (lambda f: npx.jit(npx.grad(lambda x: f(x).sum())), X),
    "grad of jit": (lambda f: npx.grad(lambda x: npx.jit(f)(x).sum()), X),
    "vmap of grad": (lambda f: npx.vmap(npx.grad(lambda x: f(x).sum())), numpy.stack([X, X])),
}


def public_class(error):
    """The most specific class of an exception that users can name."""
    return next(c for c in type(error).__mro__ if c.__module__ in ("builtins", "numpy.exceptions"))


def numpys_error(program):
    with pytest.raises(Exception) as caught:
        program(numpy, X.copy())
    return caught.value


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("wrong", BAD)
def test_class_is_numpys(wrong, transform):
    program = BAD[wrong]
    transformed, x = TRANSFORMS[transform]
    with pytest.raises(public_class(numpys_error(program))):
        transformed(lambda x: program(npx, x))(npx.array(x))


@pytest.mark.parametrize("wrong", BAD)
def test_message_is_numpys(wrong):
    """Eagerly on the host the words are NumPy's too."""
    with pytest.raises(Exception) as caught:
        BAD[wrong](npx, npx.array(X))
    assert str(caught.value).replace("npx.", "numpy.") == str(numpys_error(BAD[wrong]))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_users_line_is_named(transform):
    transformed, x = TRANSFORMS[transform]

    def program(x):
        y = x * 2
        return y + npx.ones(5)  # the wrong line

    with pytest.raises(ValueError) as caught:
        transformed(program)(npx.array(x))
    assert any("the wrong line" in line for line in traceback.format_exception(caught.value))


def returns_nothing(x):
    x * 2


NO_GRADIENT = {
    "of an array": (lambda x: x * 2, X, "scalar"),
    "of a pair": (lambda x: (x.sum(), x.sum()), X, "scalar"),
    "of an integer result": (lambda x: x.astype(int).sum(), X, "int"),
    "by an integer": (lambda x: (x * 2.0).sum(), numpy.arange(3), "int"),
    "by a boolean": (lambda x: (x * 2.0).sum(), numpy.ones(3, dtype=bool), "bool"),
    "by a Python int": (lambda x: x * 2.0, 3, "int"),
    "of nothing": (returns_nothing, X, "None"),
    "of a string": (lambda x: "no number", X, "str"),
}


@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jit of grad", "grad of jit"])
@pytest.mark.parametrize("what", NO_GRADIENT)
def test_no_gradient(what, transform):
    function, x, word = NO_GRADIENT[what]
    transformed = {
        "grad": npx.grad,
        "value_and_grad": npx.value_and_grad,
        "jit of grad": lambda f: npx.jit(npx.grad(f)),
        "grad of jit": lambda f: npx.grad(npx.jit(f)),
    }[transform](function)
    with pytest.raises(TypeError, match=word):
        transformed(npx.array(x) if isinstance(x, numpy.ndarray) else x)


def failing_writes():
    """Statements that fail on an array `x` of X's shape, by name."""

    def iadd_shape(x):
        x += npx.ones((2, 3, 4))

    def iadd_cast(x):
        x += 1j

    def imatmul(x):
        x @= npx.ones((3, 3))

    def out_cast(x):
        npx.add(x, 1j, out=x)

    def out_shape(x):
        npx.add(x, npx.ones((2, 3, 4)), out=x)

    def shape(x):
        x[:2] = npx.ones(3)

    def index(x):
        x[npx.array([0, 9])] = 0.0

    def mask(x):
        x[x > 3] = npx.ones(2)

    def value(x):
        x[0] = "no number"

    def through_a_view(x):
        x.T[:, ::2] += npx.ones(7)

    def reduction(x):
        npx.sum(npx.ones((3, 4, 2)), axis=0, out=x)

    return [iadd_shape, iadd_cast, imatmul, out_cast, out_shape, shape, index, mask, value, through_a_view, reduction]


@pytest.mark.parametrize("transform", ["eager", "grad", "jit", "vmap"])
@pytest.mark.parametrize("statement", failing_writes(), ids=lambda f: f.__name__)
def test_failed_write_changes_nothing(statement, transform):
    """The array is as before, for whoever catches the error inside the function and for the caller."""
    seen = []

    def program(x):
        buffer = x * 1.0
        try:
            statement(buffer)
        except (TypeError, ValueError, IndexError) as error:
            seen.append(type(error))
        return buffer

    x = npx.array(X)
    if transform == "grad":
        numpy.testing.assert_array_equal(npx.grad(lambda x: (program(x) ** 2).sum())(x), 2 * X)
    elif transform == "vmap":
        numpy.testing.assert_array_equal(npx.vmap(program)(npx.stack([x, x])), numpy.stack([X, X]))
    else:
        numpy.testing.assert_array_equal((npx.jit(program) if transform == "jit" else program)(x), X)
    assert seen, "the statement did not fail"
    numpy.testing.assert_array_equal(x, X)


@pytest.mark.parametrize("statement", failing_writes(), ids=lambda f: f.__name__)
def test_failed_write_to_an_argument_of_jit(statement):
    x = npx.array(X)
    with pytest.raises((TypeError, ValueError, IndexError)):
        npx.jit(statement)(x)
    numpy.testing.assert_array_equal(x, X)


def test_read_only_array():
    x = npx.array(X)
    x.flags.writeable = False
    for statement in ("x[0] = 1", "x += 1", "np.add(x, 1, out=x)", "x.fill(1)", "x.sort()"):
        with pytest.raises(ValueError, match="read-only"):
            exec(statement, {"np": npx, "x": x})
    numpy.testing.assert_array_equal(x, X)


def test_unknown_device():
    with pytest.raises(ValueError, match="no_such_device"):
        npx.asarray(X, device="no_such_device")


def python(code, **environment):
    """Run code in a fresh interpreter; what it printed and what it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize(("device", "package", "extra"), [("xla", "jax", "xla"), ("cuda", "cupy", "cuda12")])
def test_missing_extra_says_what_to_install(device, package, extra):
    code = f"""
import sys
sys.modules[{package!r}] = None
import npx
try:
    npx.asarray([1.0], device={device!r})
except ImportError as error:
    print(error)
"""
    assert f"pip install 'npx-array[{extra}]'" in python(code)[0]


def test_broken_plugin_is_reported_once(tmp_path):
    """A backend that cannot be imported neither breaks `import npx` nor hides that it is broken."""
    info = tmp_path / "broken_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[npx.backends]\nbroken = broken_backend:make\n")
    (tmp_path / "broken_backend.py").write_text("raise RuntimeError('no driver')")
    code = """
import npx
assert npx.add(1, 2) == 3
for _ in range(2):
    try:
        npx.asarray([1.0], device="broken")
    except ValueError as error:
        print(error)
"""
    out, err = python(code, PYTHONPATH=str(tmp_path))
    assert out.count("unknown device 'broken'") == 2
    assert err.count("no driver") == 1
