"""Regression in an lp norm on tall tables: a fit from a sample, finished by a few passes over all rows, with a proof that covers them.

A weighted sample gives coefficients near the best. Every pass over the table then makes a damped Newton step, and what the step leaves of
the linearised residuals is a dual vector of all rows. Hoelder's inequality turns it into a lower bound on the norm that any coefficients
can reach, so the passes end when the gap is proved, not when steps become small.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_option, check_range
from algos.lp_embeddings._lp_certificate import LpCertificate
from algos.lp_embeddings._lp_problem import LpProblem, lp_problem
from algos.lp_embeddings._lp_sample import LpOptions, LpSample, draw_lp_sample
from algos.lp_embeddings._lp_search import LpSearch, solve_in_stages
from algos.lp_embeddings._quantile_problem import QuantileData, check_problem, relative_gap
from algos.lp_embeddings._quantile_search import SAMPLERS
from algos.lp_embeddings.quantile_regression import RegressionResult, check_coefficients, check_options, fit_quantile

__all__ = ["LpCertificate", "LpRegressionResult", "certified_lp"]

FloatArray = npt.NDArray[np.float64]

_SMALL = 2000  # rows up to which passes over all rows cost no more than a sample
_SAMPLE_TOL = 1e-4  # the sample's own error is larger than this, so solving it further buys nothing
_LARGEST_EXPONENT = 100.0  # beyond, powers of residuals leave the range in which float64 distinguishes them


@dataclass(frozen=True)
class LpRegressionResult:
    """Coefficients of an lp regression and what is proved about them.

    Attributes
    ----------
    coef : ndarray of shape (d,)
        Coefficients, of minimum norm when A is rank deficient.
    objective : float
        Weighted lp norm of the residuals of all rows.
    dual : ndarray of shape (n,) or None
        Dual vector of all rows, orthogonal to the columns and of dual norm 1; None without certification.
    dual_bound : float
        No coefficients have a smaller norm; NaN without certification.
    gap : float
        ``(objective - dual_bound) / max(objective, 1e-14 |b|_p)``; NaN without certification.
    n_iter : int
        Newton steps over all rows, or on the sample without certification. For p = 1: bands solved, 1 for a sample alone.
    n_rows_used : int
        Distinct rows of the sample, or all rows if there was none.
    converged : bool
        Whether the wanted gap was proved, or the norm is zero up to rounding.
    guarantee : Guarantee
        The same statement in the form shared by all estimators.
    certificate : LpCertificate or None
        What anyone can check again from the data.
    """

    coef: FloatArray
    objective: float
    dual: FloatArray | None
    dual_bound: float
    gap: float
    n_iter: int
    n_rows_used: int
    converged: bool
    guarantee: Guarantee
    certificate: LpCertificate | None


def certified_lp(
    A: npt.ArrayLike,
    b: npt.ArrayLike,
    p: float = 1.5,
    *,
    tol: float = 1e-9,
    sample_weight: npt.ArrayLike | None = None,
    sampler: str = "auto",
    size: int | None = None,
    start: npt.ArrayLike | None = None,
    certify: bool = True,
    max_iter: int = 60,
    random_state: RandomStateLike = None,
) -> LpRegressionResult:
    r"""Regression in the lp norm over all rows with a proven relative gap, at a cost of a few passes over the table.

    .. math:: \min_x P(x) = \Bigl(\sum_i w_i |b_i - a_i x|^p\Bigr)^{1/p}, \qquad 1 \le p < \infty .

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, d)
        Rows; float64, float32, memory-mapped or CSR data are not copied. There is no implied intercept.
    b : array-like of shape (n,)
        Responses.
    p : float, default=1.5
        Exponent in [1, 100]; one half way between least absolute deviations and least squares by default: robust, and unique as a rule.
        p = 1 is handed to `certified_quantile` at one half. Between 1 and 1.1 the work grows to some ten to thirty steps.
    tol : float, default=1e-9
        Relative gap to prove, on the norm. It is proved by arithmetic in float64, so below about 1e-13 it depends on luck.
    sample_weight : array-like of shape (n,), optional
        Nonnegative row weights w. An integer weight is the same as repeating the row.
    sampler : {"auto", "leverage", "lewis", "uniform"}, default="auto"
        Scores from which rows are sampled. "auto" mixes :math:`\tau^{\min(p, 2)/2}`, tau the leverage scores, with uniform sampling for a
        certified fit; without certification it adds leverage scores (p < 2) or takes Lewis weights (p > 2). The choice affects only the
        time of a certified fit.
    size : int, optional
        Expected number of sampled rows, 1 to n; ``min(2 n^0.7, 20000) sqrt(max(1, d / 20))`` if None.
    start : array-like of shape (d,), optional
        Coefficients to start from, for example those of a neighbouring problem; nothing is sampled then.
    certify : bool, default=True
        False stops after the sample: the plain sketch-and-solve estimate, without guarantee.
    max_iter : int, default=60
        Limit on the Newton steps over all rows.
    random_state : None, int, Generator or RandomState, default=None
        Draws the sample.

    Returns
    -------
    LpRegressionResult
        ``coef``, ``objective``, ``dual``, ``dual_bound``, ``gap`` and more.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, is not finite, or is out of its range; in particular p < 1 and p = inf.
    TypeError
        If an argument has the wrong type.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If `tol` was not proved; the result is returned with the gap that was.

    Notes
    -----
    Time: one whitening and row norms (2 n d^2), then per step one weighted Gram matrix (n d^2), two products with a vector, and some powers
    of n numbers; three to six steps for p between 1.5 and 4. Memory: seven vectors of length n. p = 2 takes one step. Identical rows of
    [A b] are merged when n is at most 100,000 or weights are given.

    The proof: for any y with dual norm 1 and e = A^T y, Hoelder's inequality gives ``min P >= (b - A x) . y - 2 k |R^-T e| P(x)``; the
    last term is rounding. The rank of A is decided at rounding level.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import certified_lp
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((5000, 3))
    >>> b = A @ [1.0, 2.0, 3.0] + rng.standard_t(3, 5000)
    >>> result = certified_lp(A, b, 1.5, random_state=0)
    >>> print(np.round(result.coef, 1), result.gap <= 1e-9)
    [1. 2. 3.] True
    """
    p = check_exponent(p)
    data, _ = check_problem(A, b, 0.5, sample_weight)
    options = check_lp_options(data, tol, sampler, size, certify, max_iter)
    first = None if start is None else check_coefficients(start, data.shape[1], name="start")
    return fit_lp(data, p, options, as_generator(random_state), start=first)


def check_exponent(p: float) -> float:
    """Return the exponent of the norm as a float."""
    return float(check_range(p, name="p", low=1.0, high=_LARGEST_EXPONENT))


def check_lp_options(data: QuantileData, tol: float, sampler: str, size: int | None, certify: bool, max_iter: int) -> LpOptions:
    """Check the options of a fit against its data."""
    given = data.shape[0] if data.origin is None else len(data.origin)
    check_range(tol, name="tol", low=0.0, low_open=True)
    check_option(sampler, SAMPLERS, name="sampler")
    check_range(max_iter, name="max_iter", low=1, integer=True)
    if size is not None:
        size = int(check_range(size, name="size", low=1, high=given, integer=True))
    return LpOptions(float(tol), sampler, size, bool(certify), int(max_iter))


def fit_lp(
    data: QuantileData,
    p: float,
    options: LpOptions,
    rng: np.random.Generator,
    *,
    start: FloatArray | None = None,
    intercept: bool = False,
) -> LpRegressionResult:
    """Fit checked data; with `intercept` the last column is one of ones and stays out of the minimum norm."""
    if p == 1.0:
        return _least_absolute(data, options, rng, start, intercept)
    problem = lp_problem(data, p, intercept=intercept)
    if not options.certify:
        return _sketch_and_solve(data, problem, options, rng)
    search, rows_used = _search(data, problem, options, rng, start)
    search.run()
    if problem.shape.basis.shape[1] < data.shape[1]:
        search.coef = problem.shortest(search.coef)
        search.proof = None
    return _result(data, search, options.tol, rows_used, intercept)


def _search(
    data: QuantileData, problem: LpProblem, options: LpOptions, rng: np.random.Generator, start: FloatArray | None
) -> tuple[LpSearch, int]:
    """Return a search at its first point, and the number of rows that were needed to find it."""
    n = len(problem.b)
    if start is not None:
        return LpSearch(problem, start, options.tol, options.max_iter), 0
    if problem.p == 2.0:  # one step from anywhere is the solution
        return LpSearch(problem, np.zeros(problem.A.shape[1]), options.tol, options.max_iter), n
    sample = None if n <= _SMALL else draw_lp_sample(data, problem, options, rng)
    if sample is None or 2 * len(sample.index) >= n:
        return solve_in_stages(problem, options.tol, options.max_iter), n
    return LpSearch(problem, _solve_sample(sample, problem, _SAMPLE_TOL)[0], options.tol, options.max_iter), len(sample.index)


def _solve_sample(sample: LpSample, problem: LpProblem, tol: float) -> tuple[FloatArray, int]:
    """Coefficients that minimise the sample's norm to a gap of `tol`, and the steps this took."""
    if len(sample.index) == 0 or problem.shape.basis.shape[1] == 0:
        return np.zeros(problem.A.shape[1]), 1
    search = solve_in_stages(sample.problem, tol, 60)
    return problem.shape.basis @ search.coef, max(search.n_iter, 1)


