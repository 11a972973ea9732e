"""jit where objects are shared: memory among arguments, views among results, arrays and lists that outlive the call."""

import types

import numpy
import pytest

import npx as np

PROGRAMS = {}


class Program:
    """A function, its arguments in call number k, and what it refers to outside.

    Parameters
    ----------
    function : callable
    arguments : callable
        ``arguments(k)`` makes those of one call.
    outside : object
    """

    def __init__(self, function, arguments, outside=None):
        self.function, self.arguments, self.outside = function, arguments, outside


def program(make):
    """Add the maker of a program, which is called once for Python and once for jit."""
    PROGRAMS[make.__name__] = make
    return make


def count(*shape):
    return np.arange(1.0, 1 + numpy.prod(shape)).reshape(shape)


# ------------------------------------------------------------------------------------------------ memory of arguments
@program
def overlapping_arguments():
    def f(a, b):
        a[:] = b * 2
        b[0] = 5
        return a.sum(), b

    def arguments(k):
        x = count(6) + k
        return x[1:5], x[:4]

    return Program(f, arguments)


@program
def interleaved_arguments():
    def f(a, b):
        a += b
        return a

    def arguments(k):
        x = count(6) + k
        return x[::2], x[1::2]

    return Program(f, arguments)


@program
def an_argument_that_is_also_outside():
    shared = count(6)

    def f(a):
        a[0] += 100
        return shared.sum(), a * shared

    return Program(f, lambda k: (shared,), shared)


@program
def an_argument_that_is_a_view_of_an_array_outside():
    shared = count(6)

    def f(a):
        a[0] += 100
        return shared.sum()

    return Program(f, lambda k: (shared[2:],), shared)


@program
def numpy_arguments():
    def f(a):
        a += 1
        return a

    return Program(f, lambda k: (numpy.arange(3.0) + k,))


@program
def arguments_without_axes():
    def f(a):
        b = a
        a += 1
        return a, b

    return Program(f, lambda k: (np.array(float(k)),))


@program
def layouts():
    """Of a transposed array `ravel` is a copy."""

    def f(a):
        flat = a.ravel()
        flat[0] = 9
        return a, flat

    return Program(f, lambda k: ((count(2, 3) + k).T if k % 2 else count(3, 2) + k,))


@program
def strides():
    def f(a):
        square = a.reshape(2, 2)
        square[0] = 9
        return a, square

    return Program(f, lambda k: ([count(4), count(8)[::2], count(8)[::-2]][k],))


@program
def an_argument_in_a_new_shape():
    def f(a):
        a.shape = (3, 2)
        a[0] = 0
        return a

    return Program(f, lambda k: (count(6) + k,))


@program
def records():
    def f(a):
        a["x"] += 1
        return a["x"] * 2

    return Program(f, lambda k: (np.array([(k, 2.0)], dtype=[("x", "f8"), ("y", "f8")]),))


# ------------------------------------------------------------------------------------------------ lists and dicts
@program
def a_dict_that_grows():
    def f(d):
        d["a"] += 1
        d["b"] = d["a"] * 2
        return d

    return Program(f, lambda k: ({"a": count(3) + k},))


@program
def a_list_that_grows():
    def f(xs):
        xs.append(xs[0] * 2)
        return np.stack(xs)

    return Program(f, lambda k: ([count(3) + k],))


# ------------------------------------------------------------------------------------------------ what outlives a call
@program
def attributes():
    o = types.SimpleNamespace(w=count(3), first=None)

    def f(a):
        o.w = o.w + a
        o.first = o.w[:2]
        return o.w.sum()

    return Program(f, lambda k: (count(3) + k,), o)


@program
def a_log():
    log = []

    def f(a):
        log.append(a.sum())
        log.append(a * 2)
        a += 1
        return len(log) * a

    return Program(f, lambda k: (count(3) + k,), log)


@program
def a_log_in_a_loop_of_changing_length():
    log = []

    def f(a):
        n = 0
        while a.sum() > n:
            n += 1
            log.append(a * n)
        return n

    return Program(f, lambda k: (count(3) * (k + 1),), log)


