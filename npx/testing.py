"""NumPy's testing helpers on npx arrays, and the check of derivatives."""

import numpy.testing

from npx.namespace import mirror

# these hand their arguments to a function of the user, which is to get them as they are
assert_raises = numpy.testing.assert_raises
assert_raises_regex = numpy.testing.assert_raises_regex
assert_warns = numpy.testing.assert_warns
assert_no_warnings = numpy.testing.assert_no_warnings
assert_no_gc_cycles = numpy.testing.assert_no_gc_cycles

mirror(globals(), "numpy.testing", extra={"check_grads": "npx.transforms.check"})
