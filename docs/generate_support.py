"""Writes `support.md`: NumPy's functions one by one, with what was found when each was called under each transform.

Sphinx calls it before each build; ``python docs/generate_support.py`` does so by hand. It takes a few minutes, for it
makes every sample call of `tests/conformance`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # the sample calls are those of the tests

from npx.dispatch import debug  # noqa: E402
from tests.conformance import tracing  # noqa: E402
from tests.conformance.calls import public_functions  # noqa: E402
from tests.conformance.devices import cuda_backend, recorded_ops  # noqa: E402

PAGE = Path(__file__).parent / "support.md"

HEAD = """\
# What runs where

NumPy's public functions, one by one. This page is written by `docs/generate_support.py` when the docs are built, from
calls of each function with sample arguments, whose results are compared with NumPy's; nothing here is entered by hand.
{counts}

On the host every function is there, with NumPy's own values. What differs from NumPy in general stands in
[deviations](deviations.md). The other columns:

- **jit**: *yes*, the calls became one compiled graph; *split*, it has several, because Python asks for values between
  them; *Python*, it is not compiled.
- **derivative**: *yes*, in reverse and forward mode, compared with finite differences; *zero*, nothing in the result is
  differentiable; *no*.
- **vmap**: *yes*, one call for a whole batch; *split*, one for each group of elements for which Python decides alike;
  *loop*, one for each element, which is counted and reported; *no*, with the reason, which is an error.
- **XLA**: *yes*, on the device; *host*, a part of the work is done on the host, which is counted and reported.
- **CuPy**: the same, read off the ops that the calls need and those that the backend has. It was not run on a GPU.

An empty cell: the sample calls say nothing, because nothing in them can be differentiated or stacked.
"""

JIT = {tracing.RIGHT: "yes", tracing.SPLIT: "split", tracing.PYTHON: "Python"}
DERIVATIVE = {tracing.RIGHT: "yes", tracing.NOT_APPLICABLE: "zero"}
VMAP = {tracing.RIGHT: "yes", tracing.SPLIT: "split", tracing.PYTHON: "loop", tracing.NOT_APPLICABLE: ""}
XLA = {tracing.RIGHT: "yes", tracing.TRIP: "host"}

#: how an error says what is missing; the rest of its text is for the user at hand
REASON = re.compile(r"\w+: (?:numpy\.)?(.*?)(?:;|\. |\.$|, but this array| \(npx has no|$)")


def write_page():
    """Write the page."""
    PAGE.write_text(page())


def page(only=()):
    """The text of the page.

    Parameters
    ----------
    only : sequence of str
        Words of which one must be in the name of a function; empty for all functions.
    """
    outcomes, needs = tracing.measure(only=only), on_xla(only)
    with cuda_backend() as backend:
        rows = [row(name, found, *needs[name], backend) for name, found in outcomes.items() if found]
    parts = [HEAD.format(counts=counts(rows))]
    for module in dict.fromkeys(name.rpartition(".")[0] for name in outcomes):
        mine = [r for r in rows if r["function"].strip("`").rpartition(".")[0] == module]
        others = [n for n, found in outcomes.items() if not found and n.rpartition(".")[0] == module]
        parts.append(f"## {module}\n")
        parts += [table(mine) + "\n"] if mine else []
        if others:
            names = ", ".join(f"`{name.rpartition('.')[2]}`" for name in others)
            parts.append(f"Not called here, for they take no arrays of numbers or are not about values: {names}.\n")
    return "\n".join(parts)


def on_xla(only):
    """By function, the outcomes of its sample calls on XLA, and the names of what they run there."""
    found = {}
    for function in public_functions():
        if only and not any(word in function.name for word in only):
            continue
        debug.round_trips.clear()
        with recorded_ops("xla") as asked:
            outcomes = [tracing.outcome("xla", sample) for sample in function.samples]
        found[function.name] = outcomes, asked | {name for name, _, _ in debug.round_trips}
    return found


def row(name, found, outcomes_on_xla, needs, backend):
    """The cells of one function, by column.

    Parameters
    ----------
    name : str
    found, outcomes_on_xla : list of Outcome
    needs : set of str
        The ops, and the functions for which there is no op, that the calls run on a device.
    backend : Backend
        The CUDA backend.
    """
    derivative = max(worst_of(found, "grad"), worst_of(found, "jvp"), key=badness)
    lacking = sorted(op for op in needs if op not in backend.impls)
    return {
        "function": f"`{name}`",
        "jit": cell(JIT, worst_of(found, "jit")),
        "derivative": cell(DERIVATIVE, derivative),
        "vmap": cell(VMAP, worst_of(found, "vmap")),
        "XLA": cell(XLA, worst_of(outcomes_on_xla, "xla")),
        "CuPy": f"host: {', '.join(f'`{op}`' for op in lacking)}" if lacking else "yes",
    }


def worst_of(found, transform):
    """The outcome that counts, of those of one function under one transform."""
    return max((o for o in found if o.transform == transform), key=badness)


def badness(outcome):
    """How bad an outcome is."""
    return tracing.VERDICTS.index(outcome.verdict)


def cell(words, outcome):
    """The word for a verdict, or what is missing."""
    if outcome.verdict in words:
        return words[outcome.verdict]
    reason = REASON.match(outcome.detail)
    text = re.sub(r" cannot be traced by \w+", "", reason[1] if reason else outcome.detail)
    return f"no: {text}".replace("|", "\\|")


def counts(rows):
    """A sentence on how many functions there are, and what holds of how many."""
    total = len(rows)
    compiled = sum(r["jit"] in ("yes", "split") for r in rows)
    derived = sum(r["derivative"] == "yes" for r in rows)
    discrete = sum(r["derivative"] == "zero" for r in rows)
    batched = sum(r["vmap"] in ("yes", "split") for r in rows)
    on_device = sum(r["XLA"] == "yes" for r in rows)
    return (
        f"Of {total} functions that compute with arrays, jit compiles {compiled}, {derived} have a derivative and "
        f"{discrete} a derivative of zero,\nvmap takes {batched}, and {on_device} run on XLA without the host."
    )


def table(rows):
    """Rows, which are dicts with the same keys, as Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(r.values()) for r in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    write_page()
