"""Control flow as ops: loops and branches whose bodies are graphs.

They are pure: what a body reads and changes are its inputs and outputs. The transforms differentiate and map them by
making new bodies (`npx.transforms.control_flow`); a backend that has no loops of its own runs the bodies op by op.

- ``for_loop(count, *constants, *state)``: the state after ``body(i, *constants, *state)`` for each i below `count`, or
  from the last one to 0 with the param `reverse`;
- ``while_loop(*constants, *state)``: the state after ``body(*constants, *state)`` for as long as
  ``test(*constants, *state)`` is true;
- ``cond(condition, *operands)``: what ``yes(*operands)`` or ``no(*operands)`` returns.

The bodies are `Region` params, and the param `constants` tells how many operands a loop does not change.
"""

from npx.dispatch.abstract import Aval
from npx.dispatch.graph import evaluate
from npx.dispatch.op import Op


def steps(count, reverse):
    """The numbers of the steps of a `for_loop`, in order."""
    return range(int(count) - 1, -1, -1) if reverse else range(int(count))


def _for_loop(count, *operands, body, constants, reverse):
    fixed, state = operands[:constants], operands[constants:]
    for i in steps(count, reverse):
        state = evaluate(body.graph, (i, *fixed, *state))
    return tuple(state)


def _while_loop(*operands, test, body, constants):
    fixed, state = operands[:constants], operands[constants:]
    while bool(evaluate(test.graph, (*fixed, *state))[0]):
        state = evaluate(body.graph, (*fixed, *state))
    return tuple(state)


def _cond(condition, *operands, yes, no):
    return tuple(evaluate((yes if bool(condition) else no).graph, operands))


def _results_of(name):
    return lambda avals, params: tuple(v.aval for v in params[name].graph.outputs)


#: a tape or the like that meets one of the ops by itself has been passed by
WHOLE = "it is differentiated as a whole, by npx.transforms.control_flow"


def _control(name, spec, result_of):
    """An op with any number of results, always in a tuple."""
    return Op(
        name, kind="control", nin=-1, nout=-1, rule=_results_of(result_of), spec=spec, expand=spec, no_deriv=WHOLE
    )


#: not among the declared ops, whose tests and documentation follow from examples: their params are graphs
FOR_LOOP = _control("for_loop", _for_loop, "body")
WHILE_LOOP = _control("while_loop", _while_loop, "body")
COND = _control("cond", _cond, "yes")


# A scalar that stands for a Python number again, after it was kept in an array
WEAK = Op(
    "weak",
    kind="cast",
    nin=1,
    rule=lambda avals, params: Aval((), avals[0].dtype, params["kind"]),
    spec=lambda x, kind: x.item(),
    expand=lambda x, kind: x.item() if hasattr(x, "item") else x,
    vjp=lambda i, g, ans, args, params: g,
    jvp=lambda tangents, ans, primals, params: tangents[0],
    batch=lambda op, size, payloads, flags, params: payloads[0],
    keeps=(False,),
    keeps_ans=False,
)
