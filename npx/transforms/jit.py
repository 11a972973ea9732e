"""``jit``: record a function's ops, compile them, and run the compiled code in place of Python.

``jit(f)(*args)`` returns what ``f(*args)`` returns: values, types, writes into arguments and into arrays from outside,
exceptions. Where that cannot be had by compiled code, Python runs `f`, and `Jitted.explain` says where and why.
"""

import functools

import numpy

from npx.array.ndarray import capturing, ndarray, payload, wrap, wrap_scalar
from npx.array.views import restore, root_of, write
from npx.dispatch import registry
from npx.dispatch.abstract import aval_of
from npx.dispatch.debug import log
from npx.dispatch.graph import Value, evaluate
from npx.dispatch.interpreter import Tracer, active

from . import tree
from .closure import Surroundings, state_of
from .compiled_call import on_tape
from .paths import Diverged, Leaf, PathTree, Unsuitable
from .recording import Inline, Recorder
from .rewrite import rewrite
from .trace import GraphTracer

NUMBERS = (int, float, complex)
#: values of a whole number that are compiled each by itself (shapes and counts are), before it is traced as a number
MOST_VALUES = 3
#: recordings that may diverge before a signature is left to Python
MOST_DIVERGENCES = 3


def jit(fun=None, *, static_argnums=(), static_argnames=()):
    """Compile a function of arrays.

    The function may assign into arrays, its arguments and arrays from outside among them, use Python control flow, and
    be called with any pytrees. It is recorded once per signature: shapes, dtypes and structure of the arguments, values
    of strings and booleans, and what its closure and the globals it reads are bound to. Numbers are not part of it,
    unless Python decides on them.

    Parameters
    ----------
    fun : callable
    static_argnums : int or tuple of int
        Positions of arguments to treat as constants; a new value compiles anew. Never needed for correct results.
    static_argnames : str or tuple of str
        Likewise, for keyword arguments.

    Returns
    -------
    Jitted
        Called like `fun`.

    Notes
    -----
    What `fun` does besides computing, such as printing, happens when it is recorded and not in later calls.
    """
    if fun is None:
        return functools.partial(jit, static_argnums=static_argnums, static_argnames=static_argnames)
    if not callable(fun):
        raise TypeError(f"jit takes a function, got {fun!r}")
    return Jitted(fun, static_argnums, static_argnames)


class Jitted:
    """A compiled function; see `jit`."""

    def __init__(self, fun, static_argnums=(), static_argnames=()):
        functools.update_wrapper(self, fun, updated=())
        self.fun = fun
        self._static_nums = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
        self._static_names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
        self._surroundings = None
        self._whole = {}  # position of a leaf -> the Python ints that came there
        self._signatures = {}  # key -> Signature

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self):
        return f"<jit of {tree.name_of(self.fun)}>"

    def __call__(self, *args, **kwargs):
        if capturing():  # inside another recording: part of it
            return self.fun(*args, **kwargs)
        call = Call(self, args, kwargs)
        if call.traced:
            result = on_tape(self, call)
            return self.fun(*args, **kwargs) if result is None else result
        return self.signature(call).run(call)

    def call(self, args, kwargs):
        """The arguments of a call, sorted."""
        return Call(self, args, kwargs)

    def signature(self, call):
        """What is known of calls like this one."""
        signature = self._signatures.get(call.key)
        if signature is None:
            signature = self._signatures[call.key] = Signature(self.fun, call)
        return signature

    def derived(self, fun):
        """Another jitted function, which reads from outside what this one does."""
        jitted = Jitted(fun)
        self.surroundings()
        jitted._surroundings = self._surroundings
        return jitted

    def explain(self, *args, **kwargs):
        """What jit made of the function for these arguments (for all signatures so far, without any).

        Returns
        -------
        str
            The recorded pieces, where the graph is split, and where Python runs the function and why.
        """
        if args or kwargs:
            self(*args, **kwargs)
            return self._signatures[Call(self, args, kwargs).key].describe()
        return "\n\n".join(signature.describe() for signature in self._signatures.values())

    def static(self, args, kwargs):
        """Whether each argument, positional ones first, is declared static."""
        nums = {n % len(args) for n in self._static_nums if -len(args) <= n < len(args)}
        return [i in nums for i in range(len(args))] + [name in self._static_names for name in kwargs]

    def is_constant(self, place, number):
        """Whether a Python int is compiled as a constant: as long as few values of it have come, or a huge one."""
        values = self._whole.setdefault(place, set())
        if len(values) <= MOST_VALUES:
            values.add(number)
        return len(values) <= MOST_VALUES or abs(number) >= 2**63

    def surroundings(self):
        """The state of what the function reads from outside."""
        if self._surroundings is None:
            self._surroundings = Surroundings(self.fun)
        return self._surroundings.state()


