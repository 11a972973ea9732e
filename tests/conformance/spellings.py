"""Further ways to call NumPy's functions that differentiate: each mode, method, order and form of arguments.

As in `samples`, each entry makes the arguments of one call from a `Draw`; the floats among them are differentiated.
"""

import numpy

from .samples import Draw, call

#: the ways in which `numpy.quantile` interpolates; those that pick an element are its derivative too
QUANTILE_METHODS = (
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen weibull linear "
    "median_unbiased normal_unbiased lower higher midpoint nearest"
).split()
PAD_MODES = "constant edge linear_ramp maximum mean median minimum reflect symmetric wrap".split()
CONVOLUTION_MODES = ("full", "same", "valid")
NORMS = ("backward", "ortho", "forward")


def _convolutions(make=Draw.x):
    for mode in CONVOLUTION_MODES:
        for m, n in ((6, 3), (3, 6), (5, 4)):
            yield lambda d, m=m, n=n, mode=mode: call(make(d, m), make(d, n), mode=mode)


def _quantiles(q):
    for method in QUANTILE_METHODS:
        yield lambda d, method=method: call(d.x(3, 7), q, axis=1, method=method)
    yield lambda d: call(d.x(7), q, weights=d.x(7), method="inverted_cdf")
    yield lambda d: call(d.x(3, 4), [q, q / 2], axis=(0, 1), keepdims=True)


def _one_axis(make=Draw.x):
    for norm in NORMS:
        yield lambda d, norm=norm: call(make(d, 3, 4), norm=norm)
    for n in (3, 4, 7):
        yield lambda d, n=n: call(make(d, 5, 2), n, axis=0)


def _more_axes(make=Draw.x):
    for norm in NORMS:
        yield lambda d, norm=norm: call(make(d, 3, 4), norm=norm)
    yield lambda d: call(make(d, 2, 3, 4), s=(3, 5), axes=(0, 2))
    yield lambda d: call(make(d, 2, 3, 4), s=(4, 2), axes=(1, 2))
    yield lambda d: call(make(d, 3, 4), axes=(1, 0))


_SUMS = (
    lambda d: call(d.x(3, 4), axis=1),
    lambda d: call(d.x(2, 3, 2), axis=(0, -1), keepdims=True),
    lambda d: call(d.x(3, 4), axis=1, where=d.b(3, 4)),
    lambda d: call(d.z(3, 4), axis=None),
)
_SPREADS = (
    lambda d: call(d.x(3, 4), axis=1, ddof=1),
    lambda d: call(d.x(3, 4), axis=0, keepdims=True),
    lambda d: call(d.x(2, 3, 2), axis=(0, 2)),
    lambda d: call(d.x(3, 4), axis=1, mean=d.x(3, 1)),
    lambda d: call(d.z(3, 4), axis=0),
)

_EINSUM = (
    lambda d: call("ij,jk", d.x(3, 4), d.x(4, 2)),
    lambda d: call("i j, j k -> k i", d.x(3, 4), d.x(4, 2)),
    lambda d: call("...ij,...jk->...ik", d.x(2, 3, 4), d.x(4, 2)),
    lambda d: call("i...->...", d.x(3, 4, 2)),
    lambda d: call("...i,...i", d.x(2, 3), d.x(3)),
    lambda d: call("ii->i", d.x(3, 3)),
    lambda d: call("iij->ij", d.x(2, 2, 3)),
    lambda d: call("iji,j->i", d.x(2, 3, 2), d.x(3)),
    lambda d: call("ij,ij,ij->", d.x(2, 3), d.x(2, 3), d.x(2, 3)),
    lambda d: call("i,j,k->ijk", d.x(2), d.x(3), d.x(2)),
    lambda d: call("ij,jk,kl->il", d.x(2, 3), d.x(3, 2), d.x(2, 4), optimize=True),
    lambda d: call("ij,jk,kl->il", d.x(2, 3), d.x(3, 2), d.x(2, 4), optimize="greedy"),
    lambda d: call("ij,jk,kl->il", d.x(2, 3), d.x(3, 2), d.x(2, 4), optimize=["einsum_path", (0, 1), (0, 1)]),
    lambda d: call("ij,kj->ik", d.x(1, 3), d.x(2, 1)),
    lambda d: call(",ij->ij", d.x(), d.x(2, 3)),
    lambda d: call("ij->", d.x(2, 3)),
    lambda d: call("ba", d.x(2, 3)),
    lambda d: call(d.x(3, 4), [0, 1], d.x(4, 2), [1, 2]),
    lambda d: call(d.x(3, 4), [0, 1], d.x(4, 2), [1, 2], [2, 0]),
    lambda d: call(d.x(3, 3), [0, 0], [0]),
    lambda d: call(d.x(2, 3, 4), [..., 0, 1], d.x(4, 2), [1, 2], [..., 0, 2]),
    lambda d: call("ij,jk->ik", d.z(2, 3), d.z(3, 2)),
    lambda d: call("ij,j->i", d.z(2, 3), d.x(3)),
    lambda d: call("ij,jk->ik", d.i(2, 3), d.x(3, 2)),
)

