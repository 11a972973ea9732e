"""Augmented operators, `out=` and `where=`."""

from .registry import pattern


@pattern
def augmented_operators(np, x):
    y = x + 2
    y += x
    y -= x[0] * 0.5
    y *= x
    y /= x + 3
    y **= 2
    y %= 0.7
    return y


@pattern
def broadcasting_augmented(np, x):
    y = np.ones((3, 4))
    y += x
    y[:, 1:] *= x[1:]
    y[0] -= x.sum()
    y[:, :1] += x[:3, None]
    return y


@pattern
def matmul_in_place(np, x):
    y = np.outer(x, x + 1)[:2, :2]
    y @= x.reshape(2, 2)
    return y


@pattern
def ufunc_out(np, x):
    y = np.zeros(4)
    r = np.multiply(x, 2, out=y)
    np.sin(y, out=y)
    np.add(y[1:], x[:-1], y[1:])
    return r, y


@pattern
def out_into_a_view(np, x):
    y = np.zeros((2, 4))
    np.exp(x, out=y[1])
    np.add(y[1], x, out=y[0, ::-1])
    np.subtract(x, 1, out=y[0], where=np.array([True, False, True, False]))
    return y


@pattern
def reduction_out(np, x):
    y = np.zeros(3)
    np.sum(x, out=y[1:2].reshape(()))
    np.max(np.outer(x, x[:3])[:, 1:], axis=0, out=y[::2])
    return y


@pattern
def accumulate_out(np, x):
    y = np.zeros(4)
    np.cumsum(x * x, out=y)
    np.multiply.accumulate(y, out=y)
    return y


@pattern
def matmul_out(np, x):
    y = np.zeros((2, 2))
    m = x.reshape(2, 2)
    np.matmul(m, m, out=y)
    np.matmul(y, m, out=y.T)
    return y


@pattern
def every_augmented_operator(np, x):
    y = np.ones((2, 4)) * 3
    y += x
    y -= x[0]
    y *= x * x
    y /= x + 4
    y **= 2
    y **= x[1] * 0 + 1.5
    y //= 1e9
    y += x
    y %= 5.0
    y @= np.outer(x, x)
    return y


@pattern
def augmented_parts(np, x):
    y = np.ones((3, 4)) * 2
    y[0] += x
    y[:, 1] -= x[:3]
    y[1:, ::2] *= x[:2]
    y[[0, 1], [2, 3]] /= x[0] + 3
    y[2] **= 3
    y[:2, :2] @= x.reshape(2, 2)
    y[1, 1] += x[3] ** 2
    y[..., -1] += y[..., 0]
    return y


@pattern
def augmented_by_itself(np, x):
    y = np.outer(x, x + 1)
    y += y.T
    y *= y
    y[0] -= y[0]
    y[1:] += y[:-1]
    y[:, :-1] *= y[:, 1:]
    return y


@pattern
def augmented_items_of_containers(np, x):
    d, items = {"a": np.zeros(4)}, [np.ones(4), x * 1.0]
    d["a"] += x
    items[0] *= x
    items[1][1:] -= items[0][1:]
    d["b"] = d["a"]
    d["b"] *= 2
    items[0][0] += d["a"][0]
    return d["a"], items[0], items[1]


@pattern
def augmented_in_narrower_types(np, x):
    y = np.zeros(4, "f4")
    y += x
    y *= x.astype("f4")
    z = np.zeros(4, "c16")
    z += x
    z *= 2j
    z /= x + 3
    return z + y.astype(float) * 0


@pattern
def power_with_an_array_exponent(np, x):
    y = np.array([1.5, 2.0, 0.5, 3.0])
    y **= x
    y[1:] **= y[:-1]
    return y


@pattern
def out_chain(np, x):
    t, u = np.empty(4), np.empty(4)
    np.multiply(x, x, out=t)
    np.add(t, 1, out=t)
    np.sqrt(t, out=u)
    np.exp(np.negative(u, out=u), out=u)
    np.subtract(t, u, t)
    return np.multiply(t, u, out=(t,))


@pattern
def out_of_two_results(np, x):
    a, b, c = np.zeros(4), np.zeros(4), np.zeros((2, 4))
    np.divmod(x * 3, 1.5, out=(a, b))
    np.modf(x * 2, out=(c[0], None))
    np.modf(b, c[1])
    return a * x, b, c


@pattern
def out_of_functions(np, x):
    m = np.outer(x, x)
    a, b, c = np.zeros(4), np.zeros((4, 4)), np.zeros(())
    np.clip(x, -1, 1, out=a)
    m.clip(None, 1.0, out=b)
    np.sum(m, axis=0, out=a)
    m.mean(axis=1, out=b[0])
    np.dot(m, x, out=b[1])
    np.trace(m, out=c)
    np.std(m, axis=0, out=b[2])
    np.prod(m, axis=1, out=b[3])
    return a, b, c


@pattern
def out_of_more_functions(np, x):
    m = np.outer(x, x + 1)
    b, c = np.zeros((4, 4)), np.zeros(8)
    np.einsum("ij,j->i", m, x, out=b[0])
    np.take(x, [3, 1, 1, 0], out=b[1])
    np.concatenate([x, x * x], out=c)
    np.stack([x, x], out=b[2:])
    b[2:] *= x
    np.cumsum(m, axis=1, out=b)
    np.cumprod(x, out=c[::2])
    np.round(x * 100, out=c[1::2])
    m.cumsum(axis=0, out=m)
    return b, c, m


@pattern
def out_of_products(np, x):
    m = x.reshape(2, 2)
    y = np.zeros((3, 2, 2))
    np.matmul(m, m, out=y[0])
    m.dot(m, out=y[1])
    np.outer(x[:2], x[2:], out=y[2])
    np.matmul(y[0], y[1], out=y[0].T)
    np.add.outer(x[:2], x[:2], out=y[1])
    np.linalg.multi_dot([m, m, m], out=y[2])
    return y


@pattern
def out_of_ufunc_methods(np, x):
    m = np.outer(x, x)
    y = np.zeros((3, 4))
    np.add.reduce(m, axis=1, out=y[0])
    np.multiply.accumulate(x, out=y[1])
    np.maximum.reduce(m, axis=0, out=y[2, ::-1])
    np.maximum.accumulate(x, out=y[0])
    return y


@pattern
def out_overlaps_an_operand(np, x):
    y = np.concatenate([x, x * x])
    np.add(y[:-1], y[1:], out=y[1:])
    np.multiply(y[1:], y[:-1], out=y[:-1])
    np.subtract(y, y[::-1], out=y)
    m = y.reshape(2, 4)[:, :2]
    np.add(m, m.T, out=m)
    return y


@pattern
def out_beside_where(np, x):
    y = x * 3
    np.log(x * x, out=y, where=x > 0)
    np.divide(1.0, y, out=y, where=np.array([True, True, False, True]))
    z = np.zeros((2, 4))
    np.multiply(x, y, out=z, where=[[True], [False]])
    np.sqrt(x, out=z[1], where=x > 0)
    return y, z


@pattern
def reductions_with_where(np, x):
    y = np.zeros(3)
    np.add.reduce(x, where=x > 0, out=y[0, ...])
    np.sum(x * x, where=x < 1, initial=2.0, out=y[1, ...])
    np.max(x, where=x < 1, initial=-5.0, out=y[2, ...])
    return y
