"""The counter-based generator Philox (4 x 64 bits, 10 rounds) at scattered positions, as numpy computes it for consecutive ones."""

import numpy as np
from numpy.typing import NDArray

from algos.common.kernels import kernel

__all__ = ["philox_uniforms"]

# J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_STEP_0, _STEP_1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_ONE, _THREE, _TWO = np.uint64(1), np.uint64(3), np.uint64(2)
_MANTISSA, _UNIT = np.uint64(11), 2.0**-53  # numpy's doubles: the upper 53 bits of a word


@kernel(signatures=("(u8[::1], Array(u8, 1, 'C', True), u8, f8[::1])",))
def philox_uniforms(key: NDArray[np.uint64], indices: NDArray[np.uint64], level: np.uint64, out: NDArray[np.float64]) -> None:
    """Write word ``i % 4`` of block ``i // 4`` of the counter whose third word is `level`, as a number in [0, 1), for every index i.

    `key` holds the two words of the key, lower one first.
    """
    for position in range(indices.shape[0]):
        index = indices[position]
        # numpy advances the counter before it computes a block
        c0, c1, c2, c3 = (index >> _TWO) + _ONE, np.uint64(0), level, np.uint64(0)
        k0, k1 = key[0], key[1]
        for _ in range(10):
            high, low = np.uint64(0), np.uint64(0)
            # 64 x 64 -> 128 bits by halves, twice; a helper function would be another kernel
            a, b = _MULTIPLIER_0, c0
            cross = (a >> _HALF) * (b & _LOW) + (((a & _LOW) * (b & _LOW)) >> _HALF)
            middle = (cross & _LOW) + (a & _LOW) * (b >> _HALF)
            high = (a >> _HALF) * (b >> _HALF) + (cross >> _HALF) + (middle >> _HALF)
            low = a * b
            a, b = _MULTIPLIER_1, c2
            cross = (a >> _HALF) * (b & _LOW) + (((a & _LOW) * (b & _LOW)) >> _HALF)
            middle = (cross & _LOW) + (a & _LOW) * (b >> _HALF)
            other_high = (a >> _HALF) * (b >> _HALF) + (cross >> _HALF) + (middle >> _HALF)
            other_low = a * b
            c0, c1, c2, c3 = other_high ^ c1 ^ k0, other_low, high ^ c3 ^ k1, low
            k0, k1 = k0 + _STEP_0, k1 + _STEP_1
        word = index & _THREE
        chosen = c0 if word == 0 else (c1 if word == 1 else (c2 if word == 2 else c3))
        out[position] = np.float64(chosen >> _MANTISSA) * _UNIT
