"""Views and writes on functional payloads, and how host arrays are lifted to tracers and settled again.

A functional payload cannot be written to. An array that holds one is written by giving it a new payload; a view of it
is a `ViewSpec` from its base. When a host array that already has host views is lifted, the spec of each view is derived
from its offset and strides when the view is next used.
"""

import os
import types
import weakref

import numpy

from npx.array.memory import protect_memory
from npx.array.ndarray import capturing, forget_other_threads, ndarray
from npx.array.records import RecordTracer, read_view, scatter_view
from npx.array.reuse import offer, withdraw
from npx.array.specs import Spec
from npx.dispatch.abstract import Hole, Slice
from npx.dispatch.interpreter import Tracer, stack, unsettled
from npx.dispatch.registry import backend_for, op

#: view ops that can as well be applied to the places of gathered elements
REARRANGING = ("getitem", "transpose", "reshape", "diagonal", "broadcast_to")


class ViewSpec(Spec):
    """One step from a base to a view: the op that reads it. Its counterpart for writes is in the view table of the ops.

    Parameters
    ----------
    name : str
        The view op: ``getitem`` (basic index), ``transpose``, ``reshape``, ``real`` ...
    params : dict
        The op's params.
    arrays : tuple of payload
        Index operands.

    Attributes
    ----------
    writeable : bool
        Whether NumPy's view may be written to.
    """

    __slots__ = ()

    def read(self, base):
        """The view's payload, given the base's."""
        if self.name == "field" or type(base) is RecordTracer:
            return read_view(base, self.name, self.params, self.arrays)
        if self.name in ("as_pairs", "from_pairs"):
            from npx.ops.shaping import READ

            return READ[self.name](base)
        if type(base) is numpy.ndarray and self.name == "getitem" and not self.arrays:
            from npx.ops.index_specs import rebuild

            return base[rebuild(self.params["index"])]  # never a copy
        return op(self.name)(base, *self.arrays, **self.params)

    def scatter(self, base, value):
        """The base's payload after `value` was written to the view."""
        if self.name == "field" or type(value) is RecordTracer:
            return scatter_view(base, value, self.name, self.params, self.arrays)
        if self.arrays:
            return op("setitem")(base, value, *self.arrays, **self.params)
        from npx.ops.shaping import SCATTER  # the ops are declared when the first functional view is written

        return SCATTER[self.name](base, value, **self.params)


def root_of(x):
    """The owner at the end of the chain of bases."""
    while x.base_ is not None:
        x = x.base_
    return x


# ------------------------------------------------------------------------------------------------------ reading
def read(x):
    """The payload that `x` holds now, after capturing and re-reading what has changed."""
    root = root_of(x)
    if _lifted_elsewhere(root):
        return _read_before(x)
    if capturing():
        _capture(root)
    if x is root:
        return x.data_
    if x.view_ is None:
        if root.home is None:
            return x.data_
        if not _derive(x, root):
            return x.data_
    elif root.home is None and (host := x.home) is not None:  # settled: the host view is true again
        x.data_, x.home, x.view_, x.base_ = host, None, None, root
        return host
    if isinstance(root.data_, numpy.ndarray):
        x.data_ = x.view_.read(read(x.base_))
        if x.version != root.version and root.home is None and numpy.may_share_memory(x.data_, root.data_):
            x.view_, x.base_ = None, root  # the owner is back in host memory: so is the view
        x.version = root.version
    elif x.version != root.version:
        x.data_ = x.view_.read(read(x.base_))
        x.version = root.version
    return x.data_


def _lifted_elsewhere(root):
    """Whether an owner holds, for now, a tracer of another thread's transform that found it outside."""
    held = root.data_
    if not isinstance(held, Tracer):
        return False
    levels = held.interpreter.levels
    if levels is None or levels is stack() or (root.home is None and id(root) not in held.interpreter.replaced):
        return False
    return all(abs(root.birth) < interpreter.birth for interpreter in (held.interpreter, *levels))


