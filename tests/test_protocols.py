"""What npx arrays hand to Python's and NumPy's protocols: memory without a copy, dtypes without loss."""

import ctypes
import gc
import inspect
import operator
import pickle
import sys
import warnings
import weakref

import numpy
import pytest

import npx as np

DTYPES = {
    "float": "f8",
    "swapped": ">c16",
    "datetime": "M8[25s]",
    "bytes": "S3",
    "text": "U5",
    "strings": "T",
    "missing": numpy.dtypes.StringDType(na_object=numpy.nan),
    "raw": "V7",
    "objects": "O",
    "structured": [("a", "i1"), ("b", ">f8", (2, 3))],
    "nested": [("a", [("x", "M8[s]"), ("y", "O")])],
    "aligned": numpy.dtype([("a", "i1"), ("b", "f8")], align=True),
    "padded": {"names": ["a"], "formats": ["i2"], "offsets": [3], "itemsize": 9},
    "disordered": {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [4, 0]},
    "titled": [(("title", "a"), "i4")],
    "metadata": numpy.dtype("f4", metadata={"unit": "m"}),
}


def sample(dtype):
    return numpy.zeros((2, 3), dtype)[:, ::2]


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
class TestMemory:
    def test_numpy_gets_it_exactly(self, dtype):
        host = sample(dtype)
        got = numpy.asarray(np.asarray(host))
        assert type(got) is numpy.ndarray and numpy.shares_memory(got, host)
        assert got.dtype == host.dtype and got.dtype.fields == host.dtype.fields
        assert got.dtype.metadata == host.dtype.metadata
        assert (got.shape, got.strides, got.flags.writeable) == (host.shape, host.strides, True)

    def test_it_stays_read_only(self, dtype):
        host = sample(dtype)
        host.flags.writeable = False
        assert not numpy.asarray(np.asarray(host)).flags.writeable

    def test_a_buffer_is_numpys_or_refused(self, dtype):
        host = sample(dtype)
        want, got = outcome(memoryview, host), outcome(memoryview, np.asarray(host))
        if not isinstance(want, memoryview):
            assert got is want
        elif outcome(lambda: numpy.asarray(want).dtype) == host.dtype and host.dtype.metadata is None:
            assert (got.format, got.shape, got.strides) == (want.format, want.shape, want.strides)
        else:  # NumPy would read another dtype from it
            assert got is BufferError

    def test_the_array_interface_is_numpys(self, dtype):
        host = sample(dtype)
        assert np.asarray(host).__array_interface__ == host.__array_interface__


def test_text_in_variable_strings_is_read_through_the_protocol():
    x = np.array(["a" * 100, "b"], dtype="T")
    assert numpy.asarray(x).tolist() == ["a" * 100, "b"]
    assert numpy.asarray(x).dtype is x.dtype


def users_of(x):
    """Objects of other libraries that use the memory of `x`."""
    return [memoryview(x), x.ctypes.data_as(ctypes.c_void_p), numpy.from_dlpack(x), numpy.asarray(x), x.__dlpack__()]


def test_what_uses_the_memory_keeps_the_array():
    for k in range(len(users_of(np.arange(3.0)))):
        x = np.arange(3.0)
        alive, user = weakref.ref(x), users_of(x)[k]
        del x
        gc.collect()
        assert alive() is not None
        del user
        assert alive() is None


def test_a_buffer_names_the_array():
    x = np.arange(3)
    assert memoryview(x).obj is x


def test_a_buffer_of_a_view_outlives_a_transform():
    x = np.arange(4.0)
    v = x[1:3]
    buffer = memoryview(v)

    def f(t):
        x[1:3] = t * t
        return (v * t).sum()

    np.grad(f)(np.array([2.0, 3.0]))
    assert buffer.tolist() == [4.0, 9.0] and buffer.format == "d"


def test_sizes():
    x = np.ones(100)
    assert sys.getsizeof(x) > x.nbytes > sys.getsizeof(x[...])
    with pytest.raises(TypeError):
        x.__sizeof__("a")


# ------------------------------------------------------------------------------------------------------ resize
def resized(np):
    x = np.arange(6)
    x.resize((2, 2))
    return x.tolist()


def resized_to_the_same_size(np):
    x = np.arange(6)
    y = x
    x.resize((2, 3))
    return y.shape


def resized_with_a_second_name(np):
    x = np.arange(6)
    y = x
    x.resize(7)
    return y


def resized_with_a_view(np):
    x = np.arange(6)
    v = x[1:]
    x.resize(7)
    return v


def resized_with_a_buffer(np):
    x = np.arange(6)
    v = memoryview(x)
    x.resize(7)
    return v


def resized_after_a_buffer(np):
    x = np.arange(6)
    memoryview(x).release()
    x.resize(7)
    return x.tolist()


def resized_with_a_weak_reference(np):
    x = np.arange(6)
    ref = weakref.ref(x)
    x.resize(7)
    return ref


def resized_without_the_check(np):
    x = np.arange(6)
    y = x
    x.resize(7, refcheck=False)
    return y.tolist()


def resized_with_a_bad_option(np):
    np.arange(6).resize(7, refcheck="no")


@pytest.mark.parametrize("case", [f for name, f in list(globals().items()) if name.startswith("resized")])
def test_resize(case):
    assert outcome(case, np) == outcome(case, numpy)


# ------------------------------------------------------------------------------------------------------ C slots
def python_api(name, restype, *argtypes):
    function = getattr(ctypes.pythonapi, name)
    return ctypes.PYFUNCTYPE(restype, *argtypes)((name, ctypes.pythonapi)) if function else None


