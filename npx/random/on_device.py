"""Draws of generators whose arrays are born on a device.

Words of Philox are computed on the device (`philox`), and what is simply made of words: uniform numbers and integers.
The other distributions are drawn by NumPy on the host and sent to the device, which counts as a round trip. Either way
the numbers, and the state afterwards, are NumPy's.
"""

import functools
import math
import operator

import numpy

from npx import devices
from npx.array.ndarray import ndarray, payload, wrap
from npx.dispatch.debug import count_round_trip
from npx.dispatch.payloads import reshape
from npx.dispatch.registry import place
from npx.ops.effects import HostCall

from . import philox

#: elements from which on a compiled function computes the words itself, and does not ask the host for the numbers
LARGE = 2**15

NUMBERS, WHOLE = (int, float, numpy.integer, numpy.floating), (int, numpy.integer)

#: bits of the words that NumPy makes integers of a dtype from
BITS = {numpy.dtype(t): numpy.dtype(t).itemsize * 8 for t in "bBhHiIqQ"} | {numpy.dtype(bool): 1}


def target(generator):
    """The device that arrays of a generator are to be born on."""
    return generator._device or devices.get_default_device()


def draw(generator, method, now, args, kwargs):
    """The result of a drawing method while no transform is concerned."""
    draw_there = METHODS.get(method.__name__)
    if draw_there is not None and _draws_there(generator):
        with generator.hidden.owner.lock:
            drawn = draw_there(Place(target(generator), generator.hidden), *args, **kwargs)
        if drawn is not None:
            return drawn
    return placed(generator, now(generator._plain, *args, **kwargs), method.__name__)


def placed(generator, result, name):
    """A result on the device of the generator; NumPy's scalars stay what they are."""
    device = target(generator)
    if not isinstance(result, ndarray) or result.device == device:
        return result
    if device == devices.HOST:
        return result.to_device(device)
    p = payload(result)
    return wrap(put(generator, name)(p)) if isinstance(p, numpy.ndarray) else result


def put(generator, name):
    """A function that brings a host payload to the device of the generator, which counts; None on the host."""
    device = target(generator)
    if device == devices.HOST:
        return None

    def put_payload(p):
        if not isinstance(p, numpy.ndarray) or p.ndim == 0 or not devices.can_hold(device, p.dtype):
            return p
        count_round_trip(f"random.{name}", device)
        return place(p, device)

    return put_payload


def anchor(generator):
    """Let the function that is being recorded run where the generator's arrays are to be born."""
    device = target(generator)
    if device != devices.HOST:
        payload(_on_device(device))


@functools.cache
def _on_device(device):
    """An array on a device, older than every recording."""
    x = wrap(place(numpy.zeros(1), device))
    x.birth = 0
    return x


class Place:
    """Where numbers are to be born.

    Parameters
    ----------
    device : str
    hidden : npx.random.states.State
        Of a bit generator of class Philox.
    """

    def __init__(self, device, hidden):
        self.device, self.position = device, philox.Position(hidden)

    def put(self, array):
        """A NumPy array as a payload here."""
        return place(array, self.device)

    def draw(self, function, n, bits, *static, limits=None):
        """A function of `philox`, of `n` words of a number of bits."""
        words = self.put(self.position.words)
        (drawn,) = philox.run(philox.blocks, (words,), philox.blocks_for(n, bits))
        limits = () if limits is None else (self.put(limits),)
        return philox.run(function, (drawn, words, *limits), *static)

    def advance(self, n, bits):
        """Note that `n` words of a number of bits have been drawn."""
        self.position.advance(n, bits)


class InGraph:
    """Where numbers are to be born in a function that is being recorded, from the operand that the host gives.

    Parameters
    ----------
    recording : Recorder
    hidden : npx.random.states.State
    """

    def __init__(self, recording, hidden):
        self.recording, self.hidden = recording, hidden

    def draw(self, function, n, bits, *static, limits=None):
        """As `Place.draw`; and the words count as drawn."""
        call = HostCall(TakeWords(self.hidden, n, bits))
        words = self.recording.host_call(call, (), self.hidden)
        drawn = philox.blocks(words, philox.blocks_for(n, bits))
        outs = function(drawn, words, *([] if limits is None else [limits]), *static)
        return outs if isinstance(outs, tuple) else (outs,)

    def advance(self, n, bits):
        """It is done."""


