"""Derivatives and batch rules of loops and branches in graphs.

A `for_loop`, `while_loop` or `cond` that meets a transform is called as a whole (`Call`): the transform gets a new loop
with a body that computes derivatives, or many elements, and runs it one level down. In reverse mode a loop keeps, for
each step, the values that its derivative reads, and a second loop goes back over them. A `while` loop counts its steps
for that and is run again as a `for` loop.
"""

from npx.dispatch.abstract import Aval, aval_of
from npx.dispatch.graph import control, evaluate, evaluate_part
from npx.dispatch.interpreter import Tracer, active
from npx.dispatch.payloads import broadcast_to, is_inexact, ops, zeros
from npx.ops.control import COND, FOR_LOOP, WHILE_LOOP

from .batch import BatchInterpreter, BatchTracer
from .custom import Call, batch
from .forward import ForwardInterpreter, JVPTracer
from .residuals import COUNTER, Residuals, region, values_read_back
from .rewrite import rewrite
from .selection import pull_back
from .tape import Tape, TapeTracer
from .trace import trace
from .values import host_value


def avals_of(part):
    """The avals of a region's inputs."""
    return [v.aval for v in part.graph.inputs]


def is_on(tape, value):
    """Whether a payload is on a tape."""
    return type(value) is TapeTracer and value.interpreter is tape


def dependents(graph, active_inputs):
    """The values of a graph whose derivative with respect to some of its inputs may be other than zero."""
    found = set(active_inputs)
    for node in graph.nodes:
        if not found.isdisjoint(node.inputs):
            found.update(v for v in node.outputs if is_inexact(v.aval.dtype))
    return found


def moving(part, offset, flags, states):
    """Which constants and parts of the state of a loop have derivatives, given which of them start with one.

    Parameters
    ----------
    part : Region
        The body.
    offset : int
        Inputs of the body before the constants.
    flags : list of bool
        Of constants and state.
    states : int
        How many parts the state has.
    """
    graph, flags = part.graph, list(flags)
    while True:
        found = dependents(graph, [v for v, flag in zip(graph.inputs[offset:], flags) if flag])
        wider = [a or v in found for a, v in zip(flags[len(flags) - states :], graph.outputs)]
        if wider == flags[len(flags) - states :]:
            return flags
        flags[len(flags) - states :] = wider


def on_level_below(tape, values, flags):
    """Operands with leaves of a tape in the places of flags."""
    return [tape.leaf(v) if flag else v for v, flag in zip(values, flags)]


def pulled(tape, outs, gs, leaves):
    """The cotangents of leaves from those of results, None for zero."""
    found = pull_back([(out.node, g) for out, g in zip(outs, gs) if is_on(tape, out)])
    return [found.get(leaf.node) if is_on(tape, leaf) else None for leaf in leaves]