def _result(data: QuantileData, search: LpSearch, tol: float, rows_used: int, intercept: bool) -> LpRegressionResult:
    problem, proof = search.problem, search.final_proof()
    gap = relative_gap(proof.objective, proof.slack, problem.floor)
    converged = gap <= tol or proof.slack <= problem.floor
    if not converged:
        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(
            f"the proven gap is {gap:.2e} after {search.n_iter} steps, tol={tol:.2e} was asked for; raise max_iter or tol.",
            ConvergenceWarning,
            stacklevel=4,
        )
    objective, bound = problem.unit * proof.objective, problem.unit * (proof.objective - proof.slack)
    scale = problem.dual_norm(search.dual)
    dual = data.original_dual(search.dual * (problem.unit / scale if scale > 0.0 else 0.0))
    certificate = LpCertificate(problem.p, search.coef, dual, objective, bound, gap, intercept)
    return LpRegressionResult(search.coef, objective, dual, bound, gap, search.n_iter, rows_used, converged, _guarantee(gap), certificate)


def _guarantee(gap: float) -> Guarantee:
    return Guarantee(
        kind="proved gap",
        value=gap,
        premises=("float64 arithmetic", "columns dependent up to rounding count as dependent"),
        reason="Hoelder's inequality: the dual vector bounds the norm of the residuals of every coefficient vector from below",
    )


