"""Classes of NumPy that hand out parts of arrays: what they hand out are npx arrays."""

import inspect
import types

import numpy

from npx import routing
from npx.array import calling, upward
from npx.array.flat import flatiter
from npx.array.memory import protect_memory
from npx.array.ndarray import ndarray, payload, wrap, wrap_like
from npx.array.protocols import with_signature
from npx.array.views import view_of
from npx.dispatch.abstract import Hole, aval_of
from npx.dispatch.interpreter import Tracer


def _like(original):
    """A class decorator: members of NumPy's class that ours lacks ask NumPy's object, and signatures are NumPy's."""

    def decorate(cls):
        for name, member in vars(original).items():
            if not name.startswith("_") and name not in vars(cls):
                kind = _method if isinstance(member, types.MethodDescriptorType) else _attribute
                setattr(cls, name, kind(name, member))
            elif name in vars(cls):
                with_signature(vars(cls)[name], member)
        if getattr(original, "__text_signature__", None):
            cls.__signature__ = inspect.signature(original)
        return cls

    return decorate


def _method(name, original):
    def method(self, *args, **kwargs):
        return self._found(getattr(self._numpy, name)(*args, **kwargs))

    method.__name__, method.__qualname__, method.__doc__ = name, original.__qualname__, original.__doc__
    return with_signature(method, original)


def _attribute(name, original):
    return property(
        lambda self: self._found(getattr(self._numpy, name)),
        lambda self, value: setattr(self._numpy, name, value),
        lambda self: delattr(self._numpy, name),
        original.__doc__,
    )


@_like(numpy.nditer)
class nditer:  # noqa: N801
    """Multi-dimensional iterator over arrays; see `numpy.nditer`.

    Of arrays that a transform traces it gives views of elements, or of groups of them, which may be written to.
    """

    def __init__(self, *args, **kwargs):
        given = args[0] if args else kwargs.get("op")
        operands = given if isinstance(given, (list, tuple)) else (given,)
        self._traced = None
        if any(type(x) is ndarray and isinstance(payload(x), Tracer) for x in operands):
            _refuse_casts(*args[1:], **kwargs)
            operands = self._traced = [_whole(x, operands) for x in operands]
            places = [numpy.arange(x.size).reshape(x.shape) for x in operands]
            args = (places if isinstance(given, (list, tuple)) else places[0], *args[1:])
            kwargs.pop("op", None)
        self._arrays = {id(payload(x)): x for x in operands if type(x) is ndarray}
        args, kwargs = routing.host_values("nditer", args, kwargs)
        self._numpy = numpy.nditer(*args, **kwargs)
        for x in self._numpy.operands:
            protect_memory(x)

    @classmethod
    def _around(cls, iterator, arrays):
        new = cls.__new__(cls)
        new._numpy, new._arrays, new._traced = iterator, dict(arrays), None
        return new

    def _found(self, result):
        if self._traced is not None:
            return self._parts(result)
        if type(result) is tuple:
            return tuple(map(self._found, result))
        if type(result) is not numpy.ndarray:
            return result
        owner = self._arrays.get(id(result), self._arrays.get(id(result.base)))
        return wrap(result) if owner is None else wrap_like(result, (owner,))

    def _parts(self, found):
        """Views of the operands in place of places in them."""
        if type(found) is tuple and found and isinstance(found[0], numpy.ndarray):
            return tuple(map(_view_of_places, self._traced, found))
        return _view_of_places(self._traced[0], found) if isinstance(found, numpy.ndarray) else found

    @property
    def operands(self):
        """The arrays that are iterated over."""
        return tuple(map(self._found, self._numpy.operands)) if self._traced is None else tuple(self._traced)

    def __iter__(self):
        return self

    def __next__(self):
        return self._found(next(self._numpy))

    def __len__(self):
        return len(self._numpy)

    def __getitem__(self, k):
        if self._traced is None:
            return self._found(self._numpy[k])
        parts = tuple(map(_view_of_places, self._traced, self._numpy[:]))
        return parts[k]

    def __setitem__(self, k, value):
        if self._traced is None:
            self._numpy[k] = payload(value)
        else:
            self[k][...] = value

    def __delitem__(self, k):
        raise TypeError("Cannot delete iterator elements")

    def __enter__(self):
        self._numpy.__enter__()
        return self

    def __exit__(self, *exception):
        return self._numpy.__exit__(*exception)

    def __copy__(self):
        return self.copy()

    def copy(self):
        """A copy of the iterator in its present state."""
        new = self._around(self._numpy.copy(), self._arrays)
        new._traced = self._traced
        return new


