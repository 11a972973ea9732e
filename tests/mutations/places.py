"""Where is written: slices, index arrays, masks, and what they are mixed with."""

from .registry import pattern


@pattern
def slice_assignment(np, x):
    y = np.zeros(6)
    y[1:5] = x * x
    y[-1:] = x[0]
    return y


@pattern
def strided_and_reversed_slices(np, x):
    y = np.ones(8)
    y[::2] = x
    y[5::-2] += x[:3] * x[1:]
    return y


@pattern
def ellipsis_and_newaxis(np, x):
    y = np.zeros((2, 4, 2))
    y[..., 0] = x
    y[1, ..., None, 1] = x[:, np.newaxis] ** 2
    y[...] *= 2
    return y


@pattern
def integer_arrays(np, x):
    y = np.zeros((3, 4))
    y[[0, 2], [1, 3]] = x[:2]
    y[np.array([1, 2])] = x
    y[:, [0, 0]] = x[:2]  # the last one stays
    return y


@pattern
def repeated_places_count_once(np, x):
    y = x * 1.0
    y[[0, 0, 1]] += x[:3] ** 2
    return y


@pattern
def repeated_places_add_up(np, x):
    y = np.zeros(3)
    np.add.at(y, [0, 0, 1, 2], x * x)
    np.multiply.at(y, [2], x[0])
    return y


@pattern
def mask_of_constants(np, x):
    y = x * x
    mask = np.array([True, False, True, False])
    y[mask] = x[mask] * 3
    y[~mask] *= x[:2]
    return y


@pattern
def mask_of_values(np, x):
    y = x * x
    y[y > 1] = 0.5
    y[x < 0] = np.sin(x[0])
    return y


@pattern
def mask_of_values_in_two_dimensions(np, x):
    y = np.outer(x, x)
    y[y < 0] = 1.0
    y[x > 0.8] = -1.0
    return y


@pattern
def mask_read_and_written(np, x):
    y = x * x
    y[y > 1] -= 1
    y[x < 0] = y[x < 0] * x[x < 0]
    return y


@pattern
def scalar_indices(np, x):
    y = np.zeros((3, 4))
    y[0, 0] = x[0]
    y[-1, np.int64(2)] = x[1] * x[2]
    y[1][2] = x[3]
    y[np.array(1), 3] = x[0] ** 2
    y[(2, 0)] += x[-1]
    return y


@pattern
def mixed_indices(np, x):
    y = np.zeros((3, 4, 2))
    y[1, ..., [0, 1]] = x
    y[[0, 2], :, None, 1] = x[None, :, None]
    y[[2, 0], 1:3] *= x[:2, None]
    y[:, [3, 0], 0] += x[:2]
    y[..., -1:, np.newaxis, 0] -= x[3]
    return y


@pattern
def matrices_of_indices(np, x):
    y = np.zeros((4, 4))
    y[np.ix_([0, 2], [1, 3])] = x.reshape(2, 2)
    y[[[0], [3]], [[0, 2]]] += x[:2, None] * x[2:]
    y[np.diag_indices(4)] *= 2
    y[np.tril_indices(3, -1)] = x[:3]
    y[np.triu_indices_from(y, 2)] -= x[1:]
    return y


@pattern
def masks_beside_slices(np, x):
    y = np.ones((4, 3))
    rows = np.array([True, False, True, True])
    y[rows, 1:] = x[:3, None]
    y[rows, 0] *= x[1:]
    y[:, np.array([False, True, True])] += x[:, None]
    y[rows][0] = 100.0  # a copy
    return y


@pattern
def mask_of_a_matrix_with_values(np, x):
    y = np.zeros((2, 3))
    mask = np.array([[True, False, True], [False, True, True]])
    y[mask] = x
    y[mask & (np.arange(3) > 0)] *= x[1:]
    y[~mask] -= x[0]
    return y


@pattern
def truth_values_as_indices(np, x):
    y = x * x
    y[True] = y * 2
    y[False] = 5.0
    y[np.bool_(True), 1:3] += x[:2]
    return y


@pattern
def lists_of_traced_numbers(np, x):
    y = np.zeros((2, 3))
    y[0] = [x[0], 2.0, x[1] * x[2]]
    y[1, 1:] = (x[3], x[3] ** 2)
    y[:, 0] += [x[2], 1]
    y[:] *= [[x[0]], [x[1]]]
    return y


@pattern
def values_that_broadcast(np, x):
    y = np.zeros((2, 4, 3))
    y[:] = x[:, None]
    y[0] += x[None, :, None][0]
    y[:, 1:3] = x[:1]
    y[..., 2] = x[None, None][0]
    y[1, 0] = x[3]
    return y


@pattern
def leading_axes_of_length_one_drop(np, x):
    y = np.zeros(4)
    y[:] = x[None]
    y[1:3] = (x[:2] ** 2)[None, None]
    return y


@pattern
def nothing_is_written(np, x):
    y = x * 1.0
    y[2:2] = x[:0]
    y[[]] = 3.0
    y[np.zeros(4, bool)] = x[0]
    y[4:] += x[0]
    np.add.at(y, np.array([], int), x[:0])
    return y * y


@pattern
def places_found_from_values(np, x):
    y = np.zeros(4)
    order = np.argsort(x)
    y[order] = x * np.arange(4)
    y[np.argmax(x)] += x[np.argmin(x)] ** 2
    return y * y


@pattern
def places_found_by_nonzero(np, x):
    w = np.array([1.0, 0, 2, 0])
    y = x * x
    y[np.nonzero(w)] = x[w.nonzero()] * 3
    y[np.where(w == 0)] *= x[0]
    y[np.flatnonzero(w)[0]] += 1
    return y


@pattern
def negative_steps(np, x):
    y = np.zeros((4, 4))
    y[::-1, 1] = x
    y[2:0:-1, ::-2] += x[:2] * x[2:, None]
    v = y[::-1][1:, ::-1]
    v[0] = x[::-1] ** 2
    return y, v


@pattern
def named_slices(np, x):
    y = np.ones((3, 6))
    inner = np.s_[1:, 1:-1]
    y[inner] = x
    y[np.index_exp[0, 2:]] *= x
    first = slice(None, 2)
    y[first, first] -= x[:2]
    return y


@pattern
def unsigned_and_small_index_types(np, x):
    y = np.zeros(5)
    y[np.array([0, 4], dtype="u1")] = x[:2]
    y[np.array([-2, 1], dtype="i2")] += x[2:]
    np.add.at(y, np.array([3, 3], dtype="u4"), x[0] * x[1])
    return y


@pattern
def selections_meet_scalars_and_each_other(np, x):
    y = x * x
    y[x > 0.5] = y[x > 0.5] * x[0] + np.log(x[x > 0.5])
    chosen = x[x > 0]
    chosen *= 2
    chosen += y[x > 0]
    y[x > 0] = chosen
    y[y > 1] = np.where(y[y > 1] > 2, y[y > 1], 2.0)
    return y


@pattern
def selections_of_rows_and_columns(np, x):
    m = np.outer(x, x)
    m[m > 1] = np.sqrt(m[m > 1])
    m[x > 0] *= x
    m[x > 0, 1:] += m[x > 0, :1]
    m[:, x < 0] = 2 * m[:, x < 0]
    return m


@pattern
def selections_summed_and_added(np, x):
    y = np.zeros(4)
    np.add.at(y, x > 0, x[x > 0] ** 2)
    y[x > 0] -= x[x > 0].sum()
    return y, (x[x > 1] + x[1]).sum(), np.outer(x, x)[x > 0].sum(axis=0), (x[x < 5] > 0).all() * x[0]