@program
def a_log_of_python_numbers():
    """Given up in the middle of a recording, the function must not run a second time."""
    log = []

    def f(a):
        total = 0.0
        for i in range(20):
            total += float(a[i % 3]) * i
        log.append(total)
        return total

    return Program(f, lambda k: (count(3) + 20 * k,), log)


@program
def a_log_of_random_draws():
    log, rng = [], np.random.default_rng(0)

    def f(a):
        x = rng.normal(size=3) + a
        if x[0] > 1:
            log.append(x)
        return x.sum() + rng.random()

    return Program(f, lambda k: (count(3),), log)


@program
def a_dictionary_of_results():
    found = {}

    def f(a, n):
        if n not in found:
            found[n] = np.cumsum(a) * n
        return found[n] + a

    return Program(f, lambda k: (count(3) + k, k % 2), found)


# ------------------------------------------------------------------------------------------------ text and numbers
@program
def text():
    def f(a):
        return f"{a[0]:.2f}", str(a), repr(a[0]), format(a.sum(), ".1f"), round(a[1]), round(a[1] / 3, 1)

    return Program(f, lambda k: (count(3) + k,))


def plain(value):
    """A value in terms of Python's own types, with the kind of each array or scalar."""
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, types.SimpleNamespace):
        return plain(vars(value))
    if isinstance(value, (np.ndarray, numpy.generic)):
        return [str(value.dtype), numpy.asarray(value).tolist()]
    return value


@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
def test_jit_does_what_python_does(make):
    """Results, arguments after the call, and what is outside."""
    with_jit, in_python = make(), make()
    compiled = np.jit(with_jit.function)
    for k in range(3):
        for _ in range(2):
            mine, given = with_jit.arguments(k), in_python.arguments(k)
            assert plain(compiled(*mine)) == plain(in_python.function(*given))
            assert plain(mine) == plain(given)
            assert plain(with_jit.outside) == plain(in_python.outside)


def test_python_takes_over_only_where_it_must():
    """Memory that is shared but not written to, and shared arrays in one call of many, leave the rest compiled."""

    @np.jit
    def smooth(a, b):
        return a + b

    @np.jit
    def update(a, b):
        a += b

    x = count(6)
    smooth(x[1:], x[:-1])
    for a, b in ((count(3), count(3)), (x[:3], x[3:]), (x[:3], x[2:5]), (count(3), count(3))):
        update(a, b)
    assert all(s.reason is None for f in (smooth, update) for s in f._signatures.values())


# ------------------------------------------------------------------------------------------------ results
def check_results(function, use, make=lambda: count(4)):
    """What `use` finds in the results and the argument, for Python and twice for the compiled function."""
    want_given = make()
    want = use(function(want_given), want_given)
    compiled = np.jit(function)
    for _ in range(2):
        given = make()
        assert use(compiled(given), given) == want


def test_views_of_arguments():
    def use(results, a):
        tail, turned, same, square, whole = results
        tail[0], turned[-1], square[0, 0], whole[..., 1:2] = 50.0, 60.0, 70.0, 80.0
        return plain(results), plain(a), same is a

    check_results(lambda a: (a[1:], a.T, a, a.reshape(2, 2), a[...]), use)


def test_views_that_cannot_be_written_to():
    def use(results, a):
        a[0] = 9
        return plain(results), [r.flags.writeable for r in results]

    check_results(lambda a: (np.broadcast_to(a, (2, 4)), np.diagonal(a.reshape(2, 2)), a.real), use)


def test_results_that_share():
    def f(a):
        b = a * 2
        return b, b[1:], {"again": b}

    def use(results, a):
        whole, tail, again = results
        tail[0] = 7
        return plain(whole), again["again"] is whole

    check_results(f, use)


def test_arrays_from_outside():
    table, bare = count(4), numpy.arange(4.0)
    view = table[1:]

    def f(a):
        table[0] = a[0]
        return table, table[2:], view, bare, bare[1:]

    def use(results, a):
        results[1][0] = -1
        found = plain(results), results[0] is table, results[2] is view, results[3] is bare
        table[:] = count(4)
        return found

    check_results(f, use)


def test_elements_are_no_views():
    def use(results, a):
        a[0] = 9
        return [type(r).__name__ for r in results], plain(results)

    check_results(lambda a: (a[0], a[0:1], a[0, ...], a[[0]]), use)
