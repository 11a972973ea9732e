"""Python's own library: buffers, copies, numbers, containers, files."""

import array
import collections
import copy
import csv
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import io
import itertools
import json
import math
import mmap
import numbers
import operator
import random
import statistics
import struct
import zlib

import numpy
import pytest
from programs import address, check, check_outcome, check_refusal

import npx


# ------------------------------------------------------------------------------------------------------ buffers
def test_buffers():
    def program(np):
        x = np.arange(6, dtype=np.int32).reshape(2, 3)
        view = memoryview(x)
        file = io.BytesIO()
        file.write(x)
        text = array.array("d", np.arange(3.0))
        into = np.zeros(6, dtype=np.int32)
        io.BytesIO(x.tobytes()).readinto(into)
        struct.pack_into("i", into, 4, 77)
        return (
            view.shape, view.strides, view.format, view.tolist(), view.readonly, bytes(x), bytearray(x),
            hashlib.sha256(x).hexdigest(), zlib.crc32(x), zlib.compress(x), file.getvalue(), text.tolist(), into,
            struct.unpack_from("3i", x, 4), b"".join([x, x]), memoryview(x.T).strides,
            int.from_bytes(np.array([1, 2], dtype=np.uint8), "little"),
            array.array("i", x.ravel().tobytes()).tolist(), np.frombuffer(array.array("d", [1, 2])),
            np.array(array.array("i", [1, 2])), np.asarray(memoryview(b"abc")),
            np.frombuffer(b"\x01\x02", np.uint8),
        )  # fmt: skip

    check(program)


@pytest.mark.parametrize("use", [hashlib.sha256, zlib.crc32, bytes, memoryview])
def test_views_as_buffers(use):
    """What is not contiguous is refused, or copied, as with NumPy."""

    def program(np):
        r = use(np.arange(6.0)[::2])
        return r.tolist() if use is memoryview else r if use is bytes else None

    check_outcome(program)


def test_read_only_buffers():
    def program(np, writes):
        x = np.arange(3)
        x.flags.writeable = False
        return memoryview(x).readonly, io.BytesIO(b"123456").readinto(x) if writes else None

    check(program, False)
    check_refusal(program, True)


def test_a_buffer_shares_memory():
    x = npx.zeros(3)
    memoryview(x)[1] = 5.0
    assert x[1] == 5
    y = npx.frombuffer(bytearray(8), dtype=npx.uint8)
    y[0] = 1
    assert memoryview(y)[0] == 1


def test_ctypes():
    def program(np):
        x = np.arange(4.0)
        pointer = x.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        pointer[1] = 9.0
        address = ctypes.c_void_p(x.ctypes.data)
        ctypes.memset(address, 0, 8)
        checked = np.ctypeslib.ndpointer(dtype=np.float64, ndim=1).from_param(x)
        shared = np.ctypeslib.as_array((ctypes.c_int * 3)(1, 2, 3))
        cell = ctypes.c_double.from_buffer(x, 16)
        cell.value = 5.0
        return (
            x,
            x.ctypes.shape[:],
            x.ctypes.strides[:],
            type(checked).__name__ != "",
            shared,
            np.ctypeslib.as_ctypes(x)[3],
        )

    check(program)


def test_ctypes_calls():
    """A C function is called with the memory of an npx array."""
    libc = ctypes.CDLL(None)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(
        lambda a, b: a[0] - b[0]
    )
    x = npx.array([3, 1, 2], dtype=npx.int32)
    libc.qsort(x.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(3), ctypes.c_size_t(4), compare)
    assert x.tolist() == [1, 2, 3]
    libc.qsort.argtypes = [npx.ctypeslib.ndpointer(npx.int32), ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]
    x[:] = [6, 5, 4]
    libc.qsort(x, 3, 4, ctypes.cast(compare, ctypes.c_void_p))
    assert x.tolist() == [4, 5, 6]


def test_mapped_memory(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(32))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        x = npx.frombuffer(mapped, dtype=npx.float64)
        x[1] = 2.5
        del x
    assert npx.fromfile(path)[1] == 2.5
    again = npx.memmap(path, dtype=npx.float64, mode="r+")
    again[0] = 1.5
    again.flush()
    assert struct.unpack_from("d", path.read_bytes())[0] == 1.5


