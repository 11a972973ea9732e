"""Complex derivatives follow JAX's conventions: cotangents pair by ``Re(sum(g * t))``, holomorphic or not."""

import numpy
import pytest

import npx as np
from npx.transforms import tree

jax = pytest.importorskip("jax")
jnp = jax.numpy

RNG = numpy.random.default_rng(3)
Z = RNG.uniform(0.2, 0.8, (3, 3)) + 1j * RNG.uniform(0.2, 0.8, (3, 3))
W = RNG.uniform(0.2, 0.8, (3, 3)) - 1j * RNG.uniform(0.2, 0.8, (3, 3))
H = Z @ Z.conj().T + numpy.eye(3)

#: ufuncs that JAX differentiates otherwise at complex numbers, or does not have for them
NOT_COMPARED = {"maximum", "minimum", "fmax", "fmin", "sign"}


def ufuncs():
    """The ufuncs that take complex numbers to floating point ones, in both libraries."""
    for name, f in vars(numpy).items():
        if isinstance(f, numpy.ufunc) and not f.signature and name == f.__name__ and name not in NOT_COMPARED:
            loops = [loop for loop in f.types if loop.startswith("D" * f.nin + "->") and loop[-1] in "dD"]
            if loops and hasattr(jnp, name):
                yield pytest.param(name, f.nin, id=name)


#: functions of a library, one or two matrices, the second far from the first; the first is Hermitian where marked so
FUNCTIONS = {
    "abs2": lambda np, z, w: np.abs(z) ** 2,
    "angle": lambda np, z, w: np.angle(z),
    "conj product": lambda np, z, w: z * w.conj(),
    "convolve": lambda np, z, w: np.convolve(z[0], w[0]),
    "correlate": lambda np, z, w: np.correlate(z[0], w[0][:2]),
    "cumprod": lambda np, z, w: np.cumprod(z),
    "cumsum": lambda np, z, w: np.cumsum(z * w),
    "det": lambda np, z, w: np.linalg.det(z),
    "dot": lambda np, z, w: np.dot(z, w),
    "eigvals": lambda np, z, w: (np.linalg.eigvals(z) ** 3).sum(),
    "einsum": lambda np, z, w: np.einsum("ij,kj->ik", z, w.conj()),
    "fft": lambda np, z, w: np.fft.fft(z),
    "fft2": lambda np, z, w: np.fft.fft2(z, norm="ortho"),
    "hfft": lambda np, z, w: np.fft.hfft(z, axis=0),
    "ifftn": lambda np, z, w: np.fft.ifftn(z * w),
    "imag": lambda np, z, w: (z * w).imag,
    "inner": lambda np, z, w: np.inner(z, w),
    "inv": lambda np, z, w: np.linalg.inv(z),
    "irfft": lambda np, z, w: np.fft.irfft(z, n=5),
    "matmul": lambda np, z, w: z @ w,
    "mean": lambda np, z, w: np.mean(z * w, axis=0),
    "mixed": lambda np, z, w: np.real(z) * w + np.abs(w) * np.exp(1j * np.angle(z)),
    "norm": lambda np, z, w: np.linalg.norm(z),
    "norm 1": lambda np, z, w: np.linalg.norm(z, 1),
    "norm nuc": lambda np, z, w: np.linalg.norm(z, "nuc"),
    "outer": lambda np, z, w: np.outer(z[0], w[1]),
    "pinv": lambda np, z, w: np.linalg.pinv(z[:2]),
    "power": lambda np, z, w: z**w,
    "prod": lambda np, z, w: np.prod(z, axis=1),
    "qr": lambda np, z, w: np.abs(np.linalg.qr(z)[1]),
    "real": lambda np, z, w: (z * w).real,
    "rfft of the real part": lambda np, z, w: np.fft.rfft(z.real, axis=0),
    "slogdet": lambda np, z, w: np.linalg.slogdet(z),
    "solve": lambda np, z, w: np.linalg.solve(z, w),
    "sort": lambda np, z, w: np.sort(z[0]),
    "std": lambda np, z, w: np.std(z, axis=0),
    "svd": lambda np, z, w: np.linalg.svd(z, compute_uv=False),
    "take": lambda np, z, w: z[np.asarray([0, 2, 0])] * w[1],
    "tensordot": lambda np, z, w: np.tensordot(z, w, 2),
    "trace": lambda np, z, w: np.trace(z @ w),
    "var": lambda np, z, w: np.var(z),
    "vdot": lambda np, z, w: np.vdot(z, w),
    "where": lambda np, z, w: np.where(z.real > 0.5, z, w),
}

