"""SciPy and scikit-learn with array API dispatch give npx arrays for npx arrays.

SciPy reads its switch ``SCIPY_ARRAY_API`` when it is imported: `test_array_api_users.py` runs these tests in a process
of their own.
"""

import re

import numpy
import pytest
from programs import check, library

import npx

scipy = library("scipy")
import scipy.cluster.vq  # noqa: E402, F811
import scipy.differentiate  # noqa: E402
import scipy.fft  # noqa: E402
import scipy.integrate  # noqa: E402
import scipy.interpolate  # noqa: E402
import scipy.linalg  # noqa: E402
import scipy.ndimage  # noqa: E402
import scipy.optimize.elementwise  # noqa: E402
import scipy.signal  # noqa: E402
import scipy.spatial  # noqa: E402
import scipy.special  # noqa: E402
import scipy.stats  # noqa: E402

sklearn = library("sklearn")
import sklearn.decomposition  # noqa: E402, F811
import sklearn.discriminant_analysis  # noqa: E402
import sklearn.linear_model  # noqa: E402
import sklearn.metrics  # noqa: E402
import sklearn.preprocessing  # noqa: E402

#: module -> what SciPy computes for npx arrays: expressions of `np`, and of the arrays in `value`
SCIPY = {
    "fft": """
        fft.fft(x); fft.rfft(x); fft.ifft(x); fft.fft2(m); fft.irfft(x); fft.fftshift(x); fft.dct(x)
        fft.fftfreq(8, xp=np)""",
    "special": """
        special.erf(x); special.gammaln(x); special.logsumexp(x); special.expit(x); special.xlogy(x, x)
        special.i0(x); special.logit(x / 9); special.ndtri(x / 9); special.betainc(x, y, x / 9)""",
    "stats": """
        stats.zscore(x); stats.skew(x); stats.kurtosis(m, axis=1); stats.ttest_1samp(x, 1.0).pvalue
        stats.ttest_ind(x, y).statistic; stats.pearsonr(x, y).statistic; stats.moment(x, 3); stats.gmean(x)
        stats.variation(x); stats.entropy(x); stats.rankdata(x); stats.chisquare(x).pvalue""",
    "signal": """
        signal.hilbert(x); signal.convolve(x, y); signal.lfilter(y, x, x); signal.detrend(x); signal.medfilt(x, 3)""",
    "ndimage": """
        ndimage.gaussian_filter(m, 1.0); ndimage.sum(m); ndimage.shift(m, 1.0)""",
    "cluster": """
        cluster.vq.whiten(m); cluster.vq.kmeans2(m, m[:2], minit='matrix')[0]""",
    "integrate": """
        integrate.trapezoid(x); integrate.cumulative_trapezoid(x)""",
    "interpolate": """
        interpolate.CubicSpline(np.arange(8.0), x)(np.asarray([0.5, 1.5]))
        interpolate.make_interp_spline(np.arange(8.0), x)(np.asarray([0.5]))""",
    "differentiate": """
        differentiate.derivative(np.sin, x).df""",
    "optimize": """
        optimize.elementwise.find_root(lambda t, c: t * t - c, (0 * x, x + 1), args=(x,)).x""",
    "spatial": """
        spatial.transform.Rotation.from_rotvec(x[:3]).as_matrix()""",
}

#: where SciPy converts its arguments whatever they are
NUMPYS = [
    "linalg.inv(m)",
    "linalg.solve(m, y[:4])",
    "linalg.svd(m)[1]",
    "spatial.distance.cdist(m, m)",
    "stats.norm.cdf(x)",
]


def value(np, expression):
    """What an expression gives for arrays made with `np`."""
    x = np.asarray([1.0, 2.5, 0.5, 3.0, 4.0, 1.5, 2.0, 0.25])
    y = np.asarray([2.0, 1.0, 0.5, 2.0, 3.0, 2.5, 1.0, 0.75])
    m = np.reshape(np.arange(16.0) % 5, (4, 4)) + 4 * np.eye(4)
    return eval(expression, {**vars(scipy), "np": np, "x": x, "y": y, "m": m})


def agree(expression):
    """What an expression gives for npx arrays, which is what it gives for NumPy's."""
    got, want = value(npx, expression), value(numpy, expression)
    numpy.testing.assert_allclose(numpy.asarray(got), numpy.asarray(want), rtol=1e-9, atol=1e-12)
    return got


@pytest.mark.parametrize(
    "expression", [e for expressions in SCIPY.values() for e in re.split(r"[;\n]\s*", expressions.strip())]
)
def test_scipy_gives_npx_arrays(expression):
    assert type(agree(expression)) is npx.ndarray


@pytest.mark.parametrize("expression", NUMPYS)
def test_scipy_converts_where_it_does_not_dispatch(expression):
    assert type(agree(expression)) is numpy.ndarray


# ------------------------------------------------------------------------------------------------------ scikit-learn
def data(np):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    return x, (x[:, 0] > 0.1).astype(int), x @ np.asarray([1.0, -1.0, 0.5])


TRANSFORMERS = [
    "StandardScaler()",
    "MinMaxScaler()",
    "MaxAbsScaler()",
    "Normalizer()",
    "PolynomialFeatures(2)",
    "Binarizer()",
]


def dispatching(program):
    """Check a program with array API dispatch."""

    def run(np):
        with sklearn.config_context(array_api_dispatch=True):
            return program(np)

    return check(run, exact=False)


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_scikit_learn_transforms(transformer):
    got = dispatching(lambda np: eval(transformer, vars(sklearn.preprocessing)).fit_transform(data(np)[0]))
    assert type(got) is npx.ndarray


def test_scikit_learn_fits():
    def program(np):
        x, y, z = data(np)
        pca = sklearn.decomposition.PCA(2, svd_solver="full").fit(x)
        ridge = sklearn.linear_model.Ridge(solver="svd").fit(x, z)
        lda = sklearn.discriminant_analysis.LinearDiscriminantAnalysis().fit(x, y)
        return pca.transform(x), ridge.coef_, ridge.predict(x), lda.predict_proba(x)

    assert all(type(part) is npx.ndarray for part in dispatching(program))


def test_scikit_learn_measures():
    def program(np):
        x, y, z = data(np)
        guess = (x[:, 1] > 0).astype(int)
        metrics = sklearn.metrics
        return (
            float(metrics.accuracy_score(y, guess)), float(metrics.r2_score(z, x[:, 0])),
            float(metrics.mean_squared_error(z, z + 1)), metrics.pairwise.euclidean_distances(x[:4]),
            metrics.pairwise.cosine_similarity(x[:4]), float(metrics.zero_one_loss(y, guess)),
        )  # fmt: skip

    assert type(dispatching(program)[3]) is npx.ndarray


def test_array_api_compat_knows_npx():
    """What libraries ask before they dispatch."""
    compat = library("array_api_compat")
    x = npx.arange(3.0)
    assert compat.is_array_api_obj(x) and not compat.is_numpy_array(x)
    assert compat.array_namespace(x, npx.ones(2)) is x.__array_namespace__()
    assert compat.device(x) == x.device and compat.size(x) == 3
    assert type(compat.to_device(x, "cpu")) is npx.ndarray
    assert npx.array_equal(compat.array_namespace(x).asarray([1.0, 2.0]), [1.0, 2.0])
