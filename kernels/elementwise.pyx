"""Loops for small host arrays: hands the rows of `small_loops.h` to the table in `npx.dispatch.loops`."""

from npx.dispatch.loops cimport binary_loop, register_binary, register_unary, unary_loop


cdef extern from "small_loops.h":
    ctypedef struct npx_binary_row:
        const char* ufunc
        int type_num, out, flags
        binary_loop baseline, avx2

    ctypedef struct npx_unary_row:
        const char* ufunc
        int type_num, out, flags
        unary_loop baseline, avx2

    const npx_binary_row* npx_binary_rows
    const npx_unary_row* npx_unary_rows
    int binary_count "NPX_LENGTH(npx_binary_rows)"
    int unary_count "NPX_LENGTH(npx_unary_rows)"
    bint have_avx2 "NPX_HAVE_AVX2()"


def register(bint baseline=False):
    """Fill the table with the loops for this machine, or with those for any machine of its kind."""
    cdef bint avx2 = have_avx2 and not baseline
    cdef int i
    cdef npx_binary_row binary
    cdef npx_unary_row unary
    for i in range(binary_count):
        binary = npx_binary_rows[i]

        register_binary(
            binary.ufunc.decode(), binary.type_num, binary.avx2 if avx2 else binary.baseline, binary.out, binary.flags
        )
    for i in range(unary_count):
        unary = npx_unary_rows[i]
        register_unary(
            unary.ufunc.decode(), unary.type_num, unary.avx2 if avx2 else unary.baseline, unary.out, unary.flags
        )


register()
