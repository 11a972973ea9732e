"""What the derivative transforms refuse: the exception's class, and that its message names what is wrong."""

import dataclasses

import numpy
import pytest

import npx as np

X, Y = numpy.array([0.5, 1.0, 1.5]), numpy.array([1.0, 2.0])


@dataclasses.dataclass
class Parameters:
    weight: object


def pair(x, y):
    return x.sum() * y.sum()


def nothing(x):
    x * 2


def tree(x):
    return {"a": x, "b": [x * 2, x.sum()]}


class NoFunction:
    pass


#: what is wrong -> (program, exception, words that its message must have)
CASES = {
    # what is differentiated
    "argnums too large": (lambda: np.grad(pair, 2)(X, Y), ValueError, ["argnums has 2", "pair", "2 positional"]),
    "argnums too small": (lambda: np.grad(pair, -3)(X, Y), ValueError, ["argnums has -3", "pair"]),
    "argnums of keywords": (lambda: np.grad(pair)(x=X, y=Y), ValueError, ["argnums has 0", "argnums='x'"]),
    "argnums unknown name": (lambda: np.grad(pair, "z")(X, Y), ValueError, ["'z'", "pair"]),
    "argnums not passed": (lambda: np.grad(lambda x, y=1.0: x * y, "y")(1.0), ValueError, ["'y'"]),
    "argnums twice": (lambda: np.grad(pair, (0, -2))(X, Y), ValueError, ["(0, -2)", "twice"]),
    "argnums a float": (lambda: np.grad(pair, 1.0)(X, Y), TypeError, ["argnums", "1.0", "int"]),
    "argnums a bool": (lambda: np.grad(pair, True)(X, Y), TypeError, ["argnums", "True"]),
    "argnums nested": (lambda: np.grad(pair, ((0,), 1))(X, Y), TypeError, ["argnums", "(0,)"]),
    "a string": (lambda: np.grad(lambda s: 1.0)("text"), TypeError, ["argument 's'", "type str", "argnums"]),
    "a plain object": (lambda: np.grad(lambda m: 1.0)(NoFunction()), TypeError, ["argument 'm'", "NoFunction"]),
    "a plain dataclass": (lambda: np.grad(lambda p: p.weight)(Parameters(1.0)), TypeError, ["Parameters", "optree"]),
    "an integer in a tree": (lambda: np.grad(lambda p: p["a"] * 1.0)({"a": 1}), TypeError, ["argument 'p'", "int64"]),
    "real and holomorphic": (
        lambda: np.grad(lambda x: x, holomorphic=True)(1.0),
        TypeError,
        ["holomorphic=True", "argument 'x'", "float64"],
    ),
    # what is differentiated is no function
    "no function": (lambda: np.grad(3.0), TypeError, ["grad takes a function", "float"]),
    "None for a function": (lambda: np.value_and_grad(None), TypeError, ["takes a function", "NoneType"]),
    "hessian of no function": (lambda: np.hessian("f"), TypeError, ["takes a function", "str"]),
    "vjp of no function": (lambda: np.vjp(X, X), TypeError, ["vjp takes a function"]),
    "jvp of no function": (lambda: np.jvp(X, (X,), (X,)), TypeError, ["jvp takes a function"]),
    # results
    "an array": (lambda: np.grad(lambda x: x * 2)(X), TypeError, ["scalar", "(3,)", "sum", "jacrev"]),
    "nothing": (lambda: np.grad(nothing)(X), TypeError, ["nothing returned None", "return"]),
    "a string returned": (lambda: np.grad(lambda x: "text")(X), TypeError, ["arrays", "str"]),
    "value and gradient of an array": (
        lambda: np.value_and_grad(lambda x: x)(X),
        TypeError,
        ["value_and_grad", "(3,)"],
    ),
    "a list of numbers": (lambda: np.grad(lambda x: sum(x))([1.0, 2]), TypeError, ["argument 'x'", "int64"]),
    "a list returned": (lambda: np.grad(lambda x: [x.sum()])(X), TypeError, ["scalar", "list", "has_aux"]),
    "a dict returned": (lambda: np.grad(lambda x: {"loss": x.sum()})(X), TypeError, ["scalar", "dict"]),
    "an empty tuple returned": (lambda: np.grad(lambda x: ())(X), TypeError, ["scalar", "tuple"]),
    "an integer returned": (lambda: np.grad(lambda x: 3)(X), TypeError, ["floating point", "int64"]),
    "a boolean returned": (lambda: np.grad(lambda x: x[0] > 0)(X), TypeError, ["floating point", "bool"]),
    "a complex number": (lambda: np.grad(lambda x: x.sum() * 1j)(X), TypeError, ["real", "complex128", "holomorphic"]),
    "real where complex is said": (
        lambda: np.grad(lambda z: abs(z), holomorphic=True)(1j),
        TypeError,
        ["holomorphic=True", "complex result", "float64"],
    ),
    "no aux": (lambda: np.grad(lambda x: x.sum(), has_aux=True)(X), TypeError, ["has_aux=True", "pair"]),
    "aux of three": (lambda: np.grad(lambda x: (x.sum(), 1, 2), has_aux=True)(X), TypeError, ["has_aux=True", "pair"]),
    "jacrev of None": (lambda: np.jacrev(nothing)(X), TypeError, ["jacrev", "None"]),
    "jacfwd of a string": (lambda: np.jacfwd(lambda x: "text")(X), TypeError, ["jacfwd", "str"]),
    "jvp of None": (lambda: np.jvp(nothing, (X,), (X,)), TypeError, ["jvp", "None"]),
    "vjp of None": (lambda: np.vjp(nothing, X), TypeError, ["vjp", "None"]),
    "complex Jacobian": (lambda: np.jacrev(lambda x: x * 1j)(X), TypeError, ["jacrev", "complex128", "holomorphic"]),
    "Jacobian by complex": (lambda: np.jacfwd(lambda z: z)(X * 1j), TypeError, ["jacfwd", "real", "holomorphic"]),
    "hessian of an array by complex": (lambda: np.hessian(lambda z: abs(z).sum())(X * 1j), TypeError, ["real"]),
    # tangents
    "tangent's shape": (
        lambda: np.jvp(np.sin, (X,), (Y,)),
        ValueError,
        ["jvp", "tangent of argument", "(2,)", "(3,)"],
    ),
    "tangent's shape in a tree": (
        lambda: np.jvp(lambda p: p["a"], ({"a": X, "b": Y},), ({"a": X, "b": X},)),
        ValueError,
        ["argument 'p'", "at ['b']", "(3,)", "(2,)"],
    ),
    "tangent's dtype": (lambda: np.jvp(np.sin, (X,), (X * 1j,)), TypeError, ["complex128", "float64", "real part"]),
    "tangent of strings": (lambda: np.jvp(np.sin, (X,), (numpy.array(["a", "b", "c"]),)), TypeError, ["<U1"]),
    "tangent a string": (lambda: np.jvp(np.sin, (1.0,), ("a",)), TypeError, ["tangent", "array of shape ()", "str"]),
    "tangent's structure": (
        lambda: np.jvp(lambda p: p["a"], ({"a": X},), ({"b": X},)),
        TypeError,
        ["tangent of argument 'p'", "{'a': *}", "{'b': *}"],
    ),
    "tangents too few": (lambda: np.jvp(pair, (X, Y), (X,)), TypeError, ["2 arguments", "1 tangents"]),
    "tangents no tuple": (lambda: np.jvp(np.sin, (X,), X), TypeError, ["tangents must be a tuple", "(t,)"]),
    "primals no tuple": (lambda: np.jvp(np.sin, X, (X,)), TypeError, ["arguments must be a tuple", "(x,)"]),
    "linearize: shape": (lambda: np.linearize(np.sin, X)[1](Y), ValueError, ["linearize", "(2,)", "(3,)"]),
    "hvp: shape": (lambda: np.hvp(np.sum, (X,), (Y,)), ValueError, ["hvp", "(2,)", "(3,)"]),
    # cotangents
    "cotangent's shape": (
        lambda: np.vjp(np.sin, X)[1](Y),
        ValueError,
        ["vjp", "cotangent of the result of sin", "(2,)", "(3,)"],
    ),
    "cotangent's shape in a tree": (
        lambda: np.vjp(tree, X)[1]({"a": X, "b": [Y, 1.0]}),
        ValueError,
        ["result of tree", "at ['b'][0]", "(2,)", "(3,)"],
    ),
    "cotangent's structure": (
        lambda: np.vjp(tree, X)[1]((X, X, 1.0)),
        TypeError,
        ["cotangent", "{'a': *, 'b': [*, *]}", "(*, *, *)"],
    ),
    "cotangent's dtype": (lambda: np.vjp(np.sin, X)[1](X * 1j), TypeError, ["complex128", "float64"]),
    "cotangent None": (lambda: np.vjp(np.sin, X)[1](None), TypeError, ["cotangent", "None"]),
    "transpose: shape": (
        lambda: np.linear_transpose(lambda x: 2 * x, X)(Y),
        ValueError,
        ["linear_transpose", "(2,)", "(3,)"],
    ),
}


