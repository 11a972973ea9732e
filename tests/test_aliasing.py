"""Which functions give views and which give copies does not change under a transform."""

import numpy
import pytest

import npx as np

X = numpy.array(1.5)
MAKERS = """
np.ascontiguousarray(y.T)|np.ascontiguousarray(y)|np.asfortranarray(y)|np.asfortranarray(y.T)
np.require(y.T, requirements=["C"])|np.array(y[:, ::2], copy=None, order="C")|np.asarray(y[:, ::2], order="C")
np.asarray(y, order="F")|np.asarray(y)|y.astype(float, copy=False)|y.T.astype(float, copy=False, order="C")
y.reshape(-1, order="F")|y.T.reshape(-1, order="A")|y.T.ravel("K")|y.ravel("F")|y.T.ravel("F")|y.ravel()
np.ravel(y[:, ::2])|y[:, ::2].reshape(-1)|y[:, ::-1].reshape(-1)|y[0, ::2].ravel()|y.flatten()
y[:1].squeeze()|np.atleast_3d(y)|np.expand_dims(y, 1)|y[..., 0]|y[()]|y[:, None]|y[[0, 1]]|y[y > 0]
np.hsplit(y, 2)[1]|np.array_split(y, 3, axis=1)[0]|np.unstack(y)[0]|np.flip(y)|np.rot90(y, 2)|np.roll(y, 1)
np.real(y)|y.real|y.imag|np.real_if_close(y)|np.nan_to_num(y, copy=False)|np.nan_to_num(y)|y.conj()|np.conj(y)|+y
y.mT|np.permute_dims(y, (1, 0))|np.moveaxis(y, 0, 1)|y.swapaxes(0, 1)|np.einsum("ij->ji", y)|np.einsum("ij->ij", y)
y.view()|y.view(float)|y.view(np.ndarray)|y.copy()|np.copy(y)|np.array(y)|np.array(y, ndmin=3, copy=None)
np.diagonal(y)|np.diag(y)|y.diagonal(1)[:2]|np.einsum("ii->i", y[:, :2])|np.broadcast_to(y, (2, 2, 4))[0]
np.lib.stride_tricks.sliding_window_view(y, 2, axis=1)
np.trim_zeros(y[0])|np.delete(y, 0, axis=0)|np.insert(y, 0, 1.0, axis=0)|np.where(True, y, 0)|np.clip(y, None, 100)
np.tile(y, 1)|np.repeat(y, 1, axis=0)|np.concatenate([y])|np.vstack([y])|np.sort(y)|np.transpose([y, y])
y.take([0], axis=0)|y.compress([True, False], axis=0)|y.sum(axis=(), keepdims=True)|np.broadcast_arrays(y, X)[0] * 1
"""
MAKERS = [m for line in MAKERS.split("\n") for m in line.split("|") if m]
MAKERS = [m for m in MAKERS if "unstack" not in m or hasattr(numpy, "unstack")]  # since NumPy 2.1


def program(maker, early, write_to_view):
    """Write to an array made of another one, or the other way round, and look at both."""
    make = eval(f"lambda np, y: {maker}", {"X": X})

    def run(np, x):
        y = np.arange(8.0).reshape(2, 4)
        made = make(np, y) if early else None
        y += x
        made = made if early else make(np, y)
        if not write_to_view:
            y[...] = x * 2
        elif made.flags.writeable:
            made[...] = 7.5
        else:
            with pytest.raises(ValueError, match="read-only"):
                made[...] = x
        return y, made

    return run


TRANSFORMS = {
    "vjp": lambda f: np.vjp(f, X)[0],
    "jvp": lambda f: np.jvp(f, (X,), (X,))[0],
    "vmap": lambda f: [part[1] for part in np.vmap(f)(numpy.stack([X, X]))],
    "jit": lambda f: np.jit(f)(np.array(X)),
}


@pytest.mark.parametrize("how", TRANSFORMS)
@pytest.mark.parametrize("write_to_view", [True, False], ids=["view written", "owner written"])
@pytest.mark.parametrize("early", [True, False], ids=["early", "late"])
@pytest.mark.parametrize("maker", MAKERS)
def test_views_and_copies_are_numpys(maker, early, write_to_view, how):
    run = program(maker, early, write_to_view)
    for found, expected in zip(TRANSFORMS[how](lambda x: run(np, x)), run(numpy, X), strict=True):
        numpy.testing.assert_allclose(numpy.asarray(found), expected, strict=True)
