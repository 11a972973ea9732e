# Call `function` with NumPy arrays or scalars; a large result comes from the pool.
cdef object call_one(object function, object p)
cdef object call_two(object function, object p, object q)
