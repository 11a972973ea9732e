"""Writes `safe_gradients.md`: gradients at points where derivatives are infinite or do not exist, library by library.

``python docs/generate_safe_gradients.py`` writes the page, with JAX, PyTorch and autograd installed. It is committed,
and the tests compare npx's columns with what npx gives.
"""

import math
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy

PAGE = Path(__file__).parent / "safe_gradients.md"

HEAD = """\
# Gradients at singular points

What `grad` gives where a derivative is infinite or does not exist: where branches meet, at ties, at zeros of norms. The
page is written by `docs/generate_safe_gradients.py`, from one run of all libraries; nothing here is entered by hand.
Each expression is differentiated as it stands, summed where it is an array. *Second* is the gradient of the sum of the
gradient. Where forward mode gives something else, the cell shows both.

The rules behind npx's columns:

- **A zero by selection is a zero.** What `where`, an index, a mask or a write has not selected does not count, whatever
  its derivative, infinite or NaN; under `jit` too, and for higher derivatives. A zero that was computed does count:
  `sqrt(x) * sqrt(x)` at 0 is NaN. In forward mode the zeros of a direction count as computed.
- **Ties share.** `maximum`, `max`, `clip` and the like give each of those that are equal the same part. What sorts
  (`sort`, `median`, `percentile`) takes each place from one element.
- **A symmetric kink has the derivative 0**: `absolute`, `hypot`, norms, and standard deviations at 0, and all further
  derivatives there are 0 too.
- **Steps** (`sign`, `floor`, `heaviside`) have the derivative 0 everywhere.
- **A power with exponent 0** is the constant 1, and `0**y` the constant 0: derivatives 0.
- **Infinite derivatives stay infinite**: `sqrt` at 0 gives `inf` where it counts.
- **Eigenvectors of a repeated eigenvalue**, and singular vectors, can be chosen in many ways. What depends on them has
  no derivative, which gives infinities or NaN; what depends on the values alone has one.
- **A singular matrix**: `det` has its derivative, and no second one; `inv` and `slogdet` have none, and give NaN.

"""


class Case(NamedTuple):
    """An expression in `np` and `x`, and where it is differentiated."""

    code: str
    x: tuple


EYE = ((2.0, 0.0), (0.0, 2.0))
NAN = math.nan

