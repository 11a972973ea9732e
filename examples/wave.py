"""A 2-D wave between fixed walls: one solver under NumPy, npx and `npx.jit`, then differentiated.

The solver keeps three buffers, writes the interior of one through a slice and swaps them. The gradient of the energy
that arrives in a corner says which parts of the initial condition send it there. Run it with
``python examples/wave.py [folder]``; the figure goes to `folder`, by default ``examples/output``.
"""

import sys
import time
import types
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy

import npx as np

SIZE, STEPS, COURANT = 240, 60, 0.5
EPSILON = 1e-3


def drop(size):
    """A smooth bump beside the middle, at rest."""
    x = np.linspace(-1, 1, size)
    y = x[:, np.newaxis]
    return np.exp(-80 * ((x - 0.2) ** 2 + (y - 0.1) ** 2))


def simulate(start):
    """The field after STEPS steps: leapfrog in time, the five-point Laplacian in space."""
    inside = slice(1, -1)
    now, after = np.zeros_like(start), np.zeros_like(start)
    now[inside, inside] = start[inside, inside]
    before = now.copy()
    for _ in range(STEPS):
        laplacian = now[:-2, inside] + now[2:, inside] + now[inside, :-2] + now[inside, 2:]
        laplacian -= 4 * now[inside, inside]
        after[inside, inside] = 2 * now[inside, inside] - before[inside, inside]
        after[inside, inside] += COURANT**2 * laplacian
        before, now, after = now, after, before
    return now


def arriving(start):
    """The energy in the corner where both coordinates are large."""
    corner = simulate(start)[SIZE * 5 // 8 :, SIZE * 5 // 8 :]
    return (corner**2).sum()


def with_numpy(function):
    """The same function, with the name `np` bound to NumPy."""
    return types.FunctionType(function.__code__, globals() | {"np": numpy})


def timed(function, *args, calls=5):
    """The result, and the least time of some calls."""
    times = []
    for _ in range(calls):
        begin = time.perf_counter()
        result = function(*args)
        times.append(time.perf_counter() - begin)
    return result, min(times)


def check_gradient(gradient, start):
    """Slope of `arriving` along a random direction: by the gradient and by a central difference."""
    direction = np.random.default_rng(0).normal(size=start.shape)
    difference = arriving(start + EPSILON * direction) - arriving(start - EPSILON * direction)
    return float((gradient * direction).sum()), float(difference / (2 * EPSILON))


def draw(field, gradient, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4))
    for ax, values, title in zip(
        axes, (field, gradient), (f"after {STEPS} steps", "gradient by the initial condition")
    ):
        values = numpy.asarray(values)
        limit = abs(values).max()
        figure.colorbar(ax.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit), ax=ax)
        ax.set_title(title)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "output"
    start = drop(SIZE)
    jitted = np.jit(simulate)
    plain, numpy_time = timed(with_numpy(simulate), numpy.asarray(start))
    field, npx_time = timed(simulate, start)
    _, first_call = timed(jitted, start, calls=1)
    compiled, jit_time = timed(jitted, start)
    gradient, gradient_time = timed(np.grad(arriving), start)
    slope, difference = check_gradient(gradient, start)
    draw(field, gradient, folder / "wave.png")

    eager_equal = numpy.array_equal(plain, field)
    off = float(abs(numpy.asarray(compiled) - plain).max())
    error = abs(slope - difference) / abs(difference)
    print(f"{SIZE} x {SIZE} points, {STEPS} steps")
    print(f"numpy     {numpy_time * 1e3:7.1f} ms")
    print(f"npx       {npx_time * 1e3:7.1f} ms   {'equal to numpy' if eager_equal else 'DIFFERS from numpy'}")
    print(f"npx.jit   {jit_time * 1e3:7.1f} ms   at most {off:.1e} off; first call {first_call:.2f} s")
    print(f"npx.grad  {gradient_time * 1e3:7.1f} ms   slope {slope:.8f}, by finite difference {difference:.8f}")
    print(f"figure    {folder / 'wave.png'}")
    return 0 if eager_equal and off < 1e-12 and error < 1e-6 else 1


if __name__ == "__main__":
    sys.exit(main())
