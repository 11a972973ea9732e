"""Matrices of derivatives: `jacfwd`, `jacrev`, `hessian`."""

import math

import numpy

from npx.dispatch.abstract import Slice, aval_of
from npx.dispatch.interpreter import active
from npx.dispatch.payloads import is_inexact, ops, reshape

from .arguments import Picked, also_decorator, check_callable
from .batch import BatchInterpreter, BatchTracer, move_axis
from .calls import same_name
from .forward import Pushforward
from .grad import grad, pullback_of
from .values import own


@also_decorator
def jacfwd(fun, argnums=0, has_aux=False, holomorphic=False):
    """Make a function that returns the Jacobian of `fun`, computed column by column in forward mode.

    Best for few inputs and many outputs. All columns are computed at once.

    Parameters
    ----------
    fun : callable
        Returns arrays.
    argnums : int, str, or tuple of these
        Which arguments to differentiate with respect to, as for `grad`.
    has_aux : bool
        `fun` returns ``(result, aux)``.
    holomorphic : bool
        `fun` is a holomorphic function of complex numbers.

    Returns
    -------
    callable
        Returns the Jacobian, or ``(jacobian, aux)``: for each array in the result a tree like the argument (a tuple of
        such where `argnums` is one), with arrays of shape ``result.shape + argument.shape``.
    """
    return _jacobian("jacfwd", fun, argnums, has_aux, holomorphic, False, _forward)


@also_decorator
def jacrev(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False):
    """Make a function that returns the Jacobian of `fun`, computed row by row in reverse mode.

    Best for many inputs and few outputs. Parameters and result are those of `jacfwd`; with `allow_int` integer
    arguments have zero derivatives.
    """
    return _jacobian("jacrev", fun, argnums, has_aux, holomorphic, allow_int, _reverse)


