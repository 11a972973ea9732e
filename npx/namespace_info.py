"""What the array API standard lets a program ask of the namespace."""

import numpy

from npx import devices as _devices
from npx.dispatch import registry

__array_api_version__ = "2025.12"

_numpys = numpy.__array_namespace_info__()


class __array_namespace_info__:
    """Capabilities, devices and data types; see the array API standard.

    Examples
    --------
    >>> import npx as np
    >>> info = np.__array_namespace_info__()
    >>> info.default_device()
    'cpu'
    """

    __module__ = "npx"

    def capabilities(self):
        """Whether boolean indexing and results whose shape depends on data are there, and the most dimensions.

        Returns
        -------
        dict
        """
        return {"max dimensions": 64, **_numpys.capabilities()}  # NumPy tells all of them only in later versions

    def default_device(self):
        """The name of the device on which new arrays are made."""
        return _devices.get_default_device()

    def default_dtypes(self, *, device=None):
        """The data types that arrays get if none is asked for, by kind; the same on every device.

        Returns
        -------
        dict
        """
        _known(device)
        return _numpys.default_dtypes()

    def dtypes(self, *, device=None, kind=None):
        """The standard's data types that arrays on a device can have.

        Parameters
        ----------
        device : str, optional
            By default the default device.
        kind : str or tuple of str, optional
            Such as ``"integral"`` or ``"real floating"``; by default all.

        Returns
        -------
        dict of str to dtype
        """
        device = _known(device)
        found = _numpys.dtypes(kind=kind)
        return {name: dtype for name, dtype in found.items() if _devices.can_hold(device, dtype)}

    def devices(self):
        """The names of the devices that can be used here.

        Returns
        -------
        tuple of str
        """
        return _devices.devices()


def _known(device):
    """The full name of a device."""
    try:
        return _devices.get_default_device() if device is None else registry.device_named(device)[0]
    except ValueError as error:
        raise ValueError(f"Device not understood: {error}") from None
