"""The list of patterns. Each is ordinary NumPy code: a function of the module and of one array of four numbers."""

PATTERNS = {}


def pattern(f):
    """Add a function to the list; it returns an array or a tuple of arrays."""
    assert f.__name__ not in PATTERNS
    PATTERNS[f.__name__] = f
    return f
