cdef class Op:
    cdef int place                 # of the ufunc that defines the op in the table of direct loops, or -1
    cdef bint is_ufunc             # whether a ufunc defines the op
    cdef public str name
    cdef public str kind
    cdef public int nin            # -1: any number of operands
    cdef public int nout
    cdef public object spec        # the NumPy callable that defines the op
    cdef public object rule        # rule(avals, params) -> Aval or tuple of Aval
    cdef public object vjp         # vjp(i, g, ans, args, params) -> cotangent of operand i, or None for zero
    cdef public object jvp         # jvp(tangents, ans, args, params) -> tangent; None: derived from vjp
    cdef public object batch       # batch(op, size, args, batched, params) -> result, batch axis 0
    cdef public object expand      # the op in terms of other ops, for backends that lack it
    cdef public object keeps       # which operands the vjp reads: tuple of bool (last one: any further operand)
    cdef public bint keeps_ans
    cdef public bint linear        # jointly linear in its differentiable operands
    cdef public bint effect        # draws or calls out: keep order, run exactly once
    cdef public object no_deriv    # why there is no derivative, or None
    cdef public object examples    # sample operands and params for tests, docs and benchmarks
    cdef public object host        # the host backend's function
    cdef dict slots                # payload type -> function
    cpdef tuple abstract(self, tuple avals, dict params)
    cdef object call(self, tuple args, dict params)     # what calling the op does
    cdef object on_host(self, tuple args, dict params)  # the same, of operands on the host
    cdef object two(self, object x, object y)

cdef object multiply(object x, object y)
cdef object add(object x, object y)
