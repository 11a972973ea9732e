"""``jit``: record a function's ops, compile them, and run the compiled code in place of Python.

``jit(f)(*args)`` returns what ``f(*args)`` returns: values, types, writes into arguments and into arrays from outside,
exceptions. Where that cannot be had by compiled code, Python runs `f`, and `Jitted.explain` says where and why.
"""

import functools
import os
import threading

import numpy

from npx.array.calling import placement
from npx.array.interop import is_subclass
from npx.array.ndarray import capturing, ndarray, payload, wrap, wrap_scalar
from npx.array.views import restore, write
from npx.dispatch import registry
from npx.dispatch.abstract import aval_of
from npx.dispatch.debug import log
from npx.dispatch.graph import Value, evaluate
from npx.dispatch.interpreter import Tracer, active

from . import tree
from .aliasing import entangled
from .body import Leaked
from .closure import Surroundings, state_of
from .compiled_call import on_tape
from .conversion import called, converted
from .draws import maps
from .paths import Diverged, Leaf, PathTree, Unsuitable
from .recording import Inline, Recorder
from .results import NUMBERS, own
from .results import makers as result_makers
from .rewrite import rewrite
from .trace import GraphTracer
from .watching import watching

#: values of a whole number that are compiled each by itself (shapes and counts are), before it is traced as a number
MOST_VALUES = 3
#: recordings that may diverge before a signature is left to Python
MOST_DIVERGENCES = 3

#: held by the thread that records. Recordings come one at a time, for an array can hold the tracer of one of them only;
#: meanwhile calls in other threads that would have to be recorded are left to Python, for none may wait for another
_recording = threading.Lock()


