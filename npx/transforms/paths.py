"""What jit remembers of a function: straight pieces of graph between the points where Python decides.

Where Python asks for a value (``if``, ``while``, ``int(x)``, a shape that depends on data) the graph is split: the
value is computed, Python goes on with it, and the answer becomes an edge of a tree. A later call runs the compiled
pieces along the edges that its own values choose, without Python; an answer never seen before leads to a new recording,
which walks the known pieces first and adds one.
"""

import numpy

from npx.dispatch.debug import log
from npx.dispatch.graph import Graph, Node

#: answers that one question may have before the function is left to Python
MOST_ANSWERS = 12
#: recorded ops after which a function is left to Python: loops that long are not worth unrolling
MOST_NODES = 20_000


class Unsuitable(Exception):
    """Recording is given up; the message says why, for the report."""


class Diverged(Exception):
    """A recording did not repeat the pieces it was to walk: the function depends on something that jit cannot see."""


class Leaf:
    """The end of a path: where the results are.

    Attributes
    ----------
    values : list of Value
        Everything to compute: traced results first, then the new contents of arrays that were written to.
    finish : callable
        ``finish(payloads, call) -> result`` writes the arrays back and builds what the function returns.
    writes : bool
        Whether something from outside is written to, or drawn from.
    """

    __slots__ = ("values", "finish", "writes")

    def __init__(self, values, finish, writes):
        self.values, self.finish, self.writes = values, finish, writes


class Branch:
    """One straight piece: nodes, then either a question (`guard`) with its answers so far, or the end (`leaf`)."""

    __slots__ = ("nodes", "guard", "where", "children", "leaf", "inputs", "outputs", "compiled")

    def __init__(self):
        self.nodes, self.guard, self.where, self.children, self.leaf = [], None, None, {}, None
        self.inputs, self.outputs, self.compiled = (), (), None

    def copy(self):
        """The same piece, with copies of what follows it."""
        new = Branch()
        for name in self.__slots__:
            setattr(new, name, getattr(self, name))
        new.nodes, new.children = list(self.nodes), {key: child.copy() for key, child in self.children.items()}
        return new


def answer_key(concrete):
    """What distinguishes one answer to a question from another."""
    concrete = numpy.asarray(concrete)
    return concrete.tobytes(), concrete.shape, concrete.dtype.str