class TakeWords:
    """Gives what `philox` needs for words of a number of bits, and puts the bit generator behind them."""

    def __init__(self, *what):
        self.what = what

    def __call__(self):
        hidden, n, bits = self.what
        position = philox.Position(hidden)
        position.advance(n, bits)
        return position.words

    def __eq__(self, other):
        return type(other) is TakeWords and self.what == other.what

    def __hash__(self):
        return hash(self.what)


def in_graph(generator, method, fixed, recording):
    """The payload of a large draw as ops of the graph that is being recorded; None where the host draws.

    Parameters
    ----------
    generator : object
    method : callable
    fixed : dict
        Its arguments.
    recording : Recorder
    """
    make, size = METHODS.get(method.__name__), _size(fixed.get("size"))
    if make is None or size is None or math.prod(size) < LARGE or not _draws_there(generator):
        return None
    made = make(InGraph(recording, generator.hidden), **fixed)
    return None if made is None else payload(made)


def _draws_there(generator):
    return target(generator) != devices.HOST and isinstance(generator.hidden.owner, numpy.random.Philox)


def _size(size):
    """A size as a shape; None where NumPy is to draw a scalar, or nothing."""
    try:
        shape = tuple(map(operator.index, size)) if isinstance(size, (tuple, list)) else (operator.index(size),)
    except TypeError:
        return None
    return shape if min(shape, default=0) > 0 else None


# The functions below give None where NumPy is to draw, or to refuse the arguments.
def _random(where, size=None, dtype=numpy.float64, out=None):
    shape, bits = _size(size), {numpy.float64: 64, numpy.float32: 32}.get(numpy.dtype(dtype).type)
    if shape is None or bits is None or out is not None:
        return None
    n = math.prod(shape)
    (drawn,) = where.draw(philox.doubles if bits == 64 else philox.floats, n, bits, n)
    where.advance(n, bits)
    return wrap(reshape(drawn, shape))


def _uniform(where, low=0.0, high=1.0, size=None):
    if not (isinstance(low, NUMBERS) and isinstance(high, NUMBERS)) or not 0 <= float(high) - float(low) < math.inf:
        return None
    drawn = None if isinstance(where, InGraph) else _random(where, size)  # a compiler would fuse product and sum
    return None if drawn is None else drawn * (float(high) - float(low)) + float(low)


def _random_raw(where, size=None, output=True):
    shape = _size(size)
    if shape is None or not output:
        return None
    n = math.prod(shape)
    (drawn,) = where.draw(philox.whole_words, n, 64, n)
    where.advance(n, 64)
    return wrap(reshape(drawn, shape))


def _integers(where, low, high=None, size=None, dtype=numpy.int64, endpoint=False):
    if high is None:
        low, high = 0, low
    dtype, shape = numpy.dtype(dtype), _size(size)
    if shape is None or dtype not in BITS or not (isinstance(low, WHOLE) and isinstance(high, WHOLE)):
        return None
    low, span = int(low), int(high) - int(low) + bool(endpoint)
    least, greatest = (0, 1) if dtype.kind == "b" else (numpy.iinfo(dtype).min, numpy.iinfo(dtype).max)
    if not (least <= low < low + span - 1 <= greatest):
        return None
    bits = 32 if BITS[dtype] == 64 and span <= 2**32 else BITS[dtype]
    n, threshold = math.prod(shape), (2**bits - span) % span
    limits = numpy.array([span % 2**64, threshold, low % 2**64], philox.U64)
    if span & (span - 1) == 0:  # no word is refused
        shift = bits + 1 - span.bit_length()
        (drawn,) = where.draw(philox.integers_of_all_bits, n, bits, n, bits, shift, dtype, limits=limits)
        where.advance(n, bits)
    elif isinstance(where, InGraph):
        return None  # how many words it takes is not known
    else:
        drawn = _some_of(where, limits, n, bits, threshold / 2**bits, dtype)
    return wrap(reshape(drawn, shape))


def _some_of(where, limits, n, bits, refused, dtype):
    """Whole numbers where a share of the words is refused."""
    expected = n / (1 - refused)
    m = math.ceil(expected + 8 * math.sqrt(expected * refused) + 8)
    while True:
        drawn, taken = where.draw(philox.integers, m, bits, n, m, bits, dtype, limits=limits)
        taken = int(wrap(taken))
        if taken <= m:
            where.advance(taken, bits)
            return drawn
        m *= 2


#: methods whose numbers are made on the device
METHODS = {"random": _random, "uniform": _uniform, "integers": _integers, "random_raw": _random_raw}
