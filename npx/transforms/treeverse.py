"""Which states of a loop to keep, and which to compute again, to walk through it backwards.

The last step of a loop is reversed first, from a state that was kept, or that is computed again from the nearest kept
one before it. Where to keep states so that the fewest steps run again is known: A. Griewank and A. Walther, "Algorithm
799: revolve", ACM Transactions on Mathematical Software 26 (2000).
"""

from math import comb


def default_snapshots(steps):
    """States to keep for a loop of so many steps: twice its logarithm; a million steps then run six times."""
    return 2 * max(1, steps.bit_length())


def split(steps, snapshots):
    """How many steps to advance before the next state is kept, so that the fewest steps run again in all.

    Parameters
    ----------
    steps : int
        Length of the part, at least 2.
    snapshots : int
        States that may be kept, the one that the part starts from among them; at least 2.
    """
    s, t = snapshots, 1  # with s states, comb(s + t, s) steps can be reversed by running none more than t times
    while comb(s + t, s) < steps:
        t += 1
    least = max(comb(s + t - 2, s), steps - comb(s + t - 1, s - 1), 1)
    most = min(comb(s + t - 1, s), steps - comb(s + t - 2, s - 1), steps - 1)
    return max(1, min(least, most))


def marks(steps, snapshots):
    """The steps whose states a first run forward keeps."""
    found, first = [0], 0
    while steps - first > 1 and snapshots > 1:
        first += split(steps - first, snapshots)
        snapshots -= 1
        found.append(first)
    return found


def reversed_steps(steps, snapshots, kept, advance):
    """Walk through a loop backwards.

    Parameters
    ----------
    steps, snapshots : int
        Length of the loop; most states in memory at a time.
    kept : dict
        Step -> the state before it; at least that of step 0. It is emptied on the way.
    advance : callable
        ``advance(first, last, state)`` gives the state before step `last` from that before step `first`.

    Yields
    ------
    step : int
        From the last one to 0.
    state : object
        The state before it.
    """
    last = steps
    while last > 0:
        first = max(kept)
        free = snapshots - len(kept) + 1  # the state at `first` is one of those to use
        if last - first > 1 and free > 1:
            middle = first + split(last - first, free)
            kept[middle] = advance(first, middle, kept[first])
        elif last - first > 1:
            yield last - 1, advance(first, last - 1, kept[first])
            last -= 1
        else:
            yield first, kept.pop(first)
            last = first
