"""`linear_transpose`: the transpose of a linear function, by a tape that lets only linear ops pass."""

import numpy

from npx.dispatch.abstract import aval_of
from npx.dispatch.debug import user_line
from npx.dispatch.op import Op

from . import tree
from .arguments import Picked, fit_all
from .grad import pullback_of
from .selection import MOVES
from .tape import Tape

#: op -> numbers of the operands that the result is jointly linear in; of other linear ops it is all of them
JOINTLY = {**{name: slice(0, n) for name, n in MOVES.items()}, "where": slice(1, 3)}
#: op -> numbers of the operands that the result is linear in one at a time
PRODUCTS = {"multiply": (0, 1), "divide": (0,), "solve": (1,), "solve1": (1,), "correlate": (0, 1)}


class LinearTape(Tape):
    """A tape that refuses ops which are not linear in its values."""

    name = "linear_transpose"

    def process(self, op, args, params):
        """Note the op, if it is linear."""
        if type(op) is not Op:
            return op.expand(*args)
        if self.alive and (why := self._complaint(op, args)):
            raise TypeError(
                f"linear_transpose: the function is not linear in its arguments: {op.name}, applied at {user_line()}, "
                f"{why}. Use vjp for the derivative of a function that is not linear."
            )
        return super().process(op, args, params)

    def _complaint(self, op, args):
        """Why an op is not linear, None if it is."""
        mine = [k for k, a in enumerate(args) if self.lower(a) is not a]
        if op.linear:
            joint = range(len(args))[JOINTLY.get(op.name, slice(None))]
            if not set(mine) <= set(joint):
                return "takes them as an index or condition"
            if any(k not in mine and not _is_zero(args[k]) for k in joint):
                return "joins them with values that are not zero"
            return None
        places = range(len(args)) if op.kind == "contraction" else PRODUCTS.get(op.name, ())
        if not set(mine) <= set(places):
            return "is not linear"
        return "multiplies them with each other" if len(mine) > 1 else None


def _is_zero(value):
    """Whether a constant is known to be zero."""
    return isinstance(value, (numpy.ndarray, numpy.generic, int, float, complex)) and not numpy.any(value)


def linear_transpose(fun, *primals):
    """Make the transpose of a linear function.

    Parameters
    ----------
    fun : callable
        A linear function of arrays that returns arrays. Which one is seen by running it once, on zeros; an op in it
        that is not linear in the arguments is an error.
    *primals : pytrees of arrays and numbers
        Arguments, of which only structure, shapes and dtypes count.

    Returns
    -------
    callable
        ``transpose(cotangent)``, of the structure of the result of `fun`, returns a tuple with one tree per argument.

    Raises
    ------
    TypeError
        `fun` is not linear; the message names the op and the line.

    Examples
    --------
    >>> import npx as np
    >>> transpose = np.linear_transpose(np.diff, np.zeros(3))
    >>> transpose(np.array([1., 10.]))
    (array([-1., -9., 10.]),)
    """
    picked = Picked.all("linear_transpose", fun, primals)
    picked.check(holomorphic=False, allow_int=False)
    points = [numpy.zeros(aval.shape, aval.dtype) for aval in map(aval_of, picked.payloads)]
    pullback = pullback_of(picked, keep=True, values=points, tape=LinearTape())
    structure = pullback.extra.main("linear_transpose", fun)
    avals = list(map(aval_of, pullback.outputs))
    what = f"linear_transpose: the cotangent of the result of {tree.name_of(fun)}"
    for value in pullback.outputs:
        if pullback.node(value) is None and not _is_zero(value):
            raise TypeError(f"linear_transpose: {tree.name_of(fun)} is not linear: a result is a constant, not zero")

    def transpose(cotangent):
        leaves = tree.leaves_like(structure, cotangent, what)
        return picked.rebuild(pullback.pull(fit_all(leaves, avals, structure, what)))

    return transpose
