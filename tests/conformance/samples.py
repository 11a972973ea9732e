"""Arguments to try NumPy's public functions with: usual ones, and those that one function wants.

Each entry is a function of a `Draw` that makes the arguments of one call. The arrays among them are what gets traced.
"""

import numpy


class Draw:
    """Random arrays; two draws of one call differ in the values only."""

    def __init__(self, seed):
        self.rng = numpy.random.default_rng(seed)

    def x(self, *shape, low=0.1, high=0.9):
        """Floats."""
        return numpy.asarray(self.rng.uniform(low, high, shape))

    def big(self, *shape):
        """Floats above one."""
        return self.x(*shape, low=1.1, high=2.9)

    def z(self, *shape):
        """Complex numbers."""
        return self.x(*shape) + 1j * self.x(*shape)

    def i(self, *shape, low=1, high=5):
        """Small integers."""
        return numpy.asarray(self.rng.integers(low, high, shape))

    def b(self, *shape):
        """Truth values, half of them true along the last axis."""
        return self.rng.permuted(numpy.broadcast_to(numpy.arange(shape[-1]) % 2 == 0, shape), axis=-1)

    def spd(self, n):
        """A well-conditioned symmetric matrix."""
        a = self.x(n, n)
        return a @ a.T + numpy.diag(numpy.arange(1.0, n + 1))

    def rising(self, n):
        """Increasing floats."""
        return numpy.cumsum(self.x(n))

    def holes(self, *shape):
        """Floats, and NaN here and there."""
        x = self.x(*shape)
        x.flat[:: max(3, x.size - 2)] = numpy.nan
        return x


def call(*args, **kwargs):
    """The arguments of a call."""
    return args, kwargs


#: tried with every function that NumPy dispatches on its arguments, in this order
USUAL = (
    lambda d: call(d.x(5)),
    lambda d: call(d.x(5), d.x(5)),
    lambda d: call(d.x(3, 4)),
    lambda d: call(d.x(3, 4), axis=0),
    lambda d: call(d.spd(3)),
    lambda d: call(d.spd(3), d.x(3)),
    lambda d: call(d.x(3, 4), d.x(4)),
    lambda d: call(d.x(3, 4), d.x(4, 2)),
    lambda d: call(d.big(5)),
    lambda d: call([d.x(4), d.x(4)]),
    lambda d: call(d.x(6), 2),
    lambda d: call(d.x(3, 4), 1),
    lambda d: call(d.z(5)),
    lambda d: call(d.i(5)),
    lambda d: call(d.i(5), d.i(5)),
    lambda d: call(d.b(6)),
    lambda d: call(d.b(6), d.b(6)),
    lambda d: call(d.z(5), d.z(5)),
    lambda d: call(d.x(5), d.x(5), d.x(5)),
    lambda d: call(d.x(4, 3, 2)),
    lambda d: call(d.x()),
)

_SETS = (lambda d: call(d.i(6), d.i(6)), lambda d: call(d.x(5), d.x(4)))
_UNIQUE = (lambda d: call(d.i(6)), lambda d: call(d.x(5)))
_QUANTILES = (
    lambda d: call(d.x(5), 0.3),
    lambda d: call(d.x(3, 4), [0.25, 0.5], axis=0),
    lambda d: call(d.x(3, 4), d.x(2), axis=1),
    lambda d: call(d.x(6), 0.6, method="nearest"),
)
_PERCENTILES = (lambda d: call(d.x(5), 30), lambda d: call(d.x(3, 4), [25, 75], 0))
_SPACES = (lambda d: call(d.x(), d.big(), 4), lambda d: call(d.x(3), 2, 4))
_PRODUCTS = (lambda d: call(d.x(3, 4), d.x(4, 2), 1), lambda d: call(d.x(2, 3, 4), d.x(4, 3), axes=[[1, 2], [1, 0]]))
_OUTSIDE = (lambda d: call(d.z(5)), lambda d: call(d.x(5), 8), lambda d: call(d.x(5), norm="ortho"))
_WEIGHTED_SUM = (lambda d: call(d.x(3, 4), axis=1, where=d.b(3, 4)), lambda d: call(d.x(3, 4), axis=(0, 1)))
_EXTREME = (lambda d: call(d.x(3, 4), axis=1, initial=0.5, where=d.b(3, 4)), lambda d: call(d.x(3, 4), keepdims=True))

