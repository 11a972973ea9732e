"""NumPy's testing helpers on npx arrays, and the check of derivatives."""

from npx.namespace import mirror

mirror(globals(), "numpy.testing", extra={"check_grads": "npx.transforms.check"})
