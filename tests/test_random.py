"""`np.random` on the host: NumPy's streams, states and objects."""

import copy
import inspect
import pickle
import warnings

import numpy
import pytest
from random_calls import (
    CLASSES,
    NOT_DRAWING,
    assert_same,
    calls,
    draw,
    every_call,
    label,
    make,
    public_methods,
    same_state,
    state,
)

import npx as np

BIT_GENERATORS = ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"]
WORDS = numpy.array([3, 1, 4], dtype=numpy.uint32)


@pytest.fixture(autouse=True)
def no_deprecated_methods():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of random_integers
        yield


# ---------------------------------------------------------------------------------------------------------- methods
@pytest.mark.parametrize(("cls", "name", "call"), every_call(), ids=label)
def test_methods_draw_what_numpy_draws(cls, name, call):
    """Twice, with the same state behind it, from lists and from npx arrays."""
    mine, numpys = make(np, cls), make(numpy, cls)
    for array in (np.array, lambda x: x if isinstance(x, list) else np.array(x)):
        assert_same(draw(mine, name, call, array), draw(numpys, name, call, numpy.array))
        assert same_state(state(mine), state(numpys))


@pytest.mark.parametrize("cls", CLASSES)
def test_every_method_is_called(cls):
    """A method that NumPy gains needs a sample call."""
    for name in public_methods(cls):
        assert name in NOT_DRAWING or draw(make(numpy, cls), name, calls(cls, name)[0], numpy.array) is not None
        assert getattr(getattr(np.random, cls.__name__), name) is not getattr(cls, name), f"{name} is NumPy's own"


@pytest.mark.parametrize("bit_generator", BIT_GENERATORS)
def test_every_bit_generator(bit_generator):
    seeds = [7, [1, 2, 3], WORDS]
    for seed in seeds:
        mine = getattr(np.random, bit_generator)(np.array(seed) if isinstance(seed, numpy.ndarray) else seed)
        numpys = getattr(numpy.random, bit_generator)(seed)
        assert_same(mine.random_raw(5), numpys.random_raw(5))
        assert mine.random_raw() == numpys.random_raw()
        assert mine.random_raw(3, output=False) is numpys.random_raw(3, output=False)
        assert same_state(mine.state, numpys.state)
        assert_same(np.random.Generator(mine).normal(size=4), numpy.random.Generator(numpys).normal(size=4))


def test_philox_from_a_counter_and_a_key():
    counter, key = numpy.array([1, 2, 3, 4], numpy.uint64), numpy.array([5, 6], numpy.uint64)
    mine = [
        np.random.Philox(counter=np.array(counter), key=np.array(key)),
        np.random.Philox(None, np.array(counter), 7),
    ]
    numpys = [numpy.random.Philox(counter=counter, key=key), numpy.random.Philox(None, counter, 7)]
    for a, b in zip(mine, numpys, strict=True):
        assert_same(a.random_raw(6), b.random_raw(6))
    with pytest.raises(ValueError, match="seed and key"):
        np.random.Philox(3, key=4)


def test_names_are_numpys():
    names = {name for name in dir(numpy.random) if not name.startswith("_")}
    assert names <= set(dir(np.random))
    assert set(numpy.random.__all__) == set(np.random.__all__)
    for name in names:
        assert getattr(np.random, name) is not None
    for module in ("mtrand", "bit_generator"):
        for name in getattr(numpy.random, module).__all__:
            assert getattr(getattr(np.random, module), name) is getattr(np.random, name, None) or name == "_rand"


@pytest.mark.parametrize("name", [n for n in dir(numpy.random) if getattr(numpy.random, n, None) is not None])
def test_functions_are_described_as_numpys(name):
    real, mine = getattr(numpy.random, name), getattr(np.random, name)
    if callable(real) and not isinstance(real, type) and name != "test":
        assert mine.__doc__ == real.__doc__ or name == "default_rng"
        ours, numpys = inspect.signature(mine).parameters, inspect.signature(real).parameters
        assert list(ours)[: len(numpys)] == list(numpys)