#: tried before the usual arguments
FIRST = {
    **dict.fromkeys(("sum", "prod", "mean", "var", "std", "nansum"), _WEIGHTED_SUM),
    **dict.fromkeys(("max", "min", "amax", "amin"), _EXTREME),
    **dict.fromkeys(("fft", "ifft", "hfft", "ihfft", "rfft", "irfft"), _OUTSIDE),
    **dict.fromkeys(("nanmean", "nanvar", "nanstd", "nanmax", "nanmin", "nanprod"), (lambda d: call(d.holes(3, 4)),)),
    **dict.fromkeys(("nancumsum", "nancumprod", "nanmedian", "nanargmax"), (lambda d: call(d.holes(3, 4)),)),
    "nan_to_num": (lambda d: call(d.holes(5)), lambda d: call(d.holes(5), copy=False)),
    "average": (lambda d: call(d.x(5), weights=d.x(5)), lambda d: call(d.x(3, 4), axis=1, weights=d.x(4))),
    "angle": (lambda d: call(d.z(5), deg=True),),
    "cond": (lambda d: call(d.x(3, 3), "fro"),),
    "cov": (lambda d: call(d.x(3, 4), ddof=0), lambda d: call(d.x(3, 4), aweights=d.x(4))),
    "cumulative_sum": (lambda d: call(d.x(5), include_initial=True),),
    "diff": (lambda d: call(d.x(3, 4), n=2), lambda d: call(d.x(5), prepend=d.x(2))),
    "ediff1d": (lambda d: call(d.x(5), to_end=d.x(2)), lambda d: call([d.x(3), d.x(3)])),
    "eig": (lambda d: call(d.x(3, 3)),),
    "eigvals": (lambda d: call(d.x(3, 3)),),
    "gradient": (lambda d: call(d.x(6), 0.5), lambda d: call(d.x(6), d.rising(6))),
    "i0": (lambda d: call(d.x()),),
    "isclose": (lambda d: call(d.i(5), d.i(5)),),
    "norm": (
        lambda d: call(d.x(3, 4), "nuc"),
        lambda d: call(d.x(5), 3),
        lambda d: call(d.x(3, 4), numpy.inf),
        lambda d: call(d.x(3, 4), axis=1),
    ),
    "pad": (
        lambda d: call(d.x(3, 4), 1, mode="edge"),
        lambda d: call(d.x(6), 2, mode="reflect"),
        lambda d: call(d.x(6), (1, 2), mode="mean"),
        lambda d: call(d.x(6), 2, mode="linear_ramp"),
    ),
    "qr": (lambda d: call(d.x(4, 3)), lambda d: call(d.x(4, 3), mode="r")),
    "real_if_close": (lambda d: call(d.x(5) + 0j),),
    "repeat": (lambda d: call(d.x(3, 4), 2, axis=0), lambda d: call(d.x(3), [1, 2, 3])),
    "roll": (
        lambda d: call(d.x(3, 4), 1, axis=1),
        lambda d: call(d.x(3, 4), (1, 2), axis=(0, 1)),
        lambda d: call(d.x(5), d.i(2)),
    ),
    "roots": (lambda d: call(d.x(4)),),
    "round": (lambda d: call(d.x(5), 2), lambda d: call(d.b(4))),
    "split": (lambda d: call(d.x(6), [2, 4]),),
    "trace": (lambda d: call(d.x(3, 4), offset=1),),
    "tril": (lambda d: call(d.x(3, 4), -1),),
    "unwrap": (lambda d: call(d.x(6, high=20.0)),),
    "vector_norm": (lambda d: call(d.x(3, 4), axis=1, ord=3),),
}

