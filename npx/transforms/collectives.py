"""What elements of `vmap` know of each other: sums and the like along an axis that has a name.

All are made of `all_gather`, whose transpose, `_Scatter`, sums what all elements have for one of them.
"""

from npx.array import ndarray as arrays
from npx.dispatch.abstract import aval_of
from npx.dispatch.interpreter import stack
from npx.dispatch.payloads import broadcast_to, ops

from . import tree
from .batch import BatchInterpreter, BatchTracer, Drawn, move_axis
from .calls import as_payload, is_array, wrap_rank
from .custom import Call


class _Collective(Call):
    """An op along the mapped axis of one interpreter; other levels pass it on.

    Parameters
    ----------
    axis : BatchInterpreter
    """

    def __init__(self, axis):
        super().__init__(type(self).__name__.strip("_").lower(), lambda x: self.along(x, False))
        self.axis = axis

    def along(self, x, batched):
        """The result, a tuple of one, for a payload below the interpreter; `batched`: with the mapped axis first."""
        raise NotImplementedError

    def require_all(self):
        """Raise where some elements have been left behind."""
        if self.axis.size < self.axis.total:
            raise TypeError(
                f"the elements along the axis {self.axis.axis_name!r} took several paths through the function. What "
                "they know of each other can only be asked where all are together: before the `if` or the loop that "
                "Python decides on; or use np.where"
            )

    def with_pullback(self, primals):
        outs = self(*primals)
        return outs, lambda gs: list(self.transposed()(*gs))

    def with_tangents(self, primals, tangents):
        return self(*primals), self(*tangents)

    def transposed(self):
        """The transpose of the op."""
        raise NotImplementedError


class _Gather(_Collective):
    """The values of all elements, along a new first axis."""

    def along(self, x, batched):
        axis = self.axis
        if axis.repeats:
            known = axis.repeats.popleft()
            axis.drawn.append(known)
            return (known.value,)
        self.require_all()
        out = x if batched else broadcast_to(as_payload(x), (axis.size, *aval_of(x).shape))
        axis.drawn.append(Drawn(out, ()))
        return (out,)

    def transposed(self):
        return _Scatter(self.axis)

    def batched(self, size, payloads, flags):
        (out,) = self(*payloads)
        return (move_axis(out, 1, 0),)


class _Scatter(_Collective):
    """The sum over all elements of what they have for this one."""

    def along(self, x, batched):
        self.require_all()
        if batched:
            x = ops.sum(x, axis=(0,), dtype=aval_of(x).dtype, keepdims=False)
        else:
            x = ops.multiply(x, self.axis.size)
        return (BatchTracer(self.axis, x),)

    def transposed(self):
        return _Gather(self.axis)

    def batched(self, size, payloads, flags):
        return self(*(move_axis(p, 0, 1) for p in payloads))


def _axis(name, what):
    """The innermost interpreter that maps over an axis of this name."""
    for interpreter in reversed(stack()):
        if isinstance(interpreter, BatchInterpreter) and interpreter.axis_name == name and name is not None:
            return interpreter
    raise NameError(f"{what}: no vmap that is active now has axis_name={name!r}")


def all_gather(x, axis_name):
    """The values that all elements of `vmap` have for `x`, stacked along a new first axis.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable
        The name that was given to `vmap`.

    Returns
    -------
    pytree of arrays

    Examples
    --------
    >>> import npx as np
    >>> np.vmap(lambda x: x / np.all_gather(x, "i").max(), axis_name="i")(np.array([1., 2., 4.]))
    array([0.25, 0.5 , 1.  ])
    """
    axis = _axis(axis_name, "all_gather")

    def gather(leaf):
        if not is_array(leaf):
            raise TypeError(f"all_gather: x must hold arrays and numbers, got an object of type {type(leaf).__name__}")
        (out,) = _Gather(axis)(arrays.payload(leaf))
        return arrays.wrap(out)

    return tree.map_leaves(gather, x)


def axis_index(axis_name):
    """The number of the element of `vmap` that the function computes.

    Parameters
    ----------
    axis_name : hashable
        The name that was given to `vmap`.
    """
    axis = _axis(axis_name, "axis_index")
    return wrap_rank(BatchTracer(axis, axis.rows))


def _reduced(x, axis_name, reduce):
    return tree.map_leaves(lambda leaf: reduce(all_gather(leaf, axis_name)), x)


def psum(x, axis_name):
    """The sum of `x` over all elements of `vmap`; ``psum(1, axis_name)`` is their number. Arguments as `all_gather`."""
    return _reduced(x, axis_name, lambda gathered: gathered.sum(axis=0))


def pmean(x, axis_name):
    """The mean of `x` over all elements of `vmap`. Takes the arguments of `all_gather`."""
    return _reduced(x, axis_name, lambda gathered: gathered.sum(axis=0) / gathered.shape[0])


def pmax(x, axis_name):
    """The greatest `x` of all elements of `vmap`. Takes the arguments of `all_gather`."""
    return _reduced(x, axis_name, lambda gathered: gathered.max(axis=0))


def pmin(x, axis_name):
    """The least `x` of all elements of `vmap`. Takes the arguments of `all_gather`."""
    return _reduced(x, axis_name, lambda gathered: gathered.min(axis=0))