def _read_before(x):
    """What an array held before the transform of another thread lifted it: that is what this thread sees of it."""
    if capturing():
        next(i for i in stack() if i.captures).cannot_capture()
    return _before(x)


def _before(x):
    if x.home is not None:
        return x.home
    if x.base_ is not None:
        return x.data_ if x.view_ is None else x.view_.read(_before(x.base_))
    held = x.data_
    while isinstance(held, Tracer):
        held = held.interpreter.replaced[id(x)]
    return held


def _after_fork():
    """A child has none of the parent's other threads: what their transforms hold is what it was before."""
    for interpreter in unsettled - set(stack()):
        for ref in interpreter.lifted:
            root = ref()
            if root is not None and _lifted_elsewhere(root):
                restore(root, _before(root))
    forget_other_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _capture(root):
    """Hand an array that is older than a capturing interpreter to it, lowest level first."""
    for interpreter in stack():
        if not interpreter.captures or root.birth >= interpreter.birth:
            continue
        held = root.data_
        if isinstance(held, Tracer) and held.interpreter.alive and held.interpreter.level >= interpreter.level:
            continue
        _hold(root, interpreter.capture(held, root))


def captured_array(memory):
    """The npx array that stands for a bare NumPy array while an interpreter captures; None for a constant."""
    for interpreter in reversed(stack()):
        if interpreter.captures:
            return interpreter.array_of(memory)
    return None


def capture_payload(memory):
    """What stands for a bare NumPy array while an interpreter captures: a hidden input, or itself."""
    x = captured_array(memory)
    return memory if x is None else read(x)


# ------------------------------------------------------------------------------------------------------ writing
def write(x, p):
    """Make `p`, of the shape and dtype of `x`, the whole content of `x`."""
    root = root_of(x)
    if _lifted_elsewhere(root) and isinstance(before := _before(x), numpy.ndarray) and isinstance(p, numpy.ndarray):
        protect_memory(before)
        before[...] = p
        return
    memory = root.data_ if root.home is None else root.home
    if isinstance(memory, numpy.ndarray):
        require_writeable(memory)
        if not isinstance(p, (numpy.ndarray, Tracer)):  # a host array stays one, whatever device the value is on
            p = backend_for(type(p)).to_host(p)
    if x is root:
        if isinstance(p, numpy.ndarray) and isinstance(x.data_, numpy.ndarray):
            protect_memory(x.data_)
            x.data_[...] = p
        elif isinstance(p, numpy.ndarray) and x.home is not None and not capturing():
            _return_home(x, p)
        else:
            _hold(x, p.copy() if isinstance(p, numpy.ndarray) else p)
        return
    if x.view_ is None:
        if isinstance(p, numpy.ndarray) and root.home is None:
            protect_memory(x.data_)
            x.data_[...] = p
            return
        if not _derive(x, root):
            write(x, p)
            return
    require_writeable_view(x)
    x.data_, x.version = p, -1  # what it read before it needs no longer
    offered = offer(x.base_)
    try:
        new = x.view_.scatter(read(x.base_), p)
    finally:
        if offered:
            withdraw()
    write(x.base_, new)
    if isinstance(p, Tracer):
        x.version = root.version


def _hold(root, p):
    """Let an owner hold another payload; a tracer is noted with its interpreter, host memory is kept as `home`."""
    if isinstance(root.data_, numpy.ndarray) and root.home is None:
        root.home = root.data_
    if isinstance(p, Tracer) and getattr(root.data_, "interpreter", None) is not p.interpreter:
        p.interpreter.lifted.append(weakref.ref(root))
        if root.home is None and root.birth < p.interpreter.birth:
            p.interpreter.replaced[id(root)] = root.data_
    root.data_ = p
    root.version += 1


def _return_home(root, value):
    """Let an owner hold its host memory again, with `value` in it."""
    if value is not root.home:
        protect_memory(root.home)
        numpy.copyto(root.home, value, casting="unsafe")
    root.data_, root.home = root.home, None
    root.version += 1


