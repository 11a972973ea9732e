"""The transforms as their users call them: which arguments, which kinds of functions, trees in and out."""

import collections
import functools
import inspect
import pickle

import numpy
import optree
import pytest

import npx as np
from npx.testing import check_grads

leaves = functools.partial(optree.tree_leaves, namespace="npx")
structure = functools.partial(optree.tree_structure, namespace="npx")
tree_map = functools.partial(optree.tree_map, namespace="npx")
X = numpy.array([0.5, 1.0, 1.5])
Pair = collections.namedtuple("Pair", "left right")


@optree.dataclasses.dataclass(namespace="npx")
class Layer:
    weight: object
    bias: object
    name: str = optree.dataclasses.field(default="layer", pytree_node=False)


def close(found, expected, **kwargs):
    numpy.testing.assert_allclose(numpy.asarray(found), numpy.asarray(expected), **{"rtol": 1e-10, **kwargs})


def weighted(x, w, *, scale=1.0):
    """A docstring."""
    return (w * x**2).sum() * scale


# ---------------------------------------------------------------------------------------------- which arguments
@pytest.mark.parametrize(
    ("argnums", "expected"),
    [
        (0, 2 * X * X),
        (1, X**2),
        (-1, X**2),
        (-2, 2 * X * X),
        (numpy.int64(1), X**2),
        ("w", X**2),
        ("x", 2 * X * X),
        ((0, 1), (2 * X * X, X**2)),
        ([1, 0], (X**2, 2 * X * X)),
        (("w", 0), (X**2, 2 * X * X)),
        ((1,), (X**2,)),
        ((), ()),
    ],
)
def test_argnums(argnums, expected):
    for transform in (np.grad, np.jacfwd, np.jacrev):
        found = transform(weighted, argnums=argnums)(np.array(X), np.array(X))
        assert type(found) is (tuple if isinstance(expected, tuple) else np.ndarray)
        assert len(found) == len(expected)
        for a, b in zip(found, expected):
            close(a, b)


def test_argnums_by_name_however_passed():
    close(np.grad(weighted, "scale")(X, X, scale=2.0), (X**3).sum())
    close(np.grad(weighted, "w")(X, w=np.array(X)), X**2)
    both = np.grad(weighted, ("w", 0, "scale"))(np.array(X), w=np.array(X), scale=2.0)
    for found, expected in zip(both, (2 * X**2, 4 * X * X, (X**3).sum())):
        close(found, expected)
    close(np.hessian(weighted, "w")(X, w=np.array(X)), numpy.zeros((3, 3)))
    assert np.jacrev(weighted, ("x", "scale"))(np.array(X), X, scale=1.0)[1].shape == ()


def test_has_aux_everywhere():
    def f(x):
        y = x**2
        return y.sum(), {"y": y, "words": "unchanged"}

    x = np.array(X)
    (value, aux), g = np.value_and_grad(f, has_aux=True)(x)
    close(value, (X**2).sum())
    for found in (aux, np.grad(f, has_aux=True)(x)[1], np.jvp(f, (x,), (x,), has_aux=True)[2]):
        close(found["y"], X**2)
        assert found["words"] == "unchanged"
    for transform in (np.jacfwd, np.jacrev, np.hessian):
        _, aux = transform(f, has_aux=True)(x)
        close(aux["y"], X**2)
    assert np.vjp(f, x, has_aux=True)[2]["words"] == np.linearize(f, x, has_aux=True)[2]["words"] == "unchanged"
    product, aux = np.hvp(f, (x,), (x,), has_aux=True)
    close(product, 2 * X)
    close(aux["y"], X**2)


def test_holomorphic():
    z = np.array([1 + 2j, 0.5 - 1j])
    close(np.grad(lambda z: (z**3).sum(), holomorphic=True)(z), 3 * numpy.asarray(z) ** 2)
    for transform in (np.jacfwd, np.jacrev):
        close(transform(lambda z: z**3, holomorphic=True)(z), numpy.diag(3 * numpy.asarray(z) ** 2))
    close(np.hessian(lambda z: (z**3).sum(), holomorphic=True)(z), numpy.diag(6 * numpy.asarray(z)))


