"""The XLA backend by itself: compiled graphs, devices, and npx's ops inside ``jax.jit``."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy
import pytest
from graphs import Build
from optable import ALL_OPS, assert_same, cases, in_promised_order, results

import npx
from npx.dispatch import debug, registry
from npx.dispatch.abstract import Aval, DataDependentShape, Hole
from npx.dispatch.graph import Value
from npx.dispatch.payloads import ops

XLA = registry.backend_named("xla")


def compiled(build, *outputs):
    """Compile a graph and run it on its payloads."""
    build.graph.outputs = list(outputs)
    return XLA.compile(build.graph)(build.payloads)


def on_host(values):
    return [XLA.to_host(v) if isinstance(v, XLA.payload_type) else v for v in values]


def simplest_case(op):
    """An example in double precision that NumPy accepts, or the first such in any types."""
    found = [c for c in cases(op) if not isinstance(c.expected(), Exception) and not set(c.types) & set("mMgG")]
    return next((c for c in found if set(c.types) <= {"d"}), found[0] if found else None)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("op", [op for op in ALL_OPS if op.name != "isnat"], ids=lambda op: op.name)
def test_compiled_ops(op):
    """Each op in a graph of its own; those that XLA lacks call the host."""
    case = simplest_case(op)
    build = Build(*(x for x in case.operands if isinstance(x, numpy.ndarray)))
    inputs = iter(build.inputs)
    operands = [next(inputs) if isinstance(x, numpy.ndarray) else x for x in case.operands]
    try:
        outputs = results(op, build.record(op.name, operands, case.params))
    except DataDependentShape:
        assert op.name in ("nonzero", "bincount")
        return
    for have, need in zip(on_host(compiled(build, *outputs)), case.expected(), strict=True):
        assert_same(in_promised_order(case, have), in_promised_order(case, numpy.asarray(need)), case)


def test_python_scalars_stay_weak():
    """Both as inputs and as constants they take the dtype of the arrays; results made of them alone are scalars."""
    x = numpy.arange(3, dtype=numpy.float32)
    b = Build(x, 2, 0.5)
    array, two, half = b.inputs
    got = compiled(b, b.add(array, two), b.multiply(b.multiply(two, half), array), b.multiply(two, 3), b.add(two, half))
    assert [v.dtype for v in got[:2]] == [numpy.float32] * 2
    numpy.testing.assert_array_equal(got[0], x + 2)
    numpy.testing.assert_array_equal(got[1], x)
    assert [(type(v), v) for v in got[2:]] == [(int, 6), (float, 2.5)]


def test_a_graph_is_compiled_once_for_all_values():
    b = Build(numpy.ones(3), 2)
    b.graph.outputs = [b.multiply(*b.inputs)]
    run = XLA.compile(b.graph)
    for scale in (2, 3, -1):
        numpy.testing.assert_array_equal(run([numpy.ones(3), scale])[0], [scale] * 3)


def test_constants_are_copied():
    constant = numpy.ones(1000)
    b = Build(numpy.ones(1000))
    b.graph.outputs = [b.add(b.inputs[0], constant), b.record("copy", [constant], {})]
    run = XLA.compile(b.graph)
    constant[:] = 5
    got = run(b.payloads)
    assert (got[0] == 2).all() and (got[1] == 1).all()


def test_an_output_may_be_an_input_or_a_constant():
    x = numpy.arange(3.0)
    b = Build(x)
    same, scalar = compiled(b, b.inputs[0], Value(Aval((), float), const=numpy.float64(2)))
    numpy.testing.assert_array_equal(same, x)
    assert scalar == 2


def test_a_host_call_in_a_graph_is_counted():
    debug.round_trips.clear()
    x = numpy.diag([4.0, 9.0])
    b = Build(x)
    got = compiled(b, b.sqrt(b.cholesky_lo(b.inputs[0])))
    numpy.testing.assert_allclose(got[0], numpy.sqrt(numpy.linalg.cholesky(x)))
    assert [key[:2] for key in debug.round_trips] == [("cholesky_lo", "xla")]
    debug.round_trips.clear()


def test_effects_keep_their_order():
    seen = []

    def note(value):
        seen.append(float(value))
        return value * 2

    b = Build(numpy.float64(1.0))
    aval = Aval((), float)
    (first,) = b.inputs
    for _ in range(3):
        first = b.host_call(first, function=note, aval=aval)
    b.host_call(b.inputs[0], function=note, aval=aval)  # nobody reads its result
    b.graph.outputs = [first]
    run = XLA.compile(b.graph)
    for start in (1.0, 5.0):
        (out,) = run([numpy.float64(start)])
        jax.effects_barrier()
        assert out == 8 * start and seen == [start, 2 * start, 4 * start, start]
        seen.clear()


def test_a_dtype_that_xla_lacks_is_named():
    b = Build(numpy.ones(2))
    wide = numpy.dtype("g")
    b.graph.outputs = [b.astype(b.inputs[0], dtype=wide)]
    with pytest.raises(TypeError, match=f"astype cannot be compiled by XLA: it has no arrays of dtype {wide.name}"):
        XLA.compile(b.graph)(b.payloads)


def test_a_dtype_that_xla_lacks_stays_on_the_host():
    x = XLA.asarray(numpy.ones(2))
    wide = ops.astype(x, dtype=numpy.dtype("g"))
    assert type(wide) is numpy.ndarray and wide.dtype == "g"
    assert type(ops.add(wide, x)) is numpy.ndarray
    assert isinstance(ops.astype(ops.add(wide, x), dtype=numpy.dtype("f")), numpy.ndarray)


def test_indices_cannot_be_checked_in_a_graph():
    """As in all programs of XLA a write out of bounds does nothing."""
    b = Build(numpy.zeros(3), numpy.array([1, 7]))
    x, places = b.inputs
    (out,) = compiled(b, b.setitem(x, 1.0, places, index=(Hole(0),)))
    numpy.testing.assert_array_equal(out, [0, 1, 0])


def test_ops_inside_jax_jit():
    """Payloads may be jax's own tracers."""

    @jax.jit
    def f(x):
        return ops.sum(ops.multiply(x, numpy.arange(3.0)), axis=(0,), dtype=numpy.dtype(float), keepdims=False)

    assert f(jnp.ones(3)) == 3
    numpy.testing.assert_array_equal(jax.grad(f)(jnp.ones(3)), numpy.arange(3.0))


