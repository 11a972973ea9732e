"""SciPy: its functions take npx arrays, call functions written with npx, and give what they give to NumPy's arrays."""

import io

import numpy
import pytest
from programs import check, check_refusal, library

import npx

scipy = library("scipy")
import scipy.cluster.vq  # noqa: E402, F811
import scipy.fft  # noqa: E402
import scipy.integrate  # noqa: E402
import scipy.interpolate  # noqa: E402
import scipy.io  # noqa: E402
import scipy.linalg  # noqa: E402
import scipy.ndimage  # noqa: E402
import scipy.optimize  # noqa: E402
import scipy.signal  # noqa: E402
import scipy.sparse.linalg  # noqa: E402
import scipy.spatial  # noqa: E402
import scipy.special  # noqa: E402
import scipy.stats  # noqa: E402


def matrix(np):
    """A well-conditioned 4 by 4 matrix."""
    return np.arange(16.0).reshape(4, 4) % 5 + 4 * np.eye(4)


# ------------------------------------------------------------------------------------------------------ optimize
def rosen(np):
    def f(x):
        y = np.zeros(2)
        y[0] = x[0] - 1
        y[1] = 10 * (x[1] - x[0] ** 2)
        return np.sum(y**2)

    return f


def rosen_gradient(np):
    return lambda x: np.array([2 * (x[0] - 1) - 400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)])


@pytest.mark.parametrize("method", ["Nelder-Mead", "BFGS", "L-BFGS-B", "CG", "SLSQP", "TNC", "trust-constr", "Powell"])
def test_minimize(method):
    def program(np):
        gradient = None if method in ("Nelder-Mead", "Powell") else rosen_gradient(np)
        found = scipy.optimize.minimize(
            rosen(np),
            np.array([-1.0, 1.5]),
            method=method,
            jac=gradient,
            options={"maxfun" if method == "TNC" else "maxiter": 20},
        )
        return found.x, found.fun, found.nit

    check(program)


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "SLSQP", "trust-constr"])
def test_minimize_by_npx_gradients(method):
    """The gradients that npx takes lead the optimiser to the minimum, separate and together with the values."""
    f, start = rosen(npx), npx.array([-1.0, 1.5])
    apart = scipy.optimize.minimize(f, start, jac=npx.grad(f), method=method)
    together = scipy.optimize.minimize(npx.value_and_grad(f), start, jac=True, method=method)
    assert npx.allclose(apart.x, 1, atol=1e-2) and npx.allclose(together.x, 1, atol=1e-2)


def test_constraints_and_callbacks():
    def program(np):
        seen = []
        found = scipy.optimize.minimize(
            lambda x: np.sum((x - np.array([1.0, 2.5])) ** 2),
            np.array([2.0, 0.0]),
            bounds=np.array([[0.0, 3.0], [0.0, 3.0]]),
            constraints=[{"type": "ineq", "fun": lambda x: np.array([3 - x[0] - x[1]])}],
            callback=lambda x: seen.append(x.copy()),
        )
        return found.x, seen

    check(program)


def test_least_squares_and_curve_fit():
    def program(np):
        t = np.linspace(0, 3, 20)
        y = 2.5 * np.exp(-1.3 * t) + 0.5
        model = lambda t, a, b, c: a * np.exp(-b * t) + c
        fit, cov = scipy.optimize.curve_fit(model, t, y, p0=np.array([2.0, 1.0, 0.0]), sigma=np.full(20, 0.1))
        found = scipy.optimize.least_squares(lambda p: model(t, *p) - y, np.array([2.0, 1.0, 0.0]), method="trf")
        return fit, cov, found.x, found.jac

    check(program)


