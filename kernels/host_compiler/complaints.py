"""What compiled code says about divisions by zero, overflows, underflows and invalid values.

Compiled loops compute on regardless; the processor notes in flags what went wrong. Where `numpy.errstate` wants to hear
of it, NumPy computes the graph again, op by op, and so finds what happened on which line.
"""

import collections
import sys
import warnings

import numpy

from npx.dispatch.debug import log, user_line

#: times in a row that a flag is raised where NumPy would not complain, after which it means nothing in a program
MOST_FALSE_ALARMS = 3
#: times in a row that a program gives the same warnings, after which they are given again without computing anything
ENOUGH = 3

#: what NumPy calls a complaint in messages -> in `errstate`
KINDS = {"divide by zero": "divide", "overflow": "over", "underflow": "under", "invalid value": "invalid"}
SILENT = dict.fromkeys(KINDS.values(), "ignore")

_registries = {}  # file of a module that is not loaded -> what has been warned of there


class Complaints:
    """The complaints of one graph.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, graph):
        self.graph = graph
        self.runs_once = any(node.op.effect for node in graph.nodes)
        self.false_alarms = collections.Counter()  # by kind
        self.given = {}  # kinds to be warned of -> (the warnings of the last time, how often in a row)

    def hear(self, args, raised):
        """Complain as `errstate` says of a call in which flags were raised.

        Parameters
        ----------
        args : list of payload
            The arguments of the call.
        raised : list of str
            As `errstate` calls the flags.

        Raises
        ------
        FloatingPointError
            `errstate` says so.
        """
        if self.runs_once:
            return
        wanted = numpy.geterr()
        modes = {k: wanted[k] for k in raised if wanted[k] != "ignore" and self.false_alarms[k] < MOST_FALSE_ALARMS}
        if not modes:
            return
        warned, times = self.given.get(tuple(modes), ((), 0))
        if times < ENOUGH or set(modes.values()) != {"warn"}:
            found = self.replay(args, modes)
            self.given[tuple(modes)] = found, times + 1 if found == warned else 1
            warned = found
        for message, where in warned:
            _warn(message, where)

    def replay(self, args, modes):
        """Compute the graph op by op and complain; what is to be warned of is returned, as (message, line)."""
        env = dict(zip(self.graph.inputs, args, strict=True))
        warned, heard, all_heard = [], set(), set()
        listening = {**SILENT, **dict.fromkeys(modes, "call"), "call": lambda what, flag: heard.add(KINDS[what])}
        for node in self.graph.nodes:
            operands = [v.const if v.is_const else env[v] for v in node.inputs]
            with numpy.errstate(**listening):
                out = node.op(*operands, **node.params)
            env.update(zip(node.outputs, (out,) if len(node.outputs) == 1 else out, strict=True))
            for kind in sorted(heard):
                if modes[kind] == "warn":
                    warned.append((_message(node, operands, kind), node.where))
                else:
                    _complain(node, operands, kind, modes[kind])
            all_heard |= heard
            heard.clear()
        for kind in modes:
            self.false_alarms[kind] = 0 if kind in all_heard else self.false_alarms[kind] + 1
            if kind not in all_heard:
                log("jit", f"{self.graph.name}: the flag for {kind!r} was raised without cause")
        return warned


def _complain(node, operands, kind, mode):
    """Let NumPy complain of one op in a mode of `errstate`."""
    try:
        with numpy.errstate(**{**SILENT, kind: mode}):
            node.op(*operands, **node.params)
    except FloatingPointError as error:
        if node.where:
            error.add_note(f"in {node.op.name} at {node.where}")
        raise


def _message(node, operands, kind):
    """What NumPy says of one op."""
    try:
        _complain(node, operands, kind, "raise")
    except FloatingPointError as error:
        return str(error)
    return f"{kind} encountered in {node.op.name}"  # it went well this time: another thread writes to an operand


def _warn(message, where):
    """Warn as the user's line would; `where` is None for a graph that no function was traced to."""
    filename, _, line = (where or user_line() or "<unknown>:0").rpartition(":")
    module = next((m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == filename), None)
    name = getattr(module, "__name__", filename)
    registry = vars(module).setdefault("__warningregistry__", {}) if module else _registries.setdefault(filename, {})
    warnings.warn_explicit(message, RuntimeWarning, filename, int(line), name, registry)
