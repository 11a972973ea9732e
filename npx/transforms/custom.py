"""Whole functions as ops: `custom_vjp`, `custom_jvp`, `stop_gradient`; `checkpoint` is another one.

A called function goes through the levels as one op, so that every transform sees the call before it sees what is
inside: a tape asks it for a pullback, forward mode for tangents, `vmap` for its mapped version. An interpreter that has
no use for it as a whole calls ``op.expand(*operands)``.
"""

import functools
import inspect

import numpy

from npx.array.memory import save
from npx.array.ndarray import payload
from npx.dispatch.abstract import aval_of
from npx.dispatch.interpreter import Tracer, active
from npx.dispatch.op import Op
from npx.dispatch.payloads import ops, zeros

from . import tree
from .arguments import check_callable, fit
from .backward import backward
from .batch import substitute
from .calls import is_array, stands_for_scalar, wrap_kind
from .forward import transposed
from .partition import map_payloads
from .tape import Tape
from .values import differentiable


class Call(Op):
    """A function of payloads, called as one op. The result is a tuple, under every interpreter.

    Parameters
    ----------
    name : str
    call : callable
        Takes payloads, returns a tuple of payloads.
    """

    def __init__(self, name, call):
        super().__init__(name, kind="call", nin=-1, rule=None, expand=call)

    def with_pullback(self, primals):
        """The results, and the function from their cotangents to those of the operands (None: no derivative)."""
        raise NotImplementedError

    def on_tape(self, tape, args, primals):
        """As `with_pullback`, and the nodes of further values on the tape that the function takes from outside.

        The pullback gives cotangents for these after those of the operands.
        """
        outs, pullback = self.with_pullback(primals)
        return outs, pullback, []

    def with_tangents(self, primals, tangents):
        """The results and their tangents, or None to differentiate what is inside."""
        raise NotImplementedError

    #: the `BatchInterpreter` that the op is about, for one along a mapped axis
    axis = None

    def batched(self, size, payloads, flags):
        """The results for all elements, batch axis first."""
        raise NotImplementedError

    def closes_over_mapped(self, args):
        """The results where what is inside uses, besides the operands, values of a transform further in."""
        raise TypeError(
            f"{self.name} uses an array from outside that belongs to a transform further in (vmap); its own derivative "
            "rule cannot be applied then. Pass the array as an argument."
        )


def batch(call, size, flags):
    """A function of payloads mapped over the first axis of some; all results have the axis.

    Parameters
    ----------
    call : callable
        Takes and returns flat sequences of payloads.
    size : int
    flags : sequence of bool
        Which operands have the axis; the last one is for all further operands.
    """

    make = substitute(size)
    return lambda *payloads: map_payloads(make, size, call, payloads, flags)


# ------------------------------------------------------------------------------------------------ the kinds of calls
class StopGradient(Call):
    """The identity, without a derivative."""

    def __init__(self):
        super().__init__("stop_gradient", lambda x: (x,))

    def with_pullback(self, primals):
        return self(*primals), None

    def with_tangents(self, primals, tangents):
        return self(*primals), (None,)

    def batched(self, size, payloads, flags):
        return self(*payloads)


