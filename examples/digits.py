"""Train a classifier on scikit-learn's 1,797 real images of handwritten digits, in plain NumPy style.

The batch buffers are allocated once and refilled in place, the parameters are updated in place, the forward pass writes
into its own arrays: npx differentiates and compiles it as it stands. Run it with
``python examples/digits.py [folder]``; the figures go to `folder`, by default ``examples/output``.
"""

import sys
import time
import types
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy
from sklearn.datasets import load_digits
from tqdm import tqdm

import npx as np

LAYERS = (64, 256, 10)
BATCH, EPOCHS, RATE = 64, 40, 0.2
WANTED = 0.97


def forward(params, x):
    """Class scores of a batch of images."""
    w1, b1, w2, b2 = params
    hidden = x @ w1
    hidden += b1
    np.maximum(hidden, 0, out=hidden)
    return hidden @ w2 + b2


def loss(params, x, y):
    """Mean cross entropy."""
    scores = forward(params, x)
    scores -= scores.max(axis=1, keepdims=True)
    log_probability = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return -log_probability[np.arange(len(y)), y].mean()


def load(rng):
    """Images in [0, 1] and labels: four fifths to learn from, one fifth held out."""
    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(images))
    images, labels = np.asarray(images)[order] / 16, np.asarray(labels)[order]
    held_out = len(images) // 5
    return images[held_out:], labels[held_out:], images[:held_out], labels[:held_out]


def initial(rng):
    """Weights after He, and zero biases."""
    params = []
    for n, m in zip(LAYERS[:-1], LAYERS[1:]):
        params += [rng.normal(size=(n, m)) * np.sqrt(2 / n), np.zeros(m)]
    return params


def train(step, params, images, labels, rng):
    """Stochastic gradient descent, in place; returns the loss of every step."""
    x = np.empty((BATCH, LAYERS[0]))
    y = np.empty(BATCH, dtype=int)
    losses = []
    progress = tqdm(range(EPOCHS), desc="training", unit="epoch")
    for _ in progress:
        order = rng.permutation(len(images))
        for start in range(0, len(images) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            x[:] = images[rows]
            y[:] = labels[rows]
            value, gradients = step(params, x, y)
            for p, g in zip(params, gradients):
                p -= RATE * g
            losses.append(float(value))
        progress.set_postfix(loss=f"{losses[-1]:.4f}")
    return losses


def time_per_step(step, params, images, labels, calls=100):
    """Median time of a loss and its gradient on one batch."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        step(params, images[:BATCH], labels[:BATCH])
        times.append(time.perf_counter() - start)
    return float(numpy.median(times))


def with_numpy(function):
    """The same function, with the name `np` bound to NumPy."""
    return types.FunctionType(function.__code__, globals() | {"np": numpy})


def draw(losses, images, labels, guesses, folder):
    """Save the loss curve and the digits that were taken for others."""
    folder.mkdir(parents=True, exist_ok=True)
    plt.figure(figsize=(6, 4))
    plt.semilogy(losses, linewidth=0.7)
    plt.xlabel("step")
    plt.ylabel("loss")
    plt.savefig(folder / "digits_loss.png", dpi=120, bbox_inches="tight")

    wrong = np.flatnonzero(guesses != labels)
    columns = 6
    rows = max(1, -(-len(wrong) // columns))
    figure, axes = plt.subplots(rows, columns, figsize=(columns * 1.2, rows * 1.5), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, i in zip(axes.flat, wrong):
        ax.imshow(images[i].reshape(8, 8), cmap="gray_r")
        ax.set_title(f"{labels[i]} as {guesses[i]}", fontsize=9)
    figure.savefig(folder / "digits_misclassified.png", dpi=120, bbox_inches="tight")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "output"
    rng = np.random.default_rng(0)
    images, labels, test_images, test_labels = load(rng)
    params = initial(rng)

    eager = np.value_and_grad(loss)
    jitted = np.jit(eager)
    start = time.perf_counter()
    jitted(params, images[:BATCH], labels[:BATCH])
    first_call = time.perf_counter() - start
    losses = train(jitted, params, images, labels, rng)

    scores = forward(params, test_images)
    guesses = scores.argmax(axis=1)
    accuracy = float((guesses == test_labels).mean())
    same = numpy.array_equal(
        with_numpy(forward)([numpy.asarray(p) for p in params], numpy.asarray(test_images)), numpy.asarray(scores)
    )
    draw(losses, test_images, test_labels, guesses, folder)

    eager_time, jit_time = (time_per_step(step, params, images, labels) for step in (eager, jitted))
    print(f"held-out accuracy   {accuracy:.2%} of {len(test_labels)} images ({WANTED:.0%} wanted)")
    print(f"forward pass        {'equal to' if same else 'DIFFERS from'} NumPy's, number for number")
    print("loss and gradient   eager      jit        jit's first call")
    print(f"per step            {eager_time * 1e3:.2f} ms    {jit_time * 1e3:.2f} ms    {first_call:.2f} s")
    print(f"figures             {folder}/digits_loss.png, digits_misclassified.png")
    return 0 if same and accuracy >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