def is_writeable(x):
    """Whether NumPy lets anybody write to a view by a spec."""
    while x.view_ is not None:
        if not x.view_.writeable or not (x.home is None or x.home.flags.writeable):
            return False
        x = x.base_
    return True


def require_writeable_view(x):
    """Raise NumPy's ValueError where a view by a spec is read-only."""
    if not is_writeable(x):
        raise ValueError("assignment destination is read-only")


def read_only(x):
    """`x`, a view by a spec, not to be written to."""
    x.view_.writeable = False
    return x


def require_writeable(memory):
    """Raise NumPy's ValueError where host memory is read-only."""
    if not memory.flags.writeable:
        raise ValueError("assignment destination is read-only")


def settle(interpreter, lower):
    """Take the tracers of an interpreter that ends out of the arrays that hold them.

    Parameters
    ----------
    interpreter : Interpreter
    lower : callable
        ``lower(tracer) -> payload``: its value one level down, a host array in the end.
    """
    for ref in interpreter.lifted:
        root = ref()
        if root is None or not isinstance(held := root.data_, Tracer):
            continue
        if type(held) is RecordTracer and held.interpreter.top is interpreter:
            value = held.lowered(lower)
        elif held.interpreter is interpreter:
            value = lower(held)
        else:
            continue
        if root.home is not None and not isinstance(value, Tracer):
            _return_home(root, value)
        else:
            _hold(root, numpy.asarray(value) if isinstance(value, numpy.generic) else value)
    interpreter.lifted.clear()


def restore(root, p):
    """Give an owner back the payload it had before an interpreter lifted it."""
    root.data_, root.home = p, None
    root.version += 1


# ------------------------------------------------------------------------- host views of an array that was lifted
def _derive(x, root):
    """Give a host view of a lifted owner its spec; False where it does not lie in the owner's memory after all."""
    held = [memory for memory in (root.data_, root.home) if isinstance(memory, numpy.ndarray)]
    steps = next(filter(None, (_steps_between(memory, x.data_) for memory in held)), None)
    if steps is None:
        x.base_ = None
        return False
    base = root
    for spec in steps[:-1]:
        base = view_of(base, spec.name, spec.arrays, **spec.params)
    x.home, x.view_, x.base_, x.version = x.data_, steps[-1], base, -1
    return True


def follows(x):
    """Whether `x` is a view by a spec, which is found now for a view that the host made."""
    return x.view_ is not None or (x.base_ is not None and _derive(x, root_of(x)))


def _steps_between(home, view):
    """The specs that lead from one host array to a view of its memory, or None if it is not a view of it."""
    if not numpy.may_share_memory(home, view):
        return None
    if view.dtype != home.dtype:
        return _part_steps(home, view)
    index = _basic_index(home, view)
    if index is not None:
        return [ViewSpec("getitem", {"index": index})]
    whole = _rearranged(home, view)
    if whole is not None:
        return [whole]
    places = _places(home, view)
    if places is None:
        return None
    return [ViewSpec("reshape", {"shape": (home.size,)}), ViewSpec("getitem", {"index": (Hole(0),)}, (places,))]


def _rearranged(home, view):
    """The spec of a view that is the whole of `home` with other axes: reshaped or transposed."""
    if not home.flags.c_contiguous or view.size != home.size or view.ctypes.data != home.ctypes.data:
        return None
    if view.flags.c_contiguous:
        return ViewSpec("reshape", {"shape": view.shape})
    order = sorted(range(view.ndim), key=lambda axis: -view.strides[axis])
    if not _same_memory(home, view.transpose(order)):
        return None
    return ViewSpec("transpose", {"axes": tuple(order.index(axis) for axis in range(view.ndim))})


