r"""Degree-4 sums of squares: the best shift of a quartic form by matrices whose form vanishes.

A quartic has many matrices: :math:`v_av_bv_cv_d` is the product of the features (a, b) and (c, d), and also of (a, c) and (b, d). Adding a
matrix N whose form vanishes does not change the form but lowers the eigenvalue bound; the best N is a semidefinite program.
"""

import itertools
import math

import numpy as np
import numpy.typing as npt

__all__ = ["feature_map", "form_bound", "sos_shift", "vanishing_matrices"]

FloatArray = npt.NDArray[np.float64]


def vanishing_matrices(k: int) -> list[FloatArray]:
    """Return a basis of the symmetric matrices N with ``svec(v v^T) @ N @ svec(v v^T) = 0`` for every v."""
    pairs = list(itertools.combinations_with_replacement(range(k), 2))
    places: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for i, j in itertools.combinations_with_replacement(range(len(pairs)), 2):
        places.setdefault(tuple(sorted(pairs[i] + pairs[j])), []).append((i, j))
    found = []
    for entries in places.values():
        first = entries[0]
        for other in entries[1:]:
            N = np.zeros((len(pairs), len(pairs)))
            for (i, j), sign in ((first, 1.0), (other, -1.0)):
                N[i, j] += sign / _coefficient(pairs, i, j) / 2.0
                N[j, i] += sign / _coefficient(pairs, i, j) / 2.0
            found.append(N)
    return found


def feature_map(Q: FloatArray) -> FloatArray:
    """Return the matrix P with ``svec(Q A Q^T) = P @ svec(A)``; its columns are orthonormal if those of Q are.

    ``P @ N @ P.T`` is the form of N for vectors ``Q.T @ x``: so it is stored, whatever the basis Q of a subspace.
    """
    m, k = Q.shape
    columns = []
    for a, b in itertools.combinations_with_replacement(range(k), 2):
        product = np.outer(Q[:, a], Q[:, b])
        columns.append(product if a == b else (product + product.T) / math.sqrt(2.0))
    i, j = np.triu_indices(m)
    scale = np.where(i == j, 1.0, math.sqrt(2.0))
    return np.stack([column[i, j] * scale for column in columns], axis=1)


def form_bound(N: FloatArray, k: int) -> float:
    """Return a number that ``|svec(v v^T) @ N @ svec(v v^T)|`` does not exceed on the unit sphere: the sum of its absolute coefficients.

    It is of the size of rounding errors for a matrix whose form vanishes, and proves that it does.
    """
    pairs = list(itertools.combinations_with_replacement(range(k), 2))
    coefficients: dict[tuple[int, ...], float] = {}
    for i, j in itertools.product(range(len(pairs)), repeat=2):
        monomial = tuple(sorted(pairs[i] + pairs[j]))
        coefficients[monomial] = coefficients.get(monomial, 0.0) + float(N[i, j]) * _coefficient(pairs, i, j)
    return math.fsum(map(abs, coefficients.values()))


def _coefficient(pairs: list[tuple[int, int]], i: int, j: int) -> float:
    """Factor with which the product of two features stands before its monomial."""
    return math.prod(1.0 if a == b else math.sqrt(2.0) for a, b in (pairs[i], pairs[j]))


def sos_shift(omega: FloatArray, k: int) -> tuple[FloatArray, float]:
    """Return the matrix N and the multiplier that minimise ``lam + lmax(omega + N - lam e e^T)``, as well as the solver finds them.

    The solver need not be trusted: whatever N of this kind and lam it returns, the value is an upper bound.
    """
    import cvxpy as cp

    basis = vanishing_matrices(k)
    D = omega.shape[0]
    if not basis:
        return np.zeros((D, D)), 0.0
    size = float(np.max(np.abs(omega))) or 1.0
    e = np.array([1.0 if a == b else 0.0 for a, b in itertools.combinations_with_replacement(range(k), 2)])
    weights, lam = cp.Variable(len(basis)), cp.Variable()
    flat = np.stack([N.ravel() for N in basis], axis=1)
    shifted = omega / size + cp.reshape(flat @ weights, (D, D), order="C") - lam * np.outer(e, e)
    cp.Problem(cp.Minimize(lam + cp.lambda_max((shifted + shifted.T) / 2.0))).solve(solver=cp.CLARABEL)
    if weights.value is None or not np.all(np.isfinite(weights.value)):
        return np.zeros((D, D)), 0.0
    return np.asarray((flat @ weights.value).reshape(D, D) * size), float(lam.value) * size
