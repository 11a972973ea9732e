"""The standard's extension ``fft``."""

import npx.fft
from npx.array_api.following import publish

__all__ = """
    fft fftfreq fftn fftshift hfft ifft ifftn ifftshift ihfft irfft irfftn rfft rfftfreq rfftn
    """.split()

publish(globals(), npx.fft, __all__)
