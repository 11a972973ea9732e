"""How much of NumPy runs on traced arrays: every public function under each transform, beside NumPy itself.

``python -m tests.conformance.tracing [transform ...] [word ...]`` prints the counts and what is not right, of all
functions or of those whose names contain one of the words.
"""

import collections
import sys
from typing import NamedTuple

import numpy

import npx
from npx.dispatch import debug
from npx.transforms import tree

from .calls import MOST_CALLS, SEEDS, public_functions, quiet

#: how a call can end, from best to worst; a function counts as its worst call does
VERDICTS = ("n/a", "right", "split", "trip", "python", "error", "wrong")
NOT_APPLICABLE, RIGHT, SPLIT, TRIP, PYTHON, ERROR, WRONG = VERDICTS

MEANINGS = {
    RIGHT: "NumPy's values; under jit from one compiled graph, under vmap for all elements at once",
    SPLIT: "NumPy's values; jit splits the graph, vmap divides the elements, where Python asks for values",
    TRIP: "NumPy's values; a part of the work is done on the host",
    PYTHON: "NumPy's values; jit leaves the function to Python, vmap calls it for each element",
    ERROR: "an exception",
    WRONG: "other values than NumPy's",
    NOT_APPLICABLE: "no number to differentiate, or results of different shapes to stack",
}

TOLERANCES = {"f": 1e-4, "F": 1e-4, "e": 1e-2}


class Outcome(NamedTuple):
    """How one call ended under one transform."""

    transform: str
    verdict: str
    call: str
    detail: str = ""


class Mismatch(Exception):
    """The result is not NumPy's."""


# ------------------------------------------------------------------------------------------------------- comparing


def compare(got, want, kinds=True):
    """Raise `Mismatch` where a result differs from NumPy's.

    Parameters
    ----------
    got, want : pytree
    kinds : bool
        Tell NumPy's scalars from arrays without axes.
    """
    got_leaves, got_structure = tree.flatten(got)
    want_leaves, want_structure = tree.flatten(want)
    if got_structure != want_structure:
        raise Mismatch(f"{got_structure}, NumPy: {want_structure}")
    for g, w in zip(got_leaves, want_leaves):
        if isinstance(w, (numpy.ndarray, numpy.generic)):
            _compare_arrays(g, w, kinds)
        elif type(g) is not type(w) or g != w:
            raise Mismatch(f"{g!r}, NumPy: {w!r}")


def _compare_arrays(got, want, kinds):
    if kinds and isinstance(got, numpy.generic) != isinstance(want, numpy.generic):
        raise Mismatch(f"a {type(got).__name__}, NumPy: a {type(want).__name__}")
    value = numpy.asarray(got)
    if (value.shape, value.dtype) != (want.shape, want.dtype):
        raise Mismatch(f"{value.dtype}{list(value.shape)}, NumPy: {want.dtype}{list(want.shape)}")
    if want.dtype.kind in "fc":
        tolerance = TOLERANCES.get(want.dtype.char, 1e-10)
        equal = numpy.allclose(value, want, rtol=tolerance, atol=tolerance, equal_nan=True)
    else:
        equal = numpy.array_equal(value, want)
    if not equal:
        raise Mismatch(f"{_short(value)}, NumPy: {_short(want)}")


def _short(array):
    return numpy.array2string(numpy.asarray(array).ravel()[:4], precision=6)


# ------------------------------------------------------------------------------------------------------ transforms


def under_jit(sample):
    """Calls of the compiled function with one set of values after another."""
    compiled = npx.jit(sample.on(npx))
    for seed in SEEDS:
        arrays, _ = sample.draw(seed)
        compare(compiled(*map(npx.array, arrays)), sample.on(numpy)(*arrays))
    report = compiled.explain()
    return PYTHON if "run by Python" in report else SPLIT if "split:" in report else RIGHT


