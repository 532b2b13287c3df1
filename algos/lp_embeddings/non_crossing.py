r"""Linear quantile regressions of several levels that do not cross at any row of the table, with a proof for all levels together.

Sorting predictions repairs crossings after the fit; here they are forbidden in the fit. The single fits are the start: where they keep the
order at every row they are the answer. Otherwise one interior point method moves all levels at once, on the rows near the fits and near
a crossing; slopes of the other loss rows are known, and the multipliers of the other order constraints are zero, so that the duals extend
to all rows and prove a gap.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from algos.common.guarantees import Guarantee
from algos.common.randomness import RandomStateLike, as_generator
from algos.lp_embeddings import bounds
from algos.lp_embeddings._non_crossing_certificate import NonCrossingCertificate
from algos.lp_embeddings._non_crossing_search import JointSearch, positive_direction
from algos.lp_embeddings._quantile_problem import Geometry, QuantileData, check_problem, geometry
from algos.lp_embeddings._quantile_search import FitOptions
from algos.lp_embeddings.quantile_path import check_quantiles, fit_path
from algos.lp_embeddings.quantile_regression import RegressionResult, check_options

__all__ = [
    "NonCrossingCertificate",
    "NonCrossingResult",
    "at_joint_fit",
    "fit_non_crossing",
    "non_crossing_quantiles",
    "positive_direction",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NonCrossingResult:
    """Coefficients of several quantiles whose fitted values increase with the quantile at every row, and what is proved about them.

    Attributes
    ----------
    quantiles : tuple of float
        The k quantiles, increasing.
    coef : ndarray of shape (k, d)
        Coefficients.
    objectives : ndarray of shape (k,)
        Quantile loss of each level over all rows.
    objective : float
        Their sum, which is minimised.
    dual_bound : float
        No coefficients that keep the order at all rows have a smaller sum.
    gap : float
        ``(objective - dual_bound) / objective``, proved.
    smallest_step : float
        Smallest difference of neighbouring fitted values over all rows; nonnegative as computed, or rounding where all levels coincide in
        an exact fit.
    n_rounds : int
        Joint problems solved; 0 where the single fits already keep the order.
    converged : bool
        Whether the wanted gap was proved.
    guarantee : Guarantee
        The same statement in the form shared by all estimators.
    certificate : NonCrossingCertificate
        What anyone can check again from the data.
    """

    quantiles: tuple[float, ...]
    coef: FloatArray
    objectives: FloatArray
    objective: float
    dual_bound: float
    gap: float
    smallest_step: float
    n_rounds: int
    converged: bool
    guarantee: Guarantee
    certificate: NonCrossingCertificate


def non_crossing_quantiles(
    A: npt.ArrayLike,
    b: npt.ArrayLike,
    quantiles: npt.ArrayLike = (0.1, 0.5, 0.9),
    *,
    tol: float = 1e-9,
    sample_weight: npt.ArrayLike | None = None,
    size: int | None = None,
    band: int | None = None,
    max_rounds: int = 12,
    random_state: RandomStateLike = None,
) -> NonCrossingResult:
    r"""Linear quantile regressions whose fitted values increase with the quantile at every row, with a proven gap for their joint loss.

    .. math:: \min_{x_1,\dots,x_k} \sum_j\sum_i w_i\rho_{t_j}(b_i - a_i x_j)
              \quad\text{subject to}\quad a_i x_j \le a_i x_{j+1}\ \text{ for all } i \text{ with } w_i>0 .

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, d)
        Rows. Some combination of columns must be positive at every row, as a column of ones is.
    b : array-like of shape (n,)
        Responses.
    quantiles : array-like of shape (k,), default=(0.1, 0.5, 0.9)
        Quantiles in (0, 1), strictly increasing.
    tol : float, default=1e-9
        Relative gap to prove for the sum of the losses.
    sample_weight : array-like of shape (n,), optional
        Nonnegative row weights. Rows of weight zero are left out, also from the order.
    size, band, max_rounds, random_state
        As for `certified_quantile`, which makes the single fits from which this one starts.

    Returns
    -------
    NonCrossingResult
        ``coef`` of shape (k, d), ``objective``, ``dual_bound``, ``gap``, and the certificate.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, is not finite, or is out of its range, or no combination of columns is positive at every row.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If `tol` was not proved; the result still keeps the order and is returned with the gap that was.

    Notes
    -----
    Where crossing is excluded: at the rows, hence at every combination of rows with nonnegative factors. With an intercept this is their
    convex hull. Outside of it the lines may cross, and must unless they are parallel. The computed coefficients keep the order with a
    margin for the rounding of predictions, unless the fit is exact and the levels coincide.

    Time: the single fits; where these cross, about thirty Gram matrices of the chosen rows for each level and each pair of neighbours.
    Memory: 2 k vectors of length n, and k dense copies of the chosen rows, about ``3 n^0.7`` of them.

    References
    ----------
    Bondell, H., Reich, B. and Wang, H. (2010). Noncrossing quantile regression curve estimation. Biometrika 97, 825-838: the
    constraints, on a box.

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import non_crossing_quantiles
    >>> x, b = np.arange(8.0), np.array([0.0, 9.0, 1.0, 5.0, 5.0, 5.0, 5.0, 4.0])
    >>> fit = non_crossing_quantiles(np.column_stack([np.ones(8), x]), b, [0.4, 0.5, 0.6])
    >>> fit.smallest_step >= 0.0, fit.gap <= 1e-9
    (True, True)
    """
    levels = check_quantiles(quantiles)
    data, _ = check_problem(A, b, 0.5, sample_weight)
    options = check_options(data, tol, "auto", size, band, True, max_rounds)
    shape = geometry(data)
    singles = fit_path([data], levels, options, as_generator(random_state), shape=shape)
    return fit_non_crossing(data, shape, levels, singles, options)


def fit_non_crossing(
    data: QuantileData,
    shape: Geometry,
    quantiles: tuple[float, ...],
    singles: Sequence[RegressionResult],
    options: FitOptions,
    *,
    intercept: bool = False,
) -> NonCrossingResult:
    """Fit the quantiles of one response jointly, starting at the certified single fits."""
    search = JointSearch(data, shape, quantiles, options, positive_direction(data, shape, intercept=intercept))
    search.start(singles)
    search.run()
    return _result(search, options.tol, intercept)


def at_joint_fit(singles: Sequence[RegressionResult], joint: NonCrossingResult) -> list[RegressionResult]:
    """Return what the duals of single fits prove about the levels of the joint one: how much the order costs each of them at most."""
    judged = []
    for single, coef, objective in zip(singles, joint.coef, joint.objectives.tolist(), strict=True):
        assert single.certificate is not None
        gap = bounds.relative_gap(primal=objective, dual=single.dual_bound)
        certificate = replace(single.certificate, coef=coef, objective=objective, gap=gap)
        judged.append(replace(single, coef=coef, objective=objective, gap=gap, certificate=certificate))
    return judged


def _result(search: JointSearch, tol: float, intercept: bool) -> NonCrossingResult:
    final = search.judge(search.coef, search.duals, search.multipliers)
    gap = bounds.gap_of_slack(primal=final.objective, slack=final.slack, floor=search.floor)
    converged = gap <= tol or final.slack <= search.floor
    if not converged:
        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(
            f"the proven gap of the quantiles together is {gap:.2e} after {search.n_rounds} rounds, tol={tol:.2e} was asked "
            "for; raise max_rounds or tol.",
            ConvergenceWarning,
            stacklevel=4,
        )
    bound = final.objective - final.slack
    duals, multipliers = (np.array([search.data.original_dual(row) for row in rows]) for rows in (search.duals, search.multipliers))
    if search.data.given_weights is not None:
        levels = np.asarray(search.quantiles)[:, None]
        duals = np.clip(duals, search.data.given_weights * (levels - 1.0), search.data.given_weights * levels)
    certificate = NonCrossingCertificate(
        np.asarray(search.quantiles), search.coef, duals, multipliers.reshape(-1, duals.shape[1]), final.objective, bound, gap, intercept
    )
    smallest = float(final.steps.min(initial=math.inf)) if len(search.quantiles) > 1 else math.inf
    return NonCrossingResult(
        search.quantiles,
        search.coef,
        final.objectives,
        final.objective,
        bound,
        gap,
        smallest,
        search.n_rounds,
        converged,
        _promise(gap),
        certificate,
    )


def _promise(gap: float) -> Guarantee:
    return Guarantee(
        kind="proved gap",
        value=gap,
        premises=("float64 arithmetic", "columns dependent up to rounding count as dependent"),
        reason="weak duality: the duals and the multipliers bound the sum of the losses of all coefficients that do not cross at a row",
    )
