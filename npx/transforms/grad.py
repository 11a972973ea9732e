"""Reverse mode: `grad`, `value_and_grad`, `vjp`."""

import numpy

from npx.array.ndarray import payload
from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import cast, is_inexact

from . import tree
from .calls import SCALARS, Result, is_array, run, same_name, wrap_as
from .selection import pull_back
from .tape import Tape, TapeTracer
from .values import differentiable, own, snapshot, zeros_beside
from .watching import watching


class Pullback:
    """A function run on a tape, and the way back from cotangents of its results to those of its inputs.

    Parameters
    ----------
    values : list of payload
        What to differentiate with respect to; integers among them have zero cotangents.
    call : callable
        ``call(inputs)`` runs the function with tracers in place of the values; returns the results' payloads, and
        anything else, which becomes `extra`.
    keep : bool
        The pullback outlives the call: guard its values against the user's later writes.
    """

    __slots__ = ("tape", "inputs", "values", "outputs", "extra")

    def __init__(self, values, call, keep=False):
        watch = watching.get()
        self.tape = tape = Tape() if watch is None else watch.tape()
        self.values = values
        self.inputs = [tape.leaf(snapshot(v)) if differentiable(v) else v for v in values]
        lower = (lambda t: snapshot(t.primal)) if keep else tape.lower
        self.outputs, self.extra = run(tape, lambda: call(self.inputs), lower)

    def node(self, value):
        """The node of a payload, None for one that does not depend on the inputs."""
        return value.node if type(value) is TapeTracer and value.interpreter is self.tape else None

    def pull(self, cotangents):
        """The cotangents of the inputs, from those of the outputs (None for zero).

        They are memory of their own, ready to be written to.
        """
        nodes = map(self.node, self.outputs)
        seeds = [(node, ct) for node, ct in zip(nodes, cotangents) if node is not None and ct is not None]
        found = pull_back(seeds, self.tape.look)
        taken = {id(ct) for _, ct in seeds}
        return [self._cotangent(x, v, found, taken) for x, v in zip(self.inputs, self.values)]

    def _cotangent(self, x, value, found, taken):
        ct = found.get(self.node(x))
        return zeros_beside(value) if ct is None else own(cast(ct, x.dtype), taken)


# ------------------------------------------------------------------------------------------------ grad, value_and_grad
def value_and_grad(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False):
    """Make a function that returns the value of `fun` and its gradient.

    Parameters
    ----------
    fun : callable
        Returns a scalar, or ``(scalar, aux)`` with `has_aux`. It may write into its local arrays, its arguments (in
        the transformed function these are copies) and arrays from outside.
    argnums : int or tuple of int
        Which positional arguments to differentiate with respect to: arrays, numbers, or pytrees of them.
    has_aux : bool
        `fun` also returns other data, which is passed through.
    holomorphic : bool
        `fun` is a holomorphic function of complex numbers; the derivative is complex.
    allow_int : bool
        Give integer arguments a zero gradient instead of an error.

    Returns
    -------
    callable
        Takes the arguments of `fun` and returns ``(value, gradient)``, or ``((value, aux), gradient)``. The gradient
        has the structure of the argument, or is a tuple of such where `argnums` is one.

    Raises
    ------
    TypeError
        The result is not a real scalar, or an argument is no floating point number.

    Examples
    --------
    >>> import npx as np
    >>> def loss(x):
    ...     y = np.zeros(3)
    ...     y[:] = x**2
    ...     return y.sum()
    >>> value, g = np.value_and_grad(loss)(np.array([1., 2., 3.]))
    >>> g
    array([2., 4., 6.])
    """
    return _value_and_grad("value_and_grad", fun, argnums, has_aux, holomorphic, allow_int)


def grad(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False):
    """Make a function that returns the gradient of `fun`, a function with a scalar result.

    Takes the arguments of `value_and_grad`. The transformed function returns the gradient, or ``(gradient, aux)``.

    Examples
    --------
    >>> import npx as np
    >>> np.grad(np.sin)(0.0)
    np.float64(1.0)
    """
    both = _value_and_grad("grad", fun, argnums, has_aux, holomorphic, allow_int)

    @same_name(fun, "grad")
    def gradient(*args, **kwargs):
        value, g = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


