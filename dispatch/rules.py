"""Builders that turn one declaration into an op: its derivatives in both modes, its batch rule, what a tape keeps.

Each builder takes the derivative in the shortest form that its kind of op allows:

- `elementwise`: one partial derivative per operand;
- `reduction`: the derivative of each result with respect to the elements reduced to it;
- `linear`: the transpose; `multilinear`: the transpose in each operand;
- `primitive`: one vjp rule per operand.

Rules are functions of payloads, and their parameters say what they read: an operand's parameter called ``x_aval`` gets
the operand's `Aval`, and one that starts with an underscore should not be looked at; the tape then keeps no value for
it. Further parameters get the op's params of that name. What a rule returns is brought to the shape (where broadcasting
has enlarged it) and dtype of the operand, so that rules need not. An integer or boolean operand or result has neither
tangent nor cotangent.
"""

import functools
from typing import NamedTuple

import numpy

from .abstract import Aval, broadcast_shape, ufunc_rule
from .batching import batch_by_loop, batch_elementwise, batch_over_axis
from .derivatives import ElementwiseVJP, Reader, ReductionVJP, RuleVJP, keep_axes, scale
from .op import declare as declare_op
from .payloads import fit_tangent, is_inexact, ops, typed, zeros

ALL_TYPES = tuple("?bBhHiIlLefdFD")
NUMBERS = tuple("bhilefdFD")
FLOATS = tuple("efdFD")


class Operand(NamedTuple):
    """A random array in an example; `dtype` None stands for the type under test."""

    shape: tuple
    low: float = -2.0
    high: float = 2.0
    dtype: str | None = None


class Example(NamedTuple):
    """Operands and params to try an op with.

    Parameters
    ----------
    operands : tuple
        Each an `Operand`, or an array or a Python scalar to take as it is.
    params : dict
        The op's params; a function among them is called with the dtype under test.
    types : tuple of str
        What to put for the open dtypes: a type code for all operands, or a string of one per operand.
    """

    operands: tuple
    params: dict
    types: tuple


def example(*operands, types=NUMBERS, domain=(-2.0, 2.0), **params):
    """An `Example`; a plain shape among the operands is an array of random numbers in `domain`."""
    return Example(tuple(Operand(o, *domain) if type(o) is tuple else o for o in operands), params, tuple(types))


