"""xarray makes labelled arrays of npx arrays and computes with them; traced ones stay traced inside."""

import operator

import pytest
from programs import check, library

import npx

xr = library("xarray")

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.lt, operator.eq]


def array(np):
    return xr.DataArray(
        np.arange(12.0).reshape(3, 4) / 4,
        dims=("t", "x"),
        coords={"t": np.array([10, 20, 30]), "x": np.linspace(0, 1, 4)},
        name="a",
    )


@pytest.mark.parametrize("op", OPERATORS)
def test_operators_in_both_orders(op):
    def program(np):
        a = array(np)
        return op(a, np.ones((3, 4))), op(np.ones((3, 4)), a), op(a, a[0]), op(np.array(2.0), a), op(a, np.float64(3.0))

    check(program)


def test_computations():
    def program(np):
        a = array(np)
        return (
            np.sin(a), a.mean("x"), a.sum(), a.std("t"), a.sel(t=20), a.isel(x=np.array([0, 2])), a.where(a > 1),
            a.T, a.max("t"), a.cumsum("x"), a.groupby("t").mean(), a.interp(x=np.array([0.1, 0.2])),
            a.rolling(x=2).mean(), a.quantile(0.3, "x"), a.stack(z=("t", "x")), xr.concat([a, a], "t"), a.dot(a),
            a.diff("x"), a.fillna(0), a.isin(np.array([0.25])), a.argmax("x"), a.shift(x=1), a.roll(x=1),
            a.median(), a.sortby("x", ascending=False), a.coarsen(x=2).mean(), a.integrate("x"),
            a.differentiate("x"), a.sel(x=np.array([0.3]), method="nearest"),
            a[:, np.array([True, False, True, False])], a.clip(0.5, 1), a.round(), a.pad(x=1),
            xr.where(a > 1, a, 0.0), xr.dot(a, a, dim="x"), xr.apply_ufunc(np.cos, a), a.astype(np.float32),
            a.expand_dims("k"),
            xr.apply_ufunc(lambda v: np.sort(v, axis=-1), a, input_core_dims=[["x"]], output_core_dims=[["x"]]),
            a.polyfit("x", 1).polyfit_coefficients,
        )  # fmt: skip

    check(program)


def test_assignment():
    def program(np):
        a = array(np)
        a[0] = np.zeros(4)
        a.loc[20] = np.ones(4)
        a[{"x": 1}] += np.array([1.0, 2.0, 3.0])
        a.values[2, 3] = 7
        return a, a.data

    check(program)


def test_datasets():
    def program(np):
        d = xr.Dataset(
            {"a": array(np), "b": ("t", np.array([1, 2, 3]))}, coords={"k": ("t", np.array(["u", "v", "u"]))}
        )
        d["c"] = d.a * d.b
        return (
            d,
            d.mean(),
            d.groupby("k").sum(),
            d.to_dataframe(),
            d.to_array(),
            d.isel(t=np.array([0, 2])),
            d.map(np.sqrt),
            d.transpose(),
        )

    check(program)


def test_times():
    def program(np):
        a = xr.DataArray(
            np.arange(4.0),
            dims="t",
            coords={"t": np.arange("2024-01-01", "2024-01-05", dtype="M8[D]").astype("M8[ns]")},
        )
        return (
            a.resample(t="2D").mean(),
            a.sel(t=slice("2024-01-02", "2024-01-03")),
            a.t.dt.day,
            a.groupby("t.day").sum(),
        )

    check(program)


def test_gradients_through_xarray():
    """A function written with xarray can be differentiated."""

    def loss(x):
        a = xr.DataArray(x, dims=("t", "x"))
        return ((a - a.mean("t")) ** 2).sum().data

    x = npx.arange(6.0).reshape(2, 3) ** 2
    assert npx.allclose(npx.grad(loss)(x), 2 * (x - x.mean(axis=0)))