# ------------------------------------------------------------------------------------------------------------ for
class ForLoop(Call):
    """A `for_loop`, called as a whole."""

    def __init__(self, body, constants, reverse=False):
        super().__init__("for_loop", lambda *args: FOR_LOOP(*args, body=body, constants=constants, reverse=reverse))
        self.body, self.constants, self.reverse = body, constants, reverse

    def on_tape(self, tape, args, primals):
        """Run one level down, keeping what the way back reads; that is a loop from the last step to the first."""
        states = len(args) - 1 - self.constants
        flags = moving(self.body, 1, [is_on(tape, a) for a in args[1:]], states)
        if not any(flags):
            return self(*primals), None, []
        most = capacity(primals[0])
        back = Residuals(self._step_with_pullback(flags, states), self.constants, states, self.again)
        outs, histories = back.forward(primals, most)

        def pullback(gs):
            cotangents = back.backward(primals[: 1 + self.constants], histories, flags, gs)
            return [None, *cotangents]

        return outs, pullback, []

    def again(self, body, constants, back=False):
        """A loop like this one with another body, or the way back."""
        return ForLoop(body, constants, self.reverse ^ back)

    def _step_with_pullback(self, flags, states):
        """A graph of i, constants, state, and the cotangents of the next state: the next state, then cotangents."""
        inputs = avals_of(self.body)
        outputs = [a for a, flag in zip(inputs[1 + self.constants :], flags[self.constants :]) if flag]

        def step(*values):
            operands, gs = values[: len(inputs)], values[len(inputs) :]
            tape = Tape()
            with active(tape):
                leaves = on_level_below(tape, operands[1:], flags)
                outs = evaluate(self.body.graph, (operands[0], *leaves))
            wanted = [out for out, flag in zip(outs, flags[self.constants :]) if flag]
            cts = pulled(tape, wanted, gs, [leaf for leaf, flag in zip(leaves, flags) if flag])
            kinds = [a for a, flag in zip(inputs[1:], flags) if flag]
            filled = [zeros(a) if ct is None else ct for ct, a in zip(cts, kinds)]
            return [*map(tape.lower, outs), *filled]

        graph, _ = trace(step, [*inputs, *map(strong, outputs)], "a loop", captures=False)
        return rewrite(graph)

    def with_tangents(self, primals, tangents):
        """One loop over values and tangents."""
        states = len(primals) - 1 - self.constants
        flags = moving(self.body, 1, [t is not None for t in tangents[1:]], states)
        body, n = pushed(self.body, 1, flags, self.constants), self.constants
        given = with_zeros(primals[1:], tangents[1:], flags)
        fixed, state = join(primals[1 : 1 + n], given[:n]), join(primals[1 + n :], given[n:])
        outs = self.again(body, len(fixed))(primals[0], *fixed, *state)
        return split_pairs(outs, flags[n:])

    def batched(self, size, payloads, flags):
        """One loop whose steps map over the elements."""
        if flags[0]:
            return self._with_counts(size, payloads, flags)
        wider, body = mapped_body(self.body, size, flags, self.constants + 1)
        operands = whole_where(size, payloads[1:], flags[1:], wider[1:])
        return spread(size, self.again(body, self.constants)(payloads[0], *operands), wider[1 + self.constants :])

    def _with_counts(self, size, payloads, flags):
        """Each element has its own number of steps: those that are done wait for the others."""

        def step(i, count, *operands):
            state = operands[self.constants :]
            now = evaluate(self.body.graph, (i, *operands))
            going = ops.less(i, count)
            return [ops.where(going, new, old) for new, old in zip(now, state)]

        body = region(step, [COUNTER, *avals_of(self.body)])
        most = ops.max(payloads[0], axis=(0,), keepdims=False)
        return self.again(body, self.constants + 1).batched(size, (most, *payloads), (False, *flags))


def strong(aval):
    """The aval of a cotangent."""
    return Aval(aval.shape, aval.dtype)


def capacity(count):
    """For how many steps there must be room: a number that Python knows.

    For a count that is known only when compiled code runs, the power of four above: compiled code is made for that.
    """
    while isinstance(count, BatchTracer):  # room for the longest of them
        count = ops.max(count.payload, axis=(0,), keepdims=False)
    if not isinstance(count, Tracer):
        return max(1, int(count))
    exponent = ops.ceil(ops.divide(ops.log2(ops.maximum(count, 1)), 2.0))
    return 4 ** int(host_value(exponent, "the number of steps of a loop that is differentiated"))