def _part_steps(home, view):
    """The steps to a view of another dtype: a field, the real or imaginary parts of numbers, or both in turn."""
    for name in home.dtype.names or ():
        field = home[name]
        if (view.ctypes.data - field.ctypes.data) % home.itemsize < field.itemsize:
            steps = [] if _same_memory(field, view) else _steps_between(field, view)
            if steps is not None:
                return [ViewSpec("field", {"field": name}), *steps]
    if home.dtype.kind == "c" and view.dtype == home.real.dtype:
        for name, offset in (("real", 0), ("imag", view.itemsize)):
            numbers = _at(view.ctypes.data - offset, view.shape, view.strides, home.dtype)
            steps = [] if _same_memory(home, numbers) else _steps_between(home, numbers)
            if steps is not None:
                return [*steps, ViewSpec(name, {})]
        if home.flags.c_contiguous:
            whole = home.view(view.dtype)
            steps = [] if _same_memory(whole, view) else _steps_between(whole, view)
            return None if steps is None else [ViewSpec("as_pairs", {}), *steps]
    raise TypeError(f"a view of {home.dtype} memory as {view.dtype} cannot follow an array that is being traced")


def _at(address, shape, strides, dtype):
    """The array of this layout at an address, which must not outlive what lies there."""
    interface = {"data": (address, True), "shape": shape, "strides": strides, "typestr": dtype.str, "version": 3}
    return numpy.asarray(types.SimpleNamespace(__array_interface__=interface))


def _same_memory(a, b):
    return a.ctypes.data == b.ctypes.data and a.strides == b.strides and a.shape == b.shape and a.dtype == b.dtype


def _basic_index(home, view):
    """The index spec of a view that is a basic index of `home`, found from offset and strides and then verified."""
    if not home.flags.c_contiguous or not home.size or not view.size:
        return None
    offset = view.ctypes.data - home.ctypes.data
    entries, axis = [], 0
    for extent, stride in zip(home.shape, home.strides, strict=True):
        start, offset = divmod(offset, stride)
        left = len(view.shape) - axis
        step, rest = divmod(view.strides[axis], stride) if left else (0, 1)
        fits = left and rest == 0 and step and 0 <= start + step * (view.shape[axis] - 1) < extent
        if fits and (left == home.ndim - len(entries) or view.shape[axis] > 1):
            stop = start + step * view.shape[axis]
            entries.append(Slice(int(start), int(stop) if stop >= 0 else None, int(step)))
            axis += 1
        else:
            entries.append(int(start))
    index = tuple(slice(*e) if isinstance(e, Slice) else e for e in entries)
    if axis != view.ndim or offset or any(isinstance(e, int) and e >= n for e, n in zip(index, home.shape)):
        return None
    return tuple(entries) if _same_memory(home[index + (...,)], view) else None


def _places(home, view):
    """Positions in ``home.ravel()`` of the elements of a view, from their addresses; None if one lies outside."""

    def addresses(a):
        total = numpy.full(a.shape, a.ctypes.data, dtype=numpy.int64)
        for axis, (extent, stride) in enumerate(zip(a.shape, a.strides, strict=True)):
            total += (numpy.arange(extent) * stride).reshape((-1,) + (1,) * (a.ndim - axis - 1))
        return total

    at, wanted = addresses(home).ravel(), addresses(view)
    order = numpy.argsort(at, kind="stable")
    found = numpy.searchsorted(at, wanted, sorter=order).clip(0, at.size - 1)
    places = order[found]
    return places if numpy.array_equal(at[places], wanted) else None


def view_of(x, name, arrays=(), **params):
    """A functional view of `x`: the array that reads through the view op `name`.

    A view of gathered elements gathers fewer or in another order, so that what it writes is no more than that.
    """
    if x.view_ is not None and x.view_.arrays and not arrays and name in REARRANGING:
        places = tuple(op(name)(places, **params) for places in x.view_.arrays)
        v = view_of(x.base_, "getitem", places, **x.view_.params)
        v.view_.writeable = x.view_.writeable and name != "broadcast_to"
        return v
    spec = ViewSpec(name, params, arrays)
    root = root_of(x)
    v = ndarray.__new__(ndarray)
    v.birth, v.base_, v.view_, v.standard = root.birth, x, spec, x.standard
    v.data_ = spec.read(read(x))
    v.version = root.version
    return v
