"""What the statements of converted functions call (`npx.transforms.conversion`): loops and branches, as regions or not.

While `jit` records, a long loop over a range, a `while` loop whose condition is traced, and a branch inside these
become ops with regions. Everywhere else, and where a body is unfit for that, they do what Python does.
"""

import builtins
import operator

from npx.array.ndarray import ndarray, payload, wrap_scalar
from npx.array.views import root_of, write
from npx.dispatch.abstract import Aval, aval_of
from npx.dispatch.debug import user_line
from npx.dispatch.graph import Region
from npx.dispatch.interpreter import Tracer
from npx.dispatch.payloads import cast, ops

from .body import UNSET, BodyTrace, Recorded, Unfit, Unset, Variables, moves_slowly, wrapped
from .control_flow import Cond, ForLoop, WhileLoop
from .conversion import called, recording
from .residuals import COUNTER
from .rewrite import rewrite
from .trace import GraphTracer

__all__ = ["all_", "any_", "called", "for_", "if_", "not_", "range_of", "while_"]  # what converted functions call

#: loops of fewer steps are recorded step by step
FEWEST_STEPS = 32
#: and so are those of fewer ops in all, which compile to better code
FEWEST_NODES = 600
#: times that a loop may try to become a region, after one more step each time: types settle in the first step
MOST_TRIALS = 3
MOST_ROUNDS = 5


# ------------------------------------------------------------------------------------------------------------ ranges
class TracedRange:
    """A range with a bound that is traced."""

    def __init__(self, start, stop, step):
        self.start, self.stop, self.step = start, stop, step
        self.count = _count(start, stop, step)

    def concrete(self):
        """The range that Python runs."""
        return range(*map(operator.index, (self.start, self.stop, self.step)))


def _count(start, stop, step):
    distance = ops.subtract(payload(stop), payload(start))
    if step != 1:
        distance = ops.floor_divide(ops.add(distance, step - (1 if step > 0 else -1)), step)
    return ops.maximum(distance, 0)


def range_of(*args):
    """``range(*args)``, also of traced numbers."""
    if recording() is None or not any(isinstance(a, ndarray) and _is_traced_int(a) for a in args):
        return range(*args)
    start, stop, step = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
    if type(step) is not int or step == 0:
        return range(*args)
    return TracedRange(start, stop, step)


def _is_traced_int(x):
    p = payload(x)
    return isinstance(p, Tracer) and p.shape == () and p.dtype.kind in "iu"


# ------------------------------------------------------------------------------------------------------------- loops
def for_(steps, body, names, temporary, flag):
    """``for i in steps: body(i)``; `flag` is the variable by which the body breaks, or None."""
    variables, recorder = Variables(body, names), recording()
    if type(steps) is TracedRange:
        if recorder is not None and _try(
            recorder, _For(steps.start, steps.step, steps.count, body, variables, temporary, flag)
        ):
            return
        steps = steps.concrete()
    trials, done = MOST_TRIALS if recorder is not None else 0, 0
    while done < len(steps):
        if trials and len(steps) - done >= FEWEST_STEPS:
            trials -= 1
            loop = _For(steps[done], steps.step, len(steps) - done, body, variables, temporary, flag)
            if _try(recorder, loop, report=not trials):
                return
            trials = 0 if loop.hopeless else trials
        body(steps[done])
        done += 1
        if flag is not None and variables[flag]:
            return


def while_(test, body, names, temporary, flag):
    """``while test(): body()``."""
    variables, recorder = Variables(body, names), recording()
    trials = MOST_TRIALS if recorder is not None else 0
    while True:
        condition = test()
        if trials and (_is_unknown(condition) or (flag is not None and condition is True)):
            trials -= 1
            loop = _While(test, body, variables, temporary, flag)
            if _try(recorder, loop, report=not trials):
                return
            trials = 0 if loop.hopeless else trials
        if not condition:
            return
        body()
        if flag is not None and variables[flag]:
            return


def _is_unknown(condition):
    """Whether a condition is a tracer of the recording, perhaps below other transforms."""
    p = payload(condition) if isinstance(condition, ndarray) else condition
    return isinstance(p, Tracer) and p.shape == ()