@pytest.mark.parametrize("dtype", [numpy.int64, numpy.uint8, bool])
def test_integers(dtype):
    """With allow_int their gradient is zero, in their own dtype; without it is an error."""
    n, x = np.array([1, 0, 1], dtype=dtype), np.array(X)
    with pytest.raises(TypeError, match=f"dtype {numpy.dtype(dtype)}.*allow_int"):
        np.grad(lambda n, x: (n * x).sum())(n, x)
    gn, gx = np.grad(lambda n, x: (n * x).sum(), (0, 1), allow_int=True)(n, x)
    assert gn.dtype == dtype and gn.shape == (3,) and not gn.any()
    close(gx, numpy.asarray(n))
    assert np.grad(lambda n: n * 1.5, allow_int=True)(3) == 0
    assert not np.jacrev(lambda n, x: n * x, allow_int=True)(n, x).any()
    tangent = np.jvp(lambda n, x: n * x, (n, x), (n, np.ones(3)))[1]
    close(tangent, numpy.asarray(n))
    assert not np.vjp(lambda n, x: n * x, n, x)[1](np.ones(3))[0].any()


# ---------------------------------------------------------------------------------------------- trees
TREES = {
    "tuple": lambda x: (x, (x, x)),
    "list": lambda x: [x, x],
    "dict": lambda x: {"b": x, "a": [x]},
    "namedtuple": lambda x: Pair(x, {"c": x}),
    "ordered dict": lambda x: collections.OrderedDict(z=x, a=x),
    "defaultdict": lambda x: collections.defaultdict(list, a=x),
    "deque": lambda x: collections.deque([x, x]),
    "dataclass": lambda x: Layer(x, (x,), "mine"),
    "None inside": lambda x: (x, None),
    "nothing": lambda x: (),
}


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("where", ["in", "out", "aux"])
def test_trees(tree, where):
    make, x = TREES[tree], np.array(X)

    def total(t):
        return sum(((a**2).sum() for a in leaves(t)), start=0.0)

    if where == "in":
        found = np.grad(lambda t, s: total(t) + (s**2).sum())(make(x), x)
        expected = tree_map(lambda a: 2 * numpy.asarray(a), make(x))
    elif where == "aux":
        _, found = np.grad(lambda x: (total(make(x)) + (x**2).sum(), make(2 * x)), has_aux=True)(x)
        expected = make(2 * X)
    else:
        value, pullback = np.vjp(lambda x: make(x * 2), x)
        n = len(leaves(value))
        close(pullback(value)[0], 4 * n * X)
        found, expected = np.jvp(lambda x: make(x * 2), (x,), (x,))[1], make(2 * X)
        jacobian = np.jacfwd(lambda x: make(x * 2))(x)
        assert structure(jacobian) == structure(expected)
    assert structure(found) == structure(expected)
    for a, b in zip(leaves(found), leaves(expected)):
        close(a, b)


def test_hessian_of_trees():
    """Blocks [argument of the gradient][argument], each of their shapes."""

    def f(p, s):
        return (p["w"] @ p["v"]) * s**2

    w, v, s = numpy.ones((2, 3)), numpy.arange(3.0), 2.0
    found = np.hessian(lambda p, s: f(p, s).sum(), (0, 1))({"w": np.array(w), "v": np.array(v)}, s)
    assert found[0]["w"][0]["v"].shape == (2, 3, 3)
    close(found[0]["w"][0]["v"], numpy.broadcast_to(numpy.eye(3) * 4, (2, 3, 3)))
    close(found[0]["w"][1], numpy.broadcast_to(2 * s * v, (2, 3)))
    close(found[1][1], 2 * (w @ v).sum())


# ---------------------------------------------------------------------------------------------- kinds of functions
class Model:
    """Functions that belong to a class."""

    scale = 3.0

    def method(self, x):
        return (self.scale * x**2).sum()

    @classmethod
    def of_class(cls, x):
        return (cls.scale * x**2).sum()

    @staticmethod
    def of_nothing(x):
        return (3.0 * x**2).sum()

    def __call__(self, x):
        return self.method(x)

    @np.grad
    @staticmethod
    def static_gradient(x):
        return (3.0 * x**2).sum()

    @np.grad(argnums=1)
    def gradient(self, x):
        """The gradient of a method."""
        return self.method(x)

    @np.grad(argnums="x")
    @classmethod
    def class_gradient(cls, x):
        return cls.of_class(x)


MODEL = Model()
FUNCTIONS = {
    "lambda": lambda x: (3.0 * x**2).sum(),
    "method": MODEL.method,
    "class method": Model.of_class,
    "static method": Model.of_nothing,
    "callable object": MODEL,
    "partial": functools.partial(lambda w, x: (w * x**2).sum(), 3.0),
    "partial with keywords": functools.partial(lambda x, w: (w * x**2).sum(), w=3.0),
    "cached": functools.wraps(MODEL.method)(lambda x: MODEL.method(x)),
    "gradient of a class": MODEL.gradient,
}


@pytest.mark.parametrize("kind", list(FUNCTIONS)[:-1])
def test_kinds_of_functions(kind):
    close(np.grad(FUNCTIONS[kind])(np.array(X)), 6 * X)
    close(np.vmap(np.grad(FUNCTIONS[kind]))(np.array([X])), [6 * X])


