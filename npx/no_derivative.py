"""Which of NumPy's functions have no derivative, and why.

Here are those that no rule is written for because there is nothing to write. Ops without a derivative say so where they
are declared (`no_deriv`), and results that are integers or truth values have a zero derivative, always.
"""

import fnmatch
import functools

from npx.dispatch import registry

#: reason -> the functions, by their names below ``numpy``; array methods as ``ndarray.name``
REASONS = {
    "it makes constants of sizes and counts": """
        bartlett blackman diag_indices empty empty_like eye hamming hanning identity indices mask_indices ones tri
        tril_indices triu_indices zeros polynomial.chebyshev.chebpts1 polynomial.chebyshev.chebpts2 polynomial.*gauss
    """,
    "it tells dtypes, shapes or memory, not values": """
        array_equiv broadcast_shapes can_cast common_type einsum_path from_dlpack isdtype isfortran isscalar issubdtype
        iterable may_share_memory min_scalar_type mintypecode ndim nested_iters promote_types result_type shape
        shares_memory size typename ndarray.base ndarray.ctypes ndarray.data ndarray.device ndarray.flags
        ndarray.setflags ndarray.strides
    """,
    "it reads, writes or shows bytes and text": """
        array2string array_repr array_str base_repr binary_repr format_float_positional format_float_scientific
        frombuffer fromfile fromregex fromstring genfromtxt load loadtxt save savetxt savez savez_compressed
        ndarray.byteswap ndarray.dump ndarray.dumps ndarray.getfield ndarray.setfield ndarray.tobytes ndarray.tofile
        ndarray.tostring polynomial.set_default_printstyle polynomial.polyutils.format_float
    """,
    "it is about NumPy, its settings and its tests": """
        get_include get_printoptions getbufsize geterr geterrcall info printoptions set_printoptions setbufsize seterr
        seterrcall show_config show_runtime test linalg.test fft.test polynomial.test
    """,
    "counts jump where numbers become equal; count np.stop_gradient(x), or ask np.unique for the values alone": """
        unique_all unique_counts
    """,
    "it takes dates": """
        busday_count busday_offset datetime_as_string datetime_data is_busday isnat
    """,
    "a matrix holds numbers in host memory, which no transform traces; use arrays of two dimensions": "asmatrix bmat",
    "it makes Python numbers, which no transform traces; np.stop_gradient(x) gives those of a constant": """
        ndarray.item ndarray.tolist
    """,
    "it fills memory from Python numbers; np.array(list(x)) has a derivative": "fromiter",
    "it changes an array's memory in place; np.resize has a derivative": "ndarray.resize",
    "it makes a function; what that function computes has derivatives": "frompyfunc",
    "it puts an array in the memory of another device": "ndarray.to_device",
}


@functools.cache
def _patterns():
    return [(pattern, reason) for reason, names in REASONS.items() for pattern in names.split()]


def why_none(name):
    """Why a function has no derivative.

    Parameters
    ----------
    name : str
        Its name below ``numpy``: ``"linalg.inv"``; ``"ndarray.tolist"`` for a method.

    Returns
    -------
    str or None
        None for a function that is not declared to have none.
    """
    registry.declare_all()
    op = registry.OPS.get(name)
    if op is not None and op.no_deriv is not None:
        return op.no_deriv
    return next((reason for pattern, reason in _patterns() if fnmatch.fnmatchcase(name, pattern)), None)
