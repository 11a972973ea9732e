"""Every op as a function of npx arrays under each transform, with operands from its declaration."""

import functools

import numpy
import pytest
from optable import ALL_OPS, LAYOUTS, assert_same, builtin_class, cases, direction, double, plain

import npx as np
from npx.array.ndarray import payload, wrap_scalar
from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import is_inexact
from npx.testing import check_grads

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")

PURE = [op for op in ALL_OPS if not op.effect]


# ------------------------------------------------------------------------------------------------------- functions
def on_arrays(case):
    """The op as a function that takes and returns arrays."""

    def call(*arrays):
        out = case.op(*map(payload, arrays), **case.params)
        return tuple(map(wrap_scalar, out)) if type(out) is tuple else wrap_scalar(out)

    return call


def has_derivative(x):
    return is_inexact(aval_of(x).dtype)


def of_inexact(case):
    """The op as a function of those operands that have a derivative, and these operands."""
    places = [k for k, x in enumerate(case.operands) if has_derivative(x)]

    def call(*arrays):
        operands = list(case.operands)
        for k, x in zip(places, arrays, strict=True):
            operands[k] = x
        return on_arrays(case)(*operands)

    return call, [case.operands[k] for k in places]


def pulled(case, ans):
    """The pullback as a function of the inexact operands and the cotangents, and values for these."""
    call, operands = of_inexact(case)
    cotangents = [direction(a, numpy.random.default_rng(0)) if has_derivative(a) else a for a in ans]

    def pull(*arrays):
        value, pullback = np.vjp(call, *arrays[: len(operands)])
        given = arrays[len(operands) :]
        return pullback(given if type(value) is tuple else given[0])

    return pull, [*operands, *cotangents]


def pushed(case):
    """The tangents as a function of the inexact operands and their tangents, and values for these."""
    call, operands = of_inexact(case)
    tangents = [direction(x, numpy.random.default_rng(1)) for x in operands]
    return lambda *arrays: np.jvp(call, arrays[: len(operands)], arrays[len(operands) :])[1], [*operands, *tangents]


def smooth_cases(op, seed=0):
    """Examples in double precision with a finite result that has a derivative, and the result."""
    for case in cases(op, only=double, seed=seed):
        ans = case.expected()
        if isinstance(ans, Exception) or not any(map(has_derivative, case.operands)):
            continue
        smooth = [a for a in ans if has_derivative(a)]
        if smooth and all(aval_of(a).dtype.char in "dD" and numpy.all(numpy.isfinite(a)) for a in smooth):
            yield case, ans


EVERY_OP = pytest.mark.parametrize("op", PURE, ids=lambda op: op.name)
DIFFERENTIABLE = pytest.mark.parametrize("op", [op for op in PURE if op.vjp is not None], ids=lambda op: op.name)


def same(got, want, context):
    got, want = (x if type(x) is tuple else (x,) for x in (got, want))
    for have, need in zip(got, want, strict=True):
        assert_same(payload(have), payload(need), context)


# ----------------------------------------------------------------------------------------------------- derivatives
@DIFFERENTIABLE
def test_gradients_to_second_order(op):
    for case, _ in smooth_cases(op):
        call, operands = of_inexact(case)
        try:
            check_grads(call, operands, order=2)
        except Exception as error:
            error.add_note(str(case))
            raise


@pytest.mark.parametrize(
    "op", [op for op in PURE if op.kind == "elementwise" and op.vjp is not None], ids=lambda op: op.name
)
def test_python_numbers(op):
    """Derivatives at Python numbers are those at NumPy scalars."""
    for case, ans in smooth_cases(op):
        if all(numpy.ndim(x) == 0 for x in case.operands):
            numbers = case._replace(operands=tuple(numpy.asarray(x).item() for x in case.operands))
            for transformed in (functools.partial(pulled, ans=ans), pushed):
                (of_numbers, values), (of_arrays, arrays) = transformed(numbers), transformed(case)
                same(of_numbers(*values), of_arrays(*arrays), numbers)


# ------------------------------------------------------------------------------------------------------------ vmap
def selections(operands):
    """The places of each array alone, and of all arrays."""
    arrays = tuple(k for k, x in enumerate(operands) if isinstance(x, (numpy.ndarray, numpy.generic)))
    return sorted({*((k,) for k in arrays), arrays} - {()})


