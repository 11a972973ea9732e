"""Functions and methods that write into an argument."""

from .registry import pattern


@pattern
def functions_that_write(np, x):
    y = np.zeros(5)
    np.copyto(y[:4], x)
    np.put(y, [4, 0], x[1] * 2)
    y.fill(y[4] + x[2])
    y[1:] += x
    np.fill_diagonal(y[:4].reshape(2, 2), x[3])
    return y


@pattern
def copy_where(np, x):
    y = x * 1.0
    np.copyto(y, x * x, where=x > 0)
    np.putmask(y, x < 0, x * 3)
    return y


@pattern
def sort_in_place(np, x):
    y = np.stack([x, -x])
    y.sort()
    y[0] *= np.arange(4)
    y.sort(axis=0)
    return y


@pattern
def along_an_axis(np, x):
    y = np.zeros((2, 4))
    np.put_along_axis(y, np.array([[1, 0], [2, 3]]), x.reshape(2, 2), axis=1)
    return y


@pattern
def at_of_ufuncs(np, x):
    y = np.ones((3, 4)) * 2
    np.add.at(y, [0, 0, 2], x)
    np.subtract.at(y, (slice(None), [0, 0]), x[:2])
    np.add.at(y, ([0, 1, 0], [1, 1, 1]), x[:3] ** 2)
    np.multiply.at(y, ([2, 2], [0, 0]), x[:2])
    np.divide.at(y, (1, [2, 2]), x[:2] + 3)
    np.power.at(y, (0, [3]), 2)
    return y


@pattern
def at_of_unary_ufuncs(np, x):
    y = x * 1.0
    np.negative.at(y, [0, 2])
    np.exp.at(y, [1])
    np.sin.at(y, [3, 3])
    return y


@pattern
def at_of_extrema(np, x):
    y = x * 0.5
    np.maximum.at(y, [0, 1, 1], x[1:])
    np.minimum.at(y, [2, 3], x[0] - 3)
    np.logaddexp.at(y, [0, 0], x[2:])
    np.add.at(y, np.array([True, False, True, False]), x[:2])
    np.add.at(y, x > 1, 2.0)
    return y


@pattern
def copyto_in_all_ways(np, x):
    y = np.zeros((2, 4))
    np.copyto(y, x)
    np.copyto(y[1], x**2, where=[True, False, True, False])
    np.copyto(y[:, 0], 2.5)
    np.copyto(y.T[3], x[:2], where=x[:2] < 0)
    z = np.zeros(4, complex)
    np.copyto(z, x)
    f = np.zeros(4, "f4")
    np.copyto(f, x, casting="unsafe")
    return y, z * z, f.astype(float) * 0


@pattern
def put_and_its_kin(np, x):
    y = np.zeros((2, 4))
    np.put(y, [1, -1, 9], x[:2], mode="wrap")
    y.put([2, 2], x[2:])
    np.put(y, [0, 99], x[0], mode="clip")
    np.put(y[1], 1, x[3])
    np.putmask(y, y == 0, x)
    np.place(y, np.arange(8).reshape(2, 4) % 3 == 0, x[:2] * 10)
    np.putmask(y[0], [True, False, False, True], x[1])
    return y


@pattern
def fill_diagonals(np, x):
    y = np.zeros((4, 4))
    np.fill_diagonal(y, x)
    np.fill_diagonal(y[:2, 2:], x[0] ** 2)
    np.fill_diagonal(y[::-1], x[:2])
    z = np.zeros((6, 2))
    np.fill_diagonal(z, x[1:], wrap=True)
    w = np.zeros((2, 2, 2))
    np.fill_diagonal(w, x[:2])
    return y, z, w


@pattern
def along_axes(np, x):
    y = np.outer(x, x)
    order = np.argsort(y, axis=1)
    np.put_along_axis(y, order, x[None, :] * np.arange(1, 5), axis=1)
    np.put_along_axis(y, np.array([[0, 3, 1, 2]]), x[0], axis=0)
    flat = x * 1.0
    np.put_along_axis(flat, np.array([2, 0]), x[:2] ** 2, None)
    return y, flat


@pattern
def fill_and_sort(np, x):
    y = np.outer(x, x + 1)
    y[0].fill(x[1])
    y[1:, 1].sort()
    y.sort(axis=0)
    y[:, ::-1][2].sort()
    return y * np.arange(4)


@pattern
def partition_in_place(np, x):
    y = x * x
    y.partition(1)
    m = np.stack([x, -x])
    m.partition((0, 2), axis=1)
    m[:, ::2].partition(0)
    return y[:2].sum(), y[2:].sum(), m[:, 0]


@pattern
def nan_to_num_in_place(np, x):
    y = x * 1.0
    y[1], y[2] = np.inf, np.nan
    np.nan_to_num(y, copy=False, nan=2.0, posinf=3.0, neginf=-3.0)
    return y * x


@pattern
def functions_of_masks(np, x):
    y = np.zeros(4)
    np.place(y, x > 0, x)
    y[np.isclose(y, 0)] = 4.0
    y[(x > 0) & (x < 1)] *= -1.0
    y[np.logical_or(x > 1.5, x < -1)] = x[0]
    return y * x