# ------------------------------------------------------------------------------------------------------ copies
def test_copies():
    def program(np):
        x = np.arange(6.0).reshape(2, 3)
        shallow, deep = copy.copy(x[:, 1]), copy.deepcopy({"x": x, "again": x, "view": x[0]})
        x[:] = 0
        objects = copy.deepcopy(np.array([[1], {"a": 2}], dtype=object))
        fortran = copy.deepcopy(np.asfortranarray(np.ones((2, 2))))
        return shallow, deep, deep["x"] is deep["again"], objects, fortran.flags.f_contiguous, shallow.base is None

    check(program)


# ------------------------------------------------------------------------------------------------------ numbers
def test_numbers():
    def program(np):
        zero, one = np.array(2.25), np.array([4])
        return (
            math.sqrt(zero), math.floor(zero), math.isnan(np.array(np.nan)), math.gcd(np.array(6), np.int64(4)),
            math.prod(np.array([1, 2, 3])), math.hypot(np.float64(3), np.array(4.0)),
            math.fsum(np.array([0.1] * 10)), round(np.float64(2.567), 1), range(5)[np.array(2)],
            [1, 2][np.array(1)], hex(np.array(255)), f"{np.array(1.5):.2f}", f"{np.float32(0.5)}",
            complex(np.array(1 + 2j)), int(np.array(7)), bool(np.array(0)), divmod(np.array(7), 2),
            pow(np.array(2), 3), abs(np.array(-1)), isinstance(np.array(1), numbers.Number),
            isinstance(np.float64(1), numbers.Real), isinstance(np.arange(2)[0], numbers.Integral),
            datetime.timedelta(seconds=float(np.array(1.5))), decimal.Decimal(float(zero)),
            fractions.Fraction(int(np.array(3)), 2), one[0] in {4: 1}, sum(np.arange(4)), max(np.array([3, 1])),
            min(np.arange(3.0)), sorted(np.array([2, 1])), list(reversed(np.arange(3))), any(np.array([0, 1])),
            all(np.array([0, 1])), len(np.zeros((3, 2))), operator.index(np.array(3)), math.ceil(np.array(1.2)),
            math.dist(np.zeros(2), np.ones(2)), str(np.arange(3)), repr(np.eye(2)),
        )  # fmt: skip

    check(program)


@pytest.mark.parametrize(
    "use",
    [
        math.sqrt,
        math.floor,
        int,
        float,
        bool,
        operator.index,
        hash,
        round,
        len,
        iter,
        math.factorial,
        complex,
        json.dumps,
        chr,
    ],
)
@pytest.mark.parametrize("shape", [(), (1,), (2,), (0,)])
def test_what_is_no_number_is_refused(use, shape):
    def program(np):
        r = use(np.ones(shape))
        return None if use is iter else r

    check_outcome(program)


def test_statistics():
    def program(np):
        x = np.array([1.0, 2.0, 4.0, 4.0])
        return (
            statistics.mean(x), statistics.median(x), statistics.mode(x), statistics.stdev(x),
            statistics.pvariance(x), statistics.fmean(x), statistics.quantiles(x),
            statistics.linear_regression(x, x**2), statistics.correlation(x, x**2),
        )  # fmt: skip

    check(program)


# ------------------------------------------------------------------------------------------------------ containers
def test_iteration():
    def program(np):
        x, m = np.array([3, 1, 3]), np.arange(6).reshape(3, 2)
        keyed = {tuple(row): i for i, row in enumerate(m)}
        return (
            list(itertools.accumulate(x)), list(itertools.chain.from_iterable(m)), list(itertools.product(x, x))[1],
            list(zip(x, m)), collections.Counter(x), functools.reduce(np.add, m), functools.reduce(operator.mul, m),
            [k for k, _ in itertools.groupby(x)], dict(zip(x.tolist(), m)), keyed, list(map(np.sum, m)),
            list(filter(None, x)), list(collections.deque(m, maxlen=2)), set(x.tolist()),
            list(itertools.islice(x, 1, None)), list(enumerate(x)), {v: 1 for v in x}, *m, 1 in x,
            list(itertools.combinations(x, 2)),
        )  # fmt: skip

    check(program)


