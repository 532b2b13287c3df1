"""Leverage scores and Lewis weights: ours, two QR factorisations, a blocked Gram-Cholesky and the cost of reading the matrix."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._table import Row, Target
from ._timing import Timing, interleave

if TYPE_CHECKING:
    from . import Settings

FloatArray = NDArray[np.float64]

OURS = "epsdelta leverage_scores"
NUMPY_QR, SCIPY_QR = "numpy.linalg.qr", "scipy.linalg.qr (economic)"
BASELINE = "blocked Gram-Cholesky, explicit inverse"
FLOOR = "floor: read the matrix once (ddot)"
BLOCK = 2048  # rows whose product stays in the second-level cache


def blocked_gram_cholesky(A: FloatArray) -> FloatArray:
    """Return leverage scores in the fastest way BLAS allows, without any check of the conditioning.

    Examples
    --------
    >>> blocked_gram_cholesky(np.eye(3)).tolist()
    [1.0, 1.0, 1.0]
    """
    from scipy.linalg import solve_triangular

    rows, columns = A.shape
    upper = np.linalg.cholesky(A.T @ A).T
    inverse = np.ascontiguousarray(solve_triangular(upper, np.eye(columns)))
    scores = np.empty(rows)
    buffer = np.empty((BLOCK, columns))
    for start in range(0, rows, BLOCK):
        block = A[start : start + BLOCK]
        product = np.matmul(block, inverse, out=buffer[: block.shape[0]])
        np.einsum("ij,ij->i", product, product, out=scores[start : start + BLOCK])
    return scores


def row_norms_of_q(A: FloatArray, library: str) -> FloatArray:
    """Return leverage scores as squared row norms of the orthogonal factor of numpy's or scipy's QR.

    Examples
    --------
    >>> row_norms_of_q(np.eye(2), "numpy").tolist()
    [1.0, 1.0]
    """
    if library == "numpy":
        Q = np.linalg.qr(A).Q
    else:
        from scipy.linalg import qr

        Q = qr(A, mode="economic", check_finite=False)[0]
    return np.asarray(np.einsum("ij,ij->i", Q, Q))


def nearly_dependent(U: FloatArray, cond: float) -> FloatArray:
    """Return a matrix of condition number about `cond` with exactly the column space, hence the leverage scores, of an integer matrix U.

    Every column but the first gets a multiple of the first added; scaling columns cannot undo that. The sums are integers below 2**53,
    so nothing is rounded, and the scores of the well-conditioned U are the exact answer for the result.

    Examples
    --------
    >>> nearly_dependent(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), 1e3)[2].tolist()
    [1.0, 501.0]
    """
    factor = np.round(cond / 2)
    result = U.copy()
    result[:, 1:] += factor * U[:, :1]
    if np.abs(result).max() >= 2.0**53:
        raise ValueError(f"cond={cond:g} is too large: the sums must stay below 2**53 to be exact")
    return result


def leverage(settings: "Settings") -> Iterator[Row | Target]:
    """Well-conditioned matrices: time of every method, largest relative difference from scipy's QR."""
    from algos.lp_embeddings import leverage_scores

    sizes = [(10_000, 20), (20_000, 50)] if settings.quick else [(100_000, 20), (1_000_000, 20), (100_000, 100)]
    for rows, columns in sizes:
        A = np.random.default_rng(settings.seed).standard_normal((rows, columns))
        methods: dict[str, Callable[[], object]] = {
            OURS: partial(leverage_scores, A),
            BASELINE: partial(blocked_gram_cholesky, A),
            NUMPY_QR: partial(row_norms_of_q, A, "numpy"),
            SCIPY_QR: partial(row_norms_of_q, A, "scipy"),
            FLOOR: partial(np.dot, A.ravel(), A.ravel()),
        }
        times = interleave(methods, settings.repeats)
        case = _case(rows, columns)
        for method, timing in times.items():
            yield Row("leverage", case, method, **timing.fields(), quality=_error(timing, times[SCIPY_QR]) if method != FLOOR else {})
        if settings.quick:  # ratios are promised for the full sizes only: at these, fixed costs decide
            continue
        yield Target("leverage", f"leverage {case}: time / blocked Gram-Cholesky", 1.05, ratio(times[OURS], times[BASELINE]))
        if (rows, columns) == (1_000_000, 20):
            yield Target("leverage", f"leverage {case}: time / numpy QR", 1 / 12, ratio(times[OURS], times[NUMPY_QR]))