#: likewise, of a Hermitian matrix
OF_HERMITIAN = {
    "cholesky": lambda np, h, w: np.linalg.cholesky(h),
    "eigvalsh": lambda np, h, w: np.linalg.eigvalsh(h),
    "spectral": lambda np, h, w: spectral(np, *np.linalg.eigh(h)),
}


def spectral(np, values, vectors):
    """A function of a Hermitian matrix, which does not see the phases of its eigenvectors."""
    return (vectors * np.sin(values)) @ vectors.conj().T


def cotangent(x):
    """A fixed cotangent for a result."""
    x = numpy.asarray(x)
    g = numpy.cos(numpy.arange(x.size)).reshape(x.shape)
    return g.astype(x.dtype) if x.dtype.kind == "f" else (g + 1j * numpy.sin(3 * g)).astype(x.dtype)


def assert_as_jax(function, arrays):
    """Pullback and pushforward in both libraries."""
    with jax.enable_x64(True):
        want, pull_jax = jax.vjp(lambda *xs: tuple(tree.leaves(function(jnp, *xs))), *map(jnp.asarray, arrays))
        weights = [cotangent(v) for v in want]
        want_pulled = pull_jax(tuple(map(jnp.asarray, weights)))
        tangents = tuple(W * (1 + k) for k in range(len(arrays)))
        want_pushed = jax.jvp(lambda *xs: tuple(tree.leaves(function(jnp, *xs))), arrays, tangents)[1]
    got, pull = np.vjp(lambda *xs: tree.leaves(function(np, *xs)), *arrays)
    assert_close(got, want)
    assert_close(pull(weights), want_pulled)
    assert_close(np.jvp(lambda *xs: tree.leaves(function(np, *xs)), arrays, tangents)[1], want_pushed)


def assert_close(got, want):
    for a, b in zip(got, want, strict=True):
        numpy.testing.assert_allclose(numpy.asarray(a), numpy.asarray(b), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("name", "nin"), list(ufuncs()))
def test_ufuncs(name, nin):
    assert_as_jax(lambda np, *xs: getattr(np, name)(*xs), (Z, W)[:nin])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    assert_as_jax(FUNCTIONS[name], (Z, W))


@pytest.mark.parametrize("name", OF_HERMITIAN)
def test_functions_of_hermitian_matrices(name):
    assert_as_jax(lambda np, z: OF_HERMITIAN[name](np, (z + z.conj().T) / 2, W), (H,))


@pytest.mark.parametrize("function", [lambda np, z: np.sin(z * z).sum(), lambda np, z: np.linalg.det(z) / z[0, 0]])
def test_grad_of_holomorphic_functions(function):
    """The complex derivative, without a conjugate."""
    with jax.enable_x64(True):
        want = numpy.asarray(jax.grad(lambda z: function(jnp, z), holomorphic=True)(Z))
    assert_close([np.grad(lambda z: function(np, z), holomorphic=True)(Z)], [want])


def test_grad_of_real_functions():
    """The conjugate of the direction of steepest ascent."""
    with jax.enable_x64(True):
        want = numpy.asarray(jax.grad(lambda z: (jnp.abs(z) ** 2).sum())(Z))
    assert_close([np.grad(lambda z: (np.abs(z) ** 2).sum())(Z)], [want])
    assert_close([want], [2 * Z.conj()])