def _value_and_grad(transform, fun, argnums, has_aux, holomorphic, allow_int):
    check_callable(fun, transform)

    @same_name(fun, transform)
    def transformed(*args, **kwargs):
        picked = Picked(transform, fun, args, argnums)
        picked.check(holomorphic, allow_int)
        pullback = picked.pullback(kwargs)
        out = _scalar_result(transform, fun, pullback.extra, has_aux, holomorphic)
        cotangents = [None] * len(pullback.outputs)
        cotangents[0] = numpy.ones((), aval_of(out).dtype)[()]
        g = picked.rebuild(pullback.pull(cotangents))
        return pullback.extra.lowered(pullback.tape, pullback.tape.lower), g

    return transformed


class Picked:
    """The arguments that a derivative is taken with respect to, as flat payloads."""

    def __init__(self, transform, fun, args, argnums):
        self.transform, self.fun, self.args = transform, fun, args
        self.single = not isinstance(argnums, (tuple, list))
        self.positions = [self._position(n) for n in ([argnums] if self.single else argnums)]
        flat = [tree.flatten(args[n]) for n in self.positions]
        self.structures = [structure for _, structure in flat]
        self.leaves = [leaf for leaves, _ in flat for leaf in leaves]
        self.payloads = [payload(leaf) for leaf in self.leaves]

    def _position(self, n):
        try:
            n = n.__index__()
        except AttributeError:
            raise TypeError(f"{self.transform}: argnums must be an int or a tuple of ints, got {n!r}") from None
        if not -len(self.args) <= n < len(self.args):
            raise ValueError(
                f"{self.transform}: argnums has {n}, but {tree.name_of(self.fun)} was called with {len(self.args)} "
                "positional arguments"
            )
        return n % len(self.args)

    def _name(self, k):
        """What to call the argument that leaf `k` belongs to."""
        for position, structure in zip(self.positions, self.structures):
            k -= structure.num_leaves
            if k < 0:
                return f"{tree.argument_name(self.fun, position)} of {tree.name_of(self.fun)}"
        raise IndexError(k)

    def check(self, holomorphic, allow_int):
        """Refuse what has no derivative."""
        for k, (leaf, p) in enumerate(zip(self.leaves, self.payloads)):
            if not is_array(leaf):
                raise TypeError(
                    f"{self.transform}: {self._name(k)} is or holds an object of type {type(leaf).__name__}; "
                    "derivatives are taken with respect to arrays and numbers. Choose other arguments with argnums."
                )
            dtype = aval_of(p).dtype
            if not is_inexact(dtype) and not (allow_int and dtype.kind in "biu"):
                raise TypeError(
                    f"{self.transform}: {self._name(k)} has dtype {dtype}; derivatives are taken with respect to "
                    "floating point numbers. Convert it (x.astype(float)), choose others with argnums, or pass "
                    "allow_int=True for a zero gradient."
                )
            if holomorphic and dtype.kind != "c":
                raise TypeError(
                    f"{self.transform}: holomorphic=True needs complex arguments; {self._name(k)} is {dtype}"
                )

    def fill(self, values):
        """All arguments, with `values` in place of the picked payloads."""
        values = [wrap_as(v, leaf) for v, leaf in zip(values, self.leaves)]
        args = list(self.args)
        for position, part in zip(self.positions, self._trees(values)):
            args[position] = part
        return args

    def pullback(self, kwargs, keep=False):
        """The function run on a tape; its `Result` is the pullback's `extra`."""

        def call(inputs):
            result = Result(self.fun(*self.fill(inputs), **kwargs))
            return result.payloads, result

        return Pullback(self.payloads, call, keep)

    def rebuild(self, values):
        """Payloads like the picked ones in the structure of the arguments; one tree for a single argument."""
        parts = tuple(self._trees([wrap_as(v, leaf) for v, leaf in zip(values, self.leaves)]))
        return parts[0] if self.single else parts

    def _trees(self, values):
        start = 0
        for structure in self.structures:
            yield structure.unflatten(values[start : start + structure.num_leaves])
            start += structure.num_leaves


