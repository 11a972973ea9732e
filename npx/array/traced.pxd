from npx.array.ndarray cimport ndarray

# The view of `x` that a view op gives, on functional payloads.
cdef object view_of(ndarray x, str name, dict params)