def _try(recorder, loop, report=True):
    """Run a statement as a region; False where it is unfit for that, and nothing has happened."""
    where = user_line()
    if recorder.unfit[loop.body.__code__] >= MOST_TRIALS:
        loop.hopeless = True
        return False
    try:
        loop.run(recorder)
    except Unfit as why:
        recorder.unfit[loop.body.__code__] += 1
        if report or loop.hopeless:
            recorder.note(f"{loop.kind} at {where} is run by Python, for {why}")
        return False
    recorder.note(f"{loop.kind} at {where} is a region")
    return True


class _Loop:
    """A loop to be recorded as a region."""

    hopeless = False  # another step does not help
    avals = ()

    def __init__(self, body, variables, temporary, flag):
        self.body, self.variables, self.flag = body, variables, flag
        self.temporary = set(temporary)

    def recorded(self):
        """The body, recorded with all variables that it binds as inputs."""
        bound = {self.flag} - {None}
        for _ in range(MOST_ROUNDS):
            try:
                found = Recorded(self.step, self.variables, bound, self.temporary, self.avals)
            except Unset:
                if not self.temporary:
                    raise
                self.temporary.clear()
                continue
            new = found.newly_bound() - self.temporary
            if not new:
                return found
            found.discard()
            bound |= new
        raise Unfit("its variables do not settle")

    def run(self, recorder):
        """Record the body, check that it is fit, and run the loop."""
        found = self.recorded()
        try:
            self.run_recorded(found, recorder)
        finally:
            found.trace.owners = {}

    def run_recorded(self, found, recorder):
        """Run the loop of a body that was recorded."""
        found.check_aliases(recorder)
        state, outputs = [], []
        for name, given in found.given.items():
            state += [t.value for t in given.tracers if t is not None]
            outputs += given.outputs(name, found.exit[name])
        self.check_ints(found, zip(state, outputs))
        state += [stand.value for _, stand, _ in found.writes]
        outputs += [p for _, _, p in found.writes]
        operands = self.first(found)
        inputs = {*state, *(t.value for t in found.inputs)}
        used = {v for node in found.trace.graph.nodes for v in node.inputs} | {found.trace.value(p) for p in outputs}
        constants = [(v, p) for v, p in found.trace.captured if v not in inputs and v in used]
        if not self.is_worth_it(found, [*operands, *(p for _, p in constants)]):
            self.hopeless = True
            raise Unfit("it is short")
        found.forget()
        values = iter(self.apply(found, constants, state, outputs, operands))
        self.variables.restore({name: given.rebuilt(values) for name, given in found.given.items()})
        self.variables.restore(dict.fromkeys(self.temporary, UNSET))
        for owner, _, _ in found.writes:
            write(owner, next(values))

    def check_ints(self, found, pairs):
        """Refuse Python ints in the state that may outgrow 64 bits."""
        counters = {t.value for t in found.inputs}
        for start, p in pairs:
            if start.aval.weak is int and not moves_slowly(found.trace.value(p), {start}, counters):
                raise Unfit("a Python int in it may outgrow 64 bits")

    @staticmethod
    def first(found):
        """The payloads of the state before the loop."""
        values = [
            payload(leaf)
            for given in found.given.values()
            for leaf, tracer in zip(given.leaves, given.tracers)
            if tracer is not None
        ]
        stood_for = {id(owner): held for owner, held, _, _ in found.trace.owners.values()}
        return values + [stood_for[id(owner)] for owner, _, _ in found.writes]

    def is_worth_it(self, found, operands):
        """Whether there is something to compile: Python runs loops over Python's numbers."""
        return any(isinstance(p, Tracer) for p in operands)

    @staticmethod
    def result(call, count, constants, operands):
        return call(*count, *(p for _, p in constants), *operands)