def under_grad(sample):
    """Reverse mode: the gradient of a weighted sum of the results, in one direction."""
    return _derivative(sample, lambda f, xs, vs: sum(map(_inner, npx.grad(f, tuple(range(len(xs))))(*xs), vs)))


def under_jvp(sample):
    """Forward mode, of the same sum in the same direction."""
    return _derivative(sample, lambda f, xs, vs: npx.jvp(f, tuple(xs), tuple(vs))[1])


def _derivative(sample, differentiate):
    """A directional derivative beside central differences: ``differentiate(f, arrays, direction)``."""
    arrays, _ = sample.draw(0)
    places = tuple(k for k, a in enumerate(arrays) if a.dtype.kind == "f")
    if not places or not _floats(sample.on(numpy)(*arrays)):
        return NOT_APPLICABLE
    direction = [numpy.random.default_rng(k).standard_normal(arrays[k].shape) for k in places]
    expected = _difference(sample, arrays, places, direction)
    if expected is None:
        return NOT_APPLICABLE

    def function(*xs):
        at = list(map(npx.array, arrays))
        for k, x in zip(places, xs, strict=True):
            at[k] = x
        return _weighted_sum(sample.on(npx)(*at))

    got = float(differentiate(function, [npx.array(arrays[k]) for k in places], list(map(npx.array, direction))))
    tolerance = 10 * _precision(sample.on(numpy)(*arrays)) ** (1 / 3)
    if not numpy.isclose(got, expected, rtol=tolerance, atol=tolerance):
        raise Mismatch(f"derivative {got:.8g}, by differences {expected:.8g}")
    return RIGHT


def _inner(g, v):
    return float((g * v).sum())


def _floats(result):
    """The results that have a derivative."""
    arrays = [leaf for leaf in tree.leaves(result) if isinstance(leaf, (npx.ndarray, numpy.generic))]
    return [a for a in arrays if a.dtype.kind in "fc"]


def _precision(result):
    """That of the least precise results."""
    return max(float(numpy.finfo(a.dtype).eps) for a in _floats(result))


def _weighted_sum(result):
    total = 0.0
    for k, leaf in enumerate(_floats(result)):
        rng = numpy.random.default_rng(k)
        weights = rng.uniform(0.5, 1.5, leaf.shape)
        if leaf.dtype.kind == "c":
            weights = weights + 1j * rng.uniform(0.5, 1.5, leaf.shape)
        total = total + (leaf * weights).real.sum()
    return total


def _difference(sample, arrays, places, direction):
    """The directional derivative by central differences; None where those from either side differ: at a kink."""

    def moved(step):
        at = [a.copy() for a in arrays]
        for k, v in zip(places, direction):
            at[k] = at[k] + step * v
        return float(_weighted_sum(sample.on(numpy)(*at)))

    step = _precision(sample.on(numpy)(*arrays)) ** (1 / 3)
    try:
        behind, here, ahead = moved(-step), moved(0.0), moved(step)
    except Exception:  # a step leaves the domain
        return None
    smooth = numpy.isclose(ahead - here, here - behind, rtol=1e-2, atol=1e-3 * step)
    return (ahead - behind) / (2 * step) if smooth else None


def under_vmap(sample):
    """All of a batch at once, beside NumPy's results for one after another."""
    draws = [sample.draw(seed)[0] for seed in SEEDS]
    if not draws[0]:
        return NOT_APPLICABLE
    results = [tree.flatten(sample.on(numpy)(*arrays)) for arrays in draws]
    structure = results[0][1]
    if any(other != structure for _, other in results) or not all(map(_is_number, results[0][0])):
        return NOT_APPLICABLE
    columns = list(zip(*(leaves for leaves, _ in results)))
    if any(len({numpy.shape(x) for x in column}) > 1 for column in columns):
        return NOT_APPLICABLE
    want = [numpy.stack([numpy.asarray(x) for x in column]) for column in columns]
    batches = [npx.array(numpy.stack(column)) for column in zip(*draws)]
    with debug.watching() as events:
        compare(npx.vmap(sample.on(npx))(*batches), structure.unflatten(want), kinds=False)
    kinds = {event.kind for event in events}
    return PYTHON if "loop" in kinds else SPLIT if kinds else RIGHT


