"""Writes through views, and views that see what is written to their owners."""

from .registry import pattern


@pattern
def view_of_a_view(np, x):
    y = np.zeros(8)
    v = y[1:][::2]
    v[:] = x
    w = v[1:3]
    w *= v[0]
    v[3] = y[3] * y[5]
    return y, v


@pattern
def reshaped_view(np, x):
    y = np.zeros((2, 4))
    flat = y.reshape(-1)
    flat[2:6] = x
    y[1, 0] *= 3
    return flat * 2, y.ravel()[3] + y


@pattern
def transposed_view(np, x):
    y = np.zeros((4, 2))
    t = y.T
    t[0] = x
    t[1, ::2] = y[1:3, 0] ** 2
    y.swapaxes(0, 1)[1, 1] = x[0]
    return t, y.T[1]


@pattern
def rows_of_a_matrix(np, x):
    m = np.zeros((3, 4))
    for k, row in enumerate(m):
        row[:] = x**k
        row[k] += 1
    return m


@pattern
def real_and_imaginary_parts(np, x):
    z = np.zeros(4, complex)
    z.real = x
    z.imag[1:] = x[1:] ** 2
    return z * z


@pattern
def view_that_outlives_its_owner(np, x):
    y = np.zeros(6)
    v = y[2:]
    y[:] = 1
    v += x
    del y
    v[0] *= x[1]
    return v


@pattern
def view_taken_before_the_first_traced_write(np, x):
    y = np.arange(12.0).reshape(3, 4)
    column, block, flat = y[:, 1], y[1:, ::2], y.reshape(12)
    y[1] = x
    column *= 2
    block[0, 0] += flat[5]
    flat[::5] = x[0]
    return y, column, block, flat


@pattern
def squeezed_and_expanded_views(np, x):
    y = np.zeros((1, 4))
    np.squeeze(y)[:] = x
    np.expand_dims(y, 0)[0, 0, 1] *= x[0]
    np.moveaxis(y, 0, 1)[2] += 1
    return y


@pattern
def diagonal_by_a_strided_view(np, x):
    m = np.outer(x, x)
    m.reshape(-1)[::5] = x
    m.ravel()[1::5][:3] *= 2
    m.flat[4::5] += x[0]
    d = m.diagonal()
    m[0, 0] = 7 * x[1]
    return m, d


@pattern
def diagonal_follows_its_matrix(np, x):
    m = np.zeros((3, 4))
    d, e = np.diagonal(m, 1), m.T.diagonal()
    m[:] = x
    m[1] *= x[0]
    return d * e


@pattern
def diagonal_by_einsum(np, x):
    m = np.outer(x, x)
    np.einsum("ii->i", m)[:] = x**3
    d = np.einsum("ii->i", m)
    d *= 2
    np.einsum("ij->ji", m)[0] += x
    return m, d


@pattern
def axes_moved_about(np, x):
    y = np.zeros((2, 3, 4))
    np.moveaxis(y, 2, 0)[:, 1, 1] = x
    y.swapaxes(0, 1)[2] += x
    np.transpose(y, (2, 0, 1))[1, 0] *= x[:3]
    y.T[0].T[1] -= x[1:]
    np.rollaxis(y, 2)[3, :, 0] = x[:2]
    np.swapaxes(y, 1, 2)[0, 2] = x[0]
    return y


@pattern
def flips_and_rotations(np, x):
    y = np.zeros((2, 4))
    np.flip(y, 1)[0] = x
    np.flipud(y)[0, 1:] = x[1:]
    np.fliplr(y)[:, 0] += x[:2]
    np.rot90(y)[0] *= x[2:]
    return y


@pattern
def parts_by_split_and_unpacking(np, x):
    y = np.zeros((3, 4))
    a, b, c = y
    a[:] = x
    b += a * a
    left, right = np.split(y, 2, axis=1)
    right[2] = left[0]
    top, _ = np.vsplit(y[:2], 2)
    top[0, 3] = x[0] * x[1]
    for k, part in enumerate(np.array_split(c, 3)):
        part += k * x[k]
    return y


@pattern
def squeezed_raveled_and_reshaped(np, x):
    y = np.zeros((2, 1, 4))
    s = y.squeeze()
    s[0] = x
    r = y.ravel()
    r[4:6] = s[0, 2:] * x[0]
    y.reshape(4, 2)[3] -= x[:2]
    np.atleast_3d(y)[1, 0, 1] *= 3
    np.ravel(y)[0] += 1
    y.reshape((2, -1))[:, 1] *= x[3]
    return y, s, r


@pattern
def copies_are_not_views(np, x):
    m = np.outer(x, x)
    m.T.ravel()[0] = 9
    m[:, 1:].reshape(-1)[:] = 9
    m[[0, 1]][:] = 9
    m.flatten()[:] = 9
    m.copy()[:] = 9
    m[m > 0][:] = 9
    m.astype(float)[:] = 9
    np.array(m)[:] = 9
    (+m)[:] = 9
    np.real(m[0])[1] = x[1]  # a view
    return m