def check_vmap(function, rows, places, context):
    """`function` mapped over the operands at `places`, bare and compiled, against a loop over the rows."""
    rows = [[x if k in places else rows[0][k] for k, x in enumerate(row)] for row in rows]
    outs = [function(*row) for row in rows]
    if type(outs[0]) is tuple:
        want = tuple(numpy.stack([numpy.asarray(x) for x in column]) for column in zip(*outs))
    else:
        want = numpy.stack([numpy.asarray(x) for x in outs])
    args = [numpy.stack(column) if k in places else column[0] for k, column in enumerate(zip(*rows))]
    mapped = np.vmap(function, in_axes=tuple(0 if k in places else None for k in range(len(args))))
    for how in (mapped, np.jit(mapped)):
        same(how(*args), want, f"{context} mapped over {places}")


@EVERY_OP
def test_vmap(op):
    only = plain if any(cases(op, only=plain)) else None
    for draws in zip(*(cases(op, only=only, seed=k) for k in range(3))):
        answers = [case.expected() for case in draws]
        if any(isinstance(a, Exception) for a in answers) or len({tuple(map(numpy.shape, a)) for a in answers}) > 1:
            continue
        for places in selections(draws[0].operands):
            check_vmap(on_arrays(draws[0]), [case.operands for case in draws], places, draws[0])


@DIFFERENTIABLE
def test_vmap_of_derivatives(op):
    """With each operand, cotangent or tangent mapped alone, and all of them."""
    for draws in zip(*(smooth_cases(op, seed=k) for k in range(2))):
        for transformed in (lambda drawn: pulled(*drawn), lambda drawn: pushed(drawn[0])):
            functions = [transformed(drawn) for drawn in draws]
            rows = [operands for _, operands in functions]
            for places in selections(rows[0]):
                check_vmap(functions[0][0], rows, places, f"derivative of {draws[0][0]}")


# ------------------------------------------------------------------------------------------------------------- jit
def check_jit(function, *calls, context):
    """`function` compiled against itself, with these operands, and with all of them again: the compiled code runs."""
    compiled = np.jit(function)
    for operands in (*calls, *calls):
        same(compiled(*operands), function(*operands), f"{context} under jit")
    assert all(s.reason is None for s in compiled._signatures.values()), compiled.explain()
    return compiled


def usable(*draws):
    return not any(isinstance(case.expected(), Exception) for case in draws)


@EVERY_OP
def test_jit(op):
    """Every dtype, with other values in the second call."""
    for first, second in zip(cases(op), cases(op, seed=1)):
        if usable(first, second):
            check_jit(on_arrays(first), first.operands, second.operands, context=first)


@EVERY_OP
def test_jit_layouts(op):
    """One compiled function takes its operands in every memory layout."""
    for case in cases(op, only=plain):
        if usable(case):
            laid_out = [
                [layout(numpy.array(x)) if isinstance(x, numpy.ndarray) and x.ndim else x for x in case.operands]
                for layout in (numpy.array, *LAYOUTS)
            ]
            compiled = check_jit(on_arrays(case), *laid_out, context=case)
            assert len(compiled._signatures) == 1


@DIFFERENTIABLE
def test_jit_of_derivatives(op):
    for case, ans in smooth_cases(op):
        for function, operands in (pulled(case, ans), pushed(case)):
            check_jit(function, operands, context=f"derivative of {case}")


# ---------------------------------------------------------------------------------------------------------- errors
def mapped_over_arrays(call, operands):
    """`call` under vmap with two copies of every array."""
    args = [numpy.stack([x, x]) if isinstance(x, numpy.ndarray) else x for x in operands]
    np.vmap(call, in_axes=tuple(0 if isinstance(x, numpy.ndarray) else None for x in operands))(*args)


UNDER = {
    "grad": lambda call, operands: np.vjp(call, *operands),
    "jit": lambda call, operands: np.jit(call)(*operands),
    "vmap": mapped_over_arrays,
}


@pytest.mark.parametrize("transform", UNDER)
@EVERY_OP
def test_errors(op, transform):
    """Bad operands raise NumPy's exception under every transform."""
    for case in cases(op, only=plain):
        want = case.expected()
        if isinstance(want, Exception) and any(map(numpy.ndim, case.operands)):
            with pytest.raises(builtin_class(want)):
                UNDER[transform](on_arrays(case), case.operands)
                pytest.fail(f"{case} raises no {want!r} under {transform}")
