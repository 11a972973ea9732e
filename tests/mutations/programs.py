"""Loops, helpers and objects with buffers, as programs have them."""

from .registry import pattern


@pattern
def buffer_reused_in_a_loop(np, x):
    buf, total = np.empty(4), np.zeros(4)
    for k in range(3):
        buf[:] = x * k
        buf[1:] += buf[:-1]
        np.sin(buf, out=buf)
        total += buf
    return total


@pattern
def two_buffers_swapped(np, x):
    a, b = x * 1.0, np.zeros(4)
    for _ in range(3):
        b[1:-1] = (a[:-2] + a[2:]) * 0.5 * a[1:-1]
        b[0], b[-1] = a[-1], a[0]
        a, b = b, a
    return a


@pattern
def recurrence(np, x):
    y = np.zeros(7)
    y[0] = x[0]
    for i in range(6):
        y[i + 1] = y[i] * x[i % 4] + np.cos(y[i])
    return y


@pattern
def written_argument(np, x):
    x[0] = x[1] * x[2]
    x[1:] -= x[0]
    return x


@pattern
def write_decided_by_a_helper(np, x):
    def clamp(v):
        v[0] = 0
        return v

    y = x * x
    z = clamp(y[1:])
    return y.sum() * z


@pattern
def state_in_objects(np, x):
    class Model:
        def __init__(self):
            self.state = np.zeros(4)
            self.log = []

        def step(self, u):
            self.state *= 0.5
            self.state += u
            self.log.append(self.state.copy())

    model = Model()
    for k in range(1, 4):
        model.step(x**k)
    return sum(model.log)


@pattern
def two_dimensional_stencil(np, x):
    u = np.zeros((4, 4))
    u[1] = x
    u[2, 1:3] = x[:2] ** 2
    for _ in range(2):
        u[1:-1, 1:-1] += 0.1 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]) * u[1, 1]
    return u


@pattern
def cyclic_shift_in_a_loop(np, x):
    y = x * 1.0
    for i in range(3):
        y[i], y[i + 1] = y[i + 1], y[i] * 2
    return y * x


@pattern
def a_constant_in_a_loop(np, x):
    w, total = np.ones(4), 0.0
    for k in range(4):
        total = total + w * x**2
        w *= 0.5
        w[k] = k
    return total


@pattern
def nested_arguments_are_written(np, x):
    def advance(state, log):
        state["v"] += 0.1 * state["q"]
        state["q"] -= 0.1 * state["v"]
        log.append(state["q"] * 1.0)

    state, log = {"q": x * 1.0, "v": np.zeros(4)}, []
    for _ in range(3):
        advance(state, log)
    return np.stack(log), state["v"]


@pattern
def a_default_argument_keeps_state(np, x):
    def accumulate(v, total=np.zeros(4)):  # noqa: B008  one array for all calls: that is the pattern
        total += v * v
        return total

    accumulate(x)
    return accumulate(x) * x


@pattern
def object_with_a_buffer(np, x):
    class Ring:
        def __init__(self, n):
            self.buf = np.zeros((3, n))
            self.head = 0

        def push(self, v):
            self.buf[self.head % 3] = v
            self.head += 1

        @property
        def last(self):
            return self.buf[(self.head - 1) % 3]

    ring = Ring(4)
    ring.push(x)
    for _ in range(4):
        ring.push(ring.last * x + 1)
        ring.last[0] *= 0.5
    return ring.buf


@pattern
def generator_that_writes(np, x):
    def steps(state):
        for k in range(3):
            state[k] = state[k + 1] * state[k]
            yield state

    total = 0.0
    for s in steps(x * 1.0):
        total = total + s * s
    return total


@pattern
def list_of_buffers(np, x):
    layers = [np.zeros(4) for _ in range(3)]
    layers[0][:] = x
    for below, above in zip(layers, layers[1:]):
        np.tanh(below * x[::-1], out=above)
        above[0] += below[3]
    return layers[2], sum(layers)


@pattern
def buffer_of_an_outer_function(np, x):
    buffer = np.zeros(4)

    def inner(k):
        buffer[k] = x[k] * buffer.sum() + x[3 - k]
        return buffer[k]

    return np.array([inner(k) for k in range(4)]) * buffer


@pattern
def resized_before_it_is_written(np, x):
    y = np.zeros(2)
    y.resize(4, refcheck=False)
    y[:] = x
    z = np.resize(y, 6)
    z[4:] *= x[:2]
    return y * 2, z


@pattern
def random_walk_of_a_buffer(np, x):
    y, rng = np.zeros((5, 4)), np.random.default_rng(0)
    y[0] = x
    for t in range(1, 5):
        y[t] = y[t - 1] + rng.standard_normal(4) * x
    return y


@pattern
def cumulative_table(np, x):
    t = np.zeros((5, 5))
    t[0, 1:], t[1:, 0] = x, x * x
    for i in range(1, 5):
        for j in range(1, 5):
            t[i, j] = 0.5 * (t[i - 1, j] + t[i, j - 1]) * x[j - 1] + t[i - 1, j - 1]
    return t


@pattern
def gauss_elimination(np, x):
    a = np.outer(x, x) + np.diag(x * x + 3)
    b = x * 1.0
    for k in range(4):
        for i in range(k + 1, 4):
            f = a[i, k] / a[k, k]
            a[i, k:] -= f * a[k, k:]
            b[i] -= f * b[k]
    for k in range(3, -1, -1):
        b[k] = (b[k] - a[k, k + 1 :] @ b[k + 1 :]) / a[k, k]
    return b


@pattern
def bubble_sort(np, x):
    y = x * 1.0
    for i in range(3):
        for j in range(3 - i):
            low, high = np.minimum(y[j], y[j + 1]), np.maximum(y[j], y[j + 1])
            y[j], y[j + 1] = low, high
    return y * x


@pattern
def game_of_neighbours(np, x):
    u = np.zeros((6, 6))
    u[1:5, 1:5] = np.outer(x, x)
    for _ in range(2):
        n = np.zeros_like(u)
        n[1:] += u[:-1]
        n[:-1] += u[1:]
        n[:, 1:] += u[:, :-1]
        n[:, :-1] += u[:, 1:]
        u[...] = np.tanh(n * 0.1)
    return u


@pattern
def momentum_in_buffers(np, x):
    w, m, v = x * 1.0, np.zeros(4), np.zeros(4)
    for t in range(1, 4):
        g = 2 * w
        m *= 0.9
        m += 0.1 * g
        v *= 0.99
        v += 0.01 * g * g
        w -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-3)
    return w
