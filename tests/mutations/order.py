"""What is read before and after a write, and arrays that overlap."""

from .registry import pattern


@pattern
def swap_of_elements(np, x):
    y = x * x
    y[0], y[1] = y[1], y[0]
    y[[2, 3]] = y[[3, 2]]
    return y * x


@pattern
def swap_of_rows_by_views(np, x):
    """Views, so that the second row is overwritten before it is read: NumPy's famous trap."""
    m = np.outer(x, x)
    m[0], m[1] = m[1], m[0]
    a, b = m[2], m[3]
    a[:], b[:] = b.copy(), a.copy()
    return m


@pattern
def overlapping_source_and_target(np, x):
    y = x * 1.0
    y[1:] = y[:-1]
    y[1:] += y[:-1] * x[1:]
    y[::-1] += y
    return y


@pattern
def write_after_use(np, x):
    y = x * 1.0
    z = np.sin(y) * y
    y *= 3
    z2 = y * y
    y[:] = 0
    return z + z2 + y


@pattern
def constant_written_after_use(np, x):
    w = np.array([1.0, 2.0, 3.0, 4.0])
    y = x * w + np.exp(x * w[1:2])
    w *= 100
    w[0] = 0
    return y


@pattern
def index_written_after_use(np, x):
    i = np.array([3, 1, 1])
    y = x[i] ** 2
    i[:] = 0
    return y * x[i]


@pattern
def scalars_are_rebound(np, x):
    s = x[0]
    t = s
    s += x[1]
    total = x.sum()
    before = total
    total *= 2
    return np.array([s, t, total, before]) * x


@pattern
def zero_dimensional_arrays_are_written(np, x):
    s = np.zeros(())
    t = s
    s += x[1]
    s *= x[0]
    return t * x


@pattern
def swaps_of_slices_with_copies(np, x):
    y = np.concatenate([x, x * x])
    y[:4], y[4:] = y[4:].copy(), y[:4].copy()
    m = y.reshape(2, 4)
    m[[0, 1]] = m[[1, 0]]
    m[:, 0], m[:, 3] = m[:, 3].copy(), m[:, 0].copy()
    y[0], y[1], y[2] = y[2], y[0], y[1]
    return y * np.arange(8), m


@pattern
def list_of_arrays_swapped(np, x):
    rows = [x * k for k in range(3)]
    rows[0], rows[2] = rows[2], rows[0]
    rows[0][1] = x[0]
    rows[1] += rows[0]
    rows.append(rows[0])
    rows[-1] *= 2
    return np.stack(rows) * x


@pattern
def writes_after_many_uses(np, x):
    y = np.exp(x)
    a = y * y
    y[1] = 2.0
    b = np.tanh(y)
    y[2:] *= y[:2]
    c = a / y
    y.fill(1.0)
    return a + b * c, y


@pattern
def results_of_functions_overwritten(np, x):
    a, b, c, d = np.exp(x), np.tanh(x), np.sqrt(x * x), 1 / (x + 3)
    e = a + b + c + d
    a *= 0
    b[:] = 3
    c[1:] = x[1:]
    np.negative(d, out=d)
    return e, a, b, c, d


@pattern
def operands_of_products_overwritten(np, x):
    w = np.arange(16.0).reshape(4, 4)
    y = w @ x
    w[0] = x
    z = y @ w
    w *= 0.1
    y[:] = 1
    return w @ z + np.dot(w, y) + np.einsum("ij,j", w, x)


@pattern
def masks_overwritten_after_use(np, x):
    mask = np.array([True, False, True, False])
    y = np.where(mask, x, x * x)
    y[mask] *= 2
    z = np.log(x * x, out=x * 1.0, where=mask)
    mask[:] = False
    return y * z


@pattern
def values_overwritten_after_assignment(np, x):
    w, y = np.ones(4), np.zeros((2, 4))
    y[0] = w
    y[0] *= x
    w[:] = x
    y[1] = w
    w *= 3
    return y, w


@pattern
def write_through_an_alias(np, x):
    y = x
    z = y
    z[0] = x[1] * 2
    w = y[1:]
    w *= z[0]
    return x, y


@pattern
def argument_written_through_views(np, x):
    head, tail = x[:2], x[2:]
    head *= tail
    x.reshape(2, 2).T[0] = tail
    tail[::-1] += head
    np.sin(x, out=x)
    return x * 1.0


@pattern
def view_survives_writes_to_its_owner(np, x):
    y = x * 1.0
    v, w = y[1:], y[:-1]
    y[1] = v[2] * w[0]
    v[0] *= 2
    y *= x
    w[2] = v[0]
    return y, v, w


@pattern
def views_while_the_buffer_is_rebound(np, x):
    y = np.zeros(4)
    v = y[::2]
    y = y + x
    v += y[:2]
    y[0] = v[0]
    return y, v


@pattern
def overlap_in_assignments(np, x):
    y = np.concatenate([x, x])
    y[::2] = y[1::2]
    y[:] = y[::-1]
    y[2:] = y[:-2]
    m = y.reshape(2, 4)[:, :2]
    m.T[:] = m
    m[:] = m.T * m
    y[1:-1] += y[2:] - 2 * y[1:-1] + y[:-2]
    return y


@pattern
def buffer_that_is_a_constant_again(np, x):
    y = np.zeros(4)
    early = y[2:]
    y[:] = x
    y[:] = np.ones(4)
    late = y[1:]
    late[:2] = x[:2]
    early *= 3
    y.fill(2.0)
    y[:1] += x[3]
    late[-1] = y[0]
    return y, late, early
