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


@pattern
def nditer_writes(np, x):
    y = np.outer(x[:2], x)
    with np.nditer(y, op_flags=["readwrite"]) as it:
        for v in it:
            v[...] = v * v + 1
    return y


@pattern
def nditer_of_several(np, x):
    y = np.zeros((2, 4))
    with np.nditer([x, y], op_flags=[["readonly"], ["writeonly"]]) as it:
        for a, b in it:
            b[...] = a * 2
    it = np.nditer(y, flags=["multi_index"], op_flags=["readwrite"])
    for v in it:
        v[...] *= x[it.multi_index[1]] + it.multi_index[0]
    for chunk in np.nditer(y, flags=["external_loop"], op_flags=["readwrite"]):
        chunk[:] = np.sin(chunk)
    return y


@pattern
def nditer_allocates_and_counts(np, x):
    with np.nditer([x, np.arange(8.0).reshape(2, 4), None]) as it:
        for a, b, out in it:
            out[...] = a * b
        y = it.operands[2]
    it = np.nditer(x, flags=["c_index"], op_flags=["readwrite"])
    while not it.finished:
        it[0] = it[0] * it.index
        it.iternext()
    return y, x * 1.0