#: tried instead of the usual arguments
INSTEAD = {
    **dict.fromkeys(("union1d", "intersect1d", "setdiff1d", "setxor1d", "isin"), _SETS),
    **dict.fromkeys(("unique_all", "unique_counts", "unique_inverse", "unique_values"), _UNIQUE),
    **dict.fromkeys(("quantile", "nanquantile"), _QUANTILES),
    **dict.fromkeys(("percentile", "nanpercentile"), _PERCENTILES),
    **dict.fromkeys(("nonzero", "argwhere", "flatnonzero", "count_nonzero"), (lambda d: call(d.i(6, low=0, high=2)),)),
    **dict.fromkeys(("array", "asarray", "asanyarray"), (lambda d: call(d.x(5)), lambda d: call([d.x(4), d.x(4)]))),
    **dict.fromkeys(("ascontiguousarray", "asfortranarray", "require"), (lambda d: call(d.x(3, 4)),)),
    **dict.fromkeys(("asarray_chkfinite", "asmatrix"), (lambda d: call(d.x(3, 4)),)),
    **dict.fromkeys(("linspace", "logspace", "geomspace"), _SPACES),
    **dict.fromkeys(("shares_memory", "may_share_memory", "empty_like", "is_busday"), ()),  # not of values
    "apply_along_axis": (lambda d: call(lambda row: row * row.sum(), 1, d.x(3, 4)),),
    "apply_over_axes": (lambda d: call(numpy.sum, d.x(2, 3, 4), [0, 2]),),
    "argpartition": (lambda d: call(d.x(6), 2),),
    "astype": (lambda d: call(d.x(5), numpy.float32), lambda d: call(d.z(3), numpy.complex64)),
    "bincount": (lambda d: call(d.i(6)), lambda d: call(d.i(6), d.x(6)), lambda d: call(d.i(6), minlength=8)),
    "block": (lambda d: call([[d.x(2, 2), d.x(2, 3)], [d.x(1, 5)]]),),
    "broadcast_arrays": (lambda d: call(d.x(3, 1), d.x(4)),),
    "broadcast_to": (lambda d: call(d.x(4), (3, 4)),),
    "choose": (lambda d: call(d.i(5) - 1, [d.x(5), d.x(5), d.x(5), d.x()]),),
    "clip": (lambda d: call(d.x(5), 0.3, 0.6), lambda d: call(d.x(5), None, 0.6), lambda d: call(d.x(5), d.x(5), 0.8)),
    "compress": (lambda d: call(d.b(6), d.x(6)), lambda d: call([True, False, True], d.x(3, 4), axis=0)),
    "convolve": (lambda d: call(d.x(6), d.x(3)), lambda d: call(d.x(6), d.x(3), mode="same")),
    "copyto": (lambda d: call(d.x(5), d.x(5)), lambda d: call(d.x(3, 4), d.x(4), where=d.b(3, 4))),
    "correlate": (lambda d: call(d.x(6), d.x(3)), lambda d: call(d.z(6), d.z(3), mode="full")),
    "cross": (lambda d: call(d.x(3), d.x(3)), lambda d: call(d.x(4, 3), d.x(4, 3))),
    "delete": (lambda d: call(d.x(6), 2), lambda d: call(d.x(6), [1, 3]), lambda d: call(d.x(3, 4), 1, axis=1)),
    "digitize": (lambda d: call(d.x(5), d.rising(4)),),
    "dsplit": (lambda d: call(d.x(2, 3, 4), 2),),
    "einsum": (lambda d: call("ij,jk->ik", d.x(3, 4), d.x(4, 2)), lambda d: call("ii", d.x(3, 3))),
    "extract": (lambda d: call(d.b(6), d.x(6)),),
    "fill_diagonal": (lambda d: call(d.x(3, 3), d.x()), lambda d: call(d.x(4, 3), d.x(3), wrap=True)),
    "full": (lambda d: call((2, 3), d.x()), lambda d: call((2, 3), d.x(3))),
    "full_like": (lambda d: call(d.x(3, 4), d.x()), lambda d: call(d.i(3, 4), d.big())),
    "histogram": (
        lambda d: call(d.x(8), 4),
        lambda d: call(d.x(8), 4, range=(0, 1), weights=d.x(8)),
        lambda d: call(d.x(8), d.rising(4), density=True),
    ),
    "histogram2d": (lambda d: call(d.x(8), d.x(8), 3), lambda d: call(d.x(8), d.x(8), 3, range=[[0, 1], [0, 1]])),
    "histogramdd": (lambda d: call(d.x(8, 2), 3),),
    "insert": (lambda d: call(d.x(6), 2, d.x()), lambda d: call(d.x(3, 4), 1, d.x(3), axis=1)),
    "interp": (lambda d: call(d.x(5), d.rising(6), d.x(6)),),
    "ldexp": (lambda d: call(d.x(5), d.i(5)),),
    "lexsort": (lambda d: call((d.x(5), d.i(5))),),
    "lstsq": (lambda d: call(d.x(5, 3), d.x(5), rcond=None),),
    "matrix_power": (lambda d: call(d.x(3, 3), 3), lambda d: call(d.spd(3), -2)),
    "meshgrid": (lambda d: call(d.x(3), d.x(4)), lambda d: call(d.x(3), d.x(4), indexing="ij", sparse=True)),
    "moveaxis": (lambda d: call(d.x(2, 3, 4), 0, 2),),
    "multi_dot": (lambda d: call([d.x(3, 4), d.x(4, 2), d.x(2, 3)]),),
    "partition": (lambda d: call(d.x(6), 2), lambda d: call(d.x(3, 4), (1, 2), axis=0)),
    "piecewise": (lambda d: call(d.x(6), [d.b(6)], [lambda v: 2 * v, 0.5]),),
    "place": (lambda d: call(d.x(6), d.b(6), d.x(3)),),
    "polydiv": (lambda d: call(d.x(5), d.x(3)),),
    "polyfit": (lambda d: call(d.rising(6), d.x(6), 2),),
    "polyval": (lambda d: call(d.x(3), d.x(5)),),
    "put": (lambda d: call(d.x(6), [0, 2], d.x(2)), lambda d: call(d.x(6), d.i(2), d.x(2))),
    "put_along_axis": (lambda d: call(d.x(3, 4), d.i(3, 1) - 1, d.x(3, 1), 1),),
    "putmask": (lambda d: call(d.x(6), d.b(6), d.x(6)),),
    "ravel_multi_index": (lambda d: call((d.i(5), d.i(5)), (5, 6)),),
    "reshape": (lambda d: call(d.x(3, 4), (4, 3)), lambda d: call(d.x(3, 4), -1, order="F")),
    "resize": (lambda d: call(d.x(3, 4), (2, 7)),),
    "searchsorted": (lambda d: call(d.rising(6), d.x(5)), lambda d: call(d.rising(6), d.x(), side="right")),
    "select": (lambda d: call([d.b(6), d.b(6)], [d.x(6), d.x(6)], 0.5),),
    "svd": (  # without the vectors that complete a basis: any would do, so that differences tell nothing
        lambda d: call(d.x(4, 3), full_matrices=False),
        lambda d: call(d.x(4, 3), compute_uv=False),
        lambda d: call(d.x(3, 3)),
        lambda d: call(d.spd(3), hermitian=True),
    ),
    "swapaxes": (lambda d: call(d.x(2, 3, 4), 0, 2),),
    "squeeze": (lambda d: call(d.x(3, 1, 4)),),
    "take": (lambda d: call(d.x(6), d.i(4)), lambda d: call(d.x(3, 4), [0, 2], axis=1), lambda d: call(d.x(6), 2)),
    "take_along_axis": (lambda d: call(d.x(3, 4), d.i(3, 2) - 1, 1),),
    "tensordot": _PRODUCTS,
    "tensorinv": (lambda d: call(d.spd(6).reshape(2, 3, 6)),),
    "trim_zeros": (lambda d: call(numpy.concatenate([[0.0], d.x(3), [0.0, 0.0]])), lambda d: call(d.i(6, low=0))),
    "unique": (
        *_UNIQUE,
        lambda d: call(d.i(6), return_counts=True, return_inverse=True),
        lambda d: call(d.i(4, 2, high=3), axis=0),
    ),
    "unpackbits": (lambda d: call(d.i(5).astype(numpy.uint8)),),
    "unravel_index": (lambda d: call(d.i(5), (3, 4)),),
    "vander": (lambda d: call(d.x(5), 3), lambda d: call(d.x(3), increasing=True)),
    "where": (lambda d: call(d.b(6), d.x(6), d.x(6)), lambda d: call(d.b(6)), lambda d: call(d.b(4), d.x(3, 4), 0)),
}