class CustomVJP(Call):
    """A function with its own pullback.

    Parameters
    ----------
    forward : callable
        Takes the operands; returns the results and the residuals, two tuples of payloads.
    pull : callable
        Takes the residuals and the cotangents of the results; returns a payload or None per operand.
    """

    def __init__(self, name, call, forward, pull):
        super().__init__(name, call)
        self.forward, self.pull = forward, pull

    def with_pullback(self, primals):
        outs, residuals = self.forward(*primals)
        boxes = [save(r) for r in residuals]
        return outs, lambda gs: self.pull([box.value for box in boxes], gs)

    def with_tangents(self, primals, tangents):
        outs, pullback = self.with_pullback(primals)
        return outs, transposed(pullback, outs, tangents)

    def batched(self, size, payloads, flags):
        n_outs = None

        def forward(*operands):
            nonlocal n_outs
            outs, residuals = self.forward(*operands)
            n_outs = len(outs)
            return (*outs, *residuals)

        def split_forward(*operands):
            both = batch(forward, size, flags)(*operands)
            return both[:n_outs], both[n_outs:]

        def pull(residuals, gs):
            n = len(residuals)
            live = []

            def flat(*values):
                cts = self.pull(values[:n], values[n:])
                live[:] = [ct is not None for ct in cts]
                return [ct for ct in cts if ct is not None]

            cts = iter(batch(flat, size, (True,))(*residuals, *gs))
            found = [next(cts) if is_live else None for is_live in live]
            return [ct if ct is None or mapped else _total(ct) for ct, mapped in zip(found, flags)]

        return CustomVJP(self.name, batch(self.expand, size, flags), split_forward, pull)(*payloads)


def _total(ct):
    """The sum over the batch axis: the cotangent of an operand that all elements share."""
    return ops.sum(ct, axis=(0,), dtype=aval_of(ct).dtype, keepdims=False)


class CustomJVP(Call):
    """A function with its own directional derivative.

    Parameters
    ----------
    push : callable
        Takes the operands and their tangents (None for integers), two sequences; returns the results and their
        tangents (None for integers), two tuples.
    """

    def __init__(self, name, call, push):
        super().__init__(name, call)
        self.push = push

    def with_tangents(self, primals, tangents):
        return self.push(primals, [_zero_tangent(p) if t is None else t for p, t in zip(primals, tangents)])

    def with_pullback(self, primals):
        tape = Tape()
        with active(tape):
            leaves = [None if t is None else tape.leaf(t) for t in map(_zero_tangent, primals)]
            outs, moved = self.push(primals, leaves)

        def pullback(gs):
            found = backward((t.node, g) for t, g in zip(moved, gs) if tape.lower(t) is not t)
            return [None if leaf is None else found.get(leaf.node) for leaf in leaves]

        return tuple(map(tape.lower, outs)), pullback

    def batched(self, size, payloads, flags):
        def push(primals, tangents):
            n, moving = len(primals), [t is not None for t in tangents]
            live = []

            def flat(*values):
                rest = iter(values[n:])
                outs, moved = self.push(values[:n], [next(rest) if m else None for m in moving])
                live[:] = [t is not None for t in moved]
                return (*outs, *(t for t in moved if t is not None))

            flags_all = (*flags, *(f for f, m in zip(flags, moving) if m))
            both = batch(flat, size, flags_all)(*primals, *(t for t in tangents if t is not None))
            moved = iter(both[len(live) :])
            return both[: len(live)], tuple(next(moved) if is_live else None for is_live in live)

        return CustomJVP(self.name, batch(self.expand, size, flags), push)(*payloads)


def _zero_tangent(primal):
    return zeros(aval_of(primal)) if differentiable(primal) else None


# ------------------------------------------------------------------------------------------------ trees in and out
class Layout:
    """How a tree was taken apart into the payloads of its arrays, and how to build one like it.

    Leaves that are no arrays are kept as they are.
    """

    __slots__ = ("structure", "others", "scalars")

    def take(self, value):
        """The payloads of a tree, whose form is remembered."""
        leaves, self.structure = tree.flatten(value)
        self.others = {k: leaf for k, leaf in enumerate(leaves) if not is_array(leaf)}
        arrays = [leaf for leaf in leaves if is_array(leaf)]
        self.scalars = list(map(stands_for_scalar, arrays))
        return tuple(map(payload, arrays))

    def give(self, payloads):
        """A tree of the form taken last, with these payloads."""
        return self.fill(map(wrap_kind, payloads, self.scalars), self.others)

    def fill(self, values, others):
        """A tree of the form taken last, with any values in the places of arrays, and `others` in the other places."""
        values, total = iter(values), len(self.scalars) + len(self.others)
        return self.structure.unflatten(others[k] if k in others else next(values) for k in range(total))

    def pick(self, leaves):
        """Those of a list of leaves of such a tree that are in the places of arrays."""
        return [leaf for k, leaf in enumerate(leaves) if k not in self.others]