def _after_fork():
    """A child has none of the parent's other threads, nor their recordings."""
    global _recording
    if not capturing():
        _recording = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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
        self._layouts_count = False  # whether memory layouts of arguments are part of the key

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self):
        return f"<jit of {tree.name_of(self.fun)}>"

    def __call__(self, *args, **kwargs):
        if capturing() or watching.get():  # inside another recording: part of it; debug_gradients looks at each op
            return called(self.fun)(*args, **kwargs)
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
        return self._signatures.setdefault(call.key, Signature(self, call)) if signature is None else signature

    def let_layouts_count(self):
        """From now on a signature is for one memory layout: the function makes views or copies according to it."""
        if not self._layouts_count:
            self._layouts_count = True
            self._signatures = {key: s for key, s in self._signatures.items() if s.contiguous}

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

    __slots__ = ("args", "kwargs", "leaves", "structure", "places", "payloads", "key", "traced", "held", "reason")

    def __init__(self, jitted, args, kwargs):
        self.args, self.kwargs, self.traced, self.reason = args, kwargs, False, None
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
                keys.append(self._sort(i, leaf, seen, jitted._layouts_count))
        state, held = jitted.surroundings()
        self.held += held
        self.key = (self.structure, tuple(keys), state, placement())

    def _sort(self, i, leaf, seen, layouts_count):
        """Note a dynamic leaf; returns what of the leaf belongs to the key."""
        if is_subclass(leaf):
            self.reason = f"an argument is an array of the class {type(leaf).__name__}, which is no plain array"
            return type(leaf)
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
            if layouts_count and isinstance(p, numpy.ndarray) and not p.flags.c_contiguous:
                key = (*key, p.strides)
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

    def __init__(self, jitted, call):
        self.jitted, self.fun = jitted, jitted.fun
        self.reason, self.divergences, self.held = call.reason, 0, call.held
        self.regions = True  # whether loops may become regions
        self.contiguous = all(p.flags.c_contiguous for p in call.payloads if isinstance(p, numpy.ndarray))
        self._drawing = threading.Lock()
        self.pulls = {}  # positions of the operands on a tape -> the jitted way back
        self._start(call)

    def _start(self, call):
        self.tree = PathTree([Value(aval_of(p)) for p in call.payloads])

    def run(self, call):
        """Run one call: compiled where its path is known, else recorded first."""
        if self.reason is None and not (self.tree.states and maps()):
            for _ in range(2):
                known = self.tree  # another thread may put a longer one in its place
                if known.written and self._entangled(known, call):
                    break
                if known.made and not self._drawing.acquire(blocking=False):
                    break  # another thread draws from the generators that the compiled function makes
                try:
                    found = self._follow(known, call)
                    recording = self._record(call) if found is None else None
                finally:
                    if known.made:
                        self._drawing.release()
                if found is not None:
                    leaf, results = found
                    return leaf.finish(results, call)
                if recording is None:
                    break
                if recording.recorder.abandoned is not None:
                    return recording.conclude()
        return self.fun(*call.args, **call.kwargs)

    def _follow(self, known, call):
        """The leaf and the results that the known paths lead to, or None; then nothing was drawn."""
        states = [(changed, changed.state) for changed in known.states.values()]
        found = known.run(call.payloads, functools.partial(self._compile, call))
        if found is None:
            for changed, state in states:
                changed.state = state
        return found

    @staticmethod
    def _entangled(known, call):
        """Whether an array that the function writes to shares memory with another one that it uses."""
        places = [i for i in call.places if isinstance(call.leaves[i], ndarray)]
        sources = [captured.source for captured, _ in known.captured]
        written = {k for k, key in enumerate([*places, *map(id, sources)]) if key in known.written}
        return entangled([*(call.leaves[i] for i in places), *sources], written)

    def is_pure(self, call):
        """Whether calls like this one are compiled in one piece and write into nothing from outside."""
        if self.reason is None and not self.tree.ends:
            self._record(call)
        leaf = self.tree.first.leaf
        return self.reason is None and leaf is not None and not leaf.writes

    def _record(self, call):
        """Record the path of this call; None where Python must run the function.

        That is for ever, or under a transform, or while another thread records. The `abandoned` recorder of a recording
        says why it is not in the tree: then it can only be the call itself.
        """
        lock = _recording
        if not lock.acquire(blocking=False):
            return None
        try:
            return self._record_alone(call)
        finally:
            lock.release()

    def _record_alone(self, call):
        recording = Recording(self.tree.copy(), call, self.regions)
        recorder = recording.recorder
        try:
            recording.record(converted(self.fun) if self.regions else self.fun)
        except Inline:
            return None
        except Leaked:
            self.regions = False
            self._start(call)
            return self._record_alone(call)
        except Unsuitable as why:
            self._give_up(str(why))
            return None
        except Diverged as why:
            self._diverged(why, call)
            return None if self.reason else self._record_alone(call)
        if recorder.layouts_count:
            self.jitted.let_layouts_count()
        if recorder.abandoned is None and recorder.leaked():
            recorder.abandoned = Unsuitable("it keeps arrays that it has computed somewhere outside")
        if isinstance(recorder.abandoned, Unsuitable):
            self._give_up(str(recorder.abandoned))
        elif recorder.abandoned is not None:
            self._diverged(recorder.abandoned, call)
        else:
            self.tree = recording.tree
        return recording

    def _diverged(self, why, call):
        """Start anew with a function that does not repeat what was recorded; give up at the third time."""
        self.divergences += 1
        log("jit", f"{tree.name_of(self.fun)}: {why}; recorded anew")
        if self.divergences > MOST_DIVERGENCES:
            self._give_up(f"it does not do the same in every call: {why}")
        else:
            self._start(call)

    def _give_up(self, why):
        self.reason = why
        log("jit", f"{tree.name_of(self.fun)} is left to Python: {why}")

    def _compile(self, call, graph):
        """Compile a piece with the backend that owns the arguments."""
        kinds = {type(p) for p in call.payloads} | {type(c()) for c, _ in self.tree.captured}
        kinds |= {type(v.const) for node in graph.nodes for v in node.inputs if v.is_const}
        kinds |= {type(v.const) for v in graph.outputs if v.is_const}
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

    def __init__(self, path_tree, call, regions=True):
        self.tree, self.call, self.leaf = path_tree, call, None
        self.recorder = Recorder(self.tree, call.payloads, {id(o) for o in call.held}, regions)
        self.drawn = []  # what random draws change, with its state after the run

    def record(self, fun):
        """Run `fun` on tracers and end the path with what it returned and wrote."""
        call, recorder = self.call, self.recorder
        try:
            with active(recorder, self._restore):
                arguments = self._arguments()
                args, kwargs = call.structure.unflatten(arguments)
                leaves, structure = tree.flatten(fun(*args, **kwargs))
                self._check_containers((args, kwargs), arguments)
                self._end(arguments, leaves, structure)
        finally:
            for changed, state in recorder.states.values():
                self.tree.states[id(changed)] = changed
                self.drawn.append((changed, changed.state))
                changed.state = state

    def _arguments(self):
        """The leaves to call the function with: arrays with tracers in the places of dynamic ones."""
        leaves, fresh = list(self.call.leaves), {}
        for i, p, value in zip(self.call.places, self.call.payloads, self.tree.inputs, strict=True):
            leaf, tracer = self.call.leaves[i], self.recorder.tracer(value)
            if not isinstance(leaf, numpy.ndarray) and type(leaf) is not ndarray:
                leaves[i] = wrap_scalar(tracer)
                continue
            leaves[i] = fresh[id(leaf)] = wrap(tracer)
            if isinstance(p, numpy.ndarray):
                self.recorder.memory[id(leaves[i])] = p
        return [fresh.get(id(leaf), leaf) for leaf in leaves]

    def _check_containers(self, given, arguments):
        """Refuse a function that changes lists or dicts among its arguments: those that it got are not the caller's."""
        leaves, structure = tree.flatten(given)
        if structure != self.call.structure or any(a is not b for a, b in zip(leaves, arguments)):
            raise Unsuitable("it changes what a list or dict among its arguments holds")

    def _end(self, arguments, leaves, structure):
        """Build the leaf of the path: what to compute, and how to make the result of it."""
        recorder, values, writes = self.recorder, [], []

        def want(value):
            values.append(value)
            return len(values) - 1

        def want_content(x, known):
            now = recorder.value_of(payload(x))
            if (now.aval.shape, now.aval.dtype) != (known.aval.shape, known.aval.dtype):
                raise Unsuitable("it sets the shape or dtype of an array that it was given")
            return want(now)

        for i, value in zip(self.call.places, self.tree.inputs, strict=True):
            x = arguments[i]
            if not x.scalar and _value_of(x, recorder) is not value:
                writes.append((want_content(x, value), i))
        outside = []
        for root, value in list(recorder.owners.values()):
            if type(root) is ndarray and _value_of(root, recorder) is not value:
                outside.append((want_content(root, value), root))
        makers = result_makers(leaves, recorder, arguments, want)

        def finish(payloads, call):
            for k, i in writes:
                _write_back(call.leaves[i], payloads[k])
            for k, root in outside:
                _write_back(root, payloads[k])
            made = {}
            return structure.unflatten([make(payloads, call, made) for make in makers])

        self.leaf = Leaf(values, finish, bool(writes or outside or recorder.states))
        recorder.on_tree(self.tree.finish, recorder.path, self.leaf)
        if recorder.abandoned is None:
            self.tree.written.update((i for _, i in writes), (id(root) for _, root in outside))

    def conclude(self):
        """Let this run be the call: write what it wrote, and return its result."""
        for changed, state in self.drawn:
            changed.state = state
        payloads = [self.recorder.evaluate(v) for v in self.leaf.values]
        self.recorder.settle(self.recorder.leaked())
        return self.leaf.finish([p.copy() if isinstance(p, numpy.ndarray) else p for p in payloads], self.call)

    def _restore(self):
        """Put back what arrays from outside held before they were captured or written to."""
        recorder = self.recorder
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


def _write_back(target, p):
    if type(target) is ndarray:
        write(target, own(p))
    else:
        numpy.copyto(target, numpy.asarray(p))