def test_random():
    def program(np):
        random.seed(3)
        rows, x, m = [np.array([i, i]) for i in range(5)], np.arange(6), np.arange(6).reshape(3, 2)
        random.shuffle(rows)
        random.shuffle(x)
        picked = (
            random.choice(x),
            random.sample(list(x), 2),
            random.choices(x, weights=np.ones(6), k=2),
            random.uniform(np.float64(0), np.array(1.0)),
        )
        return rows, x, picked, random.choice(m), random.Random(5).gauss(np.array(0.0), 1)

    check(program)


@dataclasses.dataclass
class Point:
    """Holds arrays."""

    x: object
    names: list = dataclasses.field(default_factory=list)


def test_classes():
    def program(np):
        a = Point(np.arange(2), [np.zeros(1)])
        changed = dataclasses.replace(a, x=a.x + 1)
        named = collections.namedtuple("Pair", "x y")(np.ones(2), 3)
        kind = enum.Enum("Kind", {"A": np.int64(1)})
        return (
            dataclasses.asdict(a),
            dataclasses.astuple(changed),
            named.x + named.y,
            kind.A.value,
            a == a,
            Point(1.0) == Point(np.float64(1.0)),
        )

    check(program)
    check_refusal(lambda np: Point(np.arange(2)) == Point(np.arange(2)))


def test_dispatch_by_class():
    """`functools.singledispatch` and `match` with ``np.ndarray`` see npx arrays, scalars and lists."""

    def program(np):
        @functools.singledispatch
        def name(x):
            return "other"

        name.register(np.ndarray)(lambda x: "array")
        name.register(np.floating)(lambda x: "float")
        name.register(list)(lambda x: "list")

        def matched(x):
            match x:
                case np.ndarray(shape=(2,)):
                    return "pair"
                case np.ndarray():
                    return "array"
                case [_, *_]:
                    return "sequence"
            return "other"

        things = np.arange(2), np.arange(3), np.float64(1), [1], 1
        return [name(x) for x in things], [matched(x) for x in things]

    check(program)


def test_sequences_and_sorting():
    def program(np):
        rows = [np.array([2, 1]), np.array([1, 5])]
        return (
            sorted(rows, key=lambda r: r[0]),
            max(rows, key=np.sum),
            min(rows, key=lambda r: r.sum()),
            sorted(np.array([[2, 1], [1, 5]]).tolist()),
        )

    check(program)
    check_refusal(lambda np: sorted([np.array([2, 1]), np.array([1, 5])]))
    check_refusal(lambda np: np.array([1, 2]) in [np.array([1, 3])])
    check_refusal(lambda np: {np.array([1]): 2})


# ------------------------------------------------------------------------------------------------------ text files
def test_json_and_csv():
    def program(np):
        file = io.StringIO()
        csv.writer(file).writerows(np.arange(4.0).reshape(2, 2))
        rows = np.array(list(csv.reader(io.StringIO("1,2\n3,4"))), dtype=float)
        return (
            file.getvalue(),
            rows,
            json.dumps(np.arange(3).tolist()),
            json.dumps({"a": np.float64(1.5)}),
            json.dumps(np.arange(2), default=lambda x: x.tolist()),
        )

    check(program)
    for value in (lambda np: np.arange(2), lambda np: {"a": np.int64(1)}, lambda np: np.array(1.0)):
        check_refusal(lambda np: json.dumps(value(np)))  # noqa: B023


def test_printing():
    def program(np):
        x = np.arange(3.0)
        file = io.StringIO()
        print(x, np.float64(1.5), x[0], x.reshape(3, 1), file=file)
        return (
            file.getvalue(),
            "%s %r" % (x, x),  # noqa: UP031
            f"{x}",
            f"{x!r}",
            "%d" % np.array(3),  # noqa: UP031
            f"{x[2]:5.1f}",
        )

    check(program)
    check_refusal(lambda np: f"{np.arange(3):.2f}")


def test_the_array_interface_is_numpys():
    x = npx.arange(6.0)[::2]
    assert x.__array_interface__ == numpy.asarray(x).__array_interface__
    assert address(x) == x.ctypes.data
