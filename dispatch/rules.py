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
import inspect
from typing import NamedTuple

import numpy

from .abstract import Aval, broadcast_shape, ufunc_rule
from .batching import batch_by_loop, batch_elementwise, batch_over_axis
from .op import declare as declare_op
from .payloads import broadcast_to, cast, fit_cotangent, fit_tangent, is_inexact, ops, reshape, to_aval, typed, zeros

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


class _Reader:
    """Calls a rule with what its parameters ask for.

    Parameters
    ----------
    rule : callable
        Takes leading arguments, the operands, and params of the op.
    nin : int
        Number of operands; -1 where any number, and params must be keyword-only.
    leading : tuple of str
        The arguments before the operands, such as ``("g", "ans")``.
    """

    def __init__(self, rule, nin, leading):
        positional, names = [], []
        self.open = False  # takes any number of further operands
        for p in inspect.signature(rule).parameters.values():
            self.open |= p.kind is p.VAR_POSITIONAL
            is_param = p.kind is p.KEYWORD_ONLY or (nin >= 0 and len(positional) == len(leading) + nin)
            (names if is_param else positional).append(p.name)
        reads = [not n.startswith("_") and not n.endswith("_aval") for n in positional]
        operands = positional[len(leading) :]
        if not self.open and len(operands) != nin:
            raise TypeError(f"{rule} must take {(*leading, '...')} and {nin} operands")
        if any(n.endswith("_aval") for n in positional[: len(leading)]):
            raise TypeError(f"{rule} may ask for the Aval of an operand only: the tape keeps an answer or nothing")
        self.rule, self.names = rule, tuple(names)
        self.reads_ans = "ans" in leading and reads[leading.index("ans")]
        self.reads = tuple(reads[len(leading) :])
        self.avals = tuple(k for k, n in enumerate(operands) if n.endswith("_aval"))
        self.plain = not (self.avals or self.names)

    def __call__(self, leading, args, params):
        if self.plain:
            return self.rule(*leading, *args)
        if self.avals:
            args = list(args)
            for k in self.avals:
                places = range(k, len(args)) if self.open and k == len(self.reads) - 1 else (k,)
                for j in places:
                    args[j] = to_aval(args[j])
        return self.rule(*leading, *args, **{n: params[n] for n in self.names if n in params})


def _kept(readers, nin):
    """``keeps`` and ``keeps_ans`` of an op whose vjp consists of these rules."""
    readers = [r for r in readers if r is not None]
    length = max([len(r.reads) for r in readers], default=1) if nin < 0 else nin
    keeps = [any(r.reads[min(k, len(r.reads) - 1)] for r in readers) for k in range(length)]
    return {"keeps": tuple(keeps), "keeps_ans": any(r.reads_ans for r in readers)}


def _readers(rules, nin, leading):
    """``reader(i)`` for operand i, and all readers. A single rule for any number of operands gets i first."""
    if callable(rules) and nin < 0:
        rule = _Reader(rules, nin, ("i", *leading))
        return (lambda i: rule), [rule]
    rules = rules if isinstance(rules, tuple) else (rules,)
    readers = [None if r is None else _Reader(r, nin, leading) for r in rules]
    return (lambda i: readers[min(i, len(readers) - 1)]), readers


def _vjp(rules, nin, leading=("g", "ans")):
    """The facts ``vjp, keeps, keeps_ans`` from one rule per operand; the last one is for all further operands."""
    reader, readers = _readers(rules, nin, leading)
    with_ans, numbered = "ans" in leading, callable(rules) and nin < 0

    def vjp(i, g, ans, args, params):
        rule, operand = reader(i), typed(args[i])
        if rule is None or not is_inexact(operand.dtype):
            return None
        given = (i, g) if numbered else (g,)
        ct = rule((*given, ans) if with_ans else given, args, params)
        return None if ct is None else fit_cotangent(ct, operand)

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


def _scale(g, partial, ans, args, params):
    """``g`` times a partial derivative, which is a number or a `_Reader`."""
    if type(partial) is _Reader:
        try:
            return g * partial((ans,), args, params)
        except (ZeroDivisionError, OverflowError):  # from Python's numbers; NumPy's become infinite
            return g * partial((_numpy_number(ans),), tuple(map(_numpy_number, args)), params)
    return g if partial == 1 else -g if partial == -1 else g * partial


def _numpy_number(x):
    """A Python number as NumPy's; any other payload as it is."""
    return numpy.asarray(x)[()] if type(x) in (int, float, complex) else x


def _partials(deriv, nin, nout):
    """The declared partial derivatives as ``[operand][output]``, functions made `_Reader`."""
    per_operand = deriv if isinstance(deriv, tuple) else (deriv,) * nin
    table = [d if isinstance(d, tuple) else (d,) * nout for d in per_operand]
    return [[_Reader(d, nin, ("ans",)) if callable(d) else d for d in row] for row in table]


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
    def vjp(i, g, ans, args, params):
        operand, ct = typed(args[i]), None
        if not is_inexact(operand.dtype):
            return None
        for g_out, partial in zip((g,) if nout == 1 else g, partials[i]):
            if g_out is not None and partial is not None:
                ct = _plus(ct, _scale(g_out, partial, ans, args, params))
        return None if ct is None else fit_cotangent(ct, operand)

    def tangent(o, result, tangents, ans, args, params):
        total = None
        if is_inexact(result.dtype):
            for t, row in zip(tangents, partials):
                if t is not None and row[o] is not None:
                    total = _plus(total, _scale(t, row[o], ans, args, params))
        return None if total is None else fit_tangent(total, result)

    def jvp(tangents, ans, *rest):
        if nout == 1:
            return tangent(0, typed(ans), tangents, ans, *rest)
        return tuple(tangent(o, typed(result), tangents, ans, *rest) for o, result in enumerate(ans))

    flat = [d for row in partials for d in row]
    constant = nout == 1 and all(isinstance(d, (int, float, complex)) for d in flat)
    return {"vjp": vjp, "jvp": jvp, "linear": constant, **_kept([d for d in flat if type(d) is _Reader], nin)}


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
        facts.update(_reduction_derivatives(_Reader(deriv, 1, ("ans",)) if callable(deriv) else deriv))
    return declare(name, **facts)


def _reduction_derivatives(deriv):
    reads_ans = type(deriv) is _Reader and deriv.reads_ans

    def kept(value, x, axis):
        """A result, or its cotangent, with the reduced axes kept at length 1."""
        return reshape(value, tuple(1 if k in axis else n for k, n in enumerate(x.shape)))

    def vjp(i, g, ans, args, params):
        x, axis = typed(args[0]), params["axis"]
        if deriv is None or not is_inexact(x.dtype):
            return None
        ans = kept(ans, x, axis) if reads_ans else ans
        return cast(broadcast_to(_scale(kept(g, x, axis), deriv, ans, args, params), x.shape), x.dtype)

    def jvp(tangents, ans, args, params):
        dtype, axis = typed(ans).dtype, params["axis"]
        if deriv is None or not is_inexact(dtype):
            return None
        ans = kept(ans, typed(args[0]), axis) if reads_ans else ans
        terms = _scale(tangents[0], deriv, ans, args, params)
        return ops.sum(terms, axis=axis, dtype=dtype, keepdims=params["keepdims"])

    readers = [deriv] if type(deriv) is _Reader else []
    return {"vjp": vjp, "jvp": jvp, "linear": deriv == 1, **_kept(readers, 1)}
