"""The standard's extension ``linalg``."""

import npx.linalg
from npx.array_api import rules
from npx.array_api.following import publish

__all__ = """
    cholesky cross det diagonal eig eigh eigvals eigvalsh inv matmul matrix_norm matrix_power matrix_rank
    matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm
    """.split()

publish(globals(), npx.linalg, __all__, rules)
