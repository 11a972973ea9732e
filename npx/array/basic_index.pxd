cimport numpy as cnp

# ``a[k]`` for a slice, None, an ellipsis or a tuple of them and ints; None where NumPy has to do it.
cdef object basic_index(cnp.ndarray a, object k)