@also_decorator
def hessian(fun, argnums=0, has_aux=False, holomorphic=False):
    """Make a function that returns the matrix of second derivatives of `fun`.

    Forward mode over reverse mode; see `jacfwd` for the parameters and the result.

    Examples
    --------
    >>> import npx as np
    >>> np.hessian(lambda x: (x**3).sum())(np.array([1., 2.]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    rows = jacrev(fun, argnums, has_aux, holomorphic)
    return same_name(fun, "hessian")(jacfwd(rows, argnums, has_aux, holomorphic))


def hvp(fun, primals, tangents, has_aux=False):
    """The product of the matrix of second derivatives of `fun` with a vector, without the matrix.

    Forward mode over reverse mode: the derivative of the gradient in one direction, at a small multiple of the cost of
    the gradient.

    Parameters
    ----------
    fun : callable
        Returns a scalar, or ``(scalar, aux)`` with `has_aux`.
    primals : tuple
        The arguments: arrays, numbers and pytrees of them.
    tangents : tuple
        The vector, of the same structure and shapes.
    has_aux : bool
        `fun` also returns other data.

    Returns
    -------
    pytree
        The product, like the argument; a tuple of such where there are several. With `has_aux` also the other data.

    Examples
    --------
    >>> import npx as np
    >>> np.hvp(lambda x: (x**3).sum(), (np.array([1., 2.]),), (np.array([1., 0.]),))
    array([6., 0.])
    """
    picked = Picked.all("hvp", fun, primals)
    picked.check(holomorphic=False, allow_int=False)
    given = picked.tangents(tangents)
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    picked.fun = grad(fun, argnums, has_aux)
    pushed = Pushforward(picked).run(given, has_aux)
    taken = set(map(id, given))
    product = pushed.wrapped([own(t, taken) for t in pushed.filled()])
    return (product, pushed.aux) if has_aux else product


def _jacobian(transform, fun, argnums, has_aux, holomorphic, allow_int, compute):
    check_callable(fun, transform)

    @same_name(fun, transform)
    def transformed(*args, **kwargs):
        picked = Picked(transform, fun, args, kwargs, argnums)
        picked.check(holomorphic, allow_int)
        structure, blocks, aux = compute(picked, has_aux, holomorphic)
        jacobian = structure.unflatten(map(picked.rebuild, blocks))
        return (jacobian, aux) if has_aux else jacobian

    return transformed


def _forward(picked, has_aux, holomorphic):
    """Result structure, blocks ``[result][argument]``, and aux data, from one run with a tangent per column."""
    avals = list(map(aval_of, picked.payloads))
    for aval in avals:
        if aval.dtype.kind == "c" and not holomorphic:
            raise TypeError("jacfwd: the arguments must be real; pass holomorphic=True for a holomorphic function")
    columns = BatchInterpreter(sum(map(_size, avals)), draws_each=False)
    with active(columns):
        tangents = [t if t is None else BatchTracer(columns, t) for t in _basis(avals)]
        pushed = Pushforward(picked).run(tangents, has_aux)
    _check_results("jacfwd", map(aval_of, pushed.primals), holomorphic)
    blocks = []
    for t in pushed.filled():
        whole = columns.whole(t)
        whole = move_axis(whole, 0, aval_of(whole).ndim - 1)
        lead = aval_of(whole).ndim - 1
        parts = _split(whole, avals, lead)
        shape = aval_of(whole).shape[:lead]
        blocks.append([reshape(p, (*shape, *a.shape)) for p, a in zip(parts, avals)])
    return pushed.structure, blocks, pushed.aux


def _reverse(picked, has_aux, holomorphic):
    """The same, from one run and one walk back with a cotangent per row."""
    pullback = pullback_of(picked)
    structure, aux = pullback.extra.main("jacrev", picked.fun, has_aux), None
    if has_aux:
        aux = pullback.extra.lowered(pullback.tape, pullback.tape.lower)[1]
    avals = list(map(aval_of, pullback.outputs[: structure.num_leaves]))
    _check_results("jacrev", avals, holomorphic)
    rows = BatchInterpreter(sum(map(_size, avals)), draws_each=False)
    with active(rows):
        cts = pullback.pull([None if g is None else BatchTracer(rows, g) for g in _basis(avals)])
    columns = []  # [argument][result]
    for ct in cts:
        whole = rows.whole(ct)
        shape = aval_of(whole).shape[1:]
        columns.append([reshape(p, (*a.shape, *shape)) for p, a in zip(_split(whole, avals, 0), avals)])
    return structure, [[column[k] for column in columns] for k in range(structure.num_leaves)], aux


def _size(aval):
    """Number of directions that a value adds to the basis: none if it is an integer."""
    return math.prod(aval.shape) if is_inexact(aval.dtype) else 0


def _basis(avals):
    """The unit vectors of the space of all these values: one payload per value, the number of the vector first."""
    total, start = sum(map(_size, avals)), 0
    for aval in avals:
        if not is_inexact(aval.dtype):
            yield None
            continue
        n = _size(aval)
        yield numpy.eye(total, n, -start, dtype=aval.dtype).reshape(total, *aval.shape)
        start += n


def _split(whole, avals, axis):
    """The parts of an axis that belong to the values; zeros for integers."""
    start, shape = 0, aval_of(whole).shape
    for aval in avals:
        n = _size(aval)
        if n == shape[axis]:
            yield whole
        elif is_inexact(aval.dtype):
            index = tuple(Slice(start, start + n, 1) if k == axis else Slice() for k in range(len(shape)))
            yield ops.getitem(whole, index=index)
        else:
            n_all = math.prod(aval.shape)
            yield numpy.zeros((*shape[:axis], n_all, *shape[axis + 1 :]))
        start += n


def _check_results(transform, avals, holomorphic):
    for aval in avals:
        if holomorphic and aval.dtype.kind != "c":
            raise TypeError(f"{transform}: holomorphic=True needs complex results, got {aval.dtype}")
        if aval.dtype.kind == "c" and not holomorphic:
            raise TypeError(
                f"{transform}: the results must be real, got {aval.dtype}; take real and imaginary parts, or pass "
                "holomorphic=True for a holomorphic function"
            )