def test_roots_and_linear_programs():
    def program(np):
        root = scipy.optimize.root(lambda x: np.array([x[0] + x[1] - 3, x[0] * x[1] - 2]), np.array([0.0, 5.0]))
        one = scipy.optimize.brentq(lambda x: np.cos(x) - x, 0.0, np.array([1.0])[0])
        newton = scipy.optimize.newton(lambda x: x**3 - np.array([1.0, 8.0]), np.array([2.0, 3.0]))
        lp = scipy.optimize.linprog(
            np.array([-1.0, 4.0]), A_ub=np.array([[-3.0, 1.0], [1.0, 2.0]]), b_ub=np.array([6.0, 4.0])
        )
        rows, columns = scipy.optimize.linear_sum_assignment(np.array([[4, 1, 3], [2, 0, 5], [3, 2, 2]]))
        return root.x, one, newton, lp.x, rows, columns

    check(program)


def test_global_search():
    def program(np):
        found = scipy.optimize.differential_evolution(
            lambda x: np.sum(x**2) + np.cos(3 * x[0]),
            np.array([[-2.0, 2.0], [-1.0, 1.0]]),
            seed=1,
            maxiter=5,
            polish=False,
        )
        return found.x, found.fun

    check(program)


# ------------------------------------------------------------------------------------------------------ sparse
@pytest.mark.parametrize("kind", ["csr_array", "csc_array", "coo_array", "csr_matrix", "bsr_array", "dia_array"])
def test_sparse(kind):
    def program(np):
        a = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0], [4.0, 5.0, 0.0]])
        x = np.array([1.0, -1.0, 2.0])
        s = getattr(scipy.sparse, kind)(a)
        by = np.array([[2.0], [1.0], [3.0]])
        results = [s @ x, x @ s, s @ a, a @ s, s.dot(x), s.toarray() * 2, s.multiply(by).toarray(), s + a, a + s, a - s]
        results += [s.sum(axis=0), s.T @ x, (s * 2).toarray(), np.float64(3.0) * s]
        return [type(r).__name__ if not isinstance(r, np.ndarray) else r for r in results], results

    check(program)


def test_sparse_is_built_and_indexed():
    def program(np):
        rows, columns, values = np.array([0, 2, 1]), np.array([1, 0, 2]), np.array([5.0, 6.0, 7.0])
        s = scipy.sparse.csr_array((values, (rows, columns)), shape=(3, 3))
        whole = scipy.sparse.csr_array((s.data, s.indices, s.indptr), shape=(3, 3))
        d = scipy.sparse.diags_array(np.array([1.0, 2.0, 3.0]))
        lil = scipy.sparse.lil_array((3, 3))
        lil[0, np.array([0, 2])] = np.array([1.0, 2.0])
        mask = np.array([True, False, True])
        return s, whole, d @ values, lil, s[rows], s[mask], s[:, columns], scipy.sparse.vstack([s, d]), s.nonzero()

    check(program)


def test_sparse_in_place():
    def program(np):
        a = np.ones((2, 2))
        try:
            a += scipy.sparse.csr_array(np.eye(2))
        except Exception as error:
            return type(error)
        return a

    check(program)


def test_sparse_solvers():
    def program(np):
        s = scipy.sparse.csc_array(matrix(np))
        b = np.array([1.0, 2.0, 3.0, 4.0])
        operator = scipy.sparse.linalg.LinearOperator((4, 4), matvec=lambda v: matrix(np) @ v)
        x, info = scipy.sparse.linalg.cg(operator, b, x0=np.zeros(4), maxiter=3)
        lu = scipy.sparse.linalg.splu(s)
        values = scipy.sparse.linalg.eigsh(scipy.sparse.csc_array(matrix(np) + matrix(np).T), k=2, v0=np.ones(4))[0]
        return scipy.sparse.linalg.spsolve(s, b), x, info, lu.solve(numpy.asarray(b)), values

    check(program, exact=False)


