"""NumPy's public functions, and the methods of its arrays, under nested transforms.

That each transform alone gives NumPy's values is measured by `tests.conformance`; here its sample calls are
differentiated twice, and their derivatives compiled and mapped.
"""

import numpy
import pytest
from conformance.calls import public_functions, quiet
from conformance.derivatives import Call

import npx as np
from npx.testing import check_grads
from npx.transforms import tree

SAMPLES = 4  # calls per function
#: functions of which the transforms of derivatives refuse some sample call: see `npx.no_derivative`
REFUSED = {"numpy.asmatrix", "numpy.nextafter", "numpy.spacing", "numpy.unique_all", "numpy.unique_counts"}


def smooth_calls(function):
    """The sample calls of a function that can be differentiated."""
    with quiet():
        calls = [call for call in map(Call, function.samples) if call.places]
        return [call for call in calls if call.is_smooth()]


FUNCTIONS = [f for f in public_functions(SAMPLES) if smooth_calls(f)]
EVERY_FUNCTION = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)


def derivatives(call):
    """The pullback of fixed cotangents, and the pushforward of the arrays themselves, as functions of the arrays."""

    def pull(*arrays):
        values, pullback = np.vjp(call.on(np), *arrays)
        return pullback([np.cos(np.arange(v.size)).reshape(v.shape).astype(v.dtype) for v in values])

    def push(*arrays):
        return np.jvp(call.on(np), arrays, arrays)[1]

    return pull, push


def as_host(result):
    """The arrays of a result as NumPy's; scalars stay scalars."""
    return [x if isinstance(x, numpy.generic) else numpy.asarray(x) for x in tree.leaves(result)]


def assert_same(got, want, context, kinds=True):
    """Equal in value up to rounding, in shape and dtype; with `kinds` scalars differ from arrays without axes."""
    for have, need in zip(got, want, strict=True):
        assert (have.shape, have.dtype) == (need.shape, need.dtype), context
        assert not kinds or isinstance(have, numpy.generic) == isinstance(need, numpy.generic), context
        numpy.testing.assert_allclose(have, need, rtol=1e-9, atol=1e-9, err_msg=str(context))


# ------------------------------------------------------------------------------------------------------- functions
@EVERY_FUNCTION
def test_gradients_to_second_order(function):
    refused = False
    for call in smooth_calls(function):
        with quiet():
            try:
                check_grads(call.on(np), call.draw(0), order=2, rtol=2e-6)
            except TypeError:
                if function.name not in REFUSED:
                    raise
                refused = True
    assert refused == (function.name in REFUSED), "the list of refused functions is out of date"


@EVERY_FUNCTION
def test_derivatives_compiled(function):
    for call in smooth_calls(function):
        for derivative in derivatives(call):
            with quiet():
                wants = wanted(derivative, call, function)
                compiled = np.jit(derivative)
                for seed, want in [*enumerate(wants), *enumerate(wants)]:
                    assert_same(as_host(compiled(*call.draw(seed))), want, call)


@EVERY_FUNCTION
def test_derivatives_mapped(function):
    for call in smooth_calls(function):
        for derivative in derivatives(call):
            with quiet():
                wants = wanted(derivative, call, function)
                batches = [numpy.stack(column) for column in zip(*(call.draw(seed) for seed in range(len(wants))))]
                if wants and is_mappable(call.on(np), batches) and len({tuple(x.shape for x in w) for w in wants}) == 1:
                    want = [numpy.stack(column) for column in zip(*wants)]
                    assert_same(as_host(np.vmap(derivative)(*batches)), want, call, kinds=False)


def wanted(derivative, call, function):
    """The derivative for two draws, eagerly; nothing where the function has none."""
    try:
        return [as_host(derivative(*call.draw(seed))) for seed in range(2)]
    except TypeError:
        if function.name not in REFUSED:
            raise
        return []


def is_mappable(function, batches):
    """Whether a function asks for no value that differs from element to element."""
    try:
        np.vmap(function)(*batches)
    except TypeError as error:
        assert "each of the 2 elements" in str(error)
        return False
    return True