# ---------------------------------------------------------------------------------------------------------- while
class WhileLoop(Call):
    """A `while_loop`, called as a whole."""

    def __init__(self, test, body, constants):
        super().__init__("while_loop", lambda *args: WHILE_LOOP(*args, test=test, body=body, constants=constants))
        self.test, self.body, self.constants = test, body, constants

    def counted(self, operands):
        """The number of steps."""
        n, inputs = self.constants, avals_of(self.body)

        def test(*values):
            return evaluate(self.test.graph, values[:-1])

        def body(*values):
            return [*evaluate(self.body.graph, values[:-1]), ops.add(values[-1], 1)]

        avals = [*inputs, COUNTER]
        return WhileLoop(region(test, avals), region(body, avals), n)(*operands, 0)[-1]

    def as_for_loop(self):
        """The loop with a known number of steps."""
        body = region(lambda i, *values: evaluate(self.body.graph, values), [COUNTER, *avals_of(self.body)])
        return ForLoop(body, self.constants)

    def on_tape(self, tape, args, primals):
        """Count the steps, and go on as a `for` loop."""
        states = len(args) - self.constants
        if not any(moving(self.body, 0, [is_on(tape, a) for a in args], states)):
            return self(*primals), None, []
        count = self.counted(primals)
        outs, pullback, also = self.as_for_loop().on_tape(tape, (count, *args), (count, *primals))
        return outs, lambda gs: pullback(gs)[1:], also

    def with_tangents(self, primals, tangents):
        """One loop over values and tangents."""
        n = self.constants
        flags = moving(self.body, 0, [t is not None for t in tangents], len(primals) - n)
        body = pushed(self.body, 0, flags, n)
        given = with_zeros(primals, tangents, flags)
        fixed, state = join(primals[:n], given[:n]), join(primals[n:], given[n:])

        def test(*values):
            pick = primals_among(values[: len(fixed)], flags[:n]) + primals_among(values[len(fixed) :], flags[n:])
            return evaluate(self.test.graph, pick)

        outs = WhileLoop(region(test, avals_of(body)), body, len(fixed))(*fixed, *state)
        return split_pairs(outs, flags[n:])

    def batched(self, size, payloads, flags):
        """One loop until the last element is done; those that are done wait for the others."""
        n = self.constants
        wider = [*flags[:n], *(True for _ in flags[n:])]

        def test(*values):
            return batch(lambda *one: evaluate(self.test.graph, one), size, wider)(*values)

        def any_left(*values):
            return [ops.any(test(*values)[0], axis=(0,), keepdims=False)]

        def step(*values):
            def one(*operands):
                going = evaluate(self.test.graph, operands)[0]
                now = evaluate(self.body.graph, operands)
                return [ops.where(going, new, old) for new, old in zip(now, operands[n:])]

            return batch(one, size, wider)(*values)

        operands = whole_where(size, payloads, flags, wider)
        avals = [strong(aval_of(p)) for p in operands]
        return WhileLoop(region(any_left, avals), region(step, avals), n)(*operands)


# ----------------------------------------------------------------------------------------------------------- cond
class Cond(Call):
    """A `cond`, called as a whole."""

    def __init__(self, yes, no):
        super().__init__("cond", lambda *args: COND(*args, yes=yes, no=no))
        self.yes, self.no = yes, no

    def on_tape(self, tape, args, primals):
        """Run one level down, keeping what the way back of the branch reads that is taken."""
        flags = [is_on(tape, a) for a in args[1:]]
        moved = sorted({k for part in (self.yes, self.no) for k in self._moved(part, flags)})
        if not moved:
            return self(*primals), None, []
        yes, no = (CutBranch(part, flags, moved) for part in (self.yes, self.no))
        outs = Cond(yes.forward((), no.kept), no.forward(yes.kept, ()))(*primals)
        n = len(self.yes.graph.outputs)
        used = sorted({*yes.used, *no.used})

        def pullback(gs):
            operands = [*(primals[1 + k] for k in used), *outs[n:], *(gs[k] for k in moved)]
            counts = len(yes.kept), len(no.kept)
            back = Cond(yes.backward(used, 0, counts, no.kept), no.backward(used, counts[0], counts, yes.kept))
            cts = iter(back(primals[0], *operands))
            return [None, *(next(cts) if flag else None for flag in flags)]

        return outs[:n], pullback, []

    @staticmethod
    def _moved(part, flags):
        found = dependents(part.graph, [v for v, flag in zip(part.graph.inputs, flags) if flag])
        return [k for k, v in enumerate(part.graph.outputs) if v in found]

    def with_tangents(self, primals, tangents):
        """The branch that is taken computes values and tangents."""
        flags = [t is not None for t in tangents[1:]]
        moved = set(self._moved(self.yes, flags)) | set(self._moved(self.no, flags))
        wanted = [k in moved for k in range(len(self.yes.graph.outputs))]
        bodies = [pushed(part, 0, flags, len(flags), wanted) for part in (self.yes, self.no)]
        given = with_zeros(primals[1:], tangents[1:], flags)
        return split_pairs(Cond(*bodies)(primals[0], *join(primals[1:], given)), wanted)

    def batched(self, size, payloads, flags):
        """The branch for all elements; both where the elements differ in the condition."""
        parts = [
            region(
                lambda *values, part=part: batch(lambda *one: evaluate(part.graph, one), size, flags[1:])(*values),
                [strong(aval_of(p)) if f else a for p, f, a in zip(payloads[1:], flags[1:], avals_of(part))],
            )
            for part in (self.yes, self.no)
        ]
        if not flags[0]:
            return Cond(*parts)(*payloads)
        yes, no = (evaluate(part.graph, payloads[1:]) for part in parts)
        return tuple(ops.where(_beside(payloads[0], aval_of(y).ndim), y, n) for y, n in zip(yes, no))