@pytest.mark.parametrize("wrong", CASES)
def test_message(wrong):
    program, error, words = CASES[wrong]
    with pytest.raises(error) as caught:
        program()
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{missing} are not in: {caught.value}"
    assert type(caught.value) is error


# ---------------------------------------------------------------------------------------------- rules of the user
def custom_vjp(fwd, bwd, f=lambda x: x * 2.0, **options):
    f = np.custom_vjp(f, **options)
    f.defvjp(fwd, bwd)
    return lambda x: np.grad(lambda x: np.sum(f(x)))(x)


def custom_jvp(rule, f=lambda x: x * 2.0):
    f = np.custom_jvp(f)
    f.defjvp(rule)
    return lambda x: np.jvp(f, (x,), (x,))


def keep(x):
    return x * 2.0, x


RULES = {
    "fwd returns no pair": (custom_vjp(lambda x: x, lambda r, g: (g,)), TypeError, ["forward rule", "pair"]),
    "bwd returns no tuple": (custom_vjp(keep, lambda r, g: g), TypeError, ["backward rule", "tuple of 1"]),
    "bwd returns two": (custom_vjp(keep, lambda r, g: (g, g)), TypeError, ["backward rule", "tuple of 1"]),
    "bwd returns another structure": (custom_vjp(keep, lambda r, g: ((g, g),)), TypeError, ["backward rule"]),
    "bwd returns another shape": (
        custom_vjp(keep, lambda r, g: (g[:1],)),
        ValueError,
        ["backward rule", "(1,)", "(3,)"],
    ),
    "bwd returns complex": (custom_vjp(keep, lambda r, g: (g * 1j,)), TypeError, ["backward rule", "complex128"]),
    "bwd returns a string": (custom_vjp(keep, lambda r, g: ("g",)), TypeError, ["backward rule", "str"]),
    "nondiff_argnums too large": (
        custom_vjp(keep, lambda r, g: (g,), nondiff_argnums=3),
        ValueError,
        ["nondiff_argnums", "3"],
    ),
    "jvp rule returns no pair": (custom_jvp(lambda p, t: p[0]), TypeError, ["jvp rule", "pair"]),
    "jvp rule returns another tangent": (
        custom_jvp(lambda p, t: (p[0] * 2.0, t[0][:1])),
        ValueError,
        ["jvp rule", "(1,)", "(3,)"],
    ),
    "jvp rule returns a tangent of another structure": (
        custom_jvp(lambda p, t: (p[0] * 2.0, (t[0], t[0]))),
        TypeError,
        ["jvp rule", "(*, *)"],
    ),
    "jvp rule returns a complex tangent": (
        custom_jvp(lambda p, t: (p[0] * 2.0, t[0] * 1j)),
        TypeError,
        ["jvp rule", "complex128"],
    ),
}


@pytest.mark.parametrize("wrong", RULES)
def test_rule(wrong):
    program, error, words = RULES[wrong]
    with pytest.raises(error) as caught:
        program(np.array(X))
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{missing} are not in: {caught.value}"


def test_an_error_leaves_nothing_behind():
    """After a failed transform the same arrays and functions work."""
    x, buffer = np.array(X), np.zeros(3)

    def f(x):
        buffer[:] = x
        return buffer

    with pytest.raises(TypeError):
        np.grad(f)(x)
    numpy.testing.assert_array_equal(buffer, X)
    numpy.testing.assert_array_equal(np.grad(lambda x: f(x).sum())(x), numpy.ones(3))
