"""Runs of a function for the elements of `vmap`, one for each path that they take through its control flow.

The first run starts with all elements. Where Python asks for a value, the elements with one answer go on, and the
others are postponed: the function runs again for them. So each path is run once, with all the elements that take it,
and the whole takes no more calls of Python than a loop over the elements. In the next runs the function finds what it
found in the first one: arrays from outside as they were, and the random numbers that were drawn for these elements.
"""

import functools
import heapq
from typing import NamedTuple

import numpy

from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import cast, ops

from .batch import BatchTracer, take_places
from .calls import run
from .paths import Diverged, Unsuitable
from .recording import Inline

#: what jit says to itself, and no error of the function
SIGNALS = (Unsuitable, Diverged, Inline)


class Run(NamedTuple):
    """One run: its interpreter, whose elements took one path, and what the function returned."""

    interpreter: object
    result: object


def run_paths(make, size, call, outside=None):
    """Run a function for all elements.

    Parameters
    ----------
    make : callable
        Makes a `BatchInterpreter` for all elements.
    size : int
        Number of elements.
    call : callable
        ``call(interpreter)`` calls the function with tracers of the elements ``interpreter.rows``.
    outside : Outside, optional
        Arrays that each run is to find as they are now.

    Returns
    -------
    list of Run

    Raises
    ------
    Exception
        What the function raises for the first element that it raises for.
    """
    pending, done, failed = [(0, None)], [], (numpy.inf, None)  # a heap, by the number of the first element
    while pending and pending[0][0] < failed[0]:
        _, postponed = heapq.heappop(pending)
        interpreter = make()
        if postponed is not None:
            interpreter.start(postponed)
        try:
            result = run(interpreter, functools.partial(_watched, call, interpreter, size, outside), interpreter.last)
        except SIGNALS:
            raise
        except Exception as error:
            failed = _first_failure(failed, interpreter, error, size)
        else:
            done.append(Run(interpreter, result))
        for left in interpreter.postponed:
            heapq.heappush(pending, (int(left.rows[0]), left))
        if outside is not None and (pending or len(done) > 1):
            if interpreter.size and interpreter.rows[-1] == size - 1:
                outside.keep()
            outside.put_back()
    if failed[1] is not None:
        raise failed[1]
    if outside is not None and len(done) > 1:
        outside.finish()
    return done


def _watched(call, interpreter, size, outside):
    try:
        return call(interpreter)
    finally:
        if outside is not None and interpreter.size < size:
            outside.note(interpreter)


def _first_failure(failed, interpreter, error, size):
    """The number of the first element for which the function has failed so far, and the error."""
    rows = interpreter.rows
    if interpreter.postponed or len(rows) < size:
        shown = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
        error.add_note(f"raised for element{'s' * (len(rows) > 1)} {shown} of the {size} that vmap maps over")
    first = int(rows[0]) if len(rows) else 0
    return (first, error) if failed[1] is None or first < failed[0] else failed


def map_payloads(make, size, call, payloads, flags):
    """The results of a function of payloads for all elements, the mapped axis first.

    Parameters
    ----------
    make, size
        See `run_paths`.
    call : callable
        Takes payloads, returns a sequence of payloads.
    payloads : sequence of payload
    flags : sequence of bool
        Which of them have the mapped axis; the last one is for all further payloads.
    """
    last, everyone = len(flags) - 1, make().rows

    def run_once(interpreter):
        def operand(k, value):
            if not flags[min(k, last)]:
                return value
            if interpreter.size < size:
                value = take_places(value, numpy.searchsorted(everyone, interpreter.rows))
            return BatchTracer(interpreter, value)

        return call(*(operand(k, value) for k, value in enumerate(payloads)))

    runs = run_paths(make, size, run_once)
    return tuple(gather(runs, column, "a result") for column in zip(*(r.result for r in runs), strict=True))


# ------------------------------------------------------------------------------------------------ results of all runs
def gather(runs, values, what):
    """One payload for all elements, the mapped axis first, from one for the elements of each run.

    Parameters
    ----------
    runs : list of Run
    values : list of payload
        Batched, or the same for all elements of the run.
    what : str
        What to call the values in messages.

    Raises
    ------
    ValueError
        They have several shapes.
    """
    wholes = [r.interpreter.whole(value) for r, value in zip(runs, values, strict=True)]
    if len(runs) == 1:
        return wholes[0]
    avals = list(map(aval_of, wholes))
    for r, aval in zip(runs, avals):
        if aval.shape[1:] != avals[0].shape[1:]:
            raise ValueError(
                f"vmap: {what} must have one shape for all elements, got {avals[0].shape[1:]} for element "
                f"{runs[0].interpreter.rows[0]} and {aval.shape[1:]} for element {r.interpreter.rows[0]}. Pad it to "
                "one shape, or return a value of fixed shape, such as a sum or a masked array, in its place."
            )
    dtype = numpy.result_type(*(aval.dtype for aval in avals))
    joined = ops.concatenate(*(w if a.dtype == dtype else cast(w, dtype) for w, a in zip(wholes, avals)), axis=0)
    return take_places(joined, numpy.argsort(all_rows(runs), kind="stable"))


def all_rows(runs):
    """The numbers of the elements, run by run."""
    return numpy.concatenate([r.interpreter.rows for r in runs])