def test_decorated_methods():
    for gradient in (MODEL.gradient, Model.class_gradient, MODEL.class_gradient, MODEL.static_gradient):
        close(gradient(np.array(X)), 6 * X)
    assert Model.gradient.__name__ == "gradient" and "of a method" in Model.gradient.__doc__


@pytest.mark.parametrize("f", [np.sin, np.exp, np.sum, np.linalg.norm, numpy.sin, abs, sum, np.multiply.reduce])
def test_functions_of_libraries(f):
    x = np.array([0.3])
    check_grads(f, (x,), order=1)
    assert np.grad(lambda x: np.sum(f(x)))(x).shape == (1,)


@pytest.mark.parametrize("transform", [np.grad, np.value_and_grad, np.jacfwd, np.jacrev, np.hessian, np.vmap])
def test_names_and_signatures(transform):
    t = transform(weighted)
    assert t.__name__ == t.__qualname__ == "weighted" and t.__module__ == __name__
    assert "A docstring." in t.__doc__ and "`weighted`" in t.__doc__
    assert t.__wrapped__ is weighted
    assert inspect.signature(t) == inspect.signature(weighted)


@np.grad
def cube_slope(x):
    """The slope of a cube."""
    return x**3


@np.value_and_grad(argnums=1, has_aux=True)
def with_options(x, y):
    return x * y**2, "aux"


def test_decorators():
    assert cube_slope(2.0) == 12.0
    assert with_options(3.0, 2.0) == ((12.0, "aux"), 12.0)
    assert np.grad(fun=lambda x: x**2)(3.0) == 6.0
    close(np.hessian(argnums=0)(lambda x: (x**3).sum())(np.array(X)), numpy.diag(6 * X))


def test_decorated_function_can_be_pickled():
    assert pickle.loads(pickle.dumps(cube_slope)) is cube_slope


# ---------------------------------------------------------------------------------------------- the new ones
def test_hvp():
    a = numpy.arange(9.0).reshape(3, 3)
    v = numpy.array([1.0, -2.0, 0.5])
    f = lambda x: x @ a @ x  # noqa: E731
    close(np.hvp(f, (np.array(X),), (np.array(v),)), (a + a.T) @ v)
    close(np.vmap(lambda v: np.hvp(f, (np.array(X),), (v,)))(np.array([v, 2 * v])), [(a + a.T) @ v, 2 * (a + a.T) @ v])
    close(np.jit(lambda x, v: np.hvp(f, (x,), (v,)))(np.array(X), np.array(v)), (a + a.T) @ v)
    gx, gy = np.hvp(lambda x, y: (x**2 * y).sum(), (np.array(X), np.array(X)), (np.array(v), None))
    close(gx, 2 * X * v)
    close(gy, 2 * X * v)
    with pytest.raises(TypeError, match="hvp.*int64.*floating point"):
        np.hvp(lambda x: x * 1.0, (3,), (1,))
    with pytest.raises(TypeError, match="scalar"):
        np.hvp(lambda x: x, (np.array(X),), (np.array(X),))


def filled(x):
    y = np.zeros(5)
    y[1:4] = 2 * x
    y[::2] -= x
    return y