def test_devices():
    assert XLA.devices() == tuple(f"xla:{i}" for i in range(len(jax.devices())))
    for device in (None, "xla", *XLA.devices()):
        x = XLA.asarray(numpy.ones(2), device)
        assert XLA.device_of(x) == (device if device in XLA.devices() else "xla:0")
    for device in ("xla:99", "xla:one", "xla:-1"):
        with pytest.raises(ValueError, match=f"unknown device {device!r}; known: xla:0"):
            XLA.asarray(numpy.ones(2), device)
    XLA.synchronize(x)


def test_ml_dtypes():
    import ml_dtypes

    x = numpy.arange(4, dtype=ml_dtypes.bfloat16)
    y = ops.add(XLA.asarray(x), 1)
    assert y.dtype == ml_dtypes.bfloat16
    numpy.testing.assert_array_equal(XLA.to_host(y), x + 1)


def solve_heat(u, steps):
    """A program with writes into slices, as a NumPy user writes it."""
    u = npx.array(u)
    for _ in range(steps):
        u[1:-1] += 0.2 * (u[2:] - 2 * u[1:-1] + u[:-2])
        u[0] = u[-1] = 0
    return u


def energy(u):
    return (solve_heat(u, 5) ** 2).sum()


@pytest.mark.parametrize("transform", [lambda f: f, npx.grad, npx.jit, lambda f: npx.jit(npx.grad(f))])
def test_programs_stay_on_the_device(transform):
    debug.round_trips.clear()
    u = numpy.sin(numpy.arange(20.0))
    got = transform(energy)(npx.asarray(u, device="xla"))
    assert got.device == "xla:0" and not debug.round_trips
    numpy.testing.assert_allclose(npx.asarray(got, device="cpu"), transform(energy)(u), rtol=1e-12)


def test_several_devices():
    """jax's CPU platform can pretend to be two devices, in a process of its own."""
    program = """
import npx as np
x = np.asarray([1.0, 2.0], device="xla:1")
print(x.device, (x + x).device, np.sum(np.exp(x) * [1, 2]).device, np.jit(lambda v: v * 2)(x).device)
print(np.asarray(x, device="xla:0").device)
"""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout.split("\n")[:-1] == [" ".join(["xla:1"] * 4), "xla:0"], done.stderr