# ------------------------------------------------------------------------------------------------- the global state
def test_functions_share_numpys_global_state():
    def some(module):
        module.random.seed(11)
        first = [module.random.rand(2), module.random.normal(), module.random.sample(), module.random.ranf(2)]
        return [*first, module.random.mtrand._rand.randn(3), module.random.mtrand.randint(9, size=2)]

    for mine, numpys in zip(some(np), some(numpy), strict=True):
        assert_same(mine, numpys)
    np.random.seed(3)
    np.random.normal()  # the second normal number is held back, for whoever asks next
    assert numpy.random.normal() == numpy.random.RandomState(3).normal(size=2)[1]


def test_get_and_set_state():
    np.random.seed(np.array([1, 2, 3]))
    kept, old = np.random.get_state(legacy=False), np.random.get_state()
    assert type(old[1]) is np.ndarray
    drawn = np.random.normal(size=3)
    for before in (kept, old):
        np.random.set_state(before)
        numpy.testing.assert_array_equal(np.random.normal(size=3), drawn)
    numpy.random.seed([1, 2, 3])
    assert_same(drawn, numpy.random.normal(size=3))


def test_the_bit_generator_of_the_module_can_be_exchanged():
    before = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(8))
        assert isinstance(np.random.get_bit_generator(), np.random.PCG64)
        np.random.seed(9)
        assert_same(np.random.rand(3), numpy.random.RandomState(numpy.random.PCG64(9)).rand(3))
    finally:
        np.random.set_bit_generator(before)
    assert isinstance(np.random.mtrand._rand._bit_generator, numpy.random.MT19937)


# ---------------------------------------------------------------------------------------------------- seeds, streams
def test_seed_sequences():
    mine, numpys = (
        np.random.SeedSequence(np.array([5, 6]), spawn_key=(1,)),
        numpy.random.SeedSequence([5, 6], spawn_key=(1,)),
    )
    assert_same(mine.generate_state(4, np.uint64), numpys.generate_state(4, numpy.uint64))
    assert_same(mine.pool, numpys.pool)
    for a, b in zip(mine.spawn(2) + mine.spawn(1), numpys.spawn(2) + numpys.spawn(1), strict=True):
        assert type(a) is np.random.SeedSequence
        assert a.spawn_key == b.spawn_key
        assert_same(a.generate_state(2), b.generate_state(2))
    assert mine.n_children_spawned == 3
    again = pickle.loads(pickle.dumps(mine))
    assert_same(again.generate_state(3), numpys.generate_state(3))


@pytest.mark.parametrize("bit_generator", BIT_GENERATORS)
def test_spawn_jump_advance(bit_generator):
    mine, numpys = getattr(np.random, bit_generator)(4), getattr(numpy.random, bit_generator)(4)
    assert mine.seed_seq.entropy == 4
    for a, b in zip(mine.spawn(2), numpys.spawn(2), strict=True):
        assert type(a) is type(mine)
        assert_same(a.random_raw(3), b.random_raw(3))
    children = np.random.Generator(mine).spawn(1), numpy.random.Generator(numpys).spawn(1)
    assert type(children[0][0]) is np.random.Generator
    assert_same(children[0][0].random(2), children[1][0].random(2))
    if hasattr(numpys, "jumped"):
        assert type(mine.jumped()) is type(mine)
        assert_same(mine.jumped(3).random_raw(3), numpys.jumped(3).random_raw(3))
    if hasattr(numpys, "advance"):
        assert mine.advance(10**20) is mine
        numpys.advance(10**20)
        assert_same(mine.random_raw(3), numpys.random_raw(3))


def test_a_seed_sequence_of_the_user():
    class Constant(np.random.bit_generator.ISeedSequence):
        def generate_state(self, n_words, dtype=np.uint32):
            return np.full(n_words, 7, dtype=dtype)

    seeds = Constant()
    bit_generator = np.random.PCG64(seeds)
    assert bit_generator.seed_seq is seeds
    with pytest.raises(TypeError, match="does not implement spawning"):
        bit_generator.spawn(1)


@pytest.mark.parametrize("bit_generator", BIT_GENERATORS)
def test_state_is_taken_and_given(bit_generator):
    mine = np.random.Generator(getattr(np.random, bit_generator)(2))
    mine.integers(9, size=3, dtype=np.int32)
    kept = mine.bit_generator.state
    drawn = mine.random(4)
    mine.bit_generator.state = kept
    numpy.testing.assert_array_equal(mine.random(4), drawn)
    numpys = getattr(numpy.random, bit_generator)()
    numpys.state = kept  # NumPy takes it too
    numpy.testing.assert_array_equal(numpy.random.Generator(numpys).random(4), drawn)