@pattern
def arrays_that_are_the_same_array(np, x):
    y = x * 1.0
    np.asarray(y)[0] = x[1] * x[2]
    np.asanyarray(y)[1] += 1
    y.view()[2] *= x[0]
    y[...][3] = x[0]
    np.array(y, copy=None)[0] *= 2
    y.astype(float, copy=False)[1] *= 3
    np.atleast_1d(y)[2] += 1
    np.ascontiguousarray(y)[3] += 1
    y.real[0] += x[3]
    np.require(y)[1] -= 1
    return y


@pattern
def part_of_a_real_array(np, x):
    y = x * 1.0
    y.real = x * x
    y.real[1:] *= y[:-1]
    np.real(y)[0] = x[3]
    return y + y.imag


@pattern
def parts_of_a_complex_view(np, x):
    z = np.zeros((2, 4), complex)
    v = z[1, ::-1]
    v.real = x
    v.imag[::2] = x[:2] * x[2:]
    z[0].imag += v.real
    z.T[0].real[:] = x[0]
    z *= 1j * x
    z -= x
    return z


@pattern
def complex_numbers_as_pairs(np, x):
    z = np.zeros(4, complex)
    z.view(float)[::2] = x
    z.view("f8").reshape(4, 2)[:, 1] = x**2
    pairs = z.view(float)
    z *= 1j
    return pairs


@pattern
def flat_iterators(np, x):
    y = np.zeros((2, 4))
    y.flat[3] = x[0]
    y.flat[[1, 5]] = x[:2] ** 2
    y.flat[::3] += x[1]
    y.T.flat[1] = x[2]
    y.flat[6:] = x[2:]
    y[:, 1:].flat[-1] *= x[3]
    return y


@pattern
def flat_filled(np, x):
    y = np.zeros((2, 4))
    y.flat = x
    z = np.zeros((2, 2))
    z.flat = x * x
    z.T.flat[:2] = x[0]
    y[:, ::2].flat = z
    return y, z


@pattern
def flat_read_in_a_loop(np, x):
    y = np.outer(x[:2], x)
    total = 0.0
    for k, v in enumerate(y.flat):
        total = total + k * v
    y.flat[[0, 7]] = y.flat[1]
    return y.flat[::2] * total


@pattern
def shape_set_in_place(np, x):
    y = x * x
    v = y[:]
    y.shape = (2, 2)
    y[1] *= x[:2]
    y.shape = -1
    v[0] = x[1]
    return y, v


@pattern
def sliding_windows_follow(np, x):
    y = np.zeros(6)
    w = np.lib.stride_tricks.sliding_window_view(y, 3)
    y[1:5] = x
    s = w.sum(axis=1)
    y[2] *= 2
    return s, w * 1.0


@pattern
def views_of_views_of_views(np, x):
    y = np.zeros((4, 6))
    v = y[1:].T[1:5]
    w = v[::-1, ::2]
    u = w[1:3].reshape(2, 2).T
    v[:, 0] = x
    u += x[:2]
    w[0] = u[0] * y[1, 1]
    return y, v, w, u


@pattern
def view_of_a_view_lifted_late(np, x):
    y = np.arange(24.0).reshape(4, 6)
    v = y[1:].T[1:5]
    w = v[::-1, ::2]
    u = w[1:3]
    flat = y.reshape(-1)[::5]
    y[2] *= x[0]
    u += x[:2]
    v[:, 1] = x
    return y, v, w, u, flat


@pattern
def broadcast_views_follow(np, x):
    y = np.zeros(4)
    b = np.broadcast_to(y, (2, 4))
    p, q = np.broadcast_arrays(y, np.zeros((3, 1)))
    y[:] = x * x
    return b * x, p + q


@pattern
def expanded_views(np, x):
    y = np.zeros(4)
    y[:, None][:, 0] = x
    y[None][0, 1:3] += x[:2]
    np.expand_dims(y, (0, 2))[0, 3] *= x[0]
    return y


@pattern
def strided_view_of_a_transposed_reshape(np, x):
    y = np.zeros(12)
    t = y.reshape(3, 4).T[::2]
    t[0] = x[:3]
    t[:, 1] += x[2:]
    y[::-3] *= x
    return t, y


@pattern
def windows_that_overlap_are_written(np, x):
    y = np.zeros(6)
    w = np.lib.stride_tricks.sliding_window_view(y, 3, writeable=True)
    w[1] = x[:3]
    w[2:, 1] += x[2:]
    w[::-1][0][2] = x[0] * w[1, 1]
    v = np.lib.stride_tricks.as_strided(y, (2, 2), (16, 8))
    v[1, 0] *= x[3]
    return y, w, v