class PathTree:
    """The pieces recorded for one signature of a function.

    A tree that calls run along does not change: a recording extends a copy, which then takes its place. So calls in
    other threads never see a piece that is half recorded, and a recording that fails leaves nothing behind.

    Parameters
    ----------
    inputs : list of Value
        One per dynamic argument.
    """

    def __init__(self, inputs):
        self.inputs = list(inputs)
        self.captured = []  # (Captured, Value): arrays from outside that the function reads
        self.shared = {}  # id of a NumPy array from outside -> the npx array on its memory
        self.first = Branch()
        self.ends = []  # the leaves
        self.nodes = 0
        self.states = {}  # id -> what random draws change, an object with an attribute `state`
        self.made = []  # the states of generators that the function makes, in order
        self.notes = {}  # lines for the report, in order
        self.written = set()  # positions of arguments, and ids of arrays from outside, that some path writes to

    def copy(self):
        """A tree to record into."""
        new = PathTree(self.inputs)
        for name, value in vars(self).items():
            setattr(new, name, value.copy() if hasattr(value, "copy") else value)
        return new

    # ------------------------------------------------------------------------------------ recording
    def record(self, branch, cursor, op, inputs, params, avals, where):
        """The node at `cursor`: the one recorded there before, or a new one."""
        if cursor < len(branch.nodes):
            node = branch.nodes[cursor]
            if node.op is not op or not _same_inputs(node.inputs, inputs) or not _same(node.params, params):
                raise Diverged(f"{op.name} at {where} where {node.op.name} at {node.where} was recorded")
            return node
        if branch.guard is not None or branch.leaf is not None:
            raise Diverged(f"{op.name} at {where} where nothing more was recorded")
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise Unsuitable(f"more than {MOST_NODES} ops ({where})")
        node = Node(op, inputs, params, avals, where)
        branch.nodes.append(node)
        return node

    def ask(self, branch, cursor, value, concrete, where):
        """Split at a question; returns the branch behind its answer."""
        if cursor < len(branch.nodes) or branch.leaf is not None or branch.guard not in (None, value):
            raise Diverged(f"a decision at {where} that was not recorded")
        branch.guard, branch.where = value, where
        key = answer_key(concrete)
        if key not in branch.children and len(branch.children) >= MOST_ANSWERS:
            raise Unsuitable(f"the value asked for at {where} took more than {MOST_ANSWERS} different values")
        return branch.children.setdefault(key, Branch())

    def finish(self, path, leaf):
        """End the path (a list of branches) with its leaf, and note what each piece must hand on."""
        last = path[-1]
        if last.guard is not None:
            raise Diverged("the function returned where a decision was recorded")
        last.leaf = leaf
        self.ends.append(leaf)
        needed = {v for v in leaf.values if not v.is_const}
        for branch in reversed(path):
            if branch.guard is not None and not branch.guard.is_const:
                needed.add(branch.guard)
            made = {v for node in branch.nodes for v in node.outputs}
            outputs = needed & made
            if not outputs <= set(branch.outputs):
                branch.outputs = tuple(v for n in branch.nodes for v in n.outputs if v in outputs | set(branch.outputs))
                branch.compiled = None
            read = dict.fromkeys(v for n in branch.nodes for v in n.inputs if not v.is_const and v not in made)
            branch.inputs = tuple(read)
            needed |= set(read)

    # ------------------------------------------------------------------------------------ running
    def run(self, payloads, compile_graph):
        """Follow the path that the values choose.

        Returns
        -------
        tuple of (Leaf, list of payload) or None
            None where the path leads to an answer that has not been recorded.
        """
        env = dict(zip(self.inputs, payloads, strict=True))
        for captured, value in self.captured:
            now = env[value] = captured()
            if now.shape != value.aval.shape or now.dtype != value.aval.dtype:
                return None
        branch = self.first
        while True:
            if branch.outputs:
                if branch.compiled is None:
                    branch.compiled = compile_graph(Graph(branch.inputs, branch.nodes, branch.outputs))
                env.update(zip(branch.outputs, branch.compiled([env[v] for v in branch.inputs]), strict=True))
            elif any(node.op.effect for node in branch.nodes):
                compile_graph(Graph(branch.inputs, branch.nodes, ()))([env[v] for v in branch.inputs])
            if branch.leaf is not None:
                return branch.leaf, [numpy.array(v.const) if v.is_const else env[v] for v in branch.leaf.values]
            if branch.guard is None:
                return None
            branch = branch.children.get(answer_key(env[branch.guard]))
            if branch is None:
                return None

    def describe(self):
        """The pieces and the questions between them, as text."""
        lines, pending = [], [(self.first, 0, None)]
        while pending:
            branch, depth, key = pending.pop()
            pad = "  " * depth
            if key is not None:
                lines.append(f"{pad[2:]}answer {numpy.frombuffer(key[0], key[2]).reshape(key[1])}:")
            graph = Graph(branch.inputs, branch.nodes, branch.outputs, name="piece")
            lines.extend(pad + line for line in str(graph).splitlines())
            if branch.guard is not None:
                lines.append(f"{pad}split: Python asks for a value at {branch.where}")
                pending.extend((child, depth + 1, key) for key, child in reversed(branch.children.items()))
        return "\n".join([*self.notes, *lines])


def _same_inputs(known, new):
    return len(known) == len(new) and all(
        a is b or (a.is_const and b.is_const and _same_constant(a.const, b.const)) for a, b in zip(known, new)
    )


def _same_constant(a, b):
    a, b = getattr(a, "value", a), getattr(b, "value", b)
    if isinstance(a, numpy.ndarray) or isinstance(b, numpy.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and answer_key(a) == answer_key(b)
    return type(a) is type(b) and (a == b or a is b or a != a)


def _same(a, b):
    try:
        return bool(a == b)
    except ValueError:  # params that hold arrays
        log("jit", "params of an op hold an array")
        return False