#: heading -> cases
CASES = {
    "Selection": [
        Case("np.where(x > 0, np.log(x), 0)", (2.0, 0.0, -1.0)),
        Case("np.where(x > 0, np.sqrt(x), 0)", (4.0, 0.0, -1.0)),
        Case("np.where(x > 0, x * np.log(x), 0)", (1.0, 0.0)),
        Case("np.where(x > 0, np.sin(x) / x, 1)", (math.pi, 0.0)),
        Case("np.where(x > 0, x**0.5, x)", (4.0, 0.0)),
        Case("np.where(x < 1, np.arcsin(x), 0)", (0.0, 1.0)),
        Case("np.where(x != 0, np.abs(x) / x, 0)", (2.0, 0.0)),
        Case("np.where(np.isnan(x), 0, x**2)", (3.0, NAN)),
        Case("np.sqrt(x)[x > 0]", (4.0, 0.0)),
        Case("np.log(x)[1:]", (0.0, 2.0)),
        Case("np.nansum(x**2)", (3.0, NAN)),
        Case("np.sqrt(x) * np.sqrt(x)", (4.0, 0.0)),
    ],
    "Powers and roots": [
        Case("np.sqrt(x)", (4.0, 0.0)),
        Case("x**0", (0.0, 2.0)),
        Case("x**0.0", (0.0, 2.0)),
        Case("x**1", (0.0, 2.0)),
        Case("x**2", (0.0, -2.0)),
        Case("x**x", (0.0, 1.0)),
        Case("0.0**x", (0.0, 2.0)),
        Case("np.sinc(x)", (0.0, 1.0)),
        Case("np.cbrt(x)", (8.0, 0.0)),
        Case("np.logaddexp(x, x)", (0.0, -math.inf)),
        Case("np.arctan2(x, 0 * x)", (2.0, 0.0)),
        Case("np.arctan2(x[0], x[1])", (0.0, 0.0)),
    ],
    "Absolute values and norms": [
        Case("np.abs(x)", (-2.0, 0.0)),
        Case("np.abs(x + 0j)", (-2.0, 0.0)),
        Case("np.hypot(x[0], x[1])", (0.0, 0.0)),
        Case("np.sqrt(np.sum(x**2))", (0.0, 0.0)),
        Case("np.linalg.norm(x)", (0.0, 0.0)),
        Case("np.linalg.norm(x, axis=0)", (0.0, 0.0)),
        Case("np.linalg.norm(x, 1)", (0.0, -2.0)),
        Case("np.linalg.norm(x, 3)", (0.0, 0.0)),
        Case("np.linalg.norm(x, np.inf)", (2.0, -2.0)),
        Case("np.linalg.norm(x, 0)", (2.0, 0.0)),
        Case("np.std(x)", (1.0, 1.0)),
        Case("np.std(x[0])", (1.0,)),
        Case("np.nanstd(x)", (1.0, NAN)),
        Case("np.var(x)", (1.0, 1.0)),
        Case("np.sign(x)", (-2.0, 0.0)),
        Case("np.floor(x)", (1.5, 1.0)),
    ],
    "Ties and bounds": [
        Case("np.max(x)", (2.0, 1.0, 2.0)),
        Case("np.min(x)", (1.0, 1.0, 1.0)),
        Case("np.maximum(x, 0)", (-1.0, 0.0, 1.0)),
        Case("np.maximum(x, x)", (1.0,)),
        Case("np.sort(x) * np.arange(3.0)", (2.0, 2.0, 1.0)),
        Case("np.median(x)", (2.0, 2.0, 1.0)),
        Case("np.median(x)", (3.0, 1.0)),
        Case("np.clip(x, 0, 1)", (-1.0, 0.0, 0.5, 1.0, 2.0)),
        Case("np.ptp(x)", (1.0, 1.0)),
        Case("np.mod(x, 2.0)", (2.0, 3.0)),
        Case("np.mod(5.0, x)", (2.0, 5.0)),
    ],
    "Products, scans and empty arrays": [
        Case("np.prod(x)", (2.0, 0.0, 3.0)),
        Case("np.prod(x)", (0.0, 0.0, 3.0)),
        Case("np.cumprod(x)", (2.0, 0.0, 3.0)),
        Case("np.sum(x[:0])", (1.0, 2.0)),
        Case("np.prod(x[:0])", (1.0, 2.0)),
        Case("np.max(x[:0], initial=1.0)", (1.0, 2.0)),
        Case("np.max(x, initial=2.0)", (1.0, 2.0)),
        Case("np.mean(x[1:])", (1.0, 2.0)),
    ],
    "Linear algebra": [
        Case("np.linalg.eigvalsh(x)", EYE),
        Case("np.linalg.eigh(x)[0][1]", EYE),
        Case("np.linalg.eigh(x)[1]", EYE),
        Case("np.linalg.svd(x, compute_uv=False)", EYE),
        Case("np.linalg.svd(x)[0]", EYE),
        Case("np.linalg.norm(x, 2)", EYE),
        Case("np.linalg.norm(x, 'nuc')", ((0.0, 0.0), (0.0, 0.0))),
        Case("np.linalg.det(x)", ((0.0, 0.0), (0.0, 3.0))),
        Case("np.linalg.det(x)", ((0.0, 0.0), (0.0, 0.0))),
        Case("np.linalg.matrix_power(x, 0)", EYE),
    ],
}


# ------------------------------------------------------------------------------------------------ the libraries
class Npx:
    """Gradients by npx; `grad` is reverse mode."""

    def __init__(self):
        import npx

        self.np, self.array = npx, npx.asarray

    def grad(self, f, x):
        return self.np.grad(f)(x)

    def forward(self, f, x):
        return self.np.jacfwd(f)(x)

    def second(self, f, x):
        return self.np.grad(lambda x: self.np.sum(self.np.grad(f)(x)))(x)