class _For(_Loop):
    kind, avals = "the for loop", (COUNTER,)

    def __init__(self, start, stride, count, body, variables, temporary, flag):
        super().__init__(body, variables, temporary, flag)
        self.start, self.stride, self.count = payload(start), stride, count

    def step(self, k):
        i = payload(k) if self.stride == 1 else ops.multiply(payload(k), self.stride)
        start = self.start
        if isinstance(start, Tracer) or start != 0:
            i = ops.add(i, start)
        self.body(wrap_scalar(i))

    def is_worth_it(self, found, operands):
        if isinstance(self.count, Tracer):
            return True
        is_long = self.count * len(found.trace.graph.nodes) >= FEWEST_NODES
        return is_long and super().is_worth_it(found, operands)

    def apply(self, found, constants, state, outputs, operands):
        counter = found.inputs[0].value
        fixed = [v for v, _ in constants]
        if self.flag is None:
            graph = found.graph([counter, *fixed, *state], outputs)
            loop = ForLoop(Region(rewrite(graph)), len(fixed))
            return self.result(loop, [self.count], constants, operands)
        broke = found.given[self.flag].tracers[0]
        count = found.trace.input(Aval((), COUNTER.dtype, aval_of(self.count).weak))
        with_interpreter = _Inside(found.trace)
        goes_on = with_interpreter(lambda: ops.logical_and(ops.less(found.inputs[0], count), ops.logical_not(broke)))
        after = with_interpreter(lambda: ops.add(found.inputs[0], 1))
        inputs = [count.value, *fixed, counter, *state]
        test = Region(rewrite(found.graph(inputs, [goes_on])))
        body = Region(rewrite(found.graph(inputs, [after, *outputs])))
        loop = WhileLoop(test, body, 1 + len(fixed))
        return self.result(loop, [self.count], constants, [0, *operands])[1:]


class _While(_Loop):
    kind = "the while loop"

    def __init__(self, test, body, variables, temporary, flag):
        super().__init__(body, variables, temporary, flag)
        self.test = test

    def step(self):
        condition = self.test()
        self.body()
        return condition

    def apply(self, found, constants, state, outputs, operands):
        (condition,) = found.result.payloads
        inside = _Inside(found.trace)
        if self.flag is not None:
            broke = found.given[self.flag].tracers[0]
            condition = inside(lambda: ops.logical_and(ops.logical_not(broke), _truth(condition)))
        else:
            condition = inside(lambda: _truth(condition))
        inputs = [*(v for v, _ in constants), *state]
        test = Region(rewrite(found.graph(inputs, [condition])))
        body = Region(rewrite(found.graph(inputs, outputs)))
        return self.result(WhileLoop(test, body, len(constants)), [], constants, operands)


class _Inside:
    """Records a few more ops into a trace that has ended."""

    def __init__(self, trace):
        self.trace = trace

    def __call__(self, run):
        self.trace.alive = True
        try:
            return run()
        finally:
            self.trace.alive = False


def _truth(p):
    return p if aval_of(p).dtype == bool else cast(p, bool)


# ---------------------------------------------------------------------------------------------------------- branches
def if_(condition, yes, no, names=(), temporary=()):
    """``yes() if condition else no()``; the branches bind variables."""
    if not _is_of_a_body(condition):
        return yes() if condition else no()
    recorder = recording()
    if recorder is None:
        return yes() if condition else no()
    return _branch(payload(condition), yes, no, names, set(temporary))


def _is_of_a_body(condition):
    """Whether a condition is traced by the recording of a loop's body: one that cannot be asked for."""
    p = payload(condition) if isinstance(condition, ndarray) else None
    return isinstance(p, GraphTracer) and isinstance(p.interpreter, BodyTrace) and p.shape == ()


def _branch(condition, yes, no, names, temporary):
    found = [Recorded(part, Variables(part, names), set(), set()) for part in (yes, no)]
    bound = sorted(set().union(*(one.newly_bound() for one in found)))
    merged = [_Merged(name, found, temporary) for name in bound]
    merged = [m for m in merged if m.structure is not None]
    result = _Merged(None, found, set())
    for one in found:
        one.forget()
    owners = list({id(owner): owner for one in found for owner, _, _ in one.writes}.values())
    inputs, operands = _shared_inputs(found)
    parts, kinds = [], [k for m in (*merged, result) for k in m.avals]
    for one, values in zip(found, inputs):
        outs = [p for m in (*merged, result) for p in m.payloads[found.index(one)]]
        inside = _Inside(one.trace)
        outs = [inside(lambda p=p, a=a: _as(p, a)) for p, a in zip(outs, kinds)]
        contents = {id(owner): p for owner, _, p in one.writes}
        stands = {id(owner): stand for owner, _, _, stand in one.trace.owners.values()}
        outs += [contents.get(id(o), stands.get(id(o))) for o in owners]
        parts.append(Region(rewrite(one.graph(values, outs))))
    outs = iter(Cond(*parts)(_truth(condition), *operands))
    values = {m.name: m.rebuilt(outs) for m in merged}
    returned = result.rebuilt(outs)
    Variables(yes, names).restore(values)
    Variables(yes, names).restore({name: UNSET for name in bound if name not in values})
    for owner in owners:
        write(owner, next(outs))
    return returned


