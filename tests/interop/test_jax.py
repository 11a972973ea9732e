"""JAX and npx share memory; on the device "xla" an npx array is a jax array in a wrapper."""

import numpy
import pytest
from programs import address, check, library

import npx

jax = library("jax")
import jax.numpy as jnp  # noqa: E402


@pytest.fixture(autouse=True)
def sixty_four_bits():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "complex64", "complex128", "bool"])
def test_dlpack_both_ways(dtype):
    x = npx.arange(64).reshape(8, 8).astype(dtype)
    there = jax.dlpack.from_dlpack(x)
    assert there.dtype == dtype and npx.array_equal(npx.asarray(there), x)
    back = npx.from_dlpack(there)
    assert type(back) is npx.ndarray
    assert address(back) == there.unsafe_buffer_pointer()


def test_dlpack_copies_nothing():
    """XLA shares memory that is aligned to 64 bytes."""
    memory = npx.zeros(80)
    offset = (-address(memory) % 64) // 8
    x = memory[offset : offset + 64]
    there = jax.dlpack.from_dlpack(x)
    assert there.unsafe_buffer_pointer() == address(x)


def test_functions_of_jax_take_npx_arrays():
    x = npx.arange(6.0).reshape(2, 3)
    assert npx.array_equal(npx.asarray(jnp.asarray(x)), x)
    assert npx.array_equal(npx.asarray(jnp.array(x)), x)
    assert npx.allclose(npx.asarray(jax.jit(lambda v: v * 2)(jnp.asarray(x))), x * 2)
    assert float(jnp.sum(jnp.asarray(x))) == 15.0


@pytest.mark.parametrize(
    "call", ["asarray(x)", "array([x, x])", "concatenate([x, x])", "stack([x, x])", "zeros(3).at[:2].set(x[1:])"]
)
def test_functions_that_convert(call):
    """They give what they give for a NumPy array."""
    check(lambda np: numpy.asarray(eval(call, {"x": np.arange(3.0), **vars(jnp)})))


def test_functions_that_jax_compiles_want_its_arrays():
    x = npx.arange(3.0)
    with pytest.raises(ValueError, match=r"explicitly convert your object using jax\.numpy\.array"):
        jnp.sin(x)
    assert npx.allclose(npx.asarray(jnp.sin(jnp.asarray(x))), npx.sin(x))


def test_operators_in_both_orders():
    def program(np):
        j, x = jnp.arange(3.0), np.ones(3)
        results = x + j, j + x, x * j, j - x, x < j, j @ x, x @ j, np.array(2.0) * j
        return [(type(r).__name__, numpy.asarray(r)) for r in results]

    check(program)


def test_functions_of_npx_take_jax_arrays():
    def program(np):
        j = jnp.arange(3.0)
        return np.sin(np.asarray(j)), np.array(j), np.asarray(j) + 1

    check(program)


def test_gradients_of_jax_at_npx_arrays():
    g = jax.grad(lambda v: jnp.sum(v**3))(jnp.asarray(npx.arange(3.0)))
    assert npx.array_equal(npx.asarray(g), [0, 3, 12])


@pytest.fixture
def on_xla():
    return npx.arange(6.0).reshape(2, 3).to_device("xla")


def test_device_arrays_cross_without_a_copy(on_xla):
    there = jax.dlpack.from_dlpack(on_xla)
    again = npx.from_dlpack(there)
    assert npx.array_equal(npx.asarray(again), npx.arange(6.0).reshape(2, 3))
    assert there.unsafe_buffer_pointer() == on_xla.__jax_array__().unsafe_buffer_pointer()


def test_device_arrays_as_arguments(on_xla):
    assert npx.array_equal(numpy.asarray(jnp.asarray(on_xla)), numpy.arange(6.0).reshape(2, 3))
    assert numpy.asarray(on_xla).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (on_xla + jnp.ones(3)).shape == (2, 3)
    assert (jnp.ones(3) + on_xla).shape == (2, 3)