_NORM = (
    *(lambda d, o=o: call(d.x(5), o) for o in (None, 1, 2, 3, 0.5, -1, -2, 0, numpy.inf, -numpy.inf)),
    *(lambda d, o=o: call(d.x(3, 4), o) for o in (None, "fro", "nuc", 1, -1, 2, -2, numpy.inf, -numpy.inf)),
    *(lambda d, o=o: call(d.z(3, 4), o) for o in (None, "fro", "nuc", 1, -1, 2, -2, numpy.inf, -numpy.inf)),
    *(lambda d, o=o: call(d.z(5), o) for o in (None, 1, 2, 3, 0.5, numpy.inf)),
    *(lambda d, o=o: call(d.x(2, 3, 4), o, axis=(0, 2)) for o in (None, "nuc", 1, 2)),
    lambda d: call(d.x(3, 4), 3, axis=1, keepdims=True),
)


def _matrix(d, *shape):
    """Well away from singular, without symmetry, with distinct eigenvalues."""
    x = 0.3 * d.x(*shape)
    return x + numpy.eye(shape[-2], shape[-1]) * numpy.arange(1.0, shape[-1] + 1)


def _complex_matrix(d, *shape):
    return _matrix(d, *shape) + 0.3j * d.x(*shape)


def _hermitian(d, n):
    x = _complex_matrix(d, n, n)
    return x @ x.conj().T


def _matrices():
    return (
        lambda d: call(_matrix(d, 3, 3)),
        lambda d: call(_complex_matrix(d, 3, 3)),
        lambda d: call(_matrix(d, 2, 3, 3)),
    )


def _rectangles(**options):
    return (
        lambda d: call(_matrix(d, 4, 3), **options),
        lambda d: call(_matrix(d, 3, 4), **options),
        lambda d: call(_complex_matrix(d, 4, 3), **options),
        lambda d: call(_matrix(d, 2, 3, 4), **options),
    )


def _families():
    """The functions that each family of polynomials has, by their suffixes."""
    shared = {
        "val": (lambda d: call(d.x(2, 3), d.x(4)), lambda d: call(d.x(2), d.x(3, 2), tensor=False)),
        "val2d": (lambda d: call(d.x(3), d.x(3), d.x(3, 2)),),
        "val3d": (lambda d: call(d.x(3), d.x(3), d.x(3), d.x(2, 3, 2)),),
        "grid2d": (lambda d: call(d.x(2), d.x(3), d.x(3, 2)),),
        "grid3d": (lambda d: call(d.x(2), d.x(3), d.x(2), d.x(2, 3, 2)),),
        "vander": (lambda d: call(d.x(3), 3),),
        "vander2d": (lambda d: call(d.x(3), d.x(3), [2, 1]),),
        "vander3d": (lambda d: call(d.x(3), d.x(3), d.x(3), [2, 1, 1]),),
        "fit": (lambda d: call(d.rising(6), d.x(6), 2), lambda d: call(d.rising(6), d.x(6, 2), [0, 2], w=d.x(6))),
        "line": (lambda d: call(d.x(), d.x()),),
        "fromroots": (lambda d: call(d.x(3)),),
        "roots": (lambda d: call(d.x(3) + [1.0, 4.0, 1.0]),),
        "companion": (lambda d: call(d.x(4)),),
        "weight": (lambda d: call(d.x(3)),),
        "der": (lambda d: call(d.x(4), 2, 3.0), lambda d: call(d.x(4, 2), axis=1)),
        "int": (lambda d: call(d.x(4), 2, [d.x(), d.x()], 0.5, 2.0),),
        "pow": (lambda d: call(d.x(3), 3),),
        "div": (lambda d: call(d.x(4), d.big(2)),),
        "trim": (lambda d: call(d.x(4)),),
        "interpolate": (lambda d: call(lambda x, a: a * x**3, 3, (d.x(),)),),
    }
    families = ("poly", "cheb", "herm", "herme", "lag", "leg")
    own = {f"{family}{suffix}": calls for family in families for suffix, calls in shared.items()}
    return {name: calls for name, calls in own.items() if name not in ("polyfit", "polyroots")}