class CutBranch:
    """A branch with its pullback, cut where the way back reads what the way forward computes.

    Attributes
    ----------
    kept : list of Value
        What is read of that.
    used : list of int
        Operands that the way back reads themselves.
    """

    def __init__(self, part, flags, moved):
        avals = avals_of(part)
        gs = [strong(part.graph.outputs[k].aval) for k in moved]

        def run(*values):
            tape = Tape()
            with active(tape):
                leaves = on_level_below(tape, values[: len(avals)], flags)
                outs = evaluate(part.graph, leaves)
            cts = pulled(tape, [outs[k] for k in moved], values[len(avals) :], leaves)
            filled = [zeros(strong(a)) if ct is None else ct for ct, a, flag in zip(cts, avals, flags) if flag]
            return [*map(tape.lower, outs), *filled]

        self.graph, self.n = region(run, [*avals, *gs]).graph, len(part.graph.outputs)
        self.operands, self.gs = self.graph.inputs[: len(avals)], self.graph.inputs[len(avals) :]
        read = values_read_back(self.graph, self.gs, self.n)
        self.kept = [v for v in read if v not in self.operands]
        self.used = [k for k, v in enumerate(self.operands) if v in read]

    def forward(self, before, after):
        """The branch, with what is kept of it, between zeros for what is kept of the other one."""

        def run(*values):
            outs = evaluate_part(
                self.graph, dict(zip(self.operands, values)), [*self.graph.outputs[: self.n], *self.kept]
            )
            return [*outs[: self.n], *map(nothing, before), *outs[self.n :], *map(nothing, after)]

        return region(run, [v.aval for v in self.operands])

    def backward(self, used, start, counts, others):
        """The way back: of operands that some branch uses, what was kept of both, and cotangents."""
        kinds = [v.aval for v in (self.kept + others if start == 0 else others + self.kept)]

        def run(*values):
            env = {self.operands[k]: v for k, v in zip(used, values)}
            rest = values[len(used) :]
            env |= zip(self.kept, rest[start:])
            env |= zip(self.gs, rest[sum(counts) :])
            return evaluate_part(self.graph, env, self.graph.outputs[self.n :])

        avals = [self.operands[k].aval for k in used]
        return region(run, [*avals, *kinds, *(v.aval for v in self.gs)])


def nothing(value):
    """Zeros in the place of a value."""
    return value.aval.weak(0) if value.aval.weak else zeros(value.aval)


def _beside(condition, ndim):
    return ops.reshape(condition, shape=(*aval_of(condition).shape, *(1,) * (ndim - 1)))