# ------------------------------------------------------------------------------------------------------ integrate
@pytest.mark.parametrize("method", ["RK45", "BDF", "LSODA", "Radau"])
def test_solve_ivp(method):
    def program(np):
        def f(t, y):
            d = np.empty(2)
            d[0], d[1] = y[1], -np.sin(y[0]) - 0.1 * y[1]
            return d

        found = scipy.integrate.solve_ivp(
            f,
            (0, 3),
            np.array([0.5, 0.0]),
            method=method,
            t_eval=np.linspace(0, 3, 7),
            dense_output=True,
            events=lambda t, y: y[0],
        )
        return found.t, found.y, found.sol(np.array([0.1, 0.2])), found.t_events

    check(program)


def test_integrals():
    def program(np):
        x = np.linspace(0, 1, 11)
        return (
            scipy.integrate.quad(lambda t: np.exp(-(t**2)), 0, np.inf),
            scipy.integrate.odeint(lambda y, t: np.array([y[1], -y[0]]), np.array([1.0, 0.0]), x),
            scipy.integrate.simpson(x**2, x=x),
            scipy.integrate.trapezoid(x**2, x),
            scipy.integrate.cumulative_trapezoid(x**2, x, initial=0),
            scipy.integrate.dblquad(lambda y, x: np.sin(x * y), 0, 1, 0, 1)[0],
        )

    check(program)


# ------------------------------------------------------------------------------------------------------ interpolate
def test_interpolation():
    def program(np):
        x = np.linspace(0, 4, 9)
        y = np.sin(x)
        at = np.array([0.3, 2.2, 3.9])
        grid = np.arange(12.0).reshape(3, 4)
        regular = scipy.interpolate.RegularGridInterpolator((np.arange(3.0), np.arange(4.0)), grid)
        points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.4, 0.6]])
        return (
            scipy.interpolate.interp1d(x, y, kind="cubic")(at),
            scipy.interpolate.interp1d(x, y, fill_value="extrapolate")(at + 3),
            scipy.interpolate.CubicSpline(x, y)(at, 1),
            scipy.interpolate.PchipInterpolator(x, y)(at),
            scipy.interpolate.make_interp_spline(x, y, k=3)(at),
            scipy.interpolate.UnivariateSpline(x, y, s=0.1)(at),
            scipy.interpolate.splev(at, scipy.interpolate.splrep(x, y)),
            regular(np.array([[0.5, 1.5], [1.2, 2.8]])),
            scipy.interpolate.griddata(points, points.sum(axis=1), np.array([[0.2, 0.3]])),
            scipy.interpolate.RBFInterpolator(points, points[:, 0])(np.array([[0.2, 0.3]])),
        )

    check(program)


# -------------------------------------------------------------------------------------------- signal, fft, ndimage
def test_signal():
    def program(np):
        t = np.arange(64) / 64
        x = np.sin(2 * np.pi * 5 * t) + 0.25 * np.cos(2 * np.pi * 20 * t)
        b, a = scipy.signal.butter(3, np.float64(0.3))
        sos = scipy.signal.butter(4, np.array([0.1, 0.4]), btype="band", output="sos")
        return (
            scipy.signal.lfilter(b, a, x),
            scipy.signal.filtfilt(b, a, x),
            scipy.signal.sosfilt(sos, x),
            scipy.signal.convolve(x, np.ones(5) / 5, mode="same"),
            scipy.signal.fftconvolve(x, np.hanning(9)),
            scipy.signal.find_peaks(x, height=0.5),
            scipy.signal.welch(x, fs=64, nperseg=32),
            scipy.signal.stft(x, nperseg=16)[2],
            scipy.signal.resample(x, 32),
            scipy.signal.savgol_filter(x, 7, 2),
            scipy.signal.hilbert(x),
            scipy.signal.medfilt(x, 3),
            scipy.signal.detrend(x),
            scipy.signal.correlate2d(np.eye(4), np.ones((2, 2))),
        )

    check(program, exact=False)


def test_fft():
    def program(np):
        x = np.arange(12.0).reshape(3, 4) ** 1.5
        return (
            scipy.fft.fft(x), scipy.fft.rfft(x[0]), scipy.fft.ifft2(x), scipy.fft.dct(x, norm="ortho"),
            scipy.fft.fftshift(scipy.fft.fftfreq(8)), scipy.fft.next_fast_len(101),
            scipy.fft.fft(x, overwrite_x=True),
        )  # fmt: skip

    check(program)