class Custom:
    """A function with a derivative rule of its own: what `custom_vjp` and `custom_jvp` share."""

    def __init__(self, fun, nondiff_argnums=()):
        check_callable(fun, type(self).__name__)
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.nondiff = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self):
        return f"<{type(self).__name__} {tree.name_of(self.fun)}>"

    def __call__(self, *args, **kwargs):
        if kwargs:
            bound = inspect.signature(self.fun).bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
            if bound.kwargs:
                raise TypeError(f"{self!r} cannot take keyword-only arguments: {', '.join(bound.kwargs)}")
        if not all(-len(args) <= n < len(args) for n in self.nondiff):
            raise ValueError(f"nondiff_argnums={self.nondiff} of {self!r}, which was called with {len(args)} arguments")
        fixed = {n % len(args) for n in self.nondiff}
        layout, out = Layout(), Layout()
        payloads = layout.take(tuple(a for n, a in enumerate(args) if n not in fixed))
        if not any(isinstance(p, Tracer) for p in payloads):
            return self.fun(*args)
        call = self._call(layout, out, _Positions(args, fixed), tuple(map(aval_of, payloads)))
        return out.give(call(*payloads))

    def _call(self, layout, out, positions, avals):
        """The `Call` for arguments of this layout; `out` learns the layout of the result."""
        raise NotImplementedError


class _Positions:
    """Which of the arguments have derivatives."""

    def __init__(self, args, fixed):
        self.args, self.fixed = args, fixed
        self.nondiff = [args[n] for n in sorted(fixed)]

    def fill(self, arguments):
        """All arguments, given those that have derivatives."""
        rest = iter(arguments)
        return [a if n in self.fixed else next(rest) for n, a in enumerate(self.args)]


class custom_vjp(Custom):
    """Give a function its own reverse-mode derivative.

    Parameters
    ----------
    fun : callable
    nondiff_argnums : int or tuple of int
        Positions of arguments that are no arrays to differentiate; `bwd` gets them first.

    Notes
    -----
    Set the rule with ``fun.defvjp(fwd, bwd)``: ``fwd(*args)`` returns the result and any residuals,
    ``bwd(residuals, cotangent)`` a tuple with one cotangent per argument, None for zero. Forward mode transposes the
    rule. Arrays that `fun` closes over are differentiated as usual, through `fwd`.

    Examples
    --------
    >>> import npx as np
    >>> @np.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1, 1),))
    >>> np.grad(lambda x: 5 * clipped(x))(2.0)
    np.float64(1.0)
    """

    fwd = bwd = None

    def defvjp(self, fwd, bwd):
        """Set the rule; see the class."""
        check_callable(fwd, "defvjp")
        check_callable(bwd, "defvjp")
        self.fwd, self.bwd = fwd, bwd

    def _call(self, layout, out, positions, avals):
        if self.bwd is None:
            raise AttributeError(f"{self!r} has no rule yet: call its defvjp(fwd, bwd)")
        name, kept = tree.name_of(self.fun), Layout()

        def call(*operands):
            return out.take(self.fun(*positions.fill(layout.give(operands))))

        def forward(*operands):
            pair = self.fwd(*positions.fill(layout.give(operands)))
            if type(pair) is not tuple or len(pair) != 2:
                raise TypeError(f"the forward rule of {name} must return a pair (result, residuals)")
            return out.take(pair[0]), kept.take(pair[1])

        def pull(residuals, gs):
            cts = self.bwd(*positions.nondiff, kept.give(residuals), out.give(gs))
            return _flat_cotangents(name, layout, cts, avals)

        return CustomVJP(f"custom_vjp({name})", call, forward, pull)