# --------------------------------------------------------------------------------------------------- forward mode
def pushed(part, offset, flags, constants, wanted=None):
    """A body over values and tangents: each operand that has a tangent is followed by it.

    Parameters
    ----------
    part : Region
    offset : int
        Inputs before the constants.
    flags : list of bool
        Which of the others have tangents.
    constants : int
    wanted : list of bool, optional
        Which results get tangents; those of the state that have some, otherwise.
    """
    inputs = avals_of(part)
    wanted = flags[constants:] if wanted is None else wanted
    avals = inputs[:offset] + join(inputs[offset:], [strong(a) if f else None for a, f in zip(inputs[offset:], flags)])

    def push(*values):
        interpreter, rest, operands = ForwardInterpreter(), iter(values[offset:]), list(values[:offset])
        with active(interpreter):
            for flag in flags:
                value = next(rest)
                operands.append(JVPTracer(interpreter, value, next(rest)) if flag else value)
            outs = evaluate(part.graph, operands)
        primals = list(map(interpreter.lower, outs))
        tangents = [
            (zeros(strong(aval_of(p))) if (t := interpreter.tangent(o)) is None else t) if want else None
            for o, p, want in zip(outs, primals, wanted)
        ]
        return join(primals, tangents)

    return region(push, avals)


def join(primals, tangents):
    """Each value, followed by its tangent where there is one."""
    return [v for pair in zip(primals, tangents) for v in pair if v is not None]


def with_zeros(primals, tangents, flags):
    """Tangents where flags say so, zeros among them."""
    pairs = zip(primals, tangents, flags)
    return [(zeros(strong(aval_of(p))) if t is None else t) if flag else None for p, t, flag in pairs]


def split_pairs(values, flags):
    """Values and tangents from a sequence in which some values are followed by theirs."""
    rest = iter(values)
    pairs = [(next(rest), next(rest) if flag else None) for flag in flags]
    return tuple(p for p, _ in pairs), tuple(t for _, t in pairs)


def primals_among(values, flags):
    """The values without the tangents."""
    return list(split_pairs(values, flags)[0])


# ----------------------------------------------------------------------------------------------------------- vmap
def mapped_body(part, size, flags, constants):
    """Which operands of a loop are mapped, all steps considered, and a body that maps over them.

    `constants` counts all inputs of the body before the state.
    """
    flags, inputs = list(flags), avals_of(part)
    while True:
        mapped = _Mapped(part, size, flags, constants)
        body = region(mapped, [Aval((size, *a.shape), a.dtype) if f else a for a, f in zip(inputs, flags)])
        if mapped.found == flags[constants:]:
            return flags, body
        flags[constants:] = mapped.found


class _Mapped:
    """A body of payloads for all elements; `found` tells which parts of the next state differ between them."""

    def __init__(self, part, size, flags, constants):
        self.part, self.size, self.flags, self.constants, self.found = part, size, flags, constants, None

    def __call__(self, *values):
        interpreter = BatchInterpreter(self.size)
        with active(interpreter):
            operands = [BatchTracer(interpreter, v) if f else v for v, f in zip(values, self.flags)]
            outs = evaluate(self.part.graph, operands)
        self.found = [f or interpreter.is_batched(out) for f, out in zip(self.flags[self.constants :], outs)]
        return [interpreter.whole(out) if f else out for f, out in zip(self.found, outs)]


def whole_where(size, payloads, mapped, flags):
    """Operands, repeated along a new first axis where they are to be mapped and are not yet."""
    return [_repeat(p, size) if f and not already else p for p, already, f in zip(payloads, mapped, flags)]


def _repeat(p, size):
    return broadcast_to(p, (size, *aval_of(p).shape))


def spread(size, outs, flags):
    """Results with the mapped axis, also those that are the same for all elements."""
    return tuple(out if f else _repeat(out, size) for out, f in zip(outs, flags))


def _enter(call):
    return lambda *operands, **params: call(**params)(*operands)


control.update({"for_loop": _enter(ForLoop), "while_loop": _enter(WhileLoop), "cond": _enter(Cond)})