class Call:
    """The arguments of one call, sorted into those that the graph takes and those that are part of the signature."""

    __slots__ = ("args", "kwargs", "leaves", "structure", "places", "payloads", "key", "traced", "held")

    def __init__(self, jitted, args, kwargs):
        self.args, self.kwargs, self.traced = args, kwargs, False
        self.leaves, self.structure = tree.flatten((args, kwargs))
        static = set()
        if jitted._static_nums or jitted._static_names:
            flags = jitted.static(args, kwargs)
            for flag, part in zip(flags, (*args, *kwargs.values()), strict=True):
                if flag:
                    static.update(map(id, tree.leaves(part)))
        self.places, self.payloads, self.held, keys, seen = [], [], [], [], {}
        for i, leaf in enumerate(self.leaves):
            if id(leaf) in static or (type(leaf) is int and jitted.is_constant(i, leaf)):
                keys.append(self._constant(leaf))
            else:
                keys.append(self._sort(i, leaf, seen))
        state, held = jitted.surroundings()
        self.held += held
        self.key = (self.structure, tuple(keys), state)

    def _sort(self, i, leaf, seen):
        """Note a dynamic leaf; returns what of the leaf belongs to the key."""
        if type(leaf) is ndarray or isinstance(leaf, numpy.ndarray):
            if id(leaf) in seen:
                return ("same", seen[id(leaf)])
            seen[id(leaf)] = i
            p = payload(leaf)
            if isinstance(p, Tracer):
                self.traced = True
                return None
            if p.dtype.kind not in "biufc":
                return self._constant(leaf)
            key = (p.shape, p.dtype, type(p))
        elif type(leaf) in NUMBERS or (isinstance(leaf, numpy.generic) and leaf.dtype.kind in "biufc"):
            p, key = leaf, type(leaf)
        else:
            return self._constant(leaf)
        self.places.append(i)
        self.payloads.append(p)
        return key

    def _constant(self, leaf):
        """The key of a leaf that the graph does not take."""
        key, held = state_of(leaf)
        self.held += held
        return key


class Signature:
    """The tree of paths of one signature, and the reason where Python has to run the function."""

    def __init__(self, fun, call):
        self.fun, self.reason, self.divergences, self.held = fun, None, 0, call.held
        self.pulls = {}  # positions of the operands on a tape -> the jitted way back
        self._start(call)

    def _start(self, call):
        self.tree = PathTree([Value(aval_of(p)) for p in call.payloads])

    def run(self, call):
        """Run one call: compiled where its path is known, else recorded first."""
        if self.reason is None:
            for _ in range(2):
                states = [(changed, changed.state) for changed in self.tree.states.values()]
                found = self.tree.run(call.payloads, functools.partial(self._compile, call))
                if found is not None:
                    leaf, results = found
                    return leaf.finish(results, call)
                for changed, state in states:  # draws on the way to the end of what is known
                    changed.state = state
                if not self._record(call):
                    break
        return self.fun(*call.args, **call.kwargs)

    def is_pure(self, call):
        """Whether calls like this one are compiled in one piece and write into nothing from outside."""
        if self.reason is None and not self.tree.ends:
            self._record(call)
        leaf = self.tree.first.leaf
        return self.reason is None and leaf is not None and not leaf.writes

    def _record(self, call):
        """Record the path of this call; False where Python must run the function (for ever, or under a transform)."""
        try:
            Recording(self.tree, call).record(self.fun)
        except Inline:
            return False
        except Unsuitable as why:
            self._give_up(str(why))
            return False
        except Diverged as why:
            self.divergences += 1
            log("jit", f"{tree.name_of(self.fun)}: {why}; recorded anew")
            if self.divergences > MOST_DIVERGENCES:
                self._give_up(f"it does not do the same in every call: {why}")
                return False
            self._start(call)
            return self._record(call)
        return True

    def _give_up(self, why):
        self.reason = why
        log("jit", f"{tree.name_of(self.fun)} is left to Python: {why}")

    def _compile(self, call, graph):
        """Compile a piece with the backend that owns the arguments."""
        kinds = {type(p) for p in call.payloads} | {type(c()) for c, _ in self.tree.captured}
        backends = {registry.backend_for(k) for k in kinds if not issubclass(k, (numpy.generic, *NUMBERS))}
        host = registry.backend_for(numpy.ndarray)
        backend = next((b for b in backends if b is not host), host)
        graph = rewrite(graph)
        log("graph", str(graph))
        return functools.partial(evaluate, graph) if backend.compile is None else backend.compile(graph)

    def describe(self):
        """The report of this signature."""
        head = f"jit of {tree.name_of(self.fun)}({', '.join(str(v.aval) for v in self.tree.inputs)})"
        if self.reason is not None:
            return f"{head}: run by Python, because {self.reason}"
        return f"{head}\n{self.tree.describe()}"


