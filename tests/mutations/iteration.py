"""Iterators that write."""

from .registry import pattern


@pattern
def enumerated_writes(np, x):
    y = np.zeros((2, 4))
    for (i, j), v in np.ndenumerate(y):
        y[i, j] = v + x[j] ** (i + 1)
    for index in np.ndindex(2, 2):
        y[index] *= x[index[1]]
    for i, row in enumerate(y):
        for j in range(4):
            row[j] += i * x[j]
    return y


@pattern
def ndenumerate_of_a_traced_array(np, x):
    y = np.outer(x[:2], x)
    total = 0.0
    for (i, j), v in np.ndenumerate(y):
        total = total + v * (i + 2 * j)
    return total * y
