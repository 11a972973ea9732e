"""``python -m npx``: run an unmodified NumPy program with the name ``numpy`` bound to npx in its own modules."""