def _is_number(leaf):
    return isinstance(leaf, (numpy.ndarray, numpy.number, numpy.bool, bool, int, float, complex))


def on_xla(sample):
    """No transform: arrays on a device of the XLA backend."""
    arrays, _ = sample.draw(0)
    trips = debug.round_trips.total()
    result = sample.on(npx)(*(npx.array(a).to_device("xla") for a in arrays))
    on_host = tree.map_leaves(lambda leaf: numpy.asarray(leaf) if isinstance(leaf, npx.ndarray) else leaf, result)
    compare(on_host, sample.on(numpy)(*arrays), kinds=False)
    return RIGHT if debug.round_trips.total() == trips else TRIP


TRANSFORMS = {"jit": under_jit, "grad": under_grad, "jvp": under_jvp, "vmap": under_vmap, "xla": on_xla}
USUAL = ("jit", "grad", "jvp", "vmap")


# ------------------------------------------------------------------------------------------------------- measuring


def measure(most=MOST_CALLS, only=(), transforms=USUAL):
    """The outcomes of the sample calls.

    Parameters
    ----------
    most : int
        Calls per function.
    only : sequence of str
        Words of which one must be in the name of a function; empty for all functions.
    transforms : sequence of str

    Returns
    -------
    dict of str to list of Outcome
        By function; an empty list for one that does not compute with arrays.
    """
    functions = [f for f in public_functions(most) if not only or any(word in f.name for word in only)]
    return {f.name: [outcome(t, s) for s in f.samples for t in transforms] for f in functions}


def outcome(transform, sample):
    """How one call ends under one transform."""
    try:
        with quiet():
            return Outcome(transform, TRANSFORMS[transform](sample), str(sample))
    except Mismatch as error:
        return Outcome(transform, WRONG, str(sample), str(error))
    except Exception as error:
        text = (str(error).splitlines() or [""])[0]
        return Outcome(transform, ERROR, str(sample), f"{type(error).__name__}: {text}")


def verdicts(outcomes, transform):
    """The verdict on each function that computes with arrays: that on its worst call."""
    return {
        name: max((o.verdict for o in found if o.transform == transform), key=VERDICTS.index)
        for name, found in outcomes.items()
        if any(o.transform == transform for o in found)
    }


def report(outcomes):
    """The counts, and every call that is not right, as text."""
    counted = sum(bool(found) for found in outcomes.values())
    lines = [f"{len(outcomes)} public functions; {counted} compute with arrays and are called", ""]
    lines.append("".join(f"{column:>8}" for column in ("", *VERDICTS)))
    measured = dict.fromkeys(o.transform for found in outcomes.values() for o in found)
    for transform in measured:
        counts = collections.Counter(verdicts(outcomes, transform).values())
        lines.append(f"{transform:>8}" + "".join(f"{counts[verdict]:>8}" for verdict in VERDICTS))
    lines += ["", *(f"{verdict:>8}  {meaning}" for verdict, meaning in MEANINGS.items())]
    for transform in measured:
        for verdict in (WRONG, ERROR, PYTHON, TRIP, SPLIT):
            listed = [o for found in outcomes.values() for o in found if o[:2] == (transform, verdict)]
            if listed:
                lines += ["", f"{transform}: {verdict}", *(f"    {o.call}  {o.detail}" for o in listed)]
    return "\n".join(lines)


if __name__ == "__main__":
    chosen = [word for word in sys.argv[1:] if word in TRANSFORMS]
    words = [word for word in sys.argv[1:] if word not in TRANSFORMS]
    print(report(measure(only=words, transforms=chosen or USUAL)))
