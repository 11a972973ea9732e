"""The linear algebra ops where the generated tests do not reach: LAPACK's freedoms, triangles, unused results."""

import numpy
import pytest
from optable import direction

from npx.dispatch import registry
from npx.dispatch.abstract import aval_of
from npx.dispatch.payloads import ops
from npx.ops.linalg import general, positive

WEIGHTS = numpy.array([1.0, 2.0, 4.0])


def spectral(w, v):
    """A function of the eigenvectors that does not see their phases."""
    return (v * WEIGHTS) @ v.conj().swapaxes(-1, -2)


@pytest.mark.parametrize("triangle", ["lo", "up"])
@pytest.mark.parametrize("code", "dD")
def test_eigenvectors(triangle, code):
    """Through a function of them that has differences, and one mode against the other."""
    op, rng, step = registry.op(f"eigh_{triangle}"), numpy.random.default_rng(0), 1e-6
    x = positive((2, 3, 3), code)
    t, g = direction(x, rng), direction(x, rng)
    w, v = op(x)
    tw, tv = op.jvp((t,), (w, v), (x,), {})
    up, down = op(x + step * t), op(x - step * t)
    numpy.testing.assert_allclose(tw, (up[0] - down[0]) / (2 * step), rtol=1e-6, atol=1e-7)
    half = (tv * WEIGHTS) @ v.conj().swapaxes(-1, -2)
    change = half + half.conj().swapaxes(-1, -2)
    numpy.testing.assert_allclose(change, (spectral(*up) - spectral(*down)) / (2 * step), rtol=1e-6, atol=1e-7)
    gw = rng.normal(size=w.shape)
    cotangent = op.vjp(0, (gw, g), (w, v), (x,), {})
    want = (gw * tw).sum() + (g * tv).sum().real
    numpy.testing.assert_allclose((cotangent * t).sum().real, want, rtol=1e-10)


@pytest.mark.parametrize("name", ["svd_s", "svd_f"])
@pytest.mark.parametrize("rows, columns", [(3, 3), (3, 2), (2, 3)])
def test_singular_vectors(name, rows, columns):
    """Likewise: products of the vectors of a pair do not see their phase, nor projections the basis."""
    op, rng, step = registry.op(name), numpy.random.default_rng(0), 1e-6
    x = general((2, 3, 3), "D")[:, :rows, :columns]
    t = direction(x, rng)
    u, s, vh = op(x)
    tu, ts, tvh = op.jvp((t,), (u, s, vh), (x,), {})
    up, down = op(x + step * t), op(x - step * t)
    numpy.testing.assert_allclose(ts, (up[1] - down[1]) / (2 * step), rtol=1e-6, atol=1e-7)
    for results in (pairs, completing):
        change = results(u + step * tu, vh + step * tvh) - results(u - step * tu, vh - step * tvh)
        want = results(up[0], up[2]) - results(down[0], down[2])
        numpy.testing.assert_allclose(change / (2 * step), want / (2 * step), rtol=1e-6, atol=1e-7)
    gs = [direction(a, rng) for a in (u, s, vh)]
    cotangent = op.vjp(0, gs, (u, s, vh), (x,), {})
    want = sum((g * t).sum().real for g, t in zip(gs, (tu, ts, tvh)))
    numpy.testing.assert_allclose((cotangent * t).sum().real, want, rtol=1e-10)


def pairs(u, vh):
    """A sum of the products of the two vectors of each pair."""
    k = min(u.shape[-1], vh.shape[-2])
    return (u[..., :k] * WEIGHTS[:k]) @ vh[..., :k, :]


def completing(u, vh):
    """The projections on what the vectors span that complete a basis."""
    k = min(u.shape[-1], vh.shape[-2])
    u, vh = u[..., k:], vh[..., k:, :]
    parts = (u @ u.conj().swapaxes(-1, -2), vh.conj().swapaxes(-1, -2) @ vh)
    return numpy.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