def _refuse_casts(flags=None, op_flags=None, op_dtypes=None, order="K", casting="safe", **_):
    """Raise where an iterator would hand out copies, which could be no views of traced arrays."""
    if op_dtypes is not None or (flags is not None and "buffered" in flags):
        raise TypeError(
            "np.nditer over an array that a transform traces gives views of it, and takes neither op_dtypes nor the "
            "flag 'buffered', which make copies: convert the operands with astype first"
        )


def _whole(x, operands):
    """An operand as an array; one that NumPy would allocate, of the shape and dtype of the others."""
    np = upward.module("package")
    if x is not None:
        return np.asarray(x)
    given = [np.asarray(a) for a in operands if a is not None]
    return np.zeros(numpy.broadcast_shapes(*(a.shape for a in given)), numpy.result_type(*(a.dtype for a in given)))


def _view_of_places(x, places):
    """The view of the elements of `x` at places in C order."""
    index = numpy.unravel_index(places, x.shape) if x.ndim else ()
    return view_of(x, "getitem", index, index=tuple(map(Hole, range(x.ndim)))) if index else x[...]


calling.RESULTS[numpy.nditer] = lambda iterator: nditer._around(iterator, ())


class _LikeNumPys(type):
    """Instances of NumPy's class count as instances."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, numpy.broadcast) or super().__instancecheck__(instance)


@_like(numpy.broadcast)
class broadcast(metaclass=_LikeNumPys):  # noqa: N801
    """The shape that arrays broadcast to, and an iterator over them; see `numpy.broadcast`."""

    def __init__(self, *arrays, **kwargs):
        self._numpy = numpy.broadcast(*map(_for_shape, arrays), **kwargs)
        self._arrays = [x for a in arrays for x in (a._arrays if type(a) is broadcast else (a,))]

    def _found(self, result):
        return result

    @property
    def iters(self):
        """The iterators over the arrays, broadcast."""
        return tuple(_BroadcastIterator(a, self.shape) for a in self._arrays)

    def __iter__(self):
        return self

    def __next__(self):
        place = self.index
        values = next(self._numpy)
        if all(isinstance(payload(a), numpy.ndarray) or not isinstance(a, ndarray) for a in self._arrays):
            return values
        place, np = numpy.unravel_index(place, self.shape), upward.module("package")
        return tuple(np.broadcast_to(a, self.shape)[place] for a in self._arrays)


class _BroadcastIterator(flatiter):
    """A flat iterator over what an array, its base, is broadcast to."""

    __slots__ = ("_elements",)

    def __init__(self, base, shape):
        super().__init__(base)
        self._elements = upward.module("package").broadcast_to(base, shape).flat

    def __next__(self):
        return next(self._elements)


def _for_shape(x):
    """Host memory of this shape; without data where the array has none on the host."""
    if type(x) is broadcast:
        return x._numpy
    p = payload(x)
    if isinstance(p, numpy.ndarray) or not isinstance(x, ndarray):
        return p
    aval = aval_of(p)
    return numpy.broadcast_to(numpy.empty((), aval.dtype), aval.shape)


class NpzFile(numpy.lib.npyio.NpzFile):
    """What `load` returns for an archive; see `numpy.lib.npyio.NpzFile`."""

    def __getitem__(self, key):
        return wrap(super().__getitem__(key))


def _as_npz_file(opened):
    opened.__class__ = NpzFile
    return opened


calling.RESULTS[numpy.lib.npyio.NpzFile] = _as_npz_file
