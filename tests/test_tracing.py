"""NumPy's public functions on traced arrays: an error where a transform cannot have them, never another value."""

import pytest
from conformance.calls import public_functions
from conformance.tracing import ERROR, RIGHT, SPLIT, USUAL, WRONG, Mismatch, compare, measure, verdicts

#: transform -> functions whose sample calls all give NumPy's values: a few less than when this was last raised, for an
#: older NumPy has fewer functions
FLOORS = {"jit": 340, "grad": 255, "jvp": 255, "vmap": 360}
#: of those under jit, the functions that became one compiled graph
WHOLE = 265


@pytest.mark.parametrize("transform", USUAL)
def test_no_wrong_value(transform):
    outcomes = measure(transforms=(transform,))
    found = [o for calls in outcomes.values() for o in calls]
    assert not [o for o in found if o.verdict == WRONG]
    by_function = list(verdicts(outcomes, transform).values())
    assert sum(verdict in (RIGHT, SPLIT) for verdict in by_function) >= FLOORS[transform]
    if transform == "vmap":
        errors = {o.call.partition("(")[0] for o in found if o.verdict == ERROR}
        assert errors <= {"numpy.asmatrix"}, "what runs for one element must run for several"
    if transform == "jit":
        assert not [o for o in found if o.verdict == ERROR], "what runs eagerly must run compiled"
        assert by_function.count(RIGHT) >= WHOLE


@pytest.mark.slow  # jax compiles each op for each shape
def test_no_wrong_value_on_a_device():
    pytest.importorskip("jax")
    outcomes = measure(transforms=("xla",))
    assert not [o for calls in outcomes.values() for o in calls if o.verdict in (WRONG, ERROR)]


def test_functions_are_called():
    """The floors above mean something: most functions have sample calls, and a difference would be seen."""
    functions = public_functions()
    assert sum(bool(f.samples) for f in functions) > 330
    sample = next(f for f in functions if f.name == "numpy.sin").samples[0]
    arrays, _ = sample.draw(0)
    with pytest.raises(Mismatch):
        compare(arrays[0] + 1e-6, arrays[0])
    with pytest.raises(Mismatch):
        compare(arrays[0].astype("f4"), arrays[0])
