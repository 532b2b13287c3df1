"""Several quantiles and several responses on one table: the whitening, the row scores and the sample are shared."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import canonical_array, check_range
from algos.lp_embeddings._quantile_problem import Geometry, QuantileData, check_problem, geometry
from algos.lp_embeddings._quantile_search import FitOptions, draw_sample
from algos.lp_embeddings.quantile_regression import RegressionResult, check_options, fit_quantile

__all__ = ["QuantilePathResult", "certified_quantile_path", "rearranged"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class QuantilePathResult:
    """Fits of all quantiles and responses, the quantiles of the first response first; iterates over the single results.

    Attributes
    ----------
    quantiles : tuple of float
        The k quantiles, increasing.
    results : tuple of RegressionResult
        One for every response and quantile, each with its dual and its certificate.
    shape : tuple of int
        ``(k,)`` for one response, ``(m, k)`` for a table of m responses.
    """

    quantiles: tuple[float, ...]
    results: tuple[RegressionResult, ...]
    shape: tuple[int, ...]

    def __iter__(self) -> Iterator[RegressionResult]:
        return iter(self.results)

    @property
    def coef(self) -> FloatArray:
        """Coefficients, of shape ``(k, d)`` or ``(m, k, d)``."""
        return np.array([result.coef for result in self.results]).reshape(*self.shape, -1)

    @property
    def objective(self) -> FloatArray:
        """Losses of all rows, of shape ``(k,)`` or ``(m, k)``."""
        return np.array([result.objective for result in self.results]).reshape(self.shape)

    @property
    def dual_bound(self) -> FloatArray:
        """Lower bounds on the losses, of shape ``(k,)`` or ``(m, k)``."""
        return np.array([result.dual_bound for result in self.results]).reshape(self.shape)

    @property
    def gap(self) -> FloatArray:
        """Proven relative gaps, of shape ``(k,)`` or ``(m, k)``."""
        return np.array([result.gap for result in self.results]).reshape(self.shape)


def certified_quantile_path(
    A: npt.ArrayLike,
    b: npt.ArrayLike,
    quantiles: npt.ArrayLike = (0.1, 0.5, 0.9),
    *,
    tol: float = 1e-9,
    sample_weight: npt.ArrayLike | None = None,
    sampler: str = "auto",
    size: int | None = None,
    band: int | None = None,
    certify: bool = True,
    max_rounds: int = 12,
    random_state: RandomStateLike = None,
) -> QuantilePathResult:
    """Quantile regressions for several quantiles and responses, each with the proof of `certified_quantile`.

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, d)
        Rows.
    b : array-like of shape (n,) or (n, m)
        Responses, a column for each.
    quantiles : array-like of shape (k,), default=(0.1, 0.5, 0.9)
        Quantiles in (0, 1), strictly increasing: the median and the band around it that holds four of five.
    tol, sample_weight, sampler, size, band, certify, max_rounds, random_state
        As for `certified_quantile`; one sample serves all fits.

    Returns
    -------
    QuantilePathResult
        ``coef``, ``objective``, ``dual_bound``, ``gap`` as arrays, ``results`` with the certificates.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, is not finite, or is out of its range.

    Notes
    -----
    The whitening and the row norms, about a third of the time of one fit, are computed once. Each fit then costs two small interior point
    solves and three passes. It does not start at the neighbouring quantile: the sample gives a better start, measured three times faster.
    Every result keeps a dual vector of length n.

    Fitted lines of different quantiles may cross where there are few data; see `rearranged` and `non_crossing_quantiles`.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import certified_quantile_path
    >>> path = certified_quantile_path(np.ones((99, 1)), np.arange(1.0, 100.0), [0.255, 0.5, 0.755])
    >>> print(np.round(path.coef.ravel(), 6), bool(path.gap.max() <= 1e-9))
    [26. 50. 75.] True
    """
    levels = check_quantiles(quantiles)
    problems, many = check_path(A, b, sample_weight)
    options = check_options(problems[0], tol, sampler, size, band, certify, max_rounds)
    results = fit_path(problems, levels, options, as_generator(random_state))
    return QuantilePathResult(levels, results, (len(problems), len(levels)) if many else (len(levels),))


def check_quantiles(quantiles: npt.ArrayLike) -> tuple[float, ...]:
    """Return increasing quantiles inside (0, 1)."""
    levels = np.atleast_1d(np.asarray(quantiles))
    if levels.ndim != 1 or levels.size == 0:
        raise ValueError(f"quantiles has shape {levels.shape}; give a list with at least one number")
    checked = tuple(_check_level(level, f"quantiles[{i}]") for i, level in enumerate(levels.tolist()))
    if any(right <= left for left, right in pairwise(checked)):
        raise ValueError(f"quantiles={list(checked)} do not increase strictly; sort them and drop repetitions")
    return checked


def _check_level(level: float, name: str) -> float:
    return float(check_range(level, name=name, low=0.0, high=1.0, low_open=True, high_open=True))


def check_path(A: npt.ArrayLike, b: npt.ArrayLike, sample_weight: npt.ArrayLike | None) -> tuple[list[QuantileData], bool]:
    """Check table and responses; several responses share one table, whose identical rows are not merged."""
    responses = np.asarray(b)
    if responses.ndim == 1 or (responses.ndim == 2 and responses.shape[1] == 1):
        return [check_problem(A, responses if responses.ndim == 1 else responses[:, 0], 0.5, sample_weight)[0]], responses.ndim == 2
    table = canonical_array(A, name="A", sparse=True, check_finite=False)
    n = int(table.shape[0])
    if responses.ndim != 2 or len(responses) != n or responses.shape[1] == 0:
        raise ValueError(f"b must have shape ({n},) or ({n}, m), a row of responses for each row of A, got {responses.shape}; reshape it.")
    problems = [check_problem(table, responses[:, 0], 0.5, sample_weight, merge=False)[0]]
    weights = problems[0].weights
    if not np.all(weights > 0.0):
        problems = [_without_zero_weights(problems[0])]
    for j in range(1, responses.shape[1]):
        one = check_problem(table, responses[:, j], 0.5, sample_weight, merge=False)[0]
        kept = one if problems[0].origin is None else _without_zero_weights(one)
        problems.append(QuantileData(problems[0].A, kept.b, kept.weights, kept.origin, kept.given_weights, kept.uniform_weights))
    return problems, True


def _without_zero_weights(data: QuantileData) -> QuantileData:
    kept = np.flatnonzero(data.weights > 0.0)
    origin = np.full(len(data.b), -1, dtype=np.intp)
    origin[kept] = np.arange(len(kept))
    return QuantileData(data.A[kept], data.b[kept], data.weights[kept], origin, data.weights, False)


def fit_path(
    problems: list[QuantileData],
    quantiles: tuple[float, ...],
    options: FitOptions,
    rng: np.random.Generator,
    *,
    intercept: bool = False,
    shape: Geometry | None = None,
) -> tuple[RegressionResult, ...]:
    """Fit every quantile of every response on one geometry, computed unless it is handed over, and one sample."""
    if shape is None:
        shape = geometry(problems[0], intercept=intercept)
    first = draw_sample(problems[0], shape, options, rng)
    results = []
    for data in problems:
        sample = first.for_response(data.b)
        results += [fit_quantile(data, t, options, rng, intercept=intercept, shared=(shape, sample)) for t in quantiles]
    return tuple(results)


def rearranged(predictions: npt.ArrayLike) -> FloatArray:
    r"""Sort predicted quantiles within each row, so that they do not cross.

    Parameters
    ----------
    predictions : array-like of shape (..., k)
        Predictions of k increasing quantiles along the last axis.

    Returns
    -------
    ndarray of shape (..., k)
        The same numbers in increasing order.

    Notes
    -----
    What is guaranteed, whatever the data and the quantiles :math:`t_1 < \dots < t_k`: the rearranged predictions increase at every point,
    and the sum over the quantiles of the quantile losses is not larger than before. Exchanging a pair with :math:`q_i > q_j`, i < j,
    lowers the sum by exactly :math:`(t_j - t_i)(q_i - q_j)` (derived: docs/theory/lp_embeddings.md, "Quantiles that do not cross").
    A single quantile may get worse, the predictions are no longer linear in the features, and certificates speak about the linear fits.

    References
    ----------
    Chernozhukov, V., Fernandez-Val, I. and Galichon, A. (2010). Quantile and probability curves without crossing. Econometrica 78,
    1093-1125.

    Examples
    --------
    >>> from algos.lp_embeddings import rearranged
    >>> rearranged([[1.0, 3.0, 2.0]]).tolist()
    [[1.0, 2.0, 3.0]]
    """
    values = np.asarray(predictions, dtype=np.float64)
    if values.ndim == 0:
        raise ValueError("predictions is a single number; give an array whose last axis runs over the quantiles")
    return np.sort(values, axis=-1)
