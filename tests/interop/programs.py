"""Programs that use a library, run once with NumPy and once with npx: what the interop tests share."""

import dataclasses
import importlib
import os

import numpy
import pytest

import npx

#: set by `make test-interop`: a library that is missing is an error there, and elsewhere a skip
REQUIRED = "NPX_REQUIRE_INTEROP"


def library(name):
    """Import a library of the extra ``test-interop``."""
    if os.environ.get(REQUIRED):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: it comes with the extra test-interop")


def check(program, *args, exact=True):
    """A program gives with npx what it gives with NumPy.

    Parameters
    ----------
    program : callable
        ``program(np, *args)``. Arrays in its result may be NumPy's or npx's, in lists, tuples, dicts and dataclasses
        too; everything else has to be of the same type and equal.
    exact : bool
        Whether the numbers must be equal to the bit; else to about twelve digits.

    Returns
    -------
    object
        What the program gave with npx.
    """
    want, got = program(numpy, *args), program(npx, *args)
    same(got, want, exact)
    return got


def check_refusal(program, *args):
    """A program raises with npx the class of exception that it raises with NumPy."""
    with pytest.raises(Exception) as want:  # noqa: B017  (which one is for NumPy to say)
        program(numpy, *args)
    with pytest.raises(want.type) as got:
        program(npx, *args)
    assert got.type is want.type


def check_outcome(program, *args):
    """The one or the other: for programs that NumPy refuses for some of their arguments."""
    try:
        program(numpy, *args)
    except Exception:
        check_refusal(program, *args)
    else:
        check(program, *args)


def same(got, want, exact=True):
    """Assert that two results are equal, whichever arrays they hold."""
    if isinstance(want, npx.ndarray):  # NumPy's arrays too
        assert isinstance(got, npx.ndarray), f"an array expected, got {type(got)}"
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        close(numpy.asarray(got), numpy.asarray(want), exact)
    elif isinstance(want, (list, tuple)):
        assert type(got) is type(want) and len(got) == len(want)
        for g, w in zip(got, want):
            same(g, w, exact)
    elif isinstance(want, dict):
        assert type(got) is type(want) and list(got) == list(want)
        same(list(got.values()), list(want.values()), exact)
    elif dataclasses.is_dataclass(want):
        assert type(got) is type(want)
        same(vars(got), vars(want), exact)
    elif isinstance(want, (float, complex)):
        assert type(got) is type(want)
        close(got, want, exact)
    else:
        equal_objects(got, want)


def close(got, want, exact):
    if exact or numpy.asarray(want).dtype.kind not in "fc":
        numpy.testing.assert_array_equal(got, want)
    else:
        numpy.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def equal_objects(got, want):
    """Assert that two objects that are no arrays are of one type and equal; labelled arrays by their own method."""
    assert type(got) is type(want), f"{type(want)} expected, got {type(got)}"
    if hasattr(want, "toarray"):
        same(got.toarray(), want.toarray())
    elif hasattr(want, "identical"):  # indexes of pandas, arrays of xarray
        assert got.identical(want)
    elif hasattr(want, "equals"):
        assert got.equals(want) and str(got) == str(want)
    else:
        assert got == want


def address(x):
    """Where the first element of an array lies."""
    return x.__array_interface__["data"][0]
