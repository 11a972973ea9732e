"""What a NumPy function does where an argument is a tracer or lives on a device.

In this order: its array-level version in `npx.api`, if NumPy writes it in C; NumPy's own Python code re-executed
(`npx.numpy_layer`); a trip through the host. On a device the trip is counted and reported. Under `jit` it splits the
graph. Under the other transforms it is refused where it would lose a derivative.
"""

import functools
import inspect

import numpy

from npx import numpy_layer
from npx.array import calling
from npx.array.errors import NoOp
from npx.array.interop import is_subclass
from npx.array.ndarray import capturing, ndarray, payload, wrap
from npx.array.views import captured_array
from npx.dispatch.debug import count_round_trip
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import is_inexact
from npx.dispatch.registry import backend_for
from npx.no_derivative import why_none

#: functions that write into an argument: position, keyword, and the option (with its value) that makes them do so
WRITTEN = {
    **dict.fromkeys(("copyto",), (0, "dst", None)),
    **dict.fromkeys(("place", "_place", "put_along_axis"), (0, "arr", None)),
    **dict.fromkeys(("put", "putmask", "fill_diagonal"), (0, "a", None)),
    **dict.fromkeys(("shuffle",), (1, "x", None)),  # a method
    **dict.fromkeys(("nan_to_num",), (0, "x", ("copy", False))),
    **dict.fromkeys(
        ("median", "percentile", "quantile", "nanmedian", "nanpercentile", "nanquantile"),
        (0, "a", ("overwrite_input", True)),
    ),
}

#: where the `out` of C functions that have no signature stands
_OUT_OF_C = {"dot": 2, "concatenate": 2}


@functools.cache
def _out_position(function):
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return _OUT_OF_C.get(function.__name__)
    return names.index("out") if "out" in names else None


def written_arguments(function, args, kwargs):
    """The npx arrays among the arguments that `function` writes into."""
    places = [(_out_position(function), "out", None)]
    if function.__name__ in WRITTEN:
        places.append(WRITTEN[function.__name__])
    found = []
    for position, keyword, option in places:
        if option is not None and kwargs.get(option[0]) is not option[1]:
            continue
        x = kwargs.get(keyword)
        if x is None and position is not None and position < len(args):
            x = args[position]
        found += [a for a in (x if type(x) is tuple else (x,)) if isinstance(a, ndarray)]
    return found


@functools.cache
def version_of(function):
    """The version of a NumPy function that takes any payload, or None."""
    from npx import api  # needs this module's importer: the public functions are written with it

    return api.FUNCTIONS.get(function) or numpy_layer.counterpart(function)


def elsewhere(function, args, kwargs):
    """Call a NumPy function where some array is not in host memory."""
    from npx import overrides  # is written with this module

    if overrides.first_subclass(args, kwargs) is not None:
        return overrides.with_subclass(function, args, kwargs)
    if capturing():
        args, kwargs = from_outside(args), from_outside(kwargs)
    if kwargs.get("device") is not None:
        return elsewhere(function, args, {**kwargs, "device": None}).to_device(kwargs["device"])
    run = version_of(function)
    if run is None:
        return through_host(function, args, kwargs)
    if "like" in kwargs:  # it has decided already: npx answers
        kwargs = {key: value for key, value in kwargs.items() if key != "like"}
    try:
        return run(*args, **kwargs)
    except NoOp as error:
        if error.interpreter is not None and not error.interpreter.captures:
            raise
    return through_host(function, args, kwargs)


def from_outside(x):
    """`x` with the arrays that stand for bare NumPy arrays from outside, in nested lists, tuples and dicts too."""
    if isinstance(x, numpy.ndarray):
        stands_for = captured_array(x)
        return x if stands_for is None else stands_for
    if type(x) is dict:
        return {key: from_outside(value) for key, value in x.items()}
    return type(x)(map(from_outside, x)) if type(x) in (list, tuple) else x


# ---------------------------------------------------------------------------------------------- through the host
def through_host(function, args, kwargs):
    """Run a function on the host values of its arguments.

    Raises
    ------
    TypeError
        A transform other than `jit` traces an argument, and the result would lose its derivative.
    """
    name = getattr(function, "__name__", repr(function))
    trip = _Trip(name)
    host_args, host_kwargs = trip.down(args), trip.down(kwargs)
    result = function(*host_args, **host_kwargs)
    for x in written_arguments(function, args, kwargs):
        trip.check(trip.hosts[id(x)])
        x[...] = trip.hosts[id(x)]
    return trip.up(result)


def host_values(name, args, kwargs):
    """Arguments with host values in place of npx arrays.

    Raises
    ------
    TypeError
        As for `through_host`: what is made of these values has no derivative.
    """
    trip = _Trip(name)
    values = trip.down(args), trip.down(kwargs)
    trip.check(0.0)
    return values


class _Trip:
    """One trip through the host: the arguments' values, and what the results must be."""

    def __init__(self, name):
        self.name = name
        self.hosts = {}  # id of an npx array -> its value
        self.arrays = []
        self.backend = None
        self.differentiated = None  # an interpreter that would miss a derivative

    def down(self, x):
        if isinstance(x, ndarray):
            host = self._host_value(x)  # of a subclass, too: jit has to know that the result depends on it
            return x if is_subclass(x) else host
        if type(x) is dict:
            return {key: self.down(value) for key, value in x.items()}
        if type(x) in (list, tuple):
            return type(x)(map(self.down, x))
        return x

    def _host_value(self, x):
        if id(x) in self.hosts:
            return self.hosts[id(x)]
        p = payload(x)
        if isinstance(p, Tracer):
            inner = p.interpreter
            if is_inexact(p.dtype) and inner.loses_derivative(p):
                self.differentiated = inner
            host = numpy.array(inner.concretize(p, f"numpy.{self.name}"))
        elif isinstance(p, numpy.ndarray):
            host = p
        else:
            self.backend = backend_for(type(p))
            count_round_trip(self.name, self.backend.name)
            host = numpy.array(self.backend.to_host(p))
        self.arrays.append(x)
        self.hosts[id(x)] = host
        return host

    def check(self, result):
        """Refuse a result that depends on a differentiated argument without a derivative."""
        if self.differentiated is not None and _has_derivative(result):
            raise TypeError(
                f"numpy.{self.name} cannot be traced by {self.differentiated.name}: "
                f"{why_none(self.name) or why_none(f'ndarray.{self.name}') or 'it has no derivative rule'}. "
                "Write it with other array functions, or give it one with custom_vjp."
            )

    def up(self, result):
        if isinstance(result, (list, tuple)):
            items = [self.up(item) for item in result]
            return type(result)._make(items) if hasattr(result, "_make") else type(result)(items)
        for x in self.arrays:
            if self.hosts[id(x)] is result:
                return x
        self.check(result)
        if type(result) is not numpy.ndarray:
            return calling.wrap_result(result)
        return wrap(result if self.backend is None else self.backend.asarray(result))


def _has_derivative(result):
    return isinstance(result, (float, complex)) or is_inexact(getattr(result, "dtype", numpy.dtype(bool)))