LINEAR = {
    "scaling": lambda x: 3 * x,
    "fft": lambda x: np.fft.fft(x).imag,
    "matrix": lambda x: numpy.arange(6.0).reshape(2, 3) @ x,
    "einsum": lambda x: np.einsum("i,ij->j", x, numpy.arange(6.0).reshape(3, 2)),
    "convolve": lambda x: np.convolve(x, [1.0, 2.0]),
    "diff": np.diff,
    "cumsum": np.cumsum,
    "writes": filled,
    "where": lambda x: np.where(numpy.array([True, False, True]), x, 0),
    "tree": lambda x: {"a": x[::-1], "b": (x.sum(), x / 2)},
    "solve": lambda x: np.linalg.solve(numpy.diag([1.0, 2.0, 4.0]), x),
    "jitted": np.jit(lambda x: x[1:] - x[:-1]),
    "nothing": lambda x: np.zeros(2),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_transpose(name):
    f, x = LINEAR[name], np.array(X)
    transpose = np.linear_transpose(f, np.empty(3))
    result = f(x)
    ct = tree_map(lambda r: numpy.cos(numpy.arange(float(numpy.size(r)))).reshape(numpy.shape(r)), result)
    (found,) = transpose(ct)
    pairing = sum(float(numpy.sum(a * b)) for a, b in zip(leaves(ct), leaves(result)))
    close((found * x).sum(), pairing, atol=1e-12)
    (again,) = np.linear_transpose(lambda ct: transpose(ct)[0], result)(x)
    for a, b in zip(leaves(again), leaves(result), strict=True):
        close(a, b, atol=1e-12)


@pytest.mark.parametrize(
    ("f", "op"),
    [
        (lambda x: x * x, "multiply"),
        (lambda x: x + 1, "add"),
        (np.exp, "exp"),
        (lambda x: 1 / x, "divide"),
        (lambda x: np.where(x > 0, x, 0), "greater"),
        (lambda x: x if x.sum() > 0 else 2 * x, "greater"),
        (lambda x: np.concatenate([x, [1.0]]), "concatenate"),
        (lambda x: np.ones(3), "constant"),
        (lambda x: x @ x, "matmul"),
        (np.jit(lambda x: np.sin(x)), "sin"),
        (np.sort, "sort"),
    ],
)
def test_linear_transpose_refuses(f, op):
    with pytest.raises(TypeError, match=rf"linear_transpose.* not linear.*{op}"):
        np.linear_transpose(f, np.array(X))


def test_linear_transpose_names_the_line():
    with pytest.raises(TypeError, match=r"test_transform_api\.py:\d+"):
        np.linear_transpose(lambda x: x + 1, np.array(X))


def make_custom():
    seen = []

    @np.custom_vmap
    def f(x, y):
        return {"sum": x + y, "product": (x * y).sum()}

    @f.def_vmap
    def rule(axis_size, in_batched, x, y):
        seen.append((axis_size, in_batched))
        product = (x * y).sum(axis=-1)
        return {"sum": x + y, "product": product}, any(in_batched)

    return f, seen


def test_custom_vmap():
    f, seen = make_custom()
    xs, y = numpy.arange(6.0).reshape(2, 3), X
    found = np.vmap(f, (0, None))(np.array(xs), np.array(y))
    close(found["sum"], xs + y)
    close(found["product"], (xs * y).sum(axis=1))
    assert seen == [(2, [True, False])]
    assert f(np.array(X), np.array(X))["product"] == (X * X).sum() and len(seen) == 1


def test_custom_vmap_under_other_transforms():
    f, seen = make_custom()
    xs, y = np.arange(6.0).reshape(2, 3), np.array(X)

    def total(xs):
        return np.vmap(f, (0, None))(xs, y)["product"].sum()

    close(np.grad(total)(xs), [X, X])
    close(np.jvp(total, (xs,), (xs,))[1], (numpy.asarray(xs) * X).sum())
    close(np.jit(total)(xs), (numpy.asarray(xs) * X).sum())
    assert len(seen) >= 3
    close(np.vmap(np.grad(lambda x: f(x, y)["product"]))(xs), [X, X])
    nested = np.vmap(np.vmap(f, (0, None)), (None, 0))(xs, np.array([X, 2 * X]))
    close(nested["product"], [(numpy.asarray(xs) * s * X).sum(axis=1) for s in (1, 2)])


def test_custom_vmap_of_scalars():
    @np.custom_vmap
    def f(x):
        return x * 2

    f.def_vmap(lambda axis_size, in_batched, x: (x * 2 + 1, True))
    assert numpy.asarray(np.vmap(f)(np.arange(3.0))).tolist() == [1.0, 3.0, 5.0]
    f.def_vmap(lambda axis_size, in_batched, x: (np.array(7.0), False))
    assert numpy.asarray(np.vmap(f)(np.arange(3.0))).tolist() == [7.0] * 3


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        (lambda n, b, x: x, TypeError, "must return a pair"),
        (lambda n, b, x: (x[1:], True), ValueError, "first axis must have length 3"),
        (lambda n, b, x: (x, "yes"), TypeError, "tree of bools"),
        (lambda n, b, x: ((x, x), (True, True, True)), TypeError, "tree of bools"),
        (lambda n, b, x: (x, 0), TypeError, "tree of bools"),
    ],
)
def test_custom_vmap_misused(rule, error, words):
    f = np.custom_vmap(lambda x: x)
    f.def_vmap(rule)
    with pytest.raises(error, match=words):
        np.vmap(f)(np.arange(3.0))


def test_custom_vmap_without_rule():
    with pytest.raises(AttributeError, match="def_vmap"):
        np.vmap(np.custom_vmap(lambda x: x))(np.arange(3.0))


def test_none_for_a_tangent_that_is_zero():
    f = lambda x, y: x * y  # noqa: E731
    assert np.jvp(f, (2.0, 3.0), (1.0, None))[1] == 3.0
    assert np.linearize(f, 2.0, 3.0)[1](None, 1.0) == 2.0