get_item = python_api("PySequence_GetItem", ctypes.py_object, ctypes.py_object, ctypes.c_ssize_t)
set_item = python_api("PySequence_SetItem", ctypes.c_int, ctypes.py_object, ctypes.c_ssize_t, ctypes.py_object)


def after(function):
    """A case that gives what a function has made of its array."""

    def case(x):
        function(x)
        return x.tolist()

    return case


@pytest.mark.parametrize(
    "case",
    [
        lambda x: get_item(x, -4),
        lambda x: get_item(x, -2),
        lambda x: get_item(x, 3),
        after(lambda x: set_item(x, -4, 7)),
        after(lambda x: set_item(x, -1, 7)),
        lambda x: operator.concat(x, x),
        lambda x: operator.concat(x, [1]),
        lambda x: operator.delitem(x, 0),
        lambda x: operator.delitem(x.flat, 0),
        lambda x: delattr(x, "shape"),
        lambda x: delattr(x, "dtype"),
        lambda x: delattr(x, "real"),
        lambda x: delattr(x, "nbytes"),
        lambda x: x[0.0:, 0.0],
    ],
)
def test_slots(case):
    assert outcome(case, np.arange(3)) == outcome(case, numpy.arange(3))


# ------------------------------------------------------------------------------------------------------ signatures
def signature(member):
    try:
        return inspect.signature(member)
    except ValueError:
        return None


@pytest.mark.parametrize("kind", ["ndarray", "flatiter", "nditer", "broadcast", "ufunc"])
def test_methods_show_numpys_signatures(kind):
    ours, numpys = getattr(np, kind), getattr(numpy, kind)
    shown = 0
    for name, member in vars(numpys).items():
        want = None if name.startswith("_") or not callable(member) else signature(member)
        if want is not None:
            assert signature(getattr(ours, name)) == want, name
            shown += 1
    assert shown or signature(numpy.ndarray.all) is None  # older NumPy gives no signatures


def test_functions_in_c_show_numpys_signatures():
    for name in ("arange", "where", "frombuffer", "concatenate", "frompyfunc"):
        want = signature(getattr(numpy, name))
        assert want is None or signature(getattr(np, name)) == want


# ------------------------------------------------------------------------------------------------------ iterators
def test_nditer_gives_the_arrays_that_it_was_given():
    x, y = np.arange(6).reshape(2, 3), np.zeros((2, 3))
    with np.nditer([x, y], op_flags=[["readonly"], ["writeonly"]]) as it:
        assert it.operands[0] is x and it.operands[1] is y
        for a, b in it:
            b[...] = 2 * a
    assert y.tolist() == (2 * x).tolist()
    with pytest.raises(TypeError):
        del it[0]


def test_nditer_has_a_derivative_where_it_makes_no_copies():
    x = np.arange(1.0, 4.0)
    assert np.grad(lambda x: sum(v**2 for v in np.nditer(x)))(x).tolist() == [2, 4, 6]
    for options in ({"flags": ["buffered"]}, {"op_dtypes": ["f4"]}):
        with pytest.raises(TypeError, match="astype"):
            np.grad(lambda x, options=options: sum(v for v in np.nditer(x, **options)))(x)


def test_what_a_tape_saved_is_copied_before_nditer_writes():
    def f(x):
        y = np.ones(3)
        z = x * y
        for v in np.nditer(y, op_flags=["readwrite"]):
            v[...] = 5
        return z.sum()

    assert np.grad(f)(np.ones(3)).tolist() == [1, 1, 1]


def test_broadcast():
    x, y = np.arange(3), np.arange(2).reshape(2, 1)
    b = np.broadcast(x, np.broadcast(y, x))
    assert b.shape == (2, 3) and b.numiter == 3
    assert [it.base for it in b.iters] == [x, y, x] or all(it.base is a for it, a in zip(b.iters, (x, y, x)))
    assert [list(it) for it in b.iters] == [list(it) for it in numpy.broadcast(*map(numpy.asarray, (x, y, x))).iters]
    assert list(b) == list(numpy.broadcast(*map(numpy.asarray, (x, y, x))))
    assert outcome(lambda: np.broadcast(1, x=1)) is outcome(lambda: numpy.broadcast(1, x=1))
    assert isinstance(numpy.broadcast(1), np.broadcast)


def test_flat():
    x = np.arange(6).reshape(2, 3)
    assert (x.flat < 3).tolist() == (numpy.asarray(x).flat < 3).tolist()
    assert np.flatiter.index.__doc__ == numpy.flatiter.index.__doc__
    with pytest.raises(RuntimeError):
        np.ones((1,) * 64).flat  # noqa: B018


# ------------------------------------------------------------------------------------------------------ the rest
def test_copies_keep_the_layout():
    import copy

    x = np.asfortranarray(np.ones((2, 3)))
    assert copy.copy(x).flags.f_contiguous and copy.deepcopy(x).flags.f_contiguous
    assert pickle.loads(pickle.dumps(x)).flags.f_contiguous


def test_calls_past_the_parsing_of_arguments():
    x = np.array(1.5).round()
    assert type(x) is np.float64 and x == 2
    record = np.ones(2, dtype=[("a", int, 3)])
    assert record.item(0)[0].base is record
    text = np.array(["b", None, "a"], dtype=numpy.dtypes.StringDType(na_object=None))
    with pytest.raises(ValueError, match="null"):
        text.argsort()


def test_names_that_numpy_warns_of_warn_each_time():
    def warned(np):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            np.chararray  # noqa: B018
        return [w.category for w in caught]

    for _ in range(2):
        assert warned(np) == warned(numpy)
