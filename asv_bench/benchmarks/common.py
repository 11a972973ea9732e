"""Timing two libraries in one run, by turns, so that a busy machine slows both alike."""

import time


def fastest(functions, seconds=0.3, samples=100):
    """The least time of one call of each function.

    Parameters
    ----------
    functions : dict of str to callable
        What to compare; each is called without arguments.
    seconds : float
        How long to measure, all functions together.
    samples : int
        About how many times; short samples find a gap between the turns of other processes.

    Returns
    -------
    dict of str to float
        Seconds per call.
    """
    best = dict.fromkeys(functions, float("inf"))
    calls = {name: _calls_for(function, seconds / samples) for name, function in functions.items()}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, function in functions.items():
            best[name] = min(best[name], _time(function, calls[name]))
    return best


def _time(function, calls):
    repeats = range(calls)
    start = time.perf_counter()
    for _ in repeats:
        function()
    return (time.perf_counter() - start) / calls


def _calls_for(function, seconds):
    """How many calls fill about `seconds`."""
    calls = 1
    while (taken := _time(function, calls) * calls) < seconds and calls < 1_000_000:
        calls *= 2 if taken > seconds / 10 else 10
    return calls