def _as(p, aval):
    """A payload with the type that both branches give."""
    return p if aval_of(p) == aval else ops.astype(p, dtype=aval.dtype)


class _Merged:
    """What a variable is bound to after a branch, or what the branches return."""

    def __init__(self, name, found, temporary):
        self.name, self.what = name, "its value" if name is None else repr(name)
        self.payloads, self.avals, self.leaves, self.structure = ([], []), [], [], None
        flats = [one.exit.get(name) if name is not None else one.result for one in found]
        if None in flats:
            if name not in temporary:
                raise Unfit(f"{self.what} has a value in one branch only")
            return
        yes, no = flats
        if yes.structure != no.structure:
            raise Unfit(f"{self.what} has another structure in each branch")
        for flat, one in zip(flats, found):
            if any(root_of(x).birth < one.trace.birth for x in flat.arrays()):
                raise Unfit(f"{self.what} is an array from outside, or a view of one")
        self.structure = yes.structure
        for k, (a, b) in enumerate(zip(yes.leaves, no.leaves)):
            self._leaf(k, a, b, yes, no)

    def _leaf(self, k, a, b, yes, no):
        if a is b and not isinstance(a, ndarray):
            self.leaves.append((a, None))
            return
        if not (yes.traceable[k] and no.traceable[k]) or yes.scalars[k] != no.scalars[k]:
            raise Unfit(f"{self.what} is another kind of object in each branch")
        aval = _common(self.what, aval_of(yes.payloads[k]), aval_of(no.payloads[k]))
        self.avals.append(aval)
        self.leaves.append((yes.scalars[k], aval))
        for payloads, flat in zip(self.payloads, (yes, no)):
            payloads.append(flat.payloads[k])

    def rebuilt(self, values):
        """The value after the branch."""
        pairs = self.leaves
        return self.structure.unflatten(x if aval is None else wrapped(next(values), None, x) for x, aval in pairs)


def _common(what, a, b):
    if a == b:
        return a
    if a.shape != b.shape or a.dtype != b.dtype:
        raise Unfit(f"{what} is {a} in one branch and {b} in the other")
    return Aval(a.shape, a.dtype)


def _shared_inputs(found):
    """For both branches their inputs in one order, and the operands for them."""
    keys, operands = {}, []
    for one in found:
        owner_of = {stand.value: id(owner) for owner, _, _, stand in one.trace.owners.values()}
        for value, p in one.trace.captured:
            key = owner_of.get(value, id(p))
            if key not in keys:
                keys[key] = len(operands)
                operands.append((p, aval_of(p)))
    inputs = []
    for one in found:
        owner_of = {stand.value: id(owner) for owner, _, _, stand in one.trace.owners.values()}
        mine = {keys[owner_of.get(value, id(p))]: value for value, p in one.trace.captured}
        inputs.append([mine.get(k) or one.trace.input(aval).value for k, (_, aval) in enumerate(operands)])
    return inputs, [p for p, _ in operands]


# -------------------------------------------------------------------------------------------------------- conditions
def all_(*parts):
    """``a and b and ...``, of which only the truth counts."""
    return _joined(parts, ops.logical_and, builtins.all)


def any_(*parts):
    """``a or b or ...``."""
    return _joined(parts, ops.logical_or, builtins.any)


def _joined(parts, join, python):
    rest = iter(parts)
    for part in rest:
        value = part()
        if _is_of_a_body(value):
            p = _truth(payload(value))
            for other in rest:
                p = join(p, _truth(payload(other())))
            return wrap_scalar(p)
        if bool(value) is (python is builtins.any):
            return value
    return value


def not_(value):
    """``not value``."""
    return wrap_scalar(ops.logical_not(_truth(payload(value)))) if _is_of_a_body(value) else not value