def check_callable(fun, transform):
    """Refuse what is no function, before it is called with confusing results."""
    if not callable(fun):
        raise TypeError(f"{transform} takes a function, got {type(fun).__name__}")


def _scalar_result(transform, fun, result, has_aux, holomorphic):
    """The payload of a function's scalar result."""
    name, structure = tree.name_of(fun), result.main(transform, fun, has_aux)
    if structure.type is not None:
        raise TypeError(
            f"{transform}: {name} must return a scalar, got a {structure.type.__name__}; for a value with further "
            "results, return (value, aux) and pass has_aux=True"
        )
    aval = aval_of(result.payloads[0])
    if aval.shape:
        raise TypeError(
            f"{transform}: {name} must return a scalar, got an array of shape {aval.shape}. Reduce it (x.sum()), or "
            "use jacrev, jacfwd or vjp."
        )
    if aval.dtype.kind == "c" and not holomorphic:
        raise TypeError(
            f"{transform}: {name} must return a real scalar, got {aval.dtype}. Take its real part or modulus, or pass "
            "holomorphic=True if it is a holomorphic function."
        )
    if holomorphic and aval.dtype.kind != "c":
        raise TypeError(f"{transform}: holomorphic=True needs a complex result; {name} returned {aval.dtype}")
    if not is_inexact(aval.dtype):
        raise TypeError(f"{transform}: {name} must return a floating point scalar, got {aval.dtype}")
    return result.payloads[0]


# ------------------------------------------------------------------------------------------------ vjp
def vjp(fun, *primals, has_aux=False):
    """Run `fun` and return its result with a function from cotangents of the result to cotangents of the arguments.

    Parameters
    ----------
    fun : callable
    *primals : pytrees of arrays and numbers
        Its arguments.
    has_aux : bool
        `fun` returns ``(result, aux)``.

    Returns
    -------
    result : pytree
    pullback : callable
        ``pullback(cotangent)``, of the structure of the result, returns a tuple with one tree per argument. It may be
        called any number of times, and is not disturbed by later writes into the arguments.
    aux : pytree
        Only with `has_aux`.

    Examples
    --------
    >>> import npx as np
    >>> y, pullback = np.vjp(np.sin, 0.0)
    >>> pullback(2.0)
    (np.float64(2.0),)
    """
    check_callable(fun, "vjp")
    picked = Picked("vjp", fun, primals, tuple(range(len(primals))))
    picked.check(holomorphic=False, allow_int=True)
    pullback = picked.pullback({}, keep=True)
    structure, aux = pullback.extra.main("vjp", fun, has_aux), None
    value = pullback.extra.lowered(pullback.tape, lambda t: snapshot(t.primal))
    if has_aux:
        value, aux = value
    avals = [aval_of(p) for p in pullback.outputs[: structure.num_leaves]]

    def pull(cotangent):
        cts = tree.leaves_like(structure, cotangent, "the cotangent")
        cts = [fit(payload(ct), aval, "a cotangent") for ct, aval in zip(cts, avals)]
        return picked.rebuild(pullback.pull(cts))

    return (value, pull, aux) if has_aux else (value, pull)


def fit(value, aval, what):
    """A tangent or cotangent in the dtype of its value; None where that is an integer.

    Raises
    ------
    ValueError
        Its shape is not that of the value.
    """
    if not is_inexact(aval.dtype):
        return None
    have = aval_of(value)
    if have.shape != aval.shape:
        raise ValueError(f"{what} has shape {have.shape}, but its value has shape {aval.shape}")
    if have.dtype.kind == "c" and aval.dtype.kind != "c":
        raise TypeError(f"{what} is complex ({have.dtype}), but its value is {aval.dtype}")
    if isinstance(value, SCALARS):
        return aval.dtype.type(value)
    return value if have.dtype == aval.dtype else cast(value, aval.dtype)
