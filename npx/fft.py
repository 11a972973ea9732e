"""Discrete Fourier transforms, as `numpy.fft`."""

from npx.namespace import mirror

mirror(globals(), "numpy.fft", extra=dict.fromkeys(("fftfreq", "rfftfreq"), "npx.extended"))
