"""pandas: frames and series made from npx arrays, and arithmetic with them in both orders."""

import io
import operator

import pytest
from programs import check, library

import npx

pd = library("pandas")

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


def frame(np):
    return pd.DataFrame(
        {
            "g": ["a", "b", "a", "b", "c", "a"],
            "x": np.linspace(0.0, 2.5, 6),
            "y": np.array([3, 1, 4, 1, 5, 9]),
        },
        index=np.arange(10, 16),
    )


def test_construction():
    def program(np):
        dates = np.array(["2024-01-01", "2024-02-01"], dtype="M8[D]")
        text = np.array(["u", "v"])
        return (
            frame(np),
            pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=np.array(["a", "b", "c"])),
            pd.Series(np.arange(3), index=np.array([2, 3, 4]), dtype=np.float32),
            pd.Series(np.array([1, "x", None], dtype=object)),
            pd.DataFrame({"t": dates, "s": text}).set_index("t"),
            pd.Series({"a": np.float64(1.0), "b": np.float64(2.0)}),
            pd.Index(np.array([3, 1, 2])),
            pd.DatetimeIndex(dates),
            pd.MultiIndex.from_arrays([np.array([1, 1]), text]),
            pd.DataFrame([np.arange(3), np.arange(3, 6)]),
            pd.DataFrame.from_records(np.array([(1, 2.0), (3, 4.0)], dtype=[("a", int), ("b", float)])),
            pd.Categorical(np.array(["u", "v", "u"])),
            pd.Series(np.array([True, False])),
            pd.Series(np.array(5), index=[0, 1]),
        )

    check(program)


@pytest.mark.parametrize("op", ARITHMETIC + COMPARISONS)
@pytest.mark.parametrize("kind", [pd.Series, pd.Index, pd.DataFrame])
def test_operators_in_both_orders(op, kind):
    def program(np):
        x = np.arange(1.0, 5.0)
        left = kind(np.array([2.0, 4.0, 1.0, 3.0]))
        if kind is pd.DataFrame:
            x = x[:, None]
        return op(left, x), op(x, left), op(x[0], left), op(np.array(2.0), left), op(left, np.array(2.0))

    check(program)


def test_operators_with_scalars_and_frames():
    def program(np):
        df = frame(np)[["x", "y"]]
        row = np.array([10.0, 20.0])
        s = df["x"]
        s += np.ones(6)
        x = np.ones(6)
        x *= df["y"].to_numpy()
        return df + row, row + df, df * df.to_numpy(), df.to_numpy() * df, s, x, row @ df.T, df @ row, df.dot(row), -df

    check(program)


def test_in_place_with_a_series():
    def program(np):
        x = np.arange(3.0)
        name = x
        x += pd.Series([1.0, 2.0, 3.0])
        return x, name

    check(program)


def test_functions_on_frames():
    def program(np):
        df = frame(np)
        return (
            np.sqrt(df["x"]), np.exp(df[["x", "y"]]), np.mean(df["x"]), np.maximum(df["x"], df["y"]),
            np.sum(df["y"]), np.where(df["x"] > 1, df["x"], 0.0), np.concatenate([df["x"], df["y"]]),
            np.asarray(df["x"]), np.log1p(df.y), np.add(df["x"], np.ones(6)), np.add(np.ones(6), df["x"]),
            np.isnan(df["x"]), np.unique(df["g"]), np.array(df), np.cumsum(df["x"]), np.clip(df["x"], 0.5, 1.5),
            np.abs(df["x"] - 1), np.dot(df["x"], df["y"]), np.median(df["x"]), np.add.reduce(df["x"]),
            np.std(df[["x", "y"]]), np.round(df["x"]), np.percentile(df["x"], [25, 75]), np.diff(df["y"]),
        )  # fmt: skip

    check(program)


def test_groups():
    def program(np):
        df = frame(np)
        groups = df.groupby("g")
        return (
            groups["x"].agg(np.mean), groups["x"].agg([np.min, np.max]), groups["x"].apply(np.sum),
            groups["x"].transform(np.cumsum), groups[["x", "y"]].apply(lambda part: np.dot(part["x"], part["y"])),
            groups["x"].transform(lambda v: v - np.mean(v)), groups.agg({"x": np.std, "y": "sum"}),
            groups["x"].agg(lambda v: np.percentile(v, 50)), df.pivot_table("x", "g", aggfunc=np.sum),
            df.groupby(np.array([0, 0, 1, 1, 2, 2]))["y"].sum(), groups["y"].agg(["sum", np.median]),
            groups["x"].agg(lambda v: np.sum(v.to_numpy())),
        )  # fmt: skip

    check(program)


def test_apply_and_map():
    def program(np):
        df = frame(np)[["x", "y"]]
        return (
            df.apply(np.sum), df.apply(np.sqrt), df.apply(lambda row: np.array([row.x, row.y]).max(), axis=1),
            df["x"].map(np.sin), df.agg([np.mean, np.sum]), df["x"].agg(np.ptp), df["x"].apply(np.floor),
            df.rolling(2).apply(np.mean, raw=True), df.apply(np.mean, axis=1),
            df["y"].rolling(3).apply(lambda w: np.sum(w * np.array([1, 2, 3]))), df.pipe(np.log1p),
            df.expanding().apply(np.max), df.transform([np.sin, np.cos]),
            df.apply(lambda c: c.to_numpy() @ np.ones(6)),
        )  # fmt: skip

    check(program)


