"""Reverse mode: `grad`, `value_and_grad`, `vjp`."""

from npx.array.slow import shape_of
from npx.dispatch.abstract import Aval, Varying, aval_of
from npx.dispatch.payloads import cast, is_inexact, widened

from . import tree
from .arguments import Picked, also_decorator, check_callable, fit_all
from .calls import Result, run, same_name
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
    tape : Tape, optional
        What notes the ops.
    """

    __slots__ = ("tape", "inputs", "values", "outputs", "extra")

    def __init__(self, values, call, keep=False, tape=None):
        if tape is None:
            watch = watching.get()
            tape = Tape() if watch is None else watch.tape()
        self.tape = tape
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


def pullback_of(picked, keep=False, values=None, tape=None):
    """The function of `picked` run on a tape, on other `values` if given; its `Result` is the pullback's `extra`."""

    def call(inputs):
        result = Result(picked.call(inputs))
        return result.payloads, result

    return Pullback(picked.payloads if values is None else values, call, keep, tape)


def is_varying(p):
    """Whether a payload has a length that differs along an axis mapped over."""
    return any(isinstance(n, Varying) for n in getattr(p, "shape", ()))


# ------------------------------------------------------------------------------------------------ grad, value_and_grad
@also_decorator
def value_and_grad(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False):
    """Make a function that returns the value of `fun` and its gradient.

    Parameters
    ----------
    fun : callable
        Returns a scalar, or ``(scalar, aux)`` with `has_aux`. It may write into its local arrays, its arguments (in
        the transformed function these are copies) and arrays from outside.
    argnums : int, str, or tuple of these
        Which arguments to differentiate with respect to: positions, negative ones counted from the last positional
        argument, or names of parameters, however they are passed. They are arrays, numbers, or pytrees of them.
    has_aux : bool
        `fun` also returns other data, which is passed through.
    holomorphic : bool
        `fun` is a holomorphic function of complex numbers; the derivative is complex.
    allow_int : bool
        Give integer arguments a gradient, zeros of their own dtype, instead of an error.

    Returns
    -------
    callable
        Takes the arguments of `fun` and returns ``(value, gradient)``, or ``((value, aux), gradient)``. The gradient
        has the structure of the argument, or is a tuple of such where `argnums` is one.

    Raises
    ------
    TypeError
        The result is not a real scalar, or an argument is no floating point number.
    ValueError
        `argnums` names an argument that was not passed.

    Notes
    -----
    Without `fun` this is a decorator: ``@np.value_and_grad(argnums=1)``.

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
    return _derived("value_and_grad", fun, argnums, has_aux, holomorphic, allow_int, _both)


@also_decorator
def grad(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False):
    """Make a function that returns the gradient of `fun`, a function with a scalar result.

    Takes the arguments of `value_and_grad`. The transformed function returns the gradient, or ``(gradient, aux)``.

    Examples
    --------
    >>> import npx as np
    >>> np.grad(np.sin)(0.0)
    np.float64(1.0)
    """
    return _derived("grad", fun, argnums, has_aux, holomorphic, allow_int, _gradient_and_aux if has_aux else _gradient)


def _gradient(_, g):
    return g


def _gradient_and_aux(pullback, g):
    return g, _both(pullback, g)[0][1]


def _both(pullback, g):
    return pullback.extra.lowered(pullback.tape, pullback.tape.lower), g


def _derived(transform, fun, argnums, has_aux, holomorphic, allow_int, chosen):
    """The transformed function; it returns ``chosen(pullback, gradient)``."""
    check_callable(fun, transform)

    @same_name(fun, transform)
    def transformed(*args, **kwargs):
        picked = Picked(transform, fun, args, kwargs, argnums)
        picked.check(holomorphic, allow_int)
        pullback = pullback_of(picked)
        out = _scalar_result(transform, fun, pullback.extra, has_aux, holomorphic)
        cotangents = [None] * len(pullback.outputs)
        cotangents[0] = aval_of(out).dtype.type(1)
        g = picked.rebuild(pullback.pull(cotangents))
        return chosen(pullback, g)

    return transformed


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
    picked = Picked.all("vjp", fun, primals)
    pullback = pullback_of(picked, keep=True)
    structure, aux = pullback.extra.main("vjp", fun, has_aux), None
    value = pullback.extra.lowered(pullback.tape, lambda t: snapshot(t.primal))
    if has_aux:
        value, aux = value
    outputs = pullback.outputs[: structure.num_leaves]
    what = f"vjp: the cotangent of the result of {tree.name_of(fun)}"

    def pull(cotangent):
        leaves = tree.leaves_like(structure, cotangent, what)
        avals = [Aval(shape_of(p), p.dtype) if is_varying(p) else aval_of(p) for p in outputs]
        cts = fit_all(leaves, avals, structure, what)
        return picked.rebuild(pullback.pull([ct if ct is None else widened(ct, p) for ct, p in zip(cts, outputs)]))

    return (value, pull, aux) if has_aux else (value, pull)
