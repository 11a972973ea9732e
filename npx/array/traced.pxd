from npx.array.ndarray cimport ndarray

# The view of `x` that a view op gives, on functional payloads.
cdef object view_of(ndarray x, str name, dict params)

# What an op takes for an operand, where that is quickly said; else NotImplemented.
cdef object operand(object x)