SPELLINGS = {
    "einsum": _EINSUM,
    "norm": _NORM,
    "cond": (
        *(lambda d, p=p: call(_matrix(d, 3, 3), p) for p in (None, 1, -1, 2, -2, "fro", "nuc", numpy.inf, -numpy.inf)),
        lambda d: call(_complex_matrix(d, 3, 3)),
        lambda d: call(_matrix(d, 4, 3)),
    ),
    **dict.fromkeys(("det", "inv", "slogdet", "eigvals"), _matrices()),
    **dict.fromkeys(("cholesky", "eigvalsh"), (lambda d: call(d.spd(3)), lambda d: call(_hermitian(d, 3)))),
    "svdvals": _rectangles(),
    "svd": (*_rectangles(compute_uv=False), lambda d: call(d.spd(3), hermitian=True, compute_uv=False)),
    "pinv": (*_rectangles(), lambda d: call(d.spd(3), hermitian=True)),
    "qr": (
        *_rectangles(mode="r"),
        *_rectangles(mode="reduced"),
        *_rectangles(mode="complete"),
        lambda d: call(_matrix(d, 3, 3)),
    ),
    "solve": (
        lambda d: call(_complex_matrix(d, 3, 3), d.z(3, 2)),
        lambda d: call(_matrix(d, 2, 3, 3), d.x(2, 3, 1)),
        lambda d: call(_matrix(d, 3, 3), d.z(3)),
    ),
    "lstsq": (
        lambda d: call(_matrix(d, 5, 3), d.x(5, 2)),
        lambda d: call(_matrix(d, 3, 5), d.x(3)),
        lambda d: call(_complex_matrix(d, 5, 3), d.z(5)),
    ),
    "matrix_power": (
        *(lambda d, n=n: call(_matrix(d, 3, 3), n) for n in (0, 1, 2, 3, 5, -1, -3)),
        lambda d: call(_complex_matrix(d, 3, 3), 3),
    ),
    "multi_dot": (
        lambda d: call([d.x(3), d.x(3, 4), d.x(4, 2), d.x(2)]),
        lambda d: call([d.x(3, 4), d.x(4, 2)]),
        lambda d: call([d.z(3, 4), d.z(4, 2), d.z(2, 5), d.z(5, 3)]),
    ),
    "tensorsolve": (lambda d: call(d.spd(6).reshape(2, 3, 2, 3), d.x(2, 3)),),
    "matrix_rank": (lambda d: call(_matrix(d, 4, 3)),),
    "convolve": (*_convolutions(), *_convolutions(Draw.z)),
    "correlate": (*_convolutions(), *_convolutions(Draw.z)),
    "interp": (
        lambda d: call(d.x(5, low=-1, high=5), d.rising(6), d.x(6)),
        lambda d: call(d.x(5, low=-1, high=5), d.rising(6), d.x(6), left=d.x(), right=d.x()),
        lambda d: call(d.x(5, low=-1, high=9), d.x(6), d.x(6), period=2.0),
        lambda d: call(d.x(2, 3), d.rising(6), d.z(6)),
        lambda d: call(d.x(3), d.x(1), d.x(1)),
        lambda d: call(d.x(), d.rising(6), d.x(6)),
    ),
    **dict.fromkeys(
        ("trapezoid", "trapz"),  # the name before NumPy 2.0, which later ones dropped
        (
            lambda d: call(d.x(6), d.rising(6)),
            lambda d: call(d.x(3, 4), dx=0.5, axis=0),
            lambda d: call(d.x(3, 4), d.rising(4)),
            lambda d: call(d.x(3, 4), dx=d.x(3)),
        ),
    ),
    "gradient": (
        lambda d: call(d.x(3, 4)),
        lambda d: call(d.x(3, 4), 0.5, d.rising(4)),
        lambda d: call(d.x(6), d.rising(6), edge_order=2),
        lambda d: call(d.x(3, 4), axis=1, edge_order=2),
        lambda d: call(d.x(5), d.x()),
    ),
    "diff": (
        lambda d: call(d.x(6), n=3),
        lambda d: call(d.x(3, 4), axis=0, append=d.x(2, 4)),
        lambda d: call(d.z(4)),
        lambda d: call(d.x(3, 4), prepend=d.x(), append=0.0),
    ),
    "unwrap": (
        lambda d: call(d.x(6, high=20.0), period=4),
        lambda d: call(d.x(3, 6, high=20.0), axis=0),
        lambda d: call(d.x(6, high=20.0), discont=4.0),
    ),
    **dict.fromkeys(("quantile", "nanquantile"), tuple(_quantiles(0.37))),
    **dict.fromkeys(("percentile", "nanpercentile"), tuple(_quantiles(37.0))),
    **dict.fromkeys(
        ("median", "nanmedian"),
        (
            lambda d: call(d.x(5)),
            lambda d: call(d.x(3, 4), axis=1),
            lambda d: call(d.x(2, 3, 4), axis=(0, 2), keepdims=True),
        ),
    ),
    "partition": (
        lambda d: call(d.x(3, 7), 2, axis=1),
        lambda d: call(d.x(7, 3), (1, 4), axis=0),
        lambda d: call(d.x(3, 4), 3, axis=None),
    ),
    "sort": (
        lambda d: call(d.x(3, 7), axis=0),
        lambda d: call(d.x(3, 4), axis=None, kind="stable"),
        lambda d: call(d.z(5)),
    ),
    "sort_complex": (lambda d: call(d.z(5)), lambda d: call(d.x(5))),
    "choose": tuple(
        lambda d, mode=mode: call(d.i(2, 3, low=-1, high=5), [d.x(2, 3), d.x(3), d.x()], mode=mode)
        for mode in ("wrap", "clip")
    ),
    "select": (
        lambda d: call([d.b(6), d.b(6)], [d.x(6), d.x(6)], d.x()),
        lambda d: call([d.b(2, 3)], [d.x(3)]),
        lambda d: call([d.b(6), d.b(6)], [d.z(6), d.x(6)]),
    ),
    "piecewise": (
        lambda d: call(d.x(6), [d.b(6), d.b(6)], [lambda v: v**2, lambda v: 3 * v, lambda v: v]),
        lambda d: call(d.x(6), [d.b(6)], [lambda v, a: a * v, 0.0], 3.0),
    ),
    "pad": (
        *(lambda d, mode=mode: call(d.x(4), 2, mode=mode) for mode in PAD_MODES),
        *(lambda d, mode=mode: call(d.x(3, 4), ((1, 2), (2, 0)), mode=mode) for mode in PAD_MODES),
        lambda d: call(d.x(4), 2, constant_values=(0.5, 2)),
        lambda d: call(d.x(4), 2, mode="linear_ramp", end_values=(1.0, -1.0)),
        lambda d: call(d.x(6), 2, mode="maximum", stat_length=3),
        lambda d: call(d.x(6), 2, mode="mean", stat_length=(2, 3)),
        lambda d: call(d.x(4), 3, mode="reflect", reflect_type="odd"),
        lambda d: call(d.x(4), 3, mode="symmetric", reflect_type="odd"),
        lambda d: call(d.x(3), 7, mode="wrap"),
        lambda d: call(d.x(3), 7, mode="reflect"),
        lambda d: call(d.x(2, 3), {-1: (1, 2)}),
    ),
    "roll": (lambda d: call(d.x(3, 4), 5), lambda d: call(d.x(3, 4), (1, -1), axis=(0, 1))),
    "tile": (lambda d: call(d.x(2, 3), (2, 1, 3)), lambda d: call(d.x(), 3), lambda d: call(d.x(2), [2, 2])),
    "kron": (lambda d: call(d.x(2, 3), d.x(3, 2)), lambda d: call(d.x(2), d.x(3, 2)), lambda d: call(d.z(2), d.x(3))),
    "apply_along_axis": (
        lambda d: call(lambda row: (row**2).sum(), 0, d.x(3, 4)),
        lambda d: call(lambda row: row[:2] * row[2], 1, d.x(3, 4)),
    ),
    **dict.fromkeys(
        ("copyto",),
        (
            lambda d: call(d.x(3, 4), d.x(4)),
            lambda d: call(d.x(3, 4), d.x(), where=d.b(4)),
            lambda d: call(d.z(3), d.x(3)),
        ),
    ),
    "compress": (lambda d: call(d.b(4), d.x(3, 4), axis=1), lambda d: call(d.b(6), d.x(3, 4))),
    "fill_diagonal": (
        lambda d: call(d.x(6, 2), d.x(2), wrap=True),
        lambda d: call(d.x(3, 3, 3), d.x()),
        lambda d: call(d.x(2, 3), d.x(2)),
    ),
    "put": (
        lambda d: call(d.x(2, 3), [0, 7], d.x(2), mode="wrap"),
        lambda d: call(d.x(2, 3), [0, 9], d.x(1), mode="clip"),
        lambda d: call(d.x(6), [0, 2, 4], d.x(2)),
    ),
    "put_along_axis": (
        lambda d: call(d.x(3, 4), d.i(2, 4, low=0, high=2), d.x(2, 4), 0),
        lambda d: call(d.x(6), d.i(2), d.x(), None),
    ),
    "take_along_axis": (
        lambda d: call(d.x(3, 4), d.i(2, 4, low=0, high=3), 0),
        lambda d: call(d.x(3, 4), d.i(2), None),
        lambda d: call(d.x(3, 4), d.i(3, 2, low=0, high=3), axis=-1),
    ),
    "take": (
        lambda d: call(d.x(3, 4), d.i(2, 2, low=0, high=3), 1),
        lambda d: call(d.x(3, 4), [5, -7], 1, mode="wrap"),
        lambda d: call(d.x(3, 4), [5, -7], 1, mode="clip"),
        lambda d: call(d.x(3, 4), 7),
    ),
    "place": (lambda d: call(d.x(2, 3), d.b(2, 3), d.x(2)), lambda d: call(d.x(6), d.b(6), [d.x(), 2.0])),
    "putmask": (lambda d: call(d.x(2, 3), d.b(2, 3), d.x(4)),),
    "extract": (lambda d: call(d.b(2, 4), d.x(2, 4)),),
    "insert": (lambda d: call(d.x(3, 4), [1, 2], d.x(3, 2), axis=1), lambda d: call(d.x(6), slice(1, 3), d.x(2))),
    "append": (lambda d: call(d.x(2, 3), d.x(1, 3), axis=0), lambda d: call(d.x(2, 3), d.x(2))),
    **dict.fromkeys(("sum", "mean", "prod", "nansum", "nanmean", "nanprod"), _SUMS),
    **dict.fromkeys(("var", "std", "nanvar", "nanstd"), _SPREADS),
    **dict.fromkeys(
        ("nancumsum", "nancumprod", "cumsum", "cumprod"),
        (
            lambda d: call(d.x(3, 4), axis=0),
            lambda d: call(d.x(3, 4)),
            lambda d: call(d.z(4)),
        ),
    ),
    "cumulative_prod": (lambda d: call(d.x(3, 4), axis=1, include_initial=True),),
    "average": (
        lambda d: call(d.x(3, 4), weights=d.x(3, 4), axis=0, returned=True),
        lambda d: call(d.x(3, 4), axis=(0, 1), weights=d.x(3, 4), keepdims=True),
        lambda d: call(d.z(4), weights=d.x(4)),
    ),
    "cov": (
        lambda d: call(d.x(3, 4), d.x(2, 4)),
        lambda d: call(d.x(4, 3), rowvar=False, bias=True),
        lambda d: call(d.x(3, 4), fweights=[1, 2, 1, 3], aweights=d.x(4)),
        lambda d: call(d.z(2, 4)),
    ),
    "corrcoef": (lambda d: call(d.x(3, 4), d.x(2, 4)), lambda d: call(d.z(2, 4))),
    "cross": (
        lambda d: call(d.x(3, 4), d.x(3, 4), axis=0),
        lambda d: call(d.x(2, 3), d.x(3), axisc=0),
        lambda d: call(d.x(2, 2), d.x(2, 2)),
    ),
    "tensordot": (lambda d: call(d.x(2, 3), d.x(4), 0), lambda d: call(d.x(2, 3), d.x(2, 3), 2)),
    "geomspace": (
        lambda d: call(d.x(), d.big(), 4),
        lambda d: call(d.z(), d.big(), 4),
        lambda d: call(d.x(2), 2, 4, axis=1),
    ),
    "logspace": (lambda d: call(d.x(2), d.big(2), 4, base=3.0), lambda d: call(d.x(), d.big(), 3, base=d.big())),
    "linspace": (lambda d: call(d.x(), d.big(), 4, endpoint=False, retstep=True), lambda d: call(d.x(2), d.z(2), 3)),
    "nan_to_num": (lambda d: call(d.holes(5), nan=2.0),),
    "clip": (lambda d: call(d.x(3, 4), d.x(4) / 2, 0.7), lambda d: call(d.x(3), min=0.2, max=d.x())),
    "polyfit": (
        lambda d: call(d.rising(6), d.x(6, 2), 2),
        lambda d: call(d.rising(6), d.x(6), 1, w=d.x(6)),
        lambda d: call(d.rising(8), d.x(8), 2, cov=True),
    ),
    "roots": (lambda d: call(d.x(3) + numpy.array([0.0, 4.0, 1.0])),),
    **dict.fromkeys(("fft", "ifft", "hfft", "irfft"), (*_one_axis(), *_one_axis(Draw.z))),
    **dict.fromkeys(("rfft", "ihfft"), tuple(_one_axis())),
    **dict.fromkeys(("fft2", "ifft2", "fftn", "ifftn", "irfft2", "irfftn"), (*_more_axes(), *_more_axes(Draw.z))),
    **dict.fromkeys(("rfft2", "rfftn"), tuple(_more_axes())),
    **dict.fromkeys(("fftshift", "ifftshift"), (lambda d: call(d.x(3, 4)), lambda d: call(d.x(3, 4), axes=0))),
    "block": (lambda d: call([d.x(2), d.x(3)]), lambda d: call([[d.x(2, 1), d.x(2, 2)], [d.x(1, 3)]])),
    "histogram": (lambda d: call(d.x(8), 4, weights=d.x(8), range=(0.0, 1.0)),),
    "bincount": (lambda d: call(d.i(6), weights=d.x(6), minlength=7),),
    "arange": (lambda d: call(d.x(), 3.05, d.big()), lambda d: call(d.x(), 4)),
    **dict.fromkeys(("fftfreq", "rfftfreq"), (lambda d: call(7, d.x()),)),
    "kaiser": (lambda d: call(5, d.big()), lambda d: call(6, d.big())),
    "fromfunction": (lambda d: call(lambda k, a: k * a, (3,), a=d.x()),),
    "row_stack": (lambda d: call([d.x(3), d.x(3)]),),
    "astype": (lambda d: call(d.x(5), complex), lambda d: call(d.z(3), complex, copy=False)),
    "trim_zeros": (lambda d: call(d.x(5)),),
    **_families(),
}
