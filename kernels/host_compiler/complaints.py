"""What compiled code says about divisions by zero, overflows, underflows and invalid values.

Compiled loops look at nothing while they run; the processor notes in flags what went wrong. Where `numpy.errstate`
wants to hear of it, NumPy computes the graph again, op by op, and so finds what happened on which line.
"""

import sys
import warnings

import numpy

from npx.dispatch.debug import log

#: times in a row that flags are raised by nothing NumPy would complain of, after which a program's flags mean nothing
MOST_FALSE_ALARMS = 3
#: times that a program gives the same warnings, after which they are given again without computing anything
ENOUGH = 3

#: what NumPy calls a complaint in messages -> in `errstate`
KINDS = {"divide by zero": "divide", "overflow": "over", "underflow": "under", "invalid value": "invalid"}


class Complaints:
    """The complaints of one graph.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, graph):
        self.graph = graph
        self.false_alarms = 0
        self.repeated = {}  # kinds that were to be warned of -> (the warnings of the last time, how often in a row)
        if any(node.op.effect for node in graph.nodes):  # it must not run twice
            self.false_alarms = MOST_FALSE_ALARMS

    def hear(self, args, raised):
        """Complain as `errstate` says of a call with these arguments, in which these kinds of flags were raised.

        Raises
        ------
        FloatingPointError
            `errstate` says so.
        """
        if self.false_alarms >= MOST_FALSE_ALARMS:
            return
        modes = {kind: mode for kind, mode in numpy.geterr().items() if kind in raised and mode != "ignore"}
        if not modes:
            return
        given, times = self.repeated.get(tuple(modes), (None, 0))
        if times < ENOUGH or set(modes.values()) != {"warn"}:
            found = self.replay(args, modes)
            if not found:
                self.false_alarms += 1
                log("jit", f"{self.graph.name}: flags for {', '.join(modes)} were raised without cause")
                return
            self.false_alarms = 0
            self.repeated[tuple(modes)] = given, times = found, times + 1 if found == given else 1
        for message, where in given:
            if message is not None:
                _warn(message, where)

    def replay(self, args, modes):
        """Compute the graph op by op; returns the warnings to give as (message, line), with None for other modes."""
        env = dict(zip(self.graph.inputs, args, strict=True))
        found, heard = [], set()
        wanted = {**dict.fromkeys(KINDS.values(), "ignore"), **dict.fromkeys(modes, "call")}
        user_call = numpy.geterrcall()
        for node in self.graph.nodes:
            operands = [v.const if v.is_const else env[v] for v in node.inputs]
            with numpy.errstate(**wanted, call=lambda what, flag: heard.add(KINDS[what])):
                out = node.op(*operands, **node.params)
            env.update(zip(node.outputs, (out,) if len(node.outputs) == 1 else out, strict=True))
            for kind in sorted(heard):
                found.append((_complain(node, operands, kind, modes[kind], user_call), node.where))
            heard.clear()
        return found


def _complain(node, operands, kind, mode, user_call):
    """Let NumPy complain of one op: the message for ``"warn"``, else what `mode` says happens now."""
    try:
        with numpy.errstate(
            **{**dict.fromkeys(KINDS.values(), "ignore"), kind: "raise" if mode == "warn" else mode}, call=user_call
        ):
            node.op(*operands, **node.params)
    except FloatingPointError as error:
        if mode == "warn":
            return str(error)
        if node.where:
            error.add_note(f"in {node.op.name} at {node.where}")
        raise
    return None


def _warn(message, where):
    """Warn as the user's line would."""
    filename, _, line = (where or "<unknown>:0").rpartition(":")
    module = next((m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == filename), None)
    name = getattr(module, "__name__", filename)
    registry = vars(module).setdefault("__warningregistry__", {}) if module else _registries.setdefault(filename, {})
    warnings.warn_explicit(message, RuntimeWarning, filename, int(line), name, registry)


_registries = {}  # file of a module that is not loaded -> what has been warned of there
