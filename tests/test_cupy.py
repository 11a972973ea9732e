"""The CUDA backend as far as it goes without a GPU: its table, with NumPy in the place of CuPy.

What CuPy itself computes can only be tested where it runs; here every function of the table is called with the operands
and params that its op gives it.
"""

import importlib
import sys
import types

import numpy
import pytest
from optable import ALL_OPS, assert_same, builtin_class, cases, in_promised_order, results

from npx.dispatch import debug, registry


class Array(numpy.ndarray):
    """Stands for ``cupy.ndarray``."""


def stand_in():
    """A module with the names of CuPy that the backend uses, made of NumPy's."""
    cupy = types.ModuleType("cupy")
    cupy.__getattr__ = lambda name: getattr(numpy, name)
    cupy.ndarray = Array
    cupy.array = lambda x, dtype: numpy.array(x, dtype).view(Array)
    cupy.asnumpy = lambda x: numpy.array(x)
    return cupy


@pytest.fixture(scope="module")
def cuda():
    """The backend, registered only while these tests run."""
    backends = dict(registry.BACKENDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", stand_in())
        patch.delitem(sys.modules, "npx.kernels.cupy", raising=False)
        yield importlib.import_module("npx.kernels.cupy").BACKEND
    sys.modules.pop("npx.kernels.cupy", None)  # made with the stand-in: the next import is to ask for CuPy again
    registry.BACKENDS.clear()
    for backend in backends.values():
        registry.register_backend(backend)


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
            assert type(have) is Array
            assert_same(in_promised_order(case, numpy.asarray(have)), in_promised_order(case, need), case)


def test_most_ops_need_no_host(cuda):
    debug.round_trips.clear()
    lacking = {op.name for op in ALL_OPS if op.name not in cuda.impls and "." not in op.name and op.kind != "linalg"}
    assert lacking == {"host_call", "lexsort", "packbits", "unpackbits"}
