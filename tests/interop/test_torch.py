"""PyTorch and npx share memory through DLPack and NumPy."""

import numpy
import pytest
from programs import address, check, library

import npx

torch = library("torch")

DTYPES = [
    "float32",
    "float64",
    "float16",
    "int8",
    "uint8",
    "int16",
    "int32",
    "int64",
    "complex64",
    "complex128",
    "bool",
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_both_ways_shares_memory(dtype):
    x = npx.arange(6).reshape(2, 3).astype(dtype)
    t = torch.from_dlpack(x)
    assert t.data_ptr() == address(x)
    assert str(t.dtype) == f"torch.{dtype}" and tuple(t.shape) == (2, 3)
    t[0, 0] = 1
    assert x[0, 0] == 1
    back = npx.from_dlpack(t)
    assert type(back) is npx.ndarray and back.dtype == x.dtype
    assert address(back) == address(x)
    back[1, 2] = 0
    assert t[1, 2] == 0


@pytest.mark.parametrize("cut", [lambda x: x[1:], lambda x: x[:, ::2], lambda x: x.T, lambda x: x[0], lambda x: x[0:0]])
def test_views(cut):
    x = npx.arange(12.0).reshape(3, 4)
    part = cut(x)
    t = torch.from_dlpack(part)
    assert npx.array_equal(npx.from_dlpack(t), part)
    if part.size:
        assert t.data_ptr() == address(part)


def test_conversions():
    x = npx.arange(4.0)
    for shared in (
        torch.as_tensor(x),
        torch.asarray(x),
        torch.from_numpy(x.to_numpy()),
        torch.frombuffer(x, dtype=torch.float64),
    ):
        assert shared.data_ptr() == address(x)
    copied = torch.tensor(x)
    assert copied.data_ptr() != address(x) and copied.dtype == torch.float64
    assert torch.tensor([npx.float64(1.0), x[2]]).tolist() == [1.0, 2.0]
    assert torch.stack([torch.as_tensor(row) for row in x.reshape(2, 2)]).shape == (2, 2)


def test_tensors_go_on_with_npx():
    def program(np):
        t = torch.arange(4.0, dtype=torch.float64)
        x = np.ones(4)
        x += t.numpy()
        x[t.numpy() > 2] = 7
        return (
            np.asarray(t),
            np.array(t),
            t.numpy() + x,
            x + t.numpy(),
            np.sqrt(t.numpy()),
            np.sum(t.numpy()),
            np.stack([t.numpy(), x]),
        )

    check(program)


def test_operators_in_both_orders():
    """An npx array and a tensor give what a NumPy array and a tensor give."""

    def program(np):
        t, x = torch.arange(3.0, dtype=torch.float64), np.ones(3)
        results = []
        for f in (
            lambda: x + t,
            lambda: t + x,
            lambda: x * t,
            lambda: t * x,
            lambda: t - x,
            lambda: t == x,
            lambda: x < t,
        ):
            try:
                r = f()
                results.append((isinstance(r, torch.Tensor), np.asarray(r)))
            except TypeError:
                results.append("TypeError")
        return results

    check(program)


def test_read_only_memory_is_not_handed_out_unasked():
    x = npx.arange(3.0)
    x.flags.writeable = False
    want = numpy.arange(3.0)
    want.flags.writeable = False
    for array in (x, want):
        try:
            shared = torch.from_dlpack(array)
        except Exception as error:
            assert isinstance(error, (BufferError, TypeError))
        else:
            assert shared.data_ptr() == address(array)


def test_gradient_of_one_in_the_other():
    """npx functions inside a torch function by their values and their vjp."""

    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(context, t):
            y, context.pull = npx.vjp(npx.sin, npx.from_dlpack(t.detach()))
            return torch.from_dlpack(y)

        @staticmethod
        def backward(context, g):
            return torch.from_dlpack(npx.asarray(context.pull(npx.from_dlpack(g))[0]))

    t = torch.linspace(0, 1, 5, dtype=torch.float64, requires_grad=True)
    Sine.apply(t).sum().backward()
    assert torch.allclose(t.grad, torch.cos(t.detach()))


def test_data_loaders():
    x, y = npx.arange(12.0).reshape(6, 2), npx.arange(6)
    data = torch.utils.data.TensorDataset(torch.as_tensor(x), torch.as_tensor(y))
    batches = list(torch.utils.data.DataLoader(data, batch_size=4))
    assert [len(b[1]) for b in batches] == [4, 2]
    pairs = list(torch.utils.data.DataLoader(list(zip(x, y)), batch_size=3))
    assert torch.equal(pairs[0][0], torch.as_tensor(x[:3])) and pairs[1][1].tolist() == [3, 4, 5]


def test_device_arrays():
    """An array of the device "xla" crosses to PyTorch without a copy where XLA computes on the CPU."""
    library("jax")
    x = npx.arange(6.0).to_device("xla")
    t = torch.from_dlpack(x)
    assert t.tolist() == [0, 1, 2, 3, 4, 5]
    if t.device.type == "cpu":
        assert t.data_ptr() == x.__jax_array__().unsafe_buffer_pointer()