def test_bins_and_lookups():
    def program(np):
        s = frame(np)["x"]
        return (
            pd.cut(s, np.array([-1.0, 1.0, 3.0])), pd.cut(np.array([1.0, 2.0]), 2, retbins=True),
            pd.qcut(s, np.linspace(0, 1, 3)), s.searchsorted(np.array([0.7, 1.1])), s.isin(np.array([0.0, 1.0])),
            pd.unique(np.array([1, 2, 1])), pd.factorize(np.array(["b", "a", "b"])), s.reindex(np.array([11, 99])),
            pd.get_dummies(np.array(["a", "b"])), pd.isna(np.array([1.0, np.nan])),
            pd.to_numeric(np.array(["1", "2"])), s.quantile(np.array([0.1, 0.9])),
            pd.to_datetime(np.array([0, 1]), unit="D"), s.interpolate(),
            pd.crosstab(np.array([1, 1]), np.array([2, 3])), s.sample(3, random_state=np.random.RandomState(0)),
            s.sample(2, random_state=np.random.default_rng(0)), s.clip(np.zeros(6), np.ones(6)),
        )  # fmt: skip

    check(program)


def test_masks_and_positions():
    def program(np):
        df = frame(np)
        mask = np.array([True, False, True, False, True, False])
        first = (
            df[mask],
            df.loc[mask, "x"],
            df.iloc[np.array([0, 2])],
            df.iloc[np.array([0, 1]), np.array([1, 2])],
            df.loc[np.array([10, 12])],
        )
        df.loc[mask, "x"] = np.array([7.0, 8.0, 9.0])
        df.iloc[np.array([1]), 2] = np.array([100])
        df["z"] = np.arange(6)
        df[["u", "v"]] = np.ones((6, 2))
        df["w"] = df["x"].where(mask, np.zeros(6))
        df.insert(0, "first", np.zeros(6))
        df.index = np.arange(6)
        df.columns = np.array(list("abcdefgh"))
        assigned = df.assign(k=lambda d: np.sqrt(d["h"]))
        return (
            *first,
            df,
            assigned,
            df["a"].mask(mask, 1.0),
            df.take(np.array([1, 0])),
            df[~mask],
            df.drop(np.array([0])),
        )

    check(program)


def test_back_to_arrays():
    """What comes out of pandas is NumPy's, and goes on with npx arrays in both orders."""

    def program(np):
        df = frame(np)
        values = df[["x", "y"]].to_numpy()
        x = np.ones((6, 2))
        x[:, 0] = df["x"]
        x[df["y"] > 2, 1] = 0
        x[:, 1] += df["y"]
        return (
            values + x,
            x + values,
            x[df["y"] % 5],
            df["x"].values * x[:, 0],
            np.array(df["g"]),
            x[df["y"].to_numpy() > 1],
        )

    check(program)
    assert type(npx.ones(6) + frame(npx)["x"].to_numpy()) is npx.ndarray


def test_memory_is_shared_or_not_as_with_numpy():
    def program(np):
        x = np.arange(4.0)
        s, kept = pd.Series(x), pd.Series(x, copy=False)
        x[0] = 99
        return s, kept

    check(program)


def test_reductions_of_rolling_and_missing():
    def program(np):
        s = pd.Series(np.array([1.0, np.nan, 3.0]))
        nullable = pd.array(np.array([1, 2, 3]), dtype="Int64")
        return (
            s.fillna(np.array([0.0])[0]),
            s.dropna(),
            nullable + np.array([1, 1, 1]),
            np.array([1, 1, 1]) + nullable,
            s == np.nan,
        )

    check(program)


def test_dates():
    def program(np):
        t = pd.Series(np.array(["2024-01-31", "2024-03-01"], dtype="M8[ns]"))
        step = np.array([1, 2], dtype="m8[D]")
        return (
            t + step,
            step + t,
            t - np.datetime64("2024-01-01"),
            t.dt.month.to_numpy() + np.array([1, 1]),
            t < np.datetime64("2024-02-01"),
        )

    check(program)


def test_files(tmp_path):
    def program(np):
        text = io.StringIO()
        frame(np).to_csv(text)
        back = pd.read_csv(io.StringIO(text.getvalue()), index_col=0, dtype={"x": np.float32})
        packed = tmp_path / "frame.pkl"
        frame(np).to_pickle(packed)
        return text.getvalue(), back, frame(np).to_json(), pd.read_pickle(packed), frame(np).to_dict("list")

    check(program)


def test_joins():
    def program(np):
        left, right = frame(np), pd.DataFrame({"g": np.array(["a", "b"]), "k": np.array([1.5, 2.5])})
        return (
            left.merge(right, on="g"),
            pd.concat([left, left]).reset_index(drop=True),
            left.sort_values("x", key=lambda s: np.abs(s - 1)),
        )

    check(program)


def test_gradients_beside_series():
    """Where pandas would convert a traced array, npx computes."""
    s = frame(npx)["x"]
    for f in (lambda v: npx.sum(v * s), lambda v: npx.sum(s * v)):
        assert npx.allclose(npx.grad(f)(npx.ones(6)), s.to_numpy())
    assert type(npx.jit(lambda v: s * v)(npx.ones(6))) is pd.Series
