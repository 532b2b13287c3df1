"""Compiled loop of quartic forms: quadratic features of a few rows, each scaled. Its numpy twin is in ``test_quartic_forms.py``."""

import numpy as np
import numpy.typing as npt

from algos.common.kernels import kernel

__all__ = ["svec_rows"]

Array = npt.NDArray[np.float64]

_ROOT2 = 1.4142135623730951


@kernel(signatures=("(f8[:, ::1], f8[::1], f8[:, ::1])",))
def svec_rows(Z: Array, scale: Array, out: Array) -> None:
    """Write ``scale_i svec(z_i z_i^T)`` to row i: products z_a z_b in the order (0, 0), (0, 1), ..., those with a < b times sqrt(2)."""
    k = Z.shape[1]
    for i in range(Z.shape[0]):
        column = 0
        for a in range(k):
            left = scale[i] * Z[i, a]
            out[i, column] = left * Z[i, a]
            left *= _ROOT2
            column += 1
            for b in range(a + 1, k):
                out[i, column] = left * Z[i, b]
                column += 1