class Examples:
    """Examples that are made when they are asked for, so that declaring them costs nothing."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return iter(self.make())


def declare(name, *, examples, **facts):
    """Declare an op; `examples` may be a function that makes them."""
    return declare_op(name, examples=Examples(examples) if callable(examples) else examples, **facts)


def sampled(function, shape_of=broadcast_shape):
    """A shape and dtype rule that asks NumPy on a sample: for the dtype, and for the exception where there is one.

    Parameters
    ----------
    function : callable
        The op's spec. It is called with zeros, every axis cut to at most one place.
    shape_of : callable
        ``shape_of(*shapes of operands, **params)``, the shape of the result.
    """

    @functools.lru_cache(1024)
    def dtype_of(samples, params):
        with numpy.errstate(all="ignore"):
            operands = (s() if isinstance(s, type) else numpy.zeros(*s) for s in samples)
            return numpy.asarray(function(*operands, **dict(params))).dtype

    def rule(avals, params):
        samples = tuple(a.weak or (tuple(min(n, 1) for n in a.shape), a.dtype) for a in avals)
        return Aval(shape_of(*(a.shape for a in avals), **params), dtype_of(samples, tuple(params.items())))

    return rule


def _kept(readers, nin):
    """``keeps`` and ``keeps_ans`` of an op whose vjp consists of these rules."""
    readers = [r for r in readers if r is not None]
    length = max([len(r.reads) for r in readers], default=1) if nin < 0 else nin
    keeps = [any(r.reads[min(k, len(r.reads) - 1)] for r in readers) for k in range(length)]
    return {"keeps": tuple(keeps), "keeps_ans": any(r.reads_ans for r in readers)}


def _readers(rules, nin, leading):
    """``reader(i)`` for operand i, and all readers. A single rule for any number of operands gets i first."""
    if callable(rules) and nin < 0:
        rule = Reader(rules, nin, ("i", *leading))
        return (lambda i: rule), [rule]
    rules = rules if isinstance(rules, tuple) else (rules,)
    readers = [None if r is None else Reader(r, nin, leading) for r in rules]
    return (lambda i: readers[min(i, len(readers) - 1)]), readers


def _vjp(rules, nin, leading=("g", "ans")):
    """The facts ``vjp, keeps, keeps_ans`` from one rule per operand; the last one is for all further operands."""
    _, readers = _readers(rules, nin, leading)
    vjp = RuleVJP(readers, "ans" in leading, callable(rules) and nin < 0)
    return {"vjp": vjp, **_kept(readers, nin)}


def primitive(name, *, vjp=None, batch=batch_by_loop, **facts):
    """Declare an op by its vjp rules.

    Parameters
    ----------
    name : str
    vjp : tuple of callable, or callable, optional
        For each operand ``rule(g, ans, *operands, **params)``, or None for a zero derivative; the last one serves all
        further operands. Where the op takes any number of operands one rule may serve all: it gets the operand's
        number first. Without it, say why in `no_deriv`.
    batch : callable, optional
        ``batch(op, size, args, batched, params)``; by default one call for each place of the batch.
    **facts
        See `npx.dispatch.op.Op`. Without `jvp` the transforms derive it from the vjp.
    """
    if vjp is not None:
        facts = {**_vjp(vjp, facts["nin"]), **facts}
    return declare(name, batch=batch, **facts)


def linear(name, *, transpose, nin, batch=batch_by_loop, **facts):
    """Declare an op that is jointly linear in its operands.

    Parameters
    ----------
    name : str
    transpose : callable, or tuple of callable
        For each operand ``rule(g, *operands, **params)``, or None where the op is not linear in it (an index, a
        condition). For any number of operands see `primitive`.
    nin, batch, **facts
        See `primitive`.
    """
    reader, _ = _readers(transpose, nin, ("g",))

    def jvp(tangents, ans, args, params):
        if not is_inexact(typed(ans).dtype):
            return None
        operands = (
            a if reader(i) is None else zeros(typed(a)) if t is None else t
            for i, (t, a) in enumerate(zip(tangents, args))
        )
        return fit_tangent(op(*operands, **params), typed(ans))

    op = declare(name, nin=nin, linear=True, jvp=jvp, batch=batch, **_vjp(transpose, nin, ("g",)), **facts)
    return op


def multilinear(name, *, transpose, nin, batch=batch_by_loop, **facts):
    """Declare an op that is linear in each operand while the others are fixed, as products are.

    Parameters
    ----------
    name : str
    transpose : tuple of callable, or callable
        For each operand ``rule(g, *operands, **params)``. For any number of operands see `primitive`.
    nin, batch, **facts
        See `primitive`.
    """

    def jvp(tangents, ans, args, params):
        terms = (op(*args[:i], t, *args[i + 1 :], **params) for i, t in enumerate(tangents) if t is not None)
        return fit_tangent(sum(terms, start=next(terms)), typed(ans))

    op = declare(name, nin=nin, jvp=jvp, batch=batch, **_vjp(transpose, nin, ("g",)), **facts)
    return op


def _partials(deriv, nin, nout):
    """The declared partial derivatives as ``[operand][output]``, functions made `Reader`."""
    per_operand = deriv if isinstance(deriv, tuple) else (deriv,) * nin
    table = [d if isinstance(d, tuple) else (d,) * nout for d in per_operand]
    return [[Reader(d, nin, ("ans",)) if callable(d) else d for d in row] for row in table]


def elementwise(name, *, spec, deriv=None, no_deriv=None, nin=None, nout=1, rule=None, **facts):
    """Declare an op that works element by element on operands broadcast together.

    Parameters
    ----------
    name : str
    spec : callable
        A NumPy ufunc, or another function for which at least `nin` must be given.
    deriv : callable, number, None, or a tuple of these
        The derivative of the result with respect to each operand: ``partial(ans, *operands, **params)``, a constant, or
        None for zero. For an op with several results each entry is a tuple, one derivative per result.
    no_deriv : str, optional
        Why there is no derivative.
    vjp : tuple of callable, optional
        Instead of `deriv`, where the derivative is no multiplication: see `primitive`.
    nin, nout, rule, **facts
        See `primitive`.
    """
    nin, nout = getattr(spec, "nin", nin), getattr(spec, "nout", nout)
    if rule is None:
        rule = ufunc_rule(spec, nin, nout) if isinstance(spec, numpy.ufunc) else sampled(spec)
    facts = {"kind": "elementwise", "batch": batch_elementwise, "rule": rule, **facts}
    if "vjp" in facts:
        facts.update(_vjp(facts["vjp"], nin))
    elif no_deriv is None:
        facts.update(_elementwise_derivatives(_partials(deriv, nin, nout), nin, nout))
    return declare(name, nin=nin, nout=nout, spec=spec, no_deriv=no_deriv, **facts)


def _elementwise_derivatives(partials, nin, nout):
    def tangent(o, result, tangents, ans, args, params):
        total = None
        if is_inexact(result.dtype):
            for t, row in zip(tangents, partials):
                if t is not None and row[o] is not None:
                    total = _plus(total, scale(t, row[o], ans, args, params))
        return None if total is None else fit_tangent(total, result)

    def jvp(tangents, ans, *rest):
        if nout == 1:
            return tangent(0, typed(ans), tangents, ans, *rest)
        return tuple(tangent(o, typed(result), tangents, ans, *rest) for o, result in enumerate(ans))

    flat = [d for row in partials for d in row]
    constant = nout == 1 and all(isinstance(d, (int, float, complex)) for d in flat)
    kept = _kept([d for d in flat if type(d) is Reader], nin)
    return {"vjp": ElementwiseVJP(partials, nout), "jvp": jvp, "linear": constant, **kept}


def _plus(total, term):
    """The sum, where None stands for no term yet."""
    return term if total is None else total + term


def reduction(name, *, deriv=None, no_deriv=None, batch=batch_over_axis, **facts):
    """Declare an op that reduces its operand over ``axis`` (a tuple), with ``keepdims``.

    Parameters
    ----------
    name : str
    deriv : callable or number, optional
        The derivative of each result with respect to each of its elements: ``deriv(ans, x, **params)``, where `ans` has
        kept its axes; None for zero.
    no_deriv : str, optional
        Why there is no derivative.
    batch, **facts
        See `primitive`.
    """
    facts = {"kind": "reduction", "nin": 1, "batch": batch, "no_deriv": no_deriv, **facts}
    if no_deriv is None:
        facts.update(_reduction_derivatives(Reader(deriv, 1, ("ans",)) if callable(deriv) else deriv))
    return declare(name, **facts)


def _reduction_derivatives(deriv):
    readers = [deriv] if type(deriv) is Reader else []

    def jvp(tangents, ans, args, params):
        dtype, axis = typed(ans).dtype, params["axis"]
        if deriv is None or not is_inexact(dtype):
            return None
        ans = keep_axes(ans, typed(args[0]), axis) if readers and deriv.reads_ans else ans
        terms = scale(tangents[0], deriv, ans, args, params)
        return ops.sum(terms, axis=axis, dtype=dtype, keepdims=params["keepdims"])

    return {"vjp": ReductionVJP(deriv), "jvp": jvp, "linear": deriv == 1, **_kept(readers, 1)}
