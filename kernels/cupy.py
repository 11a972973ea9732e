"""The CUDA backend: CuPy's function of the same name for every op that has one, the host for the others.

Where an assignment through index arrays names a place twice, CuPy does not say which value stays.
"""

import cupy
import numpy

from npx.dispatch import registry
from npx.ops.index_specs import rebuild

from .numpy_like import NUMBERS, NumpyLike

NAME = "cuda"


# -------------------------------------------------------------------------------------------- where CuPy is not NumPy


def _power(x, y):
    if x.dtype.kind == "i" and (y < 0).any():
        raise ValueError("Integers to negative integer powers are not allowed.")
    return cupy.power(x, y)


def _running(function):
    """A running maximum or minimum in log2(n) steps, each over all places at once."""

    def accumulate(x, axis):
        x, step = cupy.moveaxis(x, axis, 0), 1
        while step < len(x):
            x = cupy.concatenate((x[:step], function(x[step:], x[:-step])))
            step *= 2
        return cupy.moveaxis(x, 0, axis)

    return accumulate


def _make_complex(re, im):
    out = cupy.empty(numpy.broadcast_shapes(re.shape, im.shape), re.dtype)
    out.real, out.imag = re.real, im.real
    return out


def _setitem(x, v, *arrays, index):
    new = x.copy()
    new[rebuild(index, arrays)] = v
    return new


#: dtypes that the GPU adds atomically; others are added as the one given here, which holds them modulo their size
_ADDED_AS = {"b": "i", "h": "i", "l": "L", "q": "L", "B": "I", "H": "I"}


def _add_at(x, v, *arrays, index):
    if x.dtype == bool:
        return _add_at(x.astype("i"), v, *arrays, index=index)
    dtype = _ADDED_AS.get(x.dtype.char, x.dtype)
    new = x.astype(dtype, copy=True)
    cupy.add.at(new, rebuild(index, arrays), cupy.asarray(v).astype(dtype))
    return new


FUNCTIONS = {
    "add_at": _add_at,
    "argsort": lambda x, axis, stable: cupy.argsort(x, axis=axis),
    "bincount": lambda x, *weights, minlength: cupy.bincount(x, *weights, minlength=minlength),
    "cummax": _running(cupy.maximum),
    "cummin": _running(cupy.minimum),
    "make_complex": _make_complex,
    "power": _power,
    "reshape": lambda x, shape: x.reshape(shape),  # the parameter has had two names
    "setitem": _setitem,
    "sort": lambda x, axis, stable: cupy.sort(x, axis=axis),
    "view_dtype": lambda x, dtype: x.copy().view(dtype),
    **dict.fromkeys(("lexsort", "packbits", "unpackbits")),  # CuPy's take no axis
}


# ------------------------------------------------------------------------------------------- to the device and back


def asarray(array, device=None):
    """A copy of a NumPy array on a device; by default on CuPy's current one.

    Raises
    ------
    TypeError
        CuPy lacks the dtype.
    ValueError
        There is no such device.
    """
    native = array.dtype.newbyteorder("=")
    if native not in NUMBERS:
        raise TypeError(f"CuPy has no arrays of dtype {array.dtype}")
    number = str(device or "").partition(":")[2]
    if not number:
        return cupy.array(array, native)
    if device not in devices():
        raise ValueError(f"unknown device {device!r}; known: {', '.join(devices())}")
    with cupy.cuda.Device(int(number)):
        return cupy.array(array, native)


def devices():
    """The names of the devices that CUDA sees, in its order."""
    return tuple(f"{NAME}:{i}" for i in range(cupy.cuda.runtime.getDeviceCount()))


def _cast(array, dtype):
    return (array.real if array.dtype.kind == "c" and dtype.kind in "iuf" else array).astype(dtype)


BACKEND = registry.register_backend(
    registry.Backend(
        name=NAME,
        payload_type=cupy.ndarray,
        impls=NumpyLike(
            NAME,
            cupy,
            FUNCTIONS,
            put=lambda value, dtype: asarray(numpy.asarray(value, dtype)),
            cast=_cast,
            to_host=cupy.asnumpy,
            is_array=lambda value: isinstance(value, cupy.ndarray),
        ),
        asarray=asarray,
        to_host=cupy.asnumpy,
        synchronize=lambda array: array.device.synchronize(),
        devices=devices,
        device_of=lambda array: f"{NAME}:{array.device.id}",
        from_dlpack=cupy.from_dlpack,
    )
)
