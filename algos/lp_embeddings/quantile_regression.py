"""Quantile regression on tall tables, finished exactly from a few rows, with a proof that covers all rows.

A sample gives a first fit; one Newton step with the gradient of *all* rows brings it near the optimum; only the rows whose residual
could still change sign, a band around the fit, remain to be decided. An interior point method solves the band, the rows outside keep
their known slope, and the band's dual together with these slopes is a dual of the whole problem. One more pass over the data turns it
into a proven gap.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_finite_rows, check_option, check_range
from algos.lp_embeddings._quantile_certificate import QuantileCertificate
from algos.lp_embeddings._quantile_problem import Duality, Geometry, QuantileData, check_problem, duality, geometry, loss_pass, relative_gap
from algos.lp_embeddings._quantile_search import SAMPLERS, FitOptions, Sample, Search, draw_sample

__all__ = ["QuantileCertificate", "RegressionResult", "certified_quantile", "certify_quantile"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RegressionResult:
    """Coefficients of a regression and what is proved about them.

    Attributes
    ----------
    coef : ndarray of shape (d,)
        Coefficients, of minimum norm when A is rank deficient.
    objective : float
        Sum over all rows of weight times pinball loss.
    dual : ndarray of shape (n,) or None
        Dual vector of all rows; None without certification.
    dual_bound : float
        No coefficients have a smaller objective; NaN without certification.
    gap : float
        ``(objective - dual_bound) / max(objective, 1e-14 sum w |b|)``; NaN without certification.
    n_rounds : int
        Bands solved (0 without certification).
    n_flips : int
        Rows whose dual sits at the bound that belongs to the other sign of their residual. With the rows inside their box they make up
        the gap: ``objective - dual_bound`` is the sum of ``w |r|`` over the flips, of ``w rho(r) - y r`` over the rest, and rounding.
    n_rows_used : int
        Distinct rows that entered any of the small problems.
    converged : bool
        Whether the wanted gap was proved, or the objective equals its bound up to rounding.
    guarantee : Guarantee
        The same statement in the form shared by all estimators.
    certificate : QuantileCertificate or None
        What anyone can check again from the data.
    """

    coef: FloatArray
    objective: float
    dual: FloatArray | None
    dual_bound: float
    gap: float
    n_rounds: int
    n_flips: int
    n_rows_used: int
    converged: bool
    guarantee: Guarantee
    certificate: QuantileCertificate | None


def certified_quantile(
    A: npt.ArrayLike,
    b: npt.ArrayLike,
    t: float = 0.5,
    *,
    tol: float = 1e-9,
    sample_weight: npt.ArrayLike | None = None,
    sampler: str = "auto",
    size: int | None = None,
    band: int | None = None,
    start: npt.ArrayLike | None = None,
    certify: bool = True,
    max_rounds: int = 12,
    random_state: RandomStateLike = None,
) -> RegressionResult:
    r"""Quantile regression over all rows with a proven relative gap, at a cost of a few passes over the table.

    .. math:: \min_x P(x) = \sum_i w_i \rho_t(b_i - a_i x), \qquad \rho_t(e) = t \max(e, 0) + (1 - t) \max(-e, 0).

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, d)
        Rows; float64, float32, memory-mapped or CSR data are not copied. There is no implied intercept.
    b : array-like of shape (n,)
        Responses.
    t : float, default=0.5
        Quantile in (0, 1). At one half the objective is half the sum of absolute deviations.
    tol : float, default=1e-9
        Relative gap to prove. It is proved by arithmetic in float64, so below about 1e-13 it depends on luck.
    sample_weight : array-like of shape (n,), optional
        Nonnegative row weights w. An integer weight is the same as repeating the row.
    sampler : {"auto", "leverage", "lewis", "uniform"}, default="auto"
        Scores from which rows are sampled. "auto" mixes root leverage scores with uniform sampling for a certified fit (robust to both
        rare directions and flat tables) and with leverage scores without certification. The choice affects only the time of a
        certified fit; the proof does not rest on it.
    size : int, optional
        Expected number of sampled rows, 1 to n; ``min(2 n^0.7, 20000) sqrt(max(1, d / 20))`` if None.
    band : int, optional
        Rows in the first band, 1 to n; ``min(3 n^0.7, 30000) sqrt(max(1, d / 20))`` if None. It doubles as long as the gap is too large.
    start : array-like of shape (d,), optional
        Coefficients to start from, for example those of a neighbouring problem; the sample is then drawn but not solved. Ignored without
        certification.
    certify : bool, default=True
        False stops after the sample: the plain sketch-and-solve estimate, without guarantee.
    max_rounds : int, default=12
        Limit on the number of bands.
    random_state : None, int, Generator or RandomState, default=None
        Draws the sample.

    Returns
    -------
    RegressionResult
        ``coef``, ``objective``, ``dual``, ``dual_bound``, ``gap`` and more.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, is not finite, or is out of its range.
    TypeError
        If an argument has the wrong type.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If `tol` was not proved after `max_rounds`; the result is returned with the gap that was proved.

    Notes
    -----
    Time: one Gram matrix and row norms (2 n d^2), three passes of 4 n d, and two interior point solves on a few ten thousand rows.
    Memory: six vectors of length n. Rank deficiency, n < d, ties, duplicated rows and an optimum of zero are handled. Identical rows of
    [A b] are merged when n is at most 100,000 or weights are given.

    The proof: with the dual y in its box and e = A^T y, the objective is at least
    ``(b - A x) . y - 2 tau^(1/2) |R^-T e| P(x) / min(t, 1 - t)``, tau the largest leverage score; the last term is rounding. The rank
    of A is decided at rounding level.

    References
    ----------
    Portnoy, S. and Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise. Statistical Science 12, 279-300: preprocessing by a
    band around a preliminary fit.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import certified_quantile
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((5000, 3))
    >>> b = A @ [1.0, 2.0, 3.0] + rng.standard_t(2, 5000)
    >>> result = certified_quantile(A, b, random_state=0)
    >>> print(np.round(result.coef, 1), result.gap <= 1e-9)
    [1. 2. 3.] True
    """
    data, t = check_problem(A, b, t, sample_weight)
    options = check_options(data, tol, sampler, size, band, certify, max_rounds)
    first = None if start is None else check_coefficients(start, data.shape[1], name="start")
    return fit_quantile(data, t, options, as_generator(random_state), start=first)


def certify_quantile(
    A: npt.ArrayLike,
    b: npt.ArrayLike,
    t: float,
    coef: npt.ArrayLike,
    *,
    tol: float = 1e-9,
    sample_weight: npt.ArrayLike | None = None,
    max_rounds: int = 12,
    random_state: RandomStateLike = None,
) -> RegressionResult:
    """Prove how far the coefficients of any solver are from the optimum.

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, d)
        Rows; a solver's intercept needs its column of ones.
    b : array-like of shape (n,)
        Responses.
    t : float
        Quantile in (0, 1).
    coef : array-like of shape (d,)
        Coefficients to judge. They are returned unchanged.
    tol : float, default=1e-9
        Accuracy of the lower bound, relative to the optimum.
    sample_weight : array-like of shape (n,), optional
        Nonnegative row weights.
    max_rounds : int, default=12
        Limit on the number of bands.
    random_state : None, int, Generator or RandomState, default=None
        Draws the rows from which the band is chosen.

    Returns
    -------
    RegressionResult
        With the given `coef`; its ``gap`` is the proven one, and exceeds the true one by at most about `tol`. ``converged`` says
        whether the given coefficients are proved to be within `tol`.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, is not finite, or is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import certify_quantile
    >>> A, b = np.ones((4, 1)), np.array([0.0, 1.0, 2.0, 9.0])
    >>> print(round(certify_quantile(A, b, 0.5, [1.5]).gap, 9))
    0.0
    >>> print(round(certify_quantile(A, b, 0.5, [3.0]).gap, 9))  # losses 6 and 5
    0.166666667
    """
    data, t = check_problem(A, b, t, sample_weight)
    given = check_coefficients(coef, data.shape[1], name="coef")
    options = check_options(data, tol, "auto", None, None, True, max_rounds)
    rng = as_generator(random_state)
    shape = geometry(data)
    search = Search(data, t, shape, options, rng)
    search.run(given)
    final = duality(data, t, given, search.best_dual, shape)
    return _result(search, given, final, options.tol, warn=False)


def check_coefficients(coef: npt.ArrayLike, d: int, *, name: str) -> FloatArray:
    """Return coefficients of the caller as a float64 vector."""
    given = np.ascontiguousarray(coef, dtype=np.float64)
    if given.shape != (d,):
        raise ValueError(f"{name} must have shape ({d},), one number for each column of A, got {given.shape}; reshape it.")
    check_finite_rows(given.reshape(-1, 1), name=name)
    return given


def check_options(
    data: QuantileData, tol: float, sampler: str, size: int | None, band: int | None, certify: bool, max_rounds: int
) -> FitOptions:
    """Check the options of a fit against its data and fill in the default sizes."""
    n, d = data.shape
    given = n if data.origin is None else len(data.origin)
    check_range(tol, name="tol", low=0.0, low_open=True)
    check_option(sampler, SAMPLERS, name="sampler")
    check_range(max_rounds, name="max_rounds", low=1, integer=True)
    for name, rows in (("size", size), ("band", band)):
        if rows is not None:
            check_range(rows, name=name, low=1, high=given, integer=True)
    growth = max(1.0, d / 20) ** 0.5
    size = int(min(2 * n**0.7, 20_000) * growth) + 1 if size is None else int(size)
    band = int(min(3 * n**0.7, 30_000) * growth) + 1 if band is None else int(band)
    return FitOptions(float(tol), sampler, min(size, n), min(max(band, 4 * d), n), bool(certify), int(max_rounds))


def fit_quantile(
    data: QuantileData,
    t: float,
    options: FitOptions,
    rng: np.random.Generator,
    *,
    intercept: bool = False,
    start: FloatArray | None = None,
    shared: tuple[Geometry, Sample] | None = None,
) -> RegressionResult:
    """Fit checked data, from `start` or a sample; with `intercept` the last column is one of ones and stays out of the minimum norm.

    Fits of the same table with other quantiles or responses may hand over its geometry and a sample.
    """
    shape = geometry(data, intercept=intercept) if shared is None else shared[0]
    sample = None if shared is None else shared[1]
    if not options.certify:
        return _sketch_and_solve(data, t, options, shape, draw_sample(data, shape, options, rng) if sample is None else sample)
    search = Search(data, t, shape, options, rng, sample)
    search.run(start)
    return _result(search, search.best_coef, search.proof(), options.tol, warn=True, intercept=intercept)


def _result(search: Search, coef: FloatArray, final: Duality, tol: float, *, warn: bool, intercept: bool = False) -> RegressionResult:
    data = search.data
    gap = relative_gap(final.objective, final.slack, data.floor)
    converged = gap <= tol or final.slack <= data.floor
    if warn and not converged:
        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(
            f"the proven gap is {gap:.2e} after {search.n_rounds} rounds, tol={tol:.2e} was asked for; raise max_rounds or tol.",
            ConvergenceWarning,
            stacklevel=4,
        )
    at_bound = (search.best_dual == data.weights * search.t) | (search.best_dual == data.weights * (search.t - 1.0))
    n_flips = int(np.count_nonzero(at_bound & (search.best_dual * final.residual < 0.0)))
    given = data.weights if data.given_weights is None else data.given_weights
    dual = np.clip(data.original_dual(search.best_dual), given * (search.t - 1.0), given * search.t)  # shares are rounded
    bound = final.objective - final.slack
    guarantee = Guarantee(
        kind="proved gap",
        value=gap,
        premises=("float64 arithmetic", "columns dependent up to rounding count as dependent"),
        reason="weak duality: the dual vector bounds the objective of every coefficient vector on all rows from below",
    )
    certificate = QuantileCertificate(search.t, coef, dual, final.objective, bound, gap, intercept)
    return RegressionResult(
        coef, final.objective, dual, bound, gap, search.n_rounds, n_flips, int(search.used.sum()), converged, guarantee, certificate
    )


def _sketch_and_solve(data: QuantileData, t: float, options: FitOptions, shape: Geometry, sample: Sample) -> RegressionResult:
    coef = shape.basis @ sample.solve(t, options.tol)
    guarantee = Guarantee("none", reason="certify=False: the fit comes from sampled rows and was not checked on all rows")
    objective = loss_pass(data, t, coef).objective
    return RegressionResult(coef, objective, None, math.nan, math.nan, 0, 0, len(sample.index), True, guarantee, None)
