"""Every public function of NumPy has a derivative, or a zero one, or a declared reason for having none.

What the functions are is asked of NumPy, and the calls come from `conformance`; nothing is listed here but the methods
of NumPy's polynomials, whose arguments are not arrays alone.
"""

import functools
import re

import numpy
import pytest
from conformance.calls import MODULES, MORE_POLYNOMIALS, public_functions, quiet, spellings
from conformance.derivatives import Call, floats_of, numbers_of

import npx as np
from npx.no_derivative import why_none
from npx.testing import check_grads

SAMPLES = 3  # usual calls per function

EVERY_FUNCTION = pytest.mark.parametrize(
    "function", public_functions(SAMPLES, MODULES + MORE_POLYNOMIALS), ids=lambda f: f.name
)


def reason(function):
    """Why a function has no derivative, None if it has one."""
    return why_none(function.name.removeprefix("numpy."))


def calls_of(function):
    """The calls with floating point arguments: usual ones and further ones."""
    with quiet():
        usual, further = ([c for c in map(Call, made) if c.places] for made in (function.samples, spellings(function)))
    return usual, further


@EVERY_FUNCTION
def test_derivative_or_reason(function):
    usual, further = calls_of(function)
    why = reason(function)
    if why is not None:
        assert_refused(why, usual + further)
        return
    with quiet():
        results = [numbers_of(s.on(numpy)(*s.draw(0)[0])) for s in (*function.samples, *spellings(function))]
        assert any(results), "neither a call in tests/conformance nor a reason in npx/no_derivative.py"
        if not any(floats_of(found) for found in results):
            for call in usual + further:
                assert_zero(call)
            return
        smooth = [(call, order) for order, made in ((1, usual), (2, further)) for call in made if call.is_smooth()]
        assert smooth, "no call at which it is smooth"
        for call, order in smooth:
            check_grads(call.on(np), call.draw(0), order=order, rtol=1e-5)


def assert_refused(why, calls):
    """Where such a function gives numbers of what is differentiated, it says why that has no derivative."""
    for call in calls:
        with quiet():
            if not call.on(numpy)(*call.draw(0)):
                continue
            for mode in (backwards, forwards):
                with pytest.raises(TypeError, match=re.escape(why)):
                    mode(call.on(np), call.draw(0))


def assert_zero(call):
    """Integers and truth values have the derivative zero."""
    arrays = call.draw(0)

    def as_float(*floats):
        return [np.asarray(x).astype(float) for x in numbers_of(call.results(np)(*floats))]

    for mode in (backwards, forwards):
        assert not any(numpy.any(part) for part in mode(as_float, arrays)), call


def backwards(function, arrays):
    """The gradient of the sum of the results."""
    values, pullback = np.vjp(function, *arrays)
    return pullback([np.ones(v.shape, v.dtype) for v in values])


def forwards(function, arrays):
    """The derivatives of the results along the arrays themselves."""
    return np.jvp(function, arrays, arrays)[1]


# ----------------------------------------------------------------------------------------------------- polynomials
FAMILIES = tuple(
    getattr(np.polynomial, name) for name in numpy.polynomial.__all__ if isinstance(getattr(np.polynomial, name), type)
)

#: method -> functions of the class, four coefficients and two numbers
METHODS = {
    "__call__": [lambda cls, c, x: cls(c)(x), lambda cls, c, x: cls(c, domain=[0, 2], window=[-1, 1])(x)],
    "basis": [lambda cls, c, x: cls.basis(3)(x)],
    "cast": [lambda cls, c, x: cls.cast(cls(c))(x)],
    "convert": [lambda cls, c, x: cls(c).convert(kind=np.polynomial.Polynomial).coef],
    "copy": [lambda cls, c, x: cls(c).copy().coef],
    "cutdeg": [lambda cls, c, x: cls(c).cutdeg(2).coef],
    "degree": [lambda cls, c, x: cls(c).degree() * x],
    "deriv": [lambda cls, c, x: cls(c).deriv(2).coef],
    "fit": [lambda cls, c, x: cls.fit(numpy.arange(4.0), c, 2).coef],
    "fromroots": [lambda cls, c, x: cls.fromroots(c).coef],
    "has_samecoef": [lambda cls, c, x: cls(c).has_samecoef(cls(c)) * x],
    "has_samedomain": [lambda cls, c, x: cls(c).has_samedomain(cls(c)) * x],
    "has_sametype": [lambda cls, c, x: cls(c).has_sametype(cls(c)) * x],
    "has_samewindow": [lambda cls, c, x: cls(c).has_samewindow(cls(c)) * x],
    "identity": [lambda cls, c, x: cls.identity()(x)],
    "integ": [lambda cls, c, x: cls(c).integ(2, k=[x[0], x[1]]).coef],
    "interpolate": [lambda cls, c, x: cls.interpolate(lambda t: t * x[0], 2).coef],
    "linspace": [lambda cls, c, x: cls(c).linspace(5)[1]],
    "mapparms": [lambda cls, c, x: cls(c, domain=x).mapparms()],
    "roots": [lambda cls, c, x: cls(c).roots() ** 2],
    "trim": [lambda cls, c, x: cls(c).trim().coef],
    "truncate": [lambda cls, c, x: cls(c).truncate(2).coef],
    "+": [lambda cls, c, x: (cls(c) + cls(x)).coef, lambda cls, c, x: (x[0] - cls(c)).coef],
    "*": [lambda cls, c, x: (cls(c) * cls(x)).coef, lambda cls, c, x: (2 * cls(c) ** 2).coef],
    "/": [
        lambda cls, c, x: (cls(c) // cls(x)).coef,
        lambda cls, c, x: (cls(c) % cls(x)).coef,
        lambda cls, c, x: (cls(c) / 2).coef,
    ],
}


@pytest.mark.parametrize("cls", FAMILIES, ids=lambda cls: cls.__name__)
def test_methods_of_polynomials(cls):
    public = {name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))}
    assert public <= set(METHODS)
    coefficients, numbers = numpy.array([0.3, -1.2, 0.7, 0.5]), numpy.array([0.4, 0.9])
    for name, uses in METHODS.items():
        for use in uses if hasattr(cls, name) or not name.isidentifier() else ():
            with quiet():
                check_grads(functools.partial(use, cls), (coefficients, numbers))
