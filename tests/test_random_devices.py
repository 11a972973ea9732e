"""Generators whose arrays are born on a device: NumPy's Philox, computed there."""

import pickle

import numpy
import pytest
from random_calls import calls, draw, public_methods, same_state

import npx as np
from npx.dispatch import debug
from npx.random import philox
from npx.random.on_device import LARGE

DEVICES = ["xla"]
SEED = 7


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture
def pair(device):
    """A generator on a device, and NumPy's."""
    mine = np.random.Generator(np.random.Philox(SEED), device=device)
    return mine, numpy.random.Generator(numpy.random.Philox(SEED))


def check(device, mine, numpys, drawn, expected):
    """The same values, on the device, and the same state behind them."""
    if isinstance(expected, numpy.ndarray):
        if expected.dtype.kind in "biufc":
            assert drawn.device.startswith(device)
        assert drawn.dtype == expected.dtype
        numpy.testing.assert_array_equal(numpy.asarray(drawn), expected)
    else:
        assert type(drawn) is type(expected)
        assert drawn == expected
    assert same_state(mine.bit_generator.state, numpys.bit_generator.state)


@pytest.mark.parametrize("name", [n for n in public_methods(numpy.random.Generator) if n != "spawn"])
def test_every_method_gives_numpys_values(device, pair, name):
    mine, numpys = pair
    where = "cpu" if name == "shuffle" else device  # it is given an array on the host
    for call in calls(numpy.random.Generator, name):
        check(where, *pair, draw(mine, name, call, np.array), draw(numpys, name, call, numpy.array))


WORDS = [
    ("random", {"size": 1}),
    ("random", {"size": 2, "dtype": numpy.float32}),
    ("random", {"size": 3, "dtype": numpy.float32}),
    ("random", {"size": (2, 5)}),
    ("integers", {"low": 10, "size": 3}),
    ("integers", {"low": 0, "high": 2**40, "size": 4}),
    ("random", {"size": 40}),
    ("bytes", {"length": 5}),
    ("uniform", {"low": -2.0, "high": 7, "size": 6}),
    ("standard_normal", {"size": 3}),
    ("integers", {"low": 0, "high": 3 * 2**30, "size": 50}),
    ("integers", {"low": 0, "high": 3 * 2**61, "size": 50}),
    ("random", {"size": 1, "dtype": "float32"}),
]


def test_kinds_of_words_take_turns(device, pair):
    """Draws of whole words, half words and parts of words leave the state that NumPy's leave, whatever came before."""
    mine, numpys = pair
    for first in range(len(WORDS)):
        for name, call in WORDS[first:] + WORDS[:first] if first % 4 == 0 else [WORDS[first]]:
            check(device, *pair, getattr(mine, name)(**call), getattr(numpys, name)(**call))


RANGES = [
    (0, 2),
    (-5, -4),
    (-5, 100),
    (-128, 128),
    (0, 256),
    (3, 3 + 200),
    (-(2**15), 2**15),
    (0, 2**16),
    (0, 40000),
    (-(2**31), 2**31),
    (0, 2**32),
    (-7, 2**31 - 1),
    (0, 2**32 + 1),
    (-(2**63), 2**63),
    (-(2**63), 2**62 + 5),
    (0, 2**64),
    (1, 2**63 + 3),
]


@pytest.mark.parametrize("dtype", ["?", *"bBhHiIqQ"])
def test_integers_of_every_range_and_dtype(device, pair, dtype):
    """Powers of two and others, refusals and all; what NumPy refuses is refused."""
    mine, numpys = pair
    for low, high in RANGES:
        for endpoint in (False, True):
            call = {"low": low, "high": high, "size": (3, 5), "dtype": dtype, "endpoint": endpoint}
            try:
                expected = numpys.integers(**call)
            except ValueError as error:
                with pytest.raises(ValueError, match=str(error)[:20]):
                    mine.integers(**call)
                continue
            check(device, *pair, mine.integers(**call), expected)


def test_large_draws(device, pair):
    mine, numpys = pair
    for name, call in (
        ("random", {"size": 50_003}),
        ("integers", {"low": 0, "high": 3 * 2**30, "size": 20_001}),
    ):
        check(device, *pair, getattr(mine, name)(**call), getattr(numpys, name)(**call))


def test_the_counter_carries(device, pair):
    mine, numpys = pair
    state = numpys.bit_generator.state
    for counter in ([2**64 - 3, 5, 0, 0], [2**64 - 2, 2**64 - 1, 2**64 - 1, 4], [2**64 - 2] + [2**64 - 1] * 3):
        state["state"]["counter"] = numpy.array(counter, numpy.uint64)
        mine.bit_generator.state = numpys.bit_generator.state = state
        check(device, *pair, mine.random(30), numpys.random(30))
    mine.bit_generator.advance(2**200 + 9)
    numpys.bit_generator.advance(2**200 + 9)
    check(device, *pair, mine.random(5), numpys.random(5))
    mine = np.random.Generator(mine.bit_generator.jumped(), device=device)
    numpys = numpy.random.Generator(numpys.bit_generator.jumped())
    check(device, mine, numpys, mine.random(5), numpys.random(5))


def test_a_state_made_by_hand(device, pair):
    """Words in the buffer that are not those of the counter come first, as in NumPy."""
    mine, numpys = pair
    state = numpys.bit_generator.state
    state["buffer"], state["buffer_pos"] = numpy.array([1, 2**63, 3, 4], numpy.uint64), 1
    mine.bit_generator.state = numpys.bit_generator.state = state
    check(device, *pair, mine.random(6), numpys.random(6))
    check(device, *pair, mine.random(6), numpys.random(6))


