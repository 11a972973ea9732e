"""Derivatives of draws with respect to their parameters.

A draw from many a distribution is an elementary function of its parameters and of a standard draw: a normal number is
``loc + scale * z``. Its derivative holds for the numbers drawn (the "reparametrised" gradient). The value stays what
NumPy draws; only the derivative is that of the formula. Where there is no such formula the derivative is refused.
"""

from typing import NamedTuple

import numpy

import npx
from npx.array.ndarray import payload, wrap
from npx.dispatch.interpreter import Tracer
from npx.ops.effects import HostCall
from npx.transforms.custom import custom_jvp, stop_gradient


class Formula(NamedTuple):
    """How a draw depends on its parameters.

    Attributes
    ----------
    value : callable
        ``value(z, **parameters)``: the draw, given the standard draw `z`.
    standard : dict
        Parameter -> its value in the standard draw, for those that the formula holds for. The standard draw takes the
        same random bits.
    method : str, optional
        The method of the standard draw, where it is another one: it takes a size.
    """

    value: object
    standard: dict
    method: str | None = None


def _location_scale(z, loc, scale):
    return loc + scale * z


def _scale(z, scale, **others):
    return scale * z


def _power(z, a):
    return z ** (1 / a)


def _triangular(u, left, mode, right):
    whole, lower, upper = right - left, mode - left, right - mode
    below = u * whole <= lower
    root = npx.sqrt(npx.where(below, u * whole * lower, (1 - u) * whole * upper))
    return npx.where(below, left + root, right - root)


LOCATION_SCALE = Formula(_location_scale, {"loc": 0.0, "scale": 1.0})
SCALE = Formula(_scale, {"scale": 1.0})

#: method -> formula
FORMULAS = {
    **dict.fromkeys(("normal", "laplace", "gumbel", "logistic"), LOCATION_SCALE),
    **dict.fromkeys(("exponential", "rayleigh", "gamma"), SCALE),
    **dict.fromkeys(("weibull", "power"), Formula(_power, {"a": 1.0})),
    "lognormal": Formula(
        lambda z, mean, sigma: npx.exp(mean + sigma * z), {"mean": 0.0, "sigma": 1.0}, "standard_normal"
    ),
    "uniform": Formula(lambda u, low, high: low + (high - low) * u, {"low": 0.0, "high": 1.0}),
    "pareto": Formula(lambda z, a: npx.expm1(npx.log1p(z) / a), {"a": 1.0}),
    "triangular": Formula(_triangular, {"left": 0.0, "mode": 0.0, "right": 1.0}, "random"),
    "vonmises": Formula(lambda z, mu, kappa: npx.where(kappa < 1e-8, 0.0, mu) + z, {"mu": 0.0}),  # as NumPy has it
    "multivariate_normal": Formula(lambda z, mean, **others: mean + z, {"mean": 0.0}),
}

#: methods that pick elements -> the parameter whose elements they pick
PICKS = {"choice": "a", "permutation": "x", "permuted": "x", "shuffle": "x"}


def is_differentiated(p):
    """Whether a transform follows the derivative of a payload, at whatever level."""
    while isinstance(p, Tracer):
        if hasattr(p, "primal"):
            return True
        p = getattr(p, "payload", None)
    return False


def draw(call):
    """The payload of a draw, with its derivative.

    Parameters
    ----------
    call : npx.random.routes.Draw
        Some of its operands are differentiated.

    Raises
    ------
    TypeError
        The draw is no elementary function of them.
    """
    names, formula = call.differentiated(), FORMULAS.get(call.name)
    if names == [PICKS.get(call.name)]:
        return _picked(call, names[0])
    if formula is None or not set(names) <= set(formula.standard):
        raise TypeError(
            f"random.{call.name} has no derivative with respect to {' and '.join(names)}: what it draws is no "
            "elementary function of that. Pass npx.stop_gradient(x) for an argument that is to count as a constant."
        )
    operands = [payload(stop_gradient(wrap(p))) for p in call.operands.values()]
    both = wrap(call.perform(_with_standard(call, formula), operands))
    return payload(_known(both[..., 0], formula.value(both[..., 1], **_parameters(call))))


@custom_jvp
def _known(drawn, computed):
    return drawn


_known.defjvps(None, lambda tangent, ans, drawn, computed: tangent)


def _parameters(call):
    """The parameters of the distribution, those that were not given too."""
    given = {**call.defaults(), **call.fixed, **{name: wrap(p) for name, p in call.operands.items()}}
    return {name: npx.asarray(x) if type(x) in (list, tuple) else x for name, x in given.items() if name not in OPTIONS}


#: parameters of the methods above that are none of the distribution
OPTIONS = ("size", "check_valid", "tol", "method")


def _with_standard(call, formula):
    """The host call that gives the draw and the standard draw, last axis."""
    plain = call.host_call()
    return HostCall(WithStandard(call, formula), plain.args, plain.fixed, plain.names, plain.elementwise)


class WithStandard:
    """A drawing function that also gives the standard draw from the same random bits."""

    def __init__(self, call, formula):
        self.function, self.formula, self.hidden = call.function, formula, call.generator.hidden
        self.other = formula.method and getattr(call.generator._plain, formula.method)
        self.__qualname__ = call.method.__qualname__

    def __call__(self, **given):
        start = self.hidden.state
        drawn = self.function(**given)
        end, self.hidden.state = self.hidden.state, start
        standard = self._standard(given, numpy.shape(drawn))
        self.hidden.state = end
        return numpy.stack([drawn, standard], axis=-1)

    def _standard(self, given, shape):
        if self.other is not None:
            return self.other(size=shape)
        standard = {k: numpy.full(numpy.shape(given[k]), v) for k, v in self.formula.standard.items() if k in given}
        return self.function(**{**given, **standard})

    def __eq__(self, other):
        return type(other) is WithStandard and (self.function, self.hidden) == (other.function, other.hidden)

    def __hash__(self):
        return hash(self.function)


def _picked(call, name):
    """Elements of an array, picked by drawing their places."""
    array, plain = wrap(call.operands[name]), call.host_call(out=False)
    places = numpy.arange(array.size).reshape(array.shape)
    operands = {key: p for key, p in call.operands.items() if key != name}
    drawn = call.perform(HostCall(plain.function, (), {**plain.fixed, name: places}, operands), operands.values())
    return payload(array.reshape(-1)[wrap(drawn)])
