"""What programs make of NumPy's functions: each differentiated to second order, in both modes, against differences."""

import numpy
import pytest

import npx as np
from npx.testing import check_grads

RNG = numpy.random.default_rng(11)
X = RNG.uniform(0.2, 0.9, 4)
A = RNG.uniform(0.2, 0.9, (4, 4))

COMPOSITIONS = {}


def composition(*arrays):
    """Add a function of these arrays to the table."""

    def add(function):
        COMPOSITIONS[function.__name__] = (function, arrays)
        return function

    return add


@composition(A)
def logsumexp(x):
    top = x.max(axis=1, keepdims=True)
    return (np.log(np.exp(x - top).sum(axis=1, keepdims=True)) + top).ravel()


@composition(A)
def logsumexp_with_an_infinity(x):
    y = np.where(np.eye(4, dtype=bool), -np.inf, x)
    top = np.maximum.reduce(y, axis=1)
    return np.log(np.exp(y - top[:, None]).sum(axis=1)) + top, np.logaddexp.reduce(y, axis=0)


@composition(A)
def softmax_cross_entropy(x):
    p = np.exp(x - x.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return -np.log(p[np.arange(4), [0, 2, 1, 1]]).mean()


@composition(A)
def expm_by_squaring(a):
    y, term = np.eye(4), np.eye(4)
    for k in range(1, 12):
        term = term @ (a / 8) / k
        y = y + term
    return np.linalg.matrix_power(y, 8)


@composition(A)
def expm_by_pade(a):
    square, identity = a @ a, np.eye(4)
    odd, even = a @ (60 * identity + square), 120 * identity + 12 * square
    return np.linalg.solve(even - odd, even + odd)


@composition(A)
def expm_of_symmetric(a):
    w, v = np.linalg.eigh(a + a.T)
    return (v * np.exp(w)) @ v.T


@composition(A + 3 * numpy.diag([1.0, 2.0, 4.0, 7.0]))
def sqrtm_by_eig(a):
    w, v = np.linalg.eig(a)
    return ((v * np.sqrt(w)) @ np.linalg.inv(v)).real


@composition(A, X)
def log_density_of_a_gaussian(a, x):
    lower = np.linalg.cholesky(a @ a.T + np.eye(4))
    z = np.linalg.solve(lower, x)
    return -0.5 * z @ z - np.log(np.diag(lower)).sum() - 2 * np.log(2 * np.pi)


@composition(A, X)
def whitening(a, x):
    u, s, vh = np.linalg.svd(a - a.mean(axis=0), full_matrices=False)
    return (u[:, :2] / s[:2]) @ (u[:, :2] * s[:2]).T @ x, np.cov(a, rowvar=False) @ x, np.corrcoef(a)


@composition(A[:3], X)
def null_space(a, x):
    vh = np.linalg.svd(a)[2]
    return vh[3:].T @ (vh[3:] @ x)


@composition(A[:, :2], X)
def residual_of_least_squares(a, x):
    q = np.linalg.qr(a, mode="complete")[0]
    return (q[:, 2:].T @ x) ** 2, np.linalg.lstsq(a, x)[1], x - a @ (np.linalg.pinv(a) @ x)


@composition(A, X)
def power_iteration(a, x):
    for _ in range(8):
        x = a @ x
        x /= np.linalg.norm(x)
    return x @ a @ x


@composition(X, X[::-1] + 0.3)
def signal(x, kernel):
    full = np.fft.irfft(np.fft.rfft(x, 7) * np.fft.rfft(kernel, 7), 7)
    window = np.hanning(4) * np.kaiser(4, 2.0)
    spectrum = np.abs(np.fft.fftshift(np.fft.fft(x * window))) ** 2
    return full - np.convolve(x, kernel) ** 2, spectrum, np.unwrap(np.angle(np.fft.fft(kernel)))[:2]


@composition(numpy.sort(X), X[::-1].copy())
def tables(x, y):
    grid = np.linspace(x[0], x[-1], 6)[1:-1]
    line = np.polyval(np.polyfit(x, y, 1), grid)
    return np.interp(grid, x, y), line, np.trapezoid(y, x), np.gradient(y, x), np.searchsorted(x, 0.5) * y


@composition(A)
def order_statistics(a):
    ranked = np.take_along_axis(a, np.argsort(a, axis=1), axis=1)
    trimmed = np.sort(a, axis=None)[2:-2].mean()
    return ranked[:, 1:] - ranked[:, :-1], trimmed, np.median(a, axis=0), np.percentile(a, [20, 80], axis=1)


@composition(A)
def histogram_with_weights(a):
    counts, edges = np.histogram(a, bins=3, range=(0, 1), weights=a**2)
    sums = np.zeros(3)
    np.add.at(sums, np.digitize(a.ravel(), edges[1:-1]), a.ravel())
    return counts, sums, np.bincount(np.argmax(a, axis=1), weights=a[0], minlength=4)


@composition(A)
def through_python(a):
    hill = np.vectorize(lambda v, w: v * w if v > 0.5 else np.sin(v))
    product = np.frompyfunc(lambda v, w: v * w, 2, 1)
    return hill(a, a.T), product(a, a[0]).astype(float), np.apply_along_axis(lambda r: np.cumsum(r) * r[0], 0, a)


@composition(X)
def polynomials(c):
    p = np.polynomial.Chebyshev(c)
    q = (p**2).integ() - p.deriv()
    return q(np.linspace(-0.5, 0.5, 3)), np.poly1d(c).deriv()(c), np.roots(np.r_[1.0, -8.0, c[:1]]), np.poly(c[:3])


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_composition(name):
    function, arrays = COMPOSITIONS[name]
    with numpy.errstate(all="ignore"):
        check_grads(function, arrays, order=2, rtol=1e-5)


@pytest.mark.parametrize("zeros", [1, 2])
def test_roots_at_zero(zeros):
    """A single one moves with the last coefficient; several at once move infinitely fast."""
    p = numpy.array([1.0, 3.0, 2.0, *[0.0] * zeros])
    numpy.testing.assert_allclose(np.vjp(np.roots, p)[0], numpy.roots(p))
    with numpy.errstate(all="ignore"):
        slope = np.jvp(np.roots, (p,), (numpy.eye(p.size)[-1],))[1][-1]
    assert slope == -0.5 if zeros == 1 else not numpy.isfinite(slope)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("transform", [lambda f, x: np.grad(f)(x), lambda f, x: np.jvp(f, (x,), (x,))])
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: np.unique(x, return_counts=True)[1].sum() * 1.0, "stop_gradient"),
        (lambda x: x.view("i8").sum() * 1.0, "bits"),
        (lambda x: np.nextafter(x, 1.0).sum(), "neighbouring"),
        (lambda x: np.asmatrix(x).sum(), "two dimensions"),
        (lambda x: np.array([x[0].item()]).sum(), "stop_gradient"),
        (lambda x: np.power.reduce(x), "power.accumulate"),
    ],
)
def test_no_derivative_is_no_zero(transform, function, words):
    with pytest.raises(TypeError, match=words):
        transform(function, X)