def conditioning(settings: "Settings") -> Iterator[Row | Target]:
    """Ill-conditioned matrices with exactly known scores: time and true error."""
    from algos.lp_embeddings import leverage_scores
    from algos.lp_embeddings.bounds import shifted_leverage_error

    rows, columns = (20_000, 20) if settings.quick else (1_000_000, 20)
    U = np.random.default_rng(settings.seed).integers(-500, 501, (rows, columns)).astype(np.float64)
    exact = blocked_gram_cholesky(U)
    for cond in (1e8, 1e12):
        A = nearly_dependent(U, cond)
        times = interleave(
            {
                OURS: partial(leverage_scores, A),
                SCIPY_QR: partial(row_norms_of_q, A, "scipy"),
                BASELINE: partial(blocked_gram_cholesky, A),
            },
            settings.repeats,
        )
        case = f"{_case(rows, columns)}, cond {cond:.0e}"
        errors = {name: relative_error(timing.result, exact) for name, timing in times.items() if not timing.error}
        for method, timing in times.items():
            quality = {"max relative error": errors[method]} if method in errors else {}
            yield Row("conditioning", case, method, **timing.fields(), quality=quality)
        limit = shifted_leverage_error(cond=cond)
        yield Target("conditioning", f"leverage {case}: largest relative error", limit, errors.get(OURS))
        if not settings.quick:
            yield Target("conditioning", f"leverage {case}: time / scipy QR", 0.5, ratio(times[OURS], times[SCIPY_QR]))


def lewis(settings: "Settings") -> Iterator[Row | Target]:
    """Lewis weights for p = 1 to residual 1e-3, in units of one leverage computation of the same run."""
    from algos.lp_embeddings import leverage_scores, lewis_weights

    rows, columns = (20_000, 20) if settings.quick else (1_000_000, 20)
    A = np.random.default_rng(settings.seed).standard_t(3, (rows, columns))
    name = "epsdelta lewis_weights(p=1, tol=1e-3)"
    times = interleave({name: partial(lewis_weights, A, 1.0, tol=1e-3), OURS: partial(leverage_scores, A)}, settings.repeats)
    case = f"{_case(rows, columns)}, t(3)"
    for method, timing in times.items():
        yield Row("lewis", case, method, **timing.fields(), quality={"sum of weights": float(np.sum(timing.result))})
    if not settings.quick:
        yield Target("lewis", f"Lewis weights {case}: time / leverage time", 12.0, ratio(times[name], times[OURS]))


def ratio(ours: Timing, peer: Timing) -> float | None:
    """Return the ratio of the median processor times; None if either has none."""
    return ours.cpu / peer.cpu if ours.runs and peer.runs else None


def relative_error(scores: FloatArray, exact: FloatArray) -> float:
    """Return the largest relative error of positive scores.

    Examples
    --------
    >>> relative_error(np.array([1.0, 2.2]), np.array([1.0, 2.0])).__round__(6)
    0.1
    """
    return float(np.max(np.abs(scores / exact - 1.0)))


def _error(timing: Timing, reference: Timing) -> dict[str, float]:
    """Return the largest relative difference from the reference's scores."""
    if timing.error or reference.error or timing is reference:
        return {}
    return {"max difference from scipy QR": relative_error(timing.result, reference.result)}


def _case(rows: int, columns: int) -> str:
    """Return a size in words.

    Examples
    --------
    >>> _case(1_000_000, 20), _case(20_000, 50)
    ('1e6 x 20', '2e4 x 50')
    """
    mantissa, exponent = f"{rows:.0e}".split("e+")
    return f"{mantissa}e{int(exponent)} x {columns}"