def test_ndimage():
    def program(np):
        x = np.arange(30.0).reshape(5, 6) % 7
        labels, n = scipy.ndimage.label(x > 3)
        out = np.zeros((5, 6))
        scipy.ndimage.gaussian_filter(x, 1.0, output=out)
        return (
            out, labels, n, scipy.ndimage.sum(x, labels, np.arange(1, n + 1)), scipy.ndimage.zoom(x, 0.5),
            scipy.ndimage.map_coordinates(x, np.array([[0.5, 2.0], [1.5, 3.0]])), scipy.ndimage.sobel(x),
            scipy.ndimage.binary_dilation(x > 5), scipy.ndimage.distance_transform_edt(x > 0),
            scipy.ndimage.generic_filter(x, lambda w: np.max(w) - np.min(w), size=3),
            scipy.ndimage.center_of_mass(x), scipy.ndimage.rotate(x, 30, reshape=False),
            scipy.ndimage.median_filter(x, 3),
        )  # fmt: skip

    check(program)


# ------------------------------------------------------------------------------------------------------ linalg
def test_linalg():
    def program(np):
        a, b = matrix(np), np.array([1.0, 2.0, 3.0, 4.0])
        spd = a @ a.T
        return (
            scipy.linalg.solve(a, b), scipy.linalg.inv(a), scipy.linalg.det(a), scipy.linalg.lu(a),
            scipy.linalg.lu_solve(scipy.linalg.lu_factor(a), b),
            scipy.linalg.cho_solve(scipy.linalg.cho_factor(spd), b), scipy.linalg.qr(a), scipy.linalg.eigh(spd),
            scipy.linalg.eigvals(a), scipy.linalg.svd(a), scipy.linalg.expm(a / 10), scipy.linalg.sqrtm(spd),
            scipy.linalg.norm(a), scipy.linalg.block_diag(a, b), scipy.linalg.toeplitz(b),
            scipy.linalg.solve_triangular(a, b), scipy.linalg.lstsq(a, b), scipy.linalg.pinv(a),
            scipy.linalg.null_space(a[:2]), scipy.linalg.schur(a),
            scipy.linalg.solve_banded((1, 1), np.ones((3, 4)) + 1, b), scipy.linalg.blas.ddot(b, b),
            scipy.linalg.lapack.dgesv(a, b),
        )  # fmt: skip

    check(program)


def test_overwritten_arguments():
    """`overwrite_a` may use the memory of an npx array, as of NumPy's."""

    def program(np):
        a = np.asfortranarray(matrix(np))
        x = scipy.linalg.solve(a, np.ones(4), overwrite_a=True)
        return x, a

    check(program)


def test_linalg_refuses_what_numpy_does():
    check_refusal(lambda np: scipy.linalg.solve(np.ones((2, 3)), np.ones(2)))
    check_refusal(lambda np: scipy.linalg.inv(np.zeros((2, 2))))
    check_refusal(lambda np: scipy.linalg.inv(np.full((2, 2), np.nan)))


# ------------------------------------------------------------------------------------------------------ special, stats
def test_special():
    def program(np):
        x = np.linspace(0.5, 3, 6)
        out = np.empty(6)
        scipy.special.gamma(x, out=out)
        return (
            scipy.special.gamma(x), scipy.special.erf(x.reshape(2, 3)), scipy.special.jv(1, x),
            scipy.special.logsumexp(x), scipy.special.expit(x), scipy.special.softmax(x.reshape(2, 3), axis=1), out,
            scipy.special.comb(5, np.arange(4)), scipy.special.xlogy(x, x), scipy.special.factorial(np.arange(4)),
            scipy.special.erfinv(x[0] / 10), scipy.special.binom(x, 2), scipy.special.ellipj(x, 0.3),
            scipy.special.roots_legendre(4),
        )  # fmt: skip

    check(program)