@pytest.mark.parametrize("missing", [0, 1])
@pytest.mark.parametrize("name", ["slogdet", "eigh_lo"])
def test_a_result_that_is_not_used(name, missing):
    """Its cotangent is None, and counts as zero."""
    op, x = registry.op(name), positive((3, 3), "D")
    ans = op(x)
    gs = [direction(o, numpy.random.default_rng(0)) for o in ans]
    zero, none = list(gs), list(gs)
    zero[missing], none[missing] = numpy.zeros_like(gs[missing]), None
    want, got = (op.vjp(0, tuple(g), ans, (x,), {}) for g in (zero, none))
    numpy.testing.assert_allclose(got, want, atol=1e-12)
    assert numpy.abs(got).max() > 0.1


@pytest.mark.parametrize("name", [f"{kind}_{end}" for kind in ("cholesky", "eigvalsh") for end in ("lo", "up")])
def test_the_other_triangle_has_no_influence(name):
    op, x = registry.op(name), positive((3, 3), "d")
    ans = op(x)
    cotangent = op.vjp(0, numpy.ones_like(ans), ans, (x,), {})
    other = numpy.triu(cotangent, 1) if name.endswith("lo") else numpy.tril(cotangent, -1)
    assert not other.any() and cotangent.any()


@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "eigvals", "svd_s"])
def test_batches_of_stacks(name):
    """The batch axis goes before the stack's own."""
    op, x = registry.op(name), general((4, 2, 3, 3), "d")
    got, want = op.batch(op, 4, (x,), (True,), {}), [op(one) for one in x]
    for k in range(op.nout):
        one, rows = (got, want) if op.nout == 1 else (got[k], [w[k] for w in want])
        numpy.testing.assert_allclose(one, numpy.array(rows), strict=True)


@pytest.mark.parametrize("name", ["solve", "solve1"])
@pytest.mark.parametrize("batched", [(True, False), (False, True), (True, True)])
def test_batches_of_systems(name, batched):
    op, rng = registry.op(name), numpy.random.default_rng(0)
    a, b = general((4, 3, 3), "d"), rng.normal(size=(4, 2, 3, 1) if name == "solve" else (4, 2, 3))
    full = [x if is_batched else x[0] for x, is_batched in zip((a, b), batched)]
    want = [op(*(x[k] if is_batched else x for x, is_batched in zip(full, batched))) for k in range(4)]
    numpy.testing.assert_allclose(op.batch(op, 4, tuple(full), batched, {}), want)


WRONG = [
    ("inv", ((2, 3),)),
    ("inv", ((3,),)),
    ("solve", ((2, 2), (2,))),
    ("solve", ((2, 2), (3, 1))),
    ("solve", ((4, 2, 2), (3, 2, 1))),
]


@pytest.mark.parametrize(("name", "shapes"), WRONG)
def test_wrong_shapes_raise_what_numpy_raises(name, shapes):
    op, args = registry.op(name), tuple(map(numpy.ones, shapes))
    from_op = pytest.raises(ValueError, op, *args)
    from_rule = pytest.raises(ValueError, op.abstract, tuple(map(aval_of, args)), {})
    assert str(from_op.value) == str(from_rule.value)


@pytest.mark.parametrize("rank", [2, 1, 0])
@pytest.mark.parametrize("factor", [1, 1 + 2j])
def test_the_determinant_of_a_singular_matrix(rank, factor):
    """Its derivatives are the minors."""
    rng = numpy.random.default_rng(0)
    x = factor * rng.integers(-3, 4, (3, rank)) @ rng.integers(-3, 4, (rank, 3)).astype(float)
    places = [(i, j) for i in range(3) for j in range(3)]
    minors = [(-1) ** (i + j) * numpy.linalg.det(numpy.delete(numpy.delete(x, i, 0), j, 1)) for i, j in places]
    got = ops.det.vjp(0, 1.0, 0.0, (x,), {})
    numpy.testing.assert_allclose(got.ravel(), minors, rtol=1e-10, atol=1e-10)


def test_the_logarithm_of_a_determinant_of_zero_has_no_derivative():
    """NaN and not a number that is wrong."""
    x = numpy.ones((2, 2))
    with numpy.errstate(all="ignore"):
        assert numpy.isnan(ops.slogdet.vjp(0, (None, 1.0), ops.slogdet(x), (x,), {})).all()