class Recording:
    """One run of the function under a `Recorder`."""

    def __init__(self, path_tree, call):
        self.tree, self.call = path_tree, call

    def record(self, fun):
        """Run `fun` on tracers and end the path with what it returned and wrote."""
        call = self.call
        recorder = Recorder(self.tree, call.payloads, {id(o) for o in call.held})
        try:
            with active(recorder):
                arguments = self._arguments(recorder)
                args, kwargs = call.structure.unflatten(arguments)
                leaves, structure = tree.flatten(fun(*args, **kwargs))
                self._end(recorder, arguments, leaves, structure)
        finally:
            self._restore(recorder)
            for changed, state in recorder.states.values():
                self.tree.states[id(changed)] = changed
                changed.state = state

    def _arguments(self, recorder):
        """The leaves to call the function with: arrays with tracers in the places of dynamic ones."""
        leaves, fresh = list(self.call.leaves), {}
        for i, value in zip(self.call.places, self.tree.inputs, strict=True):
            leaf = self.call.leaves[i]
            tracer = GraphTracer(recorder, value)
            is_array = isinstance(leaf, (ndarray, numpy.ndarray))
            fresh[id(leaf) if is_array else (i,)] = leaves[i] = wrap(tracer) if is_array else wrap_scalar(tracer)
        return [fresh.get(id(leaf), leaf) for leaf in leaves]

    def _end(self, recorder, arguments, leaves, structure):
        """Build the leaf of the path: what to compute, and how to make the result of it."""
        values, writes, results = [], [], []

        def want(value):
            values.append(value)
            return len(values) - 1

        for i, value in zip(self.call.places, self.tree.inputs, strict=True):
            x = arguments[i]
            if not x.scalar and _value_of(x, recorder) is not value:
                writes.append((want(recorder.value_of(payload(x))), i))
        outside = []
        for root, value in list(recorder.owners.values()):
            if type(root) is ndarray and _value_of(root, recorder) is not value:
                outside.append((want(recorder.value_of(root.data_)), root))
        places = {id(x): i for i, x in enumerate(arguments) if type(x) is ndarray}
        for leaf in leaves:
            results.append(self._result(leaf, recorder, places, want))

        def finish(payloads, call):
            for k, i in writes:
                _write_back(call.leaves[i], payloads[k])
            for k, root in outside:
                _write_back(root, payloads[k])
            return structure.unflatten([make(payloads, call) for make in results])

        self.tree.finish(recorder.path, Leaf(values, finish, bool(writes or outside or recorder.states)))

    def _result(self, leaf, recorder, places, want):
        """How to make one leaf of the result: ``make(payloads, call)``."""
        if type(leaf) is not ndarray:
            if isinstance(leaf, numpy.ndarray):
                return lambda payloads, call: leaf.copy()
            return lambda payloads, call: leaf
        if id(leaf) in places and not leaf.scalar:
            i = places[id(leaf)]
            return lambda payloads, call: call.leaves[i]
        if id(leaf) in recorder.owners or (root_of(leaf).birth < recorder.birth and leaf.base_ is None):
            return lambda payloads, call: leaf
        value = recorder.value_of(payload(leaf))
        k, kind = want(value), value.aval.weak
        if kind is not None:
            return lambda payloads, call: kind(payloads[k])
        make = wrap_scalar if leaf.scalar else wrap
        return lambda payloads, call: make(_own(payloads[k]))

    @staticmethod
    def _restore(recorder):
        """Put back what arrays from outside held before they were captured or written to."""
        for ref in recorder.lifted:
            root = ref()
            if root is None or not isinstance(root.data_, GraphTracer) or root.data_.interpreter is not recorder:
                continue
            known = recorder.owners.get(id(root))
            if known is not None:
                restore(root, recorder.concrete[known[1]])
            elif root.home is not None:
                restore(root, root.home)


def _value_of(x, recorder):
    p = payload(x)
    return p.value if isinstance(p, GraphTracer) and p.interpreter is recorder else None


def _own(p):
    """A result as memory of its own: constants are copied."""
    return numpy.asarray(p) if isinstance(p, (numpy.generic, *NUMBERS, bool)) else p


def _write_back(target, p):
    if isinstance(target, ndarray):
        write(target, p)
    else:
        numpy.copyto(target, numpy.asarray(p))
