"""Structured arrays, written to field by field and as wholes."""

from .registry import pattern


@pattern
def structured_fields(np, x):
    r = np.zeros(4, dtype=[("a", float), ("b", float, (2,)), ("n", int)])
    r["a"] = x
    r["b"][:, 0] = r["a"] * x
    r["b"][1:, 1] += x[1:]
    r["n"] = np.arange(4)
    r[2]["a"] *= 2
    r["a"][0] = x[3]
    return r["a"] * r["n"], r["b"]


@pattern
def records_in_views_and_copies(np, x):
    r = np.zeros((2, 4), dtype=[("z", complex), ("w", [("v", float), ("k", "i4")])])
    early, row = r["w"]["v"][:, ::2], r[1]
    r["z"].real[0] = x
    row["w"]["v"] = x * x
    copy = r.copy()
    early += 1.0
    r[0, 1:3]["z"] *= 1j * x[:2]
    r["w"]["k"][1] = 3
    copy["w"]["k"] = 7
    return r["z"], r["w"]["v"] * r["w"]["k"], copy["w"]["v"], early, r[1, 2]["w"]["v"] * x


@pattern
def records_as_wholes(np, x):
    r = np.zeros(4, dtype=[("a", float), ("b", float)])
    r[0] = (x[0], 2.0)
    r[1:3] = (x[1], x[2])
    s = np.ones(2, dtype=r.dtype)
    s["b"] = x[2:] ** 2
    r[2:] = s
    s["b"] = 0
    for k, one in enumerate(r[[3, 0]]):
        s[k] = one
    return r["a"] * x, r["b"], s["a"] + s["b"]
