"""One training step of a 64-256-256-10 perceptron, compiled: npx beside jax in the same run.

float32, batches of 128, Adam. npx's step writes into the parameters and moments that it is given, as NumPy code does;
jax's returns new ones. ``python -m asv_bench.benchmarks.bench_mlp`` prints the ratio.
"""

import jax
import jax.numpy as jnp
import numpy

import npx

from .common import fastest

LAYERS = (64, 256, 256, 10)
BATCH = 128
RATE, DECAY, DECAY_SQUARE, EPSILON = 1e-3, 0.9, 0.999, 1e-8


def initial():
    """Parameters, both moments of Adam, and a batch, as NumPy arrays."""
    rng = numpy.random.default_rng(0)
    shapes = [shape for n, m in zip(LAYERS[:-1], LAYERS[1:]) for shape in ((n, m), (m,))]
    params = [rng.normal(size=s, scale=s[0] ** -0.5).astype("float32") for s in shapes]
    moments = [[numpy.zeros_like(p) for p in params] for _ in range(2)]
    x = rng.normal(size=(BATCH, LAYERS[0])).astype("float32")
    y = numpy.eye(LAYERS[-1], dtype="float32")[rng.integers(LAYERS[-1], size=BATCH)]
    return params, *moments, x, y


def loss_with(np):
    """Mean cross entropy of the perceptron, written with the functions of one library."""

    def loss(params, x, y):
        *hidden, w, b = params
        for weights, bias in zip(hidden[::2], hidden[1::2]):
            x = np.tanh(x @ weights + bias)
        scores = x @ w + b
        scores = scores - scores.max(axis=1, keepdims=True)
        return (np.log(np.exp(scores).sum(axis=1)) - (scores * y).sum(axis=1)).mean()

    return loss


def npx_step():
    value_and_grad = npx.value_and_grad(loss_with(npx))

    @npx.jit
    def step(params, means, squares, t, x, y):
        value, grads = value_and_grad(params, x, y)
        for p, m, s, g in zip(params, means, squares, grads):
            m *= DECAY
            m += (1 - DECAY) * g
            s *= DECAY_SQUARE
            s += (1 - DECAY_SQUARE) * g * g
            p -= RATE * (m / (1 - DECAY**t)) / (npx.sqrt(s / (1 - DECAY_SQUARE**t)) + EPSILON)
        return value

    params, means, squares, x, y = (
        [npx.asarray(a) for a in v] if isinstance(v, list) else npx.asarray(v) for v in initial()
    )
    t = npx.zeros((), dtype="float32")

    def run():
        t[...] += 1
        return float(step(params, means, squares, t, x, y))

    return run


def jax_step():
    value_and_grad = jax.value_and_grad(loss_with(jnp))

    def update(p, m, s, g, t):
        m = DECAY * m + (1 - DECAY) * g
        s = DECAY_SQUARE * s + (1 - DECAY_SQUARE) * g * g
        return p - RATE * (m / (1 - DECAY**t)) / (jnp.sqrt(s / (1 - DECAY_SQUARE**t)) + EPSILON), m, s

    @jax.jit
    def step(params, means, squares, t, x, y):
        value, grads = value_and_grad(params, x, y)
        updated = [update(*each, t) for each in zip(params, means, squares, grads)]
        return value, *map(list, zip(*updated))

    *state, x, y = jax.tree.map(jnp.asarray, initial())
    t = numpy.zeros((), dtype="float32")

    def run():
        t[...] += 1
        value, *state[:] = step(*state, t, x, y)
        return float(value)

    return run


STEPS = {"npx": npx_step, "jax": jax_step}


class TrainingStep:
    params = list(STEPS)
    param_names = ["library"]

    def setup(self, library):
        self.run = STEPS[library]()
        self.run()

    def time_step(self, library):
        self.run()


def track_ratio():
    """npx's time of a step over jax's."""
    times = fastest({name: make() for name, make in STEPS.items()}, seconds=5)
    return times["npx"] / times["jax"]


track_ratio.unit = "of jax's time"


def main():
    runs = {name: make() for name, make in STEPS.items()}
    losses = numpy.array([[run() for _ in range(20)] for run in runs.values()])
    numpy.testing.assert_allclose(*losses, rtol=1e-4)
    times = fastest(runs, seconds=5)
    print(f"MLP {'-'.join(map(str, LAYERS))}, float32, batch {BATCH}, Adam; 20 losses agree")
    print(f"npx.jit {times['npx'] * 1e3:.2f} ms, jax.jit {times['jax'] * 1e3:.2f} ms a step")
    print(f"ratio {times['npx'] / times['jax']:.2f}")


if __name__ == "__main__":
    main()
