"""`custom_vmap`: a function with its own rule for vectorisation."""

from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import broadcast_to

from . import tree
from .arguments import check_callable
from .calls import wrap_rank
from .custom import Call, Custom
from .grad import Pullback


class CustomVmap(Call):
    """A function with its own mapped version.

    Parameters
    ----------
    mapped : callable
        ``mapped(size, payloads, flags)``: the results for all elements, batch axis first.
    """

    def __init__(self, name, call, mapped):
        super().__init__(name, call)
        self.mapped = mapped

    def with_pullback(self, primals):
        back = Pullback(list(primals), lambda inputs: (self.expand(*inputs), None), keep=True)
        return tuple(map(back.tape.lower, back.outputs)), back.pull

    def with_tangents(self, primals, tangents):
        return None

    def batched(self, size, payloads, flags):
        return self.mapped(size, payloads, flags)

    def closes_over_mapped(self, args):
        return self.expand(*args)


class custom_vmap(Custom):
    """Give a function its own rule for `vmap`.

    Parameters
    ----------
    fun : callable

    Notes
    -----
    Set the rule with ``fun.def_vmap(rule)``, which also works as a decorator: ``rule(axis_size, in_batched, *args)``
    gets the arguments with the mapped axis first where `in_batched`, a list with a tree of bools like each argument,
    says so, and returns the result and a tree of bools like it, for the parts that have the mapped axis first. The
    rule may call `fun` again, `vmap` of other functions, or anything else; derivatives go through it. Under a
    derivative inside `vmap`, as in ``vmap(grad(f))``, the ops inside `fun` are mapped one by one.

    Examples
    --------
    >>> import npx as np
    >>> @np.custom_vmap
    ... def solve(a, b):
    ...     return np.linalg.solve(a, b)
    >>> @solve.def_vmap
    ... def rule(axis_size, in_batched, a, b):
    ...     if in_batched == [False, True]:  # one factorisation for all
    ...         return solve(a, b.T).T, True
    ...     return np.vmap(np.linalg.solve, [0 if flag else None for flag in in_batched])(a, b), True
    >>> np.vmap(solve, (None, 0))(2 * np.eye(2), np.array([[2., 4.], [6., 8.]]))
    array([[1., 2.],
           [3., 4.]])
    """

    rule = None

    def def_vmap(self, rule):
        """Set the rule; see the class. Returns it."""
        check_callable(rule, "def_vmap")
        self.rule = rule
        return rule

    def _call(self, layout, out, positions, avals):
        if self.rule is None:
            raise AttributeError(f"{self!r} has no rule yet: call its def_vmap(rule)")
        name = tree.name_of(self.fun)

        def call(*operands):
            return out.take(self.fun(*layout.give(operands)))

        def mapped(size, payloads, flags):
            in_batched = layout.fill(map(bool, flags), dict.fromkeys(layout.others, False))
            pair = self.rule(size, list(in_batched), *layout.fill(map(wrap_rank, payloads), layout.others))
            if type(pair) is not tuple or len(pair) != 2:
                raise TypeError(f"the vmap rule of {name} must return a pair (result, which parts are mapped)")
            return _mapped_results(name, size, out, *pair)

        return CustomVmap(f"custom_vmap({name})", call, mapped)


def _mapped_results(name, size, out, result, batched):
    """The payloads of what a rule returned, all with the mapped axis first."""
    payloads = out.take(result)
    flags = out.pick(tree.spread_flags(batched, result, f"the second result of the vmap rule of {name}"))
    for value, flag in zip(payloads, flags):
        shape = aval_of(value).shape
        if flag and shape[:1] != (size,):
            raise ValueError(
                f"the vmap rule of {name} says that a result is mapped, so its first axis must have length {size}; "
                f"its shape is {shape}"
            )
    whole = [v if f else broadcast_to(v, (size, *aval_of(v).shape)) for v, f in zip(payloads, flags)]
    out.scalars = [aval_of(value).ndim == 1 for value in whole]  # each element, not the whole
    return tuple(whole)
