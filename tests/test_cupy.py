"""The CUDA backend as far as it goes without a GPU: its table, with NumPy in the place of CuPy.

What CuPy itself computes can only be tested where it runs; here every function of the table is called with the operands
and params that its op gives it.
"""

import numpy
import pytest
from conformance.devices import CupyArray, cuda_backend
from optable import ALL_OPS, assert_same, builtin_class, cases, in_promised_order, results

from npx.dispatch import debug


@pytest.fixture(scope="module")
def cuda():
    """The backend, registered only while these tests run."""
    with cuda_backend() as backend:
        yield backend


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("op", [op for op in ALL_OPS if not op.effect], ids=lambda op: op.name)
def test_table(op, cuda):
    if op.name not in cuda.impls:
        assert op.name not in cuda.impls.functions or cuda.impls.functions[op.name] is None
        return
    for case in cases(op, only=lambda types: set(types) <= set("?blefdFD")):
        if not any(isinstance(x, numpy.ndarray) for x in case.operands):
            continue
        operands = [cuda.asarray(x) if isinstance(x, numpy.ndarray) else x for x in case.operands]
        want = case.expected()
        if isinstance(want, Exception):
            with pytest.raises(builtin_class(want)):
                print(cuda.impls[op.name](*operands, **case.params), "for", case)
            continue
        for have, need in zip(results(op, cuda.impls[op.name](*operands, **case.params)), want, strict=True):
            assert type(have) is CupyArray
            assert_same(in_promised_order(case, numpy.asarray(have)), in_promised_order(case, need), case)


def test_most_ops_need_no_host(cuda):
    debug.round_trips.clear()
    lacking = {op.name for op in ALL_OPS if op.name not in cuda.impls and "." not in op.name and op.kind != "linalg"}
    assert lacking == {"host_call", "lexsort", "packbits", "unpackbits"}
