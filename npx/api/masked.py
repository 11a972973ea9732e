"""Masked arrays: what NumPy's own `numpy.ma` reads of npx's, and the other way round.

SciPy and matplotlib call functions of `numpy.ma`, which take npx's masked arrays for NumPy's, as their classes say. What
these functions read of them has to be NumPy's: the mask, and the class of the data, of which they make views.
"""

import numpy

from npx.api.support import edit, python_function
from npx.array.ndarray import ndarray, payload


@python_function("numpy.ma.core", "isMaskedArray")
def is_masked_array(x):
    """`numpy.ma.isMaskedArray`."""
    return isinstance(x, numpy.ma.MaskedArray)


@python_function("numpy.ma.core", "is_masked")
def is_masked(x):
    """`numpy.ma.is_masked`."""
    return numpy.ma.is_masked(x)


def _get_mask(self):
    """The mask as NumPy's array; `mask` gives npx's."""
    try:
        return payload(vars(self)["_mask"])
    except KeyError:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute '_mask'") from None


def _set_mask(self, mask):
    vars(self)["_mask"] = mask


python_function("numpy.ma.core", "MaskedArray._mask")(property(_get_mask, _set_mask))


def _get_baseclass(self):
    """The class of the data, as NumPy knows it."""
    kind = vars(self).get("_baseclass", numpy.ndarray)
    return numpy.ndarray if kind is ndarray else kind


def _set_baseclass(self, kind):
    vars(self)["_baseclass"] = kind


python_function("numpy.ma.core", "MaskedArray._baseclass")(property(_get_baseclass, _set_baseclass))


def _baseclass(self):
    """Class of the underlying data (read-only)."""
    return ndarray if self._baseclass is numpy.ndarray else self._baseclass


python_function("numpy.ma.core", "MaskedArray.baseclass")(property(_baseclass, doc=_baseclass.__doc__))


def name_of(kind):
    """The name of the class of the data in a masked array's text."""
    return "array" if kind is numpy.ndarray else kind.__name__


edit("numpy.ma.core", "if self._baseclass is np.ndarray", "name = {}(self._baseclass)", name_of)


def is_plain(kind):
    """Whether data is no record array yet."""
    return kind in (ndarray, numpy.ndarray)


edit(
    "numpy.ma.mrecords",
    "if _dict['_baseclass'] == np.ndarray",
    "if {}(_dict['_baseclass']): _dict['_baseclass'] = np.recarray",
    is_plain,
)