def test_stats():
    def program(np):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=40), rng.normal(size=40) + 0.3
        norm = scipy.stats.norm(loc=np.array([0.0, 1.0]), scale=2.0)
        kde = scipy.stats.gaussian_kde(x)
        return (
            norm.pdf(np.array([[0.0], [1.0]])), norm.rvs(size=(3, 2), random_state=3), scipy.stats.describe(x),
            scipy.stats.ttest_ind(x, y).pvalue, scipy.stats.pearsonr(x, y).statistic,
            scipy.stats.spearmanr(x, y).statistic, scipy.stats.linregress(x, y).slope,
            scipy.stats.ks_2samp(x, y).pvalue, scipy.stats.zscore(x), kde(np.linspace(-1, 1, 5)),
            scipy.stats.mode(np.array([1, 2, 2, 3])), scipy.stats.rankdata(x), scipy.stats.norm.fit(x),
            scipy.stats.skew(x),
            scipy.stats.multivariate_normal(np.zeros(2), np.eye(2)).pdf(np.array([[0.1, 0.2]])),
            scipy.stats.entropy(np.array([0.2, 0.8])),
            scipy.stats.binned_statistic(x, y, statistic="mean", bins=4).statistic, scipy.stats.iqr(x),
            scipy.stats.bootstrap((x,), np.mean, n_resamples=20, random_state=np.random.default_rng(1)).standard_error,
            scipy.stats.chi2_contingency(np.array([[10, 20], [30, 5]])).statistic, scipy.stats.trim_mean(x, 0.1),
        )  # fmt: skip

    check(program, exact=False)


@pytest.mark.parametrize(
    "seed", [lambda np: np.random.default_rng(5), lambda np: np.random.RandomState(5), lambda np: 5]
)
def test_random_states(seed):
    check(lambda np: scipy.stats.gamma.rvs(2.0, size=4, random_state=seed(np)))


# -------------------------------------------------------------------------------------------- spatial, cluster, io
def test_spatial_and_cluster():
    def program(np):
        points = np.random.default_rng(0).normal(size=(20, 2))
        tree = scipy.spatial.cKDTree(points)
        return (
            tree.query(np.zeros(2), k=3), scipy.spatial.distance.cdist(points, points[:3]),
            scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(points)),
            scipy.spatial.ConvexHull(points).vertices, scipy.spatial.Delaunay(points).simplices,
            scipy.spatial.transform.Rotation.from_rotvec(np.array([0.1, 0.2, 0.3])).as_matrix(),
            scipy.cluster.vq.kmeans2(points, points[:2].copy(), minit="matrix", rng=1),
            scipy.spatial.distance.euclidean(points[0], points[1]),
            scipy.spatial.distance.cdist(points[:2], points[:3], lambda u, v: np.sum(np.abs(u - v))),
            tree.query_ball_point(points[0], 0.5),
        )  # fmt: skip

    check(program)


def test_files(tmp_path):
    def program(np):
        path = tmp_path / "a.mat"
        scipy.io.savemat(path, {"a": matrix(np), "b": np.arange(3), "name": "x", "m": np.array([True, False])})
        back = scipy.io.loadmat(path)
        wav = io.BytesIO()
        scipy.io.wavfile.write(wav, 8000, (np.sin(np.arange(100)) * 1000).astype(np.int16))
        wav.seek(0)
        market = io.BytesIO()
        scipy.io.mmwrite(market, matrix(np))
        return back["a"], back["b"], back["m"], scipy.io.wavfile.read(wav), market.getvalue()

    check(program)


def test_what_scipy_returns_goes_on_with_npx_arrays():
    x = scipy.linalg.solve(matrix(npx), npx.ones(4))
    assert type(npx.ones(4) + x) is npx.ndarray
    assert type(x + npx.ones(4)) is npx.ndarray