@pytest.mark.parametrize("run", [philox.run, lambda f, operands, *static: as_tuple(f(*operands, *static))])
@pytest.mark.parametrize("skipped", range(6))
def test_words_on_the_host(run, skipped):
    """Compiled, and op by op as on a backend that compiles nothing."""
    bit_generator = np.random.Philox([1, 2, 3])
    bit_generator.random_raw(skipped)
    numpy.random.Generator(bit_generator).random(dtype=numpy.float32)
    words = philox.Position(bit_generator.hidden).words
    (drawn,) = run(philox.blocks, (words,), 6)
    again = pickle.loads(pickle.dumps(bit_generator))
    (whole,) = run(philox.whole_words, (drawn, words), 11)
    numpy.testing.assert_array_equal(whole, again.random_raw(11))
    (halves,) = run(philox.half_words, (drawn, words), 9)
    expected = numpy.random.Generator(bit_generator).integers(2**32, size=9, dtype=numpy.uint32)
    numpy.testing.assert_array_equal(halves, expected)


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


# ------------------------------------------------------------------------------------------------ devices and counts
def test_what_is_made_on_the_device_takes_no_round_trip(device, pair, monkeypatch):
    mine, _ = pair
    monkeypatch.setenv("NPX_STRICT", "1")
    mine.random(5)
    mine.uniform(1.0, 2.0, size=5)
    mine.integers(10, size=5)
    with pytest.raises(debug.StrictError, match="random.normal"):
        mine.normal(size=5)
    assert mine.random() < 1  # NumPy's scalar


def test_round_trips_are_counted(pair):
    mine, _ = pair
    before = sum(debug.round_trips.values())
    mine.normal(size=5)
    assert sum(debug.round_trips.values()) == before + 1


def test_the_default_device(device):
    with np.default_device(device):
        rng = np.random.default_rng(SEED)
        assert isinstance(rng.bit_generator, np.random.Philox)
        numpys = numpy.random.Generator(numpy.random.Philox(SEED))
        check(device, rng, numpys, rng.random(4), numpys.random(4))
        raw = rng.bit_generator.random_raw(3)
        check(device, rng, numpys, raw, numpys.bit_generator.random_raw(3))
        np.random.seed(3)
        legacy = np.random.rand(2)
        assert legacy.device.startswith(device)
        numpy.testing.assert_array_equal(numpy.asarray(legacy), numpy.random.RandomState(3).rand(2))
        given = np.random.default_rng(np.random.PCG64(1))
        assert given.normal(size=2).device.startswith(device)
        on_host = np.random.default_rng(1, device="cpu")
        assert isinstance(on_host.bit_generator, np.random.PCG64)
        assert on_host.normal(size=2).device == "cpu"
    assert rng.random(2).device == "cpu"  # its device is the default one, wherever that is
    assert isinstance(np.random.default_rng(1).bit_generator, np.random.PCG64)


def test_a_generator_keeps_its_device(device, pair):
    mine, _ = pair
    assert mine.device.startswith(device)
    assert mine.spawn(1)[0].device == mine.device
    again = pickle.loads(pickle.dumps(mine))
    assert again.device == mine.device
    numpy.testing.assert_array_equal(again.random(3), mine.random(3))
    with pytest.raises(ValueError, match="unknown device"):
        np.random.Generator(np.random.Philox(), device="nowhere")


def test_arrays_on_the_device(device, pair):
    mine, numpys = pair
    x, y = np.arange(6.0).to_device(device), numpy.arange(6.0)
    mine.shuffle(x)
    numpys.shuffle(y)
    check(device, *pair, x, y)
    check(device, *pair, mine.normal(x, 2.0), numpys.normal(y, 2.0))
    check(device, *pair, mine.permutation(x), numpys.permutation(y))
    out = np.zeros(4).to_device(device)
    assert mine.random(out=out) is out
    check(device, *pair, out, numpys.random(4))


# ------------------------------------------------------------------------------------------------------- transforms
@pytest.mark.parametrize(
    ("name", "call", "in_graph"),
    [
        ("random", {"dtype": numpy.float32}, True),
        ("integers", {"low": 0, "high": 16}, True),
        ("integers", {"low": 0, "high": 15}, False),
        ("uniform", {"low": -1.0, "high": 2.0}, False),
    ],
)
def test_large_draws_in_compiled_functions(device, pair, name, call, in_graph):
    """The words are computed by the compiled function; where what follows would not be exact, by the host."""
    mine, numpys = pair
    size = LARGE + 1
    compiled = np.jit(lambda: getattr(mine, name)(size=size, **call))
    for _ in range(2):
        check(device, *pair, compiled(), getattr(numpys, name)(size=size, **call))
    assert ("right_shift" in compiled.explain()) == in_graph


def test_transforms_on_the_device(device, pair):
    mine, numpys = pair
    compiled = np.jit(lambda: mine.random(3) + mine.integers(9, size=3))
    for _ in range(3):
        check(device, *pair, compiled(), numpys.random(3) + numpys.integers(9, size=3))
    x = np.arange(3.0).to_device(device)
    compiled = np.jit(lambda x: x + mine.normal(size=3))
    for _ in range(2):
        check(device, *pair, compiled(x), numpy.arange(3.0) + numpys.normal(size=3))
    check(device, *pair, np.vmap(lambda v: v + mine.random(2))(x), numpy.arange(3.0)[:, None] + numpys.random((3, 2)))
    gradient = np.grad(lambda s: mine.normal(s, s).sum())(x + 1.0)
    check(device, *pair, gradient, 1.0 + numpys.standard_normal(3))
