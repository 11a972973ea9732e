"""NumPy with gradients, vectorisation, a compiler and accelerators: `import npx as np`."""

from npx._installation import search_path

__path__ = search_path(__path__)

from npx._version import __version__