def _least_absolute(
    data: QuantileData, options: LpOptions, rng: np.random.Generator, start: FloatArray | None, intercept: bool
) -> LpRegressionResult:
    """Solve p = 1 as the regression of the median, whose loss is half the norm."""
    checked = check_options(data, options.tol, options.sampler, options.size, None, options.certify, options.max_iter)
    half: RegressionResult = fit_quantile(data, 0.5, checked, rng, intercept=intercept, start=start)
    objective, bound = 2.0 * half.objective, 2.0 * half.dual_bound
    if half.dual is None:
        return LpRegressionResult(half.coef, objective, None, math.nan, math.nan, 1, half.n_rows_used, True, half.guarantee, None)
    dual = 2.0 * half.dual
    certificate = LpCertificate(1.0, half.coef, dual, objective, bound, half.gap, intercept)
    return LpRegressionResult(
        half.coef, objective, dual, bound, half.gap, half.n_rounds, half.n_rows_used, half.converged, _guarantee(half.gap), certificate
    )


def _sketch_and_solve(data: QuantileData, problem: LpProblem, options: LpOptions, rng: np.random.Generator) -> LpRegressionResult:
    sample = draw_lp_sample(data, problem, options, rng)
    coef, n_iter = _solve_sample(sample, problem, options.tol)
    guarantee = Guarantee("none", reason="certify=False: the fit comes from sampled rows and was not checked on all rows")
    objective = problem.unit * problem.norm(problem.residual(coef))
    return LpRegressionResult(coef, objective, None, math.nan, math.nan, n_iter, len(sample.index), True, guarantee, None)