def _flat_cotangents(name, layout, cts, avals):
    """The payloads of what a user's `bwd` returned, one per operand, None for zero."""
    parts = layout.structure.children()
    if type(cts) not in (tuple, list) or len(cts) != len(parts):
        raise TypeError(f"the backward rule of {name} must return a tuple of {len(parts)} cotangents, one per argument")
    flat = []
    for part, ct in zip(parts, cts):
        try:
            flat += [None] * part.num_leaves if ct is None else part.flatten_up_to(ct)
        except ValueError as error:
            raise TypeError(f"the backward rule of {name} returned a cotangent unlike its argument: {error}") from None
    what = f"the cotangent that the backward rule of {name} returned"
    return [None if ct is None else fit(ct, aval, what) for ct, aval in zip(layout.pick(flat), avals)]


class custom_jvp(Custom):
    """Give a function its own forward-mode derivative, from which reverse mode follows.

    Parameters
    ----------
    fun : callable
    nondiff_argnums : int or tuple of int
        Positions of arguments that are no arrays to differentiate; the rule gets them first.

    Notes
    -----
    Set the rule with ``fun.defjvp(rule)``: ``rule(primals, tangents)`` takes two tuples and returns the result and its
    tangent, which must be linear in the tangents; or with ``fun.defjvps(*rules)``, where ``rules[k](tangent, result,
    *args)`` is the contribution of argument k, None for zero.

    Examples
    --------
    >>> import npx as np
    >>> @np.custom_jvp
    ... def log1pexp(x):
    ...     return np.log1p(np.exp(x))
    >>> log1pexp.defjvps(lambda t, ans, x: t / (1 + np.exp(-x)))
    >>> np.grad(log1pexp)(0.0)
    np.float64(0.5)
    """

    rule = None

    def defjvp(self, rule):
        """Set the rule; see the class. Returns it, so that this is also a decorator."""
        check_callable(rule, "defjvp")
        self.rule = rule
        return rule

    def defjvps(self, *rules):
        """Set one rule per argument; see the class."""
        if self.nondiff:
            raise TypeError("defjvps does not go with nondiff_argnums; use defjvp")

        def rule(primals, tangents):
            ans = self(*primals)
            terms = [r(t, ans, *primals) for r, t in zip(rules, tangents) if r is not None]
            terms = terms or [tree.map_leaves(lambda leaf: leaf * 0, ans)]
            return ans, functools.reduce(lambda a, b: tree.map_leaves(numpy.add, a, b), terms)

        self.rule = rule

    def _call(self, layout, out, positions, avals):
        if self.rule is None:
            raise AttributeError(f"{self!r} has no rule yet: call its defjvp(rule)")
        name = tree.name_of(self.fun)

        def call(*operands):
            return out.take(self.fun(*positions.fill(layout.give(operands))))

        def push(operands, tangents):
            tangents = [numpy.zeros(a.shape, a.dtype) if t is None else t for t, a in zip(tangents, avals)]
            pair = self.rule(*positions.nondiff, layout.give(operands), layout.give(tangents))
            if type(pair) is not tuple or len(pair) != 2:
                raise TypeError(f"the jvp rule of {name} must return a pair (result, tangent)")
            outs, what = out.take(pair[0]), f"the tangent that the jvp rule of {name} returned"
            moved = out.pick(tree.leaves_like(out.structure, pair[1], what))
            return outs, tuple(fit(t, aval_of(o), what) for t, o in zip(moved, outs))

        return CustomJVP(f"custom_jvp({name})", call, push)


# ------------------------------------------------------------------------------------------------ no derivative
_stop_gradient = StopGradient()


def stop_gradient(x):
    """`x`, treated as a constant by every derivative.

    Parameters
    ----------
    x : pytree

    Returns
    -------
    pytree
        Arrays that are not being differentiated are returned as they are.
    """

    def stop(leaf):
        value = payload(leaf) if is_array(leaf) else leaf
        return wrap_kind(_stop_gradient(value)[0], stands_for_scalar(leaf)) if isinstance(value, Tracer) else leaf

    return tree.map_leaves(stop, x)
