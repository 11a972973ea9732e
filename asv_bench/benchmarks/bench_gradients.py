"""Eager gradients, nothing compiled: npx beside autograd and PyTorch in the same run.

The Rosenbrock function of ten variables, a 64-256-256-10 perceptron with a batch of 128, a Kalman filter over 100
steps, and the log-likelihood of a Gaussian mixture: ADBench's objective (Srajer, Kukelova, Fitzgibbon, 2018) with ten
dimensions, five components, a thousand points. All in float64. ``python -m asv_bench.benchmarks.bench_gradients``
prints the times and ratios.
"""

import functools
import sys

import autograd
import autograd.numpy
import numpy

import npx

from .common import fastest


# ------------------------------------------------------------------------------------------------ NumPy's functions
def rosenbrock(np, x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def perceptron(np, params, x, y):
    *hidden, w, b = params
    for weights, bias in zip(hidden[::2], hidden[1::2]):
        x = np.tanh(x @ weights + bias)
    scores = x @ w + b
    scores = scores - scores.max(axis=1, keepdims=True)
    return (np.log(np.exp(scores).sum(axis=1)) - (scores * y).sum(axis=1)).mean()


def kalman(np, theta, observed):
    """The negative log-likelihood of a local linear trend; theta holds the logarithms of three variances."""
    variances = np.exp(theta)
    noise, process = variances[0], np.diag(variances[1:])
    step, row = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([1.0, 0.0])
    state, cov, total = np.zeros(2), 10.0 * np.eye(2), 0.0
    for y in observed:
        state = step @ state
        cov = step @ cov @ step.T + process
        spread = row @ cov @ row + noise
        gain = cov @ row / spread
        error = y - row @ state
        state = state + gain * error
        cov = cov - np.outer(gain, row @ cov)
        total = total + np.log(spread) + error**2 / spread
    return total


def mixture(np, alphas, means, icf, x):
    """ADBench's objective; each row of `icf` holds the factor of an inverse covariance, its diagonal as logarithms."""
    d = x.shape[1]
    log_diagonals = icf[:, :d]
    factors = np.exp(log_diagonals)[:, None] * np.eye(d) + np.tril(icf[:, d:][:, below_diagonal(d)], -1)
    spread = ((x - means[:, None]) @ np.swapaxes(factors, 1, 2)) ** 2
    scores = alphas[:, None] + log_diagonals.sum(axis=1)[:, None] - 0.5 * spread.sum(axis=2)
    top = scores.max(axis=0)
    likelihood = (top + np.log(np.exp(scores - top).sum(axis=0))).sum()
    top = alphas.max()
    return likelihood - x.shape[0] * (top + np.log(np.exp(alphas - top).sum()))


def below_diagonal(d):
    """For each place of a matrix the number of its value among those below the diagonal; 0 elsewhere."""
    order = numpy.zeros((d, d), int)
    order[numpy.tril_indices(d, -1)] = numpy.arange(d * (d - 1) // 2)
    return order


# ------------------------------------------------------------------------------------------------------ in PyTorch
def torch_version(name):
    """The function of that name with PyTorch in NumPy's place."""
    import torch

    class Names:
        """PyTorch's functions by NumPy's names and parameters."""

        exp, log, tanh, diag, tril, outer = torch.exp, torch.log, torch.tanh, torch.diag, torch.tril, torch.outer
        stack = staticmethod(torch.stack)
        array = staticmethod(lambda x: torch.tensor(x, dtype=torch.float64))
        zeros = staticmethod(lambda n: torch.zeros(n, dtype=torch.float64))
        eye = staticmethod(lambda n: torch.eye(n, dtype=torch.float64))

    if name == "perceptron":

        def perceptron(params, x, y):
            *hidden, w, b = params
            for weights, bias in zip(hidden[::2], hidden[1::2]):
                x = torch.tanh(x @ weights + bias)
            scores = x @ w + b
            return (torch.logsumexp(scores, 1) - (scores * y).sum(1)).mean()

        return perceptron
    if name == "mixture":

        def mixture(alphas, means, icf, x):
            d = x.shape[1]
            factors = torch.diag_embed(torch.exp(icf[:, :d])) + torch.tril(icf[:, d:][:, below_diagonal(d)], -1)
            spread = ((x - means[:, None]) @ factors.transpose(1, 2)) ** 2
            scores = alphas[:, None] + icf[:, :d].sum(1)[:, None] - 0.5 * spread.sum(2)
            return torch.logsumexp(scores, 0).sum() - x.shape[0] * torch.logsumexp(alphas, 0)

        return mixture
    function = globals()[name]
    return lambda *args: function(Names, *args)


# ----------------------------------------------------------------------------------------------------------- cases
def arguments(name):
    """What to differentiate with respect to, a tree of arrays, and the other arguments."""
    rng = numpy.random.default_rng(0)
    if name == "rosenbrock":
        return rng.normal(size=10), ()
    if name == "kalman":
        return numpy.array([0.1, -1.0, -2.0]), (list(rng.normal(size=100).cumsum()),)
    if name == "perceptron":
        sizes = (64, 256, 256, 10)
        shapes = [shape for n, m in zip(sizes[:-1], sizes[1:]) for shape in ((n, m), (m,))]
        params = [rng.normal(size=s, scale=s[0] ** -0.5) for s in shapes]
        return params, (rng.normal(size=(128, 64)), numpy.eye(10)[rng.integers(10, size=128)])
    d, k, n = 10, 5, 1000
    parts = [rng.normal(size=k), rng.normal(size=(k, d)), 0.1 * rng.normal(size=(k, d + d * (d - 1) // 2))]
    return parts, (rng.normal(size=(n, d)),)


CASES = ("rosenbrock", "perceptron", "kalman", "mixture")


def packed(name):
    """The case as a function of the library's namespace, its tree of variables and the constants."""
    function = globals()[name]
    if name == "mixture":
        return lambda np, parts, x: mixture(np, *parts, x)
    return lambda np, variables, *rest: function(np, variables, *rest)


def on(make, x):
    """A tree of arrays in another library's."""
    if isinstance(x, (list, tuple)):
        return type(x)(on(make, item) for item in x)
    return make(x) if isinstance(x, numpy.ndarray) else x


def npx_gradient(name):
    variables, rest = arguments(name)
    function, variables, rest = packed(name), on(npx.asarray, variables), on(npx.asarray, rest)
    gradient = npx.grad(lambda v: function(npx, v, *rest))
    return lambda: gradient(variables)


def autograd_gradient(name):
    variables, rest = arguments(name)
    function = packed(name)
    gradient = autograd.grad(lambda v: function(autograd.numpy, v, *rest))
    return lambda: gradient(variables)


def torch_gradient(name):
    import torch

    variables, rest = arguments(name)
    variables, rest = on(torch.tensor, variables), on(torch.tensor, rest)
    flat = variables if isinstance(variables, list) else [variables]
    for v in flat:
        v.requires_grad_(True)
    function = torch_version(name)
    one = (lambda: function(*flat, *rest)) if name == "mixture" else (lambda: function(variables, *rest))
    return lambda: list(torch.autograd.grad(one(), flat))


LIBRARIES = {"npx": npx_gradient, "autograd": autograd_gradient, "torch": torch_gradient}


def times(name, seconds=2.0):
    """Seconds per gradient, by library; without PyTorch where it is not installed."""
    functions = {}
    for library, make in LIBRARIES.items():
        try:
            functions[library] = make(name)
        except ImportError:
            continue
    return fastest(functions, seconds=seconds)


class Gradients:
    params = (list(CASES), list(LIBRARIES))
    param_names = ["function", "library"]

    def setup(self, name, library):
        try:
            self.run = LIBRARIES[library](name)
        except ImportError as error:
            raise NotImplementedError from error  # asv leaves the case out
        self.run()

    def time_gradient(self, name, library):
        self.run()


def track_ratio(name):
    """autograd's time over npx's."""
    found = times(name)
    return found["autograd"] / found["npx"]


track_ratio.params = list(CASES)
track_ratio.unit = "times autograd's speed"


# ------------------------------------------------------------------------- second derivatives, and one per example
def logistic(np, w, x, y):
    """The loss of a logistic regression with a penalty."""
    scores = x @ w
    return (np.logaddexp(0.0, scores) - y * scores).sum() + 0.5 * (w * w).sum()


def npx_and_jax():
    """By library: its namespace, its transforms, what makes an array of it, and what waits for a result."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return {
        "npx": (npx, npx, npx.asarray, lambda result: result),
        "jax": (jax.numpy, jax, jax.numpy.asarray, jax.block_until_ready),
    }


def hessian_of(name, library):
    """A function that computes the Hessian of Rosenbrock's function or of a logistic regression, not compiled."""
    np, transforms, array, wait = npx_and_jax()[library]
    rng = numpy.random.default_rng(0)
    if name == "rosenbrock":
        variables, rest, function = rng.normal(size=10), (), rosenbrock
    else:
        variables, rest = rng.normal(size=20), (rng.normal(size=(200, 20)), rng.integers(2, size=200).astype(float))
        function = logistic
    variables, rest = array(variables), [array(r) for r in rest]
    hessian = transforms.hessian(lambda v: function(np, v, *rest))
    return lambda: wait(hessian(variables))


def gradients_per_example(library):
    """A function that computes the gradient of the perceptron's loss for each of its 128 examples, not compiled."""
    np, transforms, array, wait = npx_and_jax()[library]
    params, (x, y) = arguments("perceptron")
    params, x, y = [array(p) for p in params], array(x), array(y)
    each = transforms.vmap(transforms.grad(lambda p, x, y: perceptron(np, p, x[None], y[None])), (None, 0, 0))
    return lambda: wait(each(params, x, y))


MAPPED = {
    "hessian of rosenbrock": functools.partial(hessian_of, "rosenbrock"),
    "hessian of a logistic loss": functools.partial(hessian_of, "logistic"),
    "gradient per example": gradients_per_example,
}


class Mapped:
    """Derivatives that vmap computes all at once, beside JAX without `jax.jit`."""

    params = (list(MAPPED), ["npx", "jax"])
    param_names = ["derivative", "library"]

    def setup(self, name, library):
        try:
            self.run = MAPPED[name](library)
        except ImportError as error:
            raise NotImplementedError from error
        self.run()

    def time_derivative(self, name, library):
        self.run()


def track_ratio_to_jax(name):
    """JAX's time, not compiled, over npx's."""
    found = fastest({library: MAPPED[name](library) for library in ("npx", "jax")}, seconds=2.0)
    return found["jax"] / found["npx"]


track_ratio_to_jax.params = list(MAPPED)
track_ratio_to_jax.unit = "times the speed of JAX without jit"


def check(name):
    """The gradients agree."""
    mine = numpy.concatenate([numpy.ravel(g) for g in _leaves(npx_gradient(name)())])
    for library in list(LIBRARIES)[1:]:
        try:
            other = LIBRARIES[library](name)()
        except ImportError:
            continue
        theirs = numpy.concatenate([numpy.ravel(numpy.asarray(g)) for g in _leaves(other)])
        numpy.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8)


def _leaves(x):
    return x if isinstance(x, (list, tuple)) else [x]


def check_mapped(name):
    """The derivatives of both libraries agree."""
    mine, theirs = (numpy.concatenate([numpy.ravel(g) for g in _leaves(MAPPED[name](k)())]) for k in ("npx", "jax"))
    numpy.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8)


def main(names):
    print(f"{'':12}{'npx':>12}{'autograd':>12}{'torch':>12}   autograd/npx  torch/npx")
    for name in names:
        check(name)
        found = times(name)
        row = "".join(f"{found[k] * 1e6:>10.0f}us" if k in found else f"{'-':>12}" for k in LIBRARIES)
        torch = f"{found['torch'] / found['npx']:>11.2f}" if "torch" in found else ""
        print(f"{name:12}{row}{found['autograd'] / found['npx']:>15.2f}{torch}")
    for name in MAPPED if tuple(names) == CASES else ():
        check_mapped(name)
        print(f"{name:28}{track_ratio_to_jax(name):>8.1f} times the speed of JAX without jit")


if __name__ == "__main__":
    main(sys.argv[1:] or CASES)