@pytest.mark.parametrize("again", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("bit_generator", BIT_GENERATORS)
def test_copies_go_on_from_the_same_state(bit_generator, again):
    legacy = [] if again is copy.copy else [np.random.RandomState(getattr(np.random, bit_generator)(6))]
    for original in (np.random.Generator(getattr(np.random, bit_generator)(6)), *legacy):
        original.normal(size=3)
        other = again(original)
        assert type(other) is type(original)
        if again is copy.copy:
            assert original.bit_generator is other.bit_generator
        else:
            assert same_state(state(original), state(other))
            numpy.testing.assert_array_equal(original.normal(size=3), other.normal(size=3))


def test_default_rng_takes_generators():
    rng = np.random.default_rng(1)
    assert np.random.default_rng(rng) is rng
    bit_generator = np.random.SFC64(1)
    assert np.random.default_rng(bit_generator).bit_generator is bit_generator
    legacy = np.random.RandomState(1)
    assert np.random.default_rng(legacy).bit_generator is legacy._bit_generator
    numpys = numpy.random.default_rng(1)
    shared = np.random.default_rng(numpys)
    assert shared.bit_generator is numpys.bit_generator
    assert type(shared.random(2)) is np.ndarray
    assert_same(rng.random(2) * 0 + shared.random(2), numpy.random.default_rng(1).random(4)[2:])
    for seed in (3, [1, 2], numpy.random.SeedSequence(3), None):
        assert type(np.random.default_rng(seed)) is np.random.Generator


# -------------------------------------------------------------------------------------------------- other libraries
def test_classes_stand_for_numpys():
    for name in ("Generator", "RandomState", "SeedSequence", *BIT_GENERATORS):
        real, mine = getattr(numpy.random, name), getattr(np.random, name)
        assert issubclass(mine, real)
        assert issubclass(real, mine)
    assert isinstance(numpy.random.default_rng(), np.random.Generator)
    assert isinstance(np.random.default_rng(), numpy.random.Generator)
    assert isinstance(numpy.random.PCG64(), np.random.BitGenerator)
    assert not isinstance(numpy.random.PCG64(), np.random.Philox)

    class Mine(np.random.Generator):
        pass

    assert isinstance(Mine(np.random.PCG64()), np.random.Generator)
    assert not isinstance(np.random.default_rng(), Mine)


def test_scipy_and_sklearn_take_them():
    scipy_check = pytest.importorskip("scipy._lib._util").check_random_state
    sklearn_check = pytest.importorskip("sklearn.utils").check_random_state
    rng, legacy = np.random.default_rng(0), np.random.RandomState(0)
    assert scipy_check(rng) is rng
    for check in (scipy_check, sklearn_check):
        assert check(legacy) is legacy
        np.random.seed(2)
        assert check(np.random).randint(100) == numpy.random.RandomState(2).randint(100)
    from scipy import stats

    drawn = stats.gamma.rvs(2.0, size=3, random_state=rng)
    numpy.testing.assert_array_equal(drawn, stats.gamma.rvs(2.0, size=3, random_state=numpy.random.default_rng(0)))


def test_the_module_is_a_module():
    assert inspect.ismodule(np.random)
    assert isinstance(np.random, numpy.random.RandomState)  # so that other libraries take it where they take NumPy's


# ------------------------------------------------------------------------------------------------- writing in place
def test_out():
    mine, numpys = np.random.default_rng(3), numpy.random.default_rng(3)
    for name in ("random", "standard_normal", "standard_exponential"):
        a, b = np.zeros(4), numpy.zeros(4)
        assert getattr(mine, name)(out=a) is a
        getattr(numpys, name)(out=b)
        assert_same(a, b)
    whole, view = np.zeros((3, 4)), numpy.zeros((3, 4))
    mine.random(out=whole[1])  # through a view
    numpys.random(out=view[1])
    assert_same(whole, view)
    with pytest.raises(ValueError, match="contiguous"):
        mine.random(out=whole[:, ::2])
    with pytest.raises(TypeError):
        mine.random(out=np.zeros(3, dtype=np.float32))


IN_PLACE = {
    "1-d": lambda m: m.arange(7),
    "rows": lambda m: m.arange(8.0).reshape(4, 2),
    "structured": lambda m: m.array([(1, 2.0), (3, 4.0), (5, 6.0)], dtype=[("a", int), ("b", float)]),
    "objects": lambda m: m.array([None, 1, "x", 2.5], dtype=object),
}


@pytest.mark.parametrize("kind", IN_PLACE)
@pytest.mark.parametrize("cls", CLASSES)
def test_shuffle(cls, kind):
    mine, numpys = make(np, cls), make(numpy, cls)
    a, b = IN_PLACE[kind](np), IN_PLACE[kind](numpy)
    for _ in range(2):
        assert mine.shuffle(a) is numpys.shuffle(b)
        assert_same(a, b)


@pytest.mark.parametrize(
    "view", [lambda x: x[::2], lambda x: x[:, 1:], lambda x: x.T, lambda x: x[1], lambda x: x.reshape(-1)[3:]]
)
@pytest.mark.parametrize("cls", CLASSES)
def test_shuffle_goes_through_views(cls, view):
    mine, numpys = make(np, cls), make(numpy, cls)
    a, b = np.arange(24.0).reshape(6, 4), numpy.arange(24.0).reshape(6, 4)
    mine.shuffle(view(a))
    numpys.shuffle(view(b))
    assert_same(a, b)


def test_shuffle_along_an_axis_and_permuted():
    mine, numpys = np.random.default_rng(3), numpy.random.default_rng(3)
    a, b = np.arange(12.0).reshape(3, 4), numpy.arange(12.0).reshape(3, 4)
    mine.shuffle(a, axis=1)
    numpys.shuffle(b, axis=1)
    assert_same(a, b)
    assert_same(mine.permuted(a, axis=1), numpys.permuted(b, axis=1))
    assert mine.permuted(a, axis=0, out=a) is a
    numpys.permuted(b, axis=0, out=b)
    assert_same(a, b)
    assert_same(mine.permutation(a[:, 1:], axis=1), numpys.permutation(b[:, 1:], axis=1))


def test_shuffle_lists():
    mine, numpys, a, b = np.random.default_rng(3), numpy.random.default_rng(3), list(range(9)), list(range(9))
    mine.shuffle(a)
    numpys.shuffle(b)
    assert a == b
    with pytest.raises(TypeError, match="object of type 'int' has no len|'int'"):
        mine.shuffle(3)


def test_a_tape_keeps_what_is_shuffled_after():
    x, rng = np.arange(4.0), np.random.default_rng(0)

    def loss(w):
        y = w * x
        rng.shuffle(x)
        return y.sum()

    numpy.testing.assert_array_equal(np.grad(loss)(np.ones(4)), [0, 1, 2, 3])


def test_warnings_point_to_the_caller():
    class Items:
        def __init__(self):
            self.items = [1, 2, 3]

        def __len__(self):
            return 3

        def __getitem__(self, k):
            return self.items[k]

        def __setitem__(self, k, value):
            self.items[k] = value

    with pytest.warns(UserWarning, match="you are shuffling a 'Items' object") as caught:
        np.random.shuffle(Items())
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.normal(scale=-1),
        lambda r: r.normal(1, 2, 3, 4),
        lambda r: r.normal(size=-1),
        lambda r: r.choice([]),
        lambda r: r.choice(3, 5, replace=False),
        lambda r: r.uniform(0, numpy.inf),
        lambda r: r.binomial(5, 2.0),
        lambda r: r.normal([1, 2], [1, 2, 3]),
        lambda r: r.normal(loc="x"),
    ],
)
@pytest.mark.parametrize("cls", CLASSES)
def test_errors_are_numpys(cls, call):
    with pytest.raises(Exception) as numpys:  # noqa: B017, PT011  (whichever NumPy raises)
        call(make(numpy, cls))
    with pytest.raises(numpys.type) as mine:
        call(make(np, cls))
    assert str(mine.value) == str(numpys.value)
