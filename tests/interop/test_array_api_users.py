"""SciPy and scikit-learn with array API dispatch give npx arrays for npx arrays."""

import os
import subprocess
import sys

import numpy
import pytest
from programs import check, library

import npx

sklearn = library("sklearn")
scipy = library("scipy")

#: what SciPy computes for npx arrays where SCIPY_ARRAY_API is set: expressions of `np`, and of `x` and `y` drawn with it
SCIPY = {
    "fft": ["fft.fft(x)", "fft.rfft(x)", "fft.ifft(x)", "fft.fft2(m)", "fft.irfft(x)", "fft.fftshift(x)", "fft.dct(x)", "fft.fftfreq(8, xp=np)"],
    "special": ["special.erf(x)", "special.gammaln(x)", "special.logsumexp(x)", "special.expit(x)", "special.xlogy(x, x)", "special.i0(x)", "special.logit(x / 9)", "special.ndtri(x / 9)", "special.betainc(x, y, x / 9)"],
    "stats": ["stats.zscore(x)", "stats.skew(x)", "stats.kurtosis(m, axis=1)", "stats.ttest_1samp(x, 1.0).pvalue", "stats.ttest_ind(x, y).statistic", "stats.pearsonr(x, y).statistic", "stats.moment(x, 3)", "stats.gmean(x)", "stats.variation(x)", "stats.entropy(x)", "stats.rankdata(x)", "stats.chisquare(x).pvalue"],
    "linalg": ["linalg.inv(m)", "linalg.solve(m, y[:4])", "linalg.svd(m)[1]", "linalg.eigh(m)[0]", "linalg.cholesky(m @ m.T)", "linalg.expm(m)", "linalg.det(m)", "linalg.qr(m)[1]", "linalg.pinv(m)"],
    "signal": ["signal.hilbert(x)", "signal.convolve(x, y)", "signal.lfilter(y, x, x)", "signal.detrend(x)", "signal.medfilt(x, 3)"],
    "ndimage": ["ndimage.gaussian_filter(m, 1.0)", "ndimage.sum(m)", "ndimage.shift(m, 1.0)"],
    "cluster": ["cluster.vq.whiten(m)", "cluster.vq.kmeans2(m, m[:2], minit='matrix')[0]"],
    "integrate": ["integrate.trapezoid(x)", "integrate.simpson(x)", "integrate.cumulative_trapezoid(x)"],
    "interpolate": ["interpolate.CubicSpline(np.arange(8.0), x)(np.asarray([0.5, 1.5]))", "interpolate.make_interp_spline(np.arange(8.0), x)(np.asarray([0.5]))"],
    "differentiate": ["differentiate.derivative(np.sin, x).df"],
    "optimize": ["optimize.elementwise.find_root(lambda t, c: t * t - c, (0 * x, x + 1), args=(x,)).x"],
    "spatial": ["spatial.distance.cdist(m, m)", "spatial.transform.Rotation.from_rotvec(x[:3]).as_matrix()"],
}  # fmt: skip

SCRIPT = """
import sys
import numpy, npx, scipy, scipy.cluster.vq, scipy.optimize.elementwise, scipy.differentiate, scipy.ndimage, scipy.signal, scipy.spatial
from numpy.testing import assert_allclose

failed = []
for expression in sys.argv[1:]:
    values = []
    try:
        for np in (numpy, npx):
            x = np.asarray([1.0, 2.5, 0.5, 3.0, 4.0, 1.5, 2.0, 0.25])
            y = np.asarray([2.0, 1.0, 0.5, 2.0, 3.0, 2.5, 1.0, 0.75])
            m = np.reshape(np.arange(16.0) % 5, (4, 4)) + 4 * np.eye(4)
            values.append(eval(expression, {**vars(scipy), **locals()}))
        want, got = values
        assert_allclose(numpy.asarray(got), numpy.asarray(want), rtol=1e-9, atol=1e-12)
        assert type(got) is npx.ndarray or numpy.ndim(want) == 0, f"{type(got)}"
    except Exception as error:
        failed.append(f"{expression}: {error!r}")
sys.exit("\\n".join(failed) or 0)
"""


@pytest.mark.parametrize("module", SCIPY)
def test_scipy(module):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *SCIPY[module]],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