class Jax:
    """Gradients by JAX, in double precision."""

    def __init__(self):
        import jax

        jax.config.update("jax_enable_x64", True)
        self.np, self.array, self._grad = jax.numpy, jax.numpy.asarray, jax.grad

    def grad(self, f, x):
        return self._grad(f)(x)


class Autograd:
    """Gradients by autograd."""

    def __init__(self):
        import autograd

        self.np, self.array, self._grad = autograd.numpy, numpy.asarray, autograd.grad

    def grad(self, f, x):
        return self._grad(f)(x)


class Torch:
    """Gradients by PyTorch, whose functions go by NumPy's names here."""

    def __init__(self):
        import torch

        class Linalg:
            def __getattr__(self, name):
                return getattr(torch.linalg, name)

            def norm(self, x, p=None, axis=None):
                ord_ = {1: 1.0, 3: 3.0, 0: 0.0}.get(p, p)
                return torch.linalg.norm(x, ord_) if axis is None else torch.linalg.norm(x, ord_, dim=axis)

            def svd(self, x, compute_uv=True):
                return torch.linalg.svd(x) if compute_uv else torch.linalg.svdvals(x)

        def number(x):
            return torch.as_tensor(x, dtype=torch.float64)

        class Names:
            inf, linalg = math.inf, Linalg()
            max = staticmethod(lambda x, initial=None: torch.amax(x))
            min = staticmethod(torch.amin)
            sort = staticmethod(lambda x: torch.sort(x).values)
            median = staticmethod(lambda x: torch.quantile(x, 0.5))
            std = staticmethod(lambda x: torch.std(x, correction=0))
            var = staticmethod(lambda x: torch.var(x, correction=0))
            ptp = staticmethod(lambda x: torch.amax(x) - torch.amin(x))
            cumprod = staticmethod(lambda x: torch.cumprod(x, 0))
            mod = staticmethod(lambda x, y: torch.remainder(number(x), number(y)))
            maximum = staticmethod(lambda x, y: torch.maximum(x, number(y)))
            where = staticmethod(lambda c, x, y: torch.where(c, number(x), number(y)))
            arange = staticmethod(lambda n: torch.arange(n, dtype=torch.float64))

            def __getattr__(self, name):
                return getattr(torch, name)

        self.torch, self.np = torch, Names()
        self.array = lambda x: torch.tensor(x, dtype=torch.float64)

    def grad(self, f, x):
        x.requires_grad_(True)
        (found,) = self.torch.autograd.grad(f(x), x)
        return found.detach()


OTHERS = {"JAX": Jax, "PyTorch": Torch, "autograd": Autograd}


def function(case, library):
    """The case as a function with a scalar result."""
    code = compile(case.code, f"<{case.code}>", "eval")
    return lambda x: library.np.sum(eval(code, {"np": library.np}, {"x": x}))


def attempt(compute, case, library):
    """The value as text, or that there is none."""
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return text(compute(function(case, library), library.array(case.x)))
        except Exception:
            return "error"


def text(value):
    """An array in few characters."""
    value = numpy.asarray(value)
    if value.ndim:
        return "[" + ", ".join(map(text, value)) + "]"
    return numpy.format_float_positional(value + 0.0, precision=3, trim="-") if numpy.isfinite(value) else str(value)


# ------------------------------------------------------------------------------------------------ the page
def npx_cells(case, library):
    """npx's cells: the gradient, in both modes where they differ, and the second derivatives."""
    reverse, forward = (attempt(how, case, library) for how in (library.grad, library.forward))
    both = reverse if reverse == forward else f"{reverse}; forward {forward}"
    return [both, attempt(library.second, case, library)]


def table(cases, own, others):
    """The rows of one heading."""
    lines = [["expression", "x", "npx", "npx, second", *others], ["---"] * (4 + len(others))]
    for case in cases:
        cells = [f"`{case.code}`", text(case.x), *npx_cells(case, own)]
        lines.append([*cells, *(attempt(library.grad, case, library) for library in others.values())])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page():
    """The text of the page."""
    own, others = Npx(), {name: make() for name, make in OTHERS.items()}
    parts = [f"## {heading}\n\n{table(cases, own, others)}\n" for heading, cases in CASES.items()]
    return HEAD + "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
