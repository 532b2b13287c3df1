"""Every formula of lp subspace embeddings as a pure function of keyword parameters.

No function here looks at data or draws a random number: parameters are numbers, or arrays that were fixed before the experiment.
The estimators report these values, the claims try to break them, and the figures draw them.
Proofs and sources are in ``docs/theory/lp_embeddings.md``; its section names are quoted in the docstrings.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "SAMPLERS",
    "UNIT_ROUNDOFF",
    "bernoulli_variance",
    "fixed_size_variance",
    "gram_leverage_error",
    "leverage_error",
    "lewis_contraction",
    "lewis_error",
    "logdet_gap",
    "norm_power",
    "optimal_relaxation",
    "quantile_gap_identity",
    "quantile_loss",
    "relative_gap",
    "relaxed_rate",
    "ridge_leverage_sum",
    "sample_size",
    "sensitivity_lower",
    "sensitivity_upper",
    "shifted_leverage_error",
    "sign_cube_total_sensitivity",
    "sketch_and_solve_ratio",
    "total_sensitivity_range",
    "two_basis_total_sensitivity",
    "uniform_miss_probability",
]

FloatArray = npt.NDArray[np.float64]

UNIT_ROUNDOFF = 2.0**-53
"""Largest relative rounding error of one float64 operation."""

SAMPLERS = (
    "lewis",
    "sensitivity",
    "sensitivity_power",
    "sensitivity_classical",
    "l2_augmented",
    "root_leverage",
    "leverage_sensitivity",
    "leverage",
    "uniform",
)
"""Names that `sample_size` understands."""


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _need_exponent(p: float) -> None:
    _need(1.0 <= p < math.inf, f"p={p!r} must be a finite number of at least 1; lp norms below 1 and the max norm are not covered")


# --- leverage scores ---------------------------------------------------------------------------------------------------------


def gram_leverage_error(*, cond: float, unit_roundoff: float = UNIT_ROUNDOFF) -> float:
    r"""Relative error of leverage scores computed from the Gram matrix: :math:`16\,u\,\kappa^2`.

    Parameters
    ----------
    cond : float
        Condition number of the matrix whose columns are scaled to unit length, the product of the 1-norms of the triangular factor and
        its inverse; at least 1.
    unit_roundoff : float, default=2**-53
        Rounding unit of the arithmetic.

    Returns
    -------
    float
        The error bound: rounding of the Gram matrix is amplified by its own condition number, the square of that of the matrix. The
        factor 16 is a working rule: 7 was the most in 4,000 adversarial tables. Checked by claim LP-02.

    Examples
    --------
    >>> gram_leverage_error(cond=1e5) < 2e-5
    True
    """
    return 16.0 * unit_roundoff * cond**2


def shifted_leverage_error(*, cond: float, unit_roundoff: float = UNIT_ROUNDOFF) -> float:
    r"""Relative error of leverage scores after shifted, repeated orthogonalisation: :math:`10^{-12} + 4\,u\,\kappa`.

    Parameters are those of `gram_leverage_error`. The leading digits of a leverage score change by :math:`u\kappa` when the
    matrix is perturbed in its last digit, so no method can do better than a multiple of this; the factor is a working rule, 0.9 was
    the most in 4,000 adversarial tables.

    Examples
    --------
    >>> shifted_leverage_error(cond=1e12) < 1e-3
    True
    """
    return 1e-12 + 4.0 * unit_roundoff * cond


def leverage_error(*, cond: float, rtol: float = 1e-6, unit_roundoff: float = UNIT_ROUNDOFF) -> float:
    r"""Relative error promised for leverage scores at any condition number.

    The fast path is taken while :math:`u\,\kappa^2 \le` rtol and promises `gram_leverage_error`; beyond, `shifted_leverage_error` holds.

    Parameters
    ----------
    cond : float
        Condition number as in `gram_leverage_error`.
    rtol : float, default=1e-6
        Largest :math:`u\,\kappa^2` for which the Gram matrix is used.
    unit_roundoff : float, default=2**-53
        Rounding unit of the arithmetic.

    Examples
    --------
    >>> leverage_error(cond=1e4) == gram_leverage_error(cond=1e4)
    True
    >>> leverage_error(cond=1e9) == shifted_leverage_error(cond=1e9)
    True
    """
    fast = unit_roundoff * cond**2 <= rtol
    return (gram_leverage_error if fast else shifted_leverage_error)(cond=cond, unit_roundoff=unit_roundoff)


def ridge_leverage_sum(*, singular_values: npt.ArrayLike, ridge: float = 0.0) -> float:
    r"""Sum of ridge leverage scores, :math:`\sum_j \sigma_j^2/(\sigma_j^2+\lambda)`; the rank when the ridge is zero.

    Parameters
    ----------
    singular_values : array_like of shape (r,)
        Singular values of the matrix. Zeros contribute nothing.
    ridge : float, default=0
        The number added to the diagonal of the Gram matrix.

    Examples
    --------
    >>> ridge_leverage_sum(singular_values=[3.0, 1.0, 0.0], ridge=1.0)
    1.4
    """
    squares = np.square(np.asarray(singular_values, dtype=np.float64))
    squares = squares[squares > 0.0]
    return math.fsum((squares / (squares + ridge)).tolist())


# --- sensitivities and Lewis weights -------------------------------------------------------------------------------------------


def _log_brackets(p: float, v: npt.ArrayLike, leverages: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Logarithms of the core times max(t/v)^(1-p/2) and of the core times (sum v)^(p/2-1); -inf where a score is zero."""
    _need_exponent(p)
    weights, scores = np.asarray(v, dtype=np.float64), np.asarray(leverages, dtype=np.float64)
    live = (scores > 0.0) & (weights > 0.0)
    log_v = np.log(np.where(live, weights, 1.0))
    log_t = np.log(np.where(live, scores, 1.0))
    log_core = np.where(live, (1.0 - p / 2.0) * log_v + (p / 2.0) * log_t, -math.inf)
    if not live.any():
        return log_core, log_core
    top = float(np.max(weights))
    log_total = math.log(top) + math.log(float(np.sum(weights / top)))  # a sum of huge weights must not overflow
    log_rho = float(np.max((log_t - log_v)[live]))
    return log_core + (1.0 - p / 2.0) * log_rho, log_core + (p / 2.0 - 1.0) * log_total


def sensitivity_lower(*, p: float, v: npt.ArrayLike, leverages: npt.ArrayLike) -> FloatArray:
    r"""Lower bound on every lp sensitivity from any positive weights.

    With :math:`t_i` the leverage scores of :math:`V^{1/2-1/p}A`, core :math:`c_i = v_i^{1-p/2} t_i^{p/2}`, :math:`\rho=\max t_i/v_i`:
    :math:`s_i \ge c_i (\sum v)^{p/2-1}` for :math:`p\le 2` and :math:`s_i \ge c_i \rho^{1-p/2}` for :math:`p\ge 2`.

    Parameters
    ----------
    p : float
        Exponent of the norm, 1 <= p < inf.
    v : array_like of shape (n,)
        The weights. Any positive numbers are valid; Lewis weights make the bracket narrow.
    leverages : array_like of shape (n,)
        Leverage scores of the rows of A multiplied by ``v**(1/2 - 1/p)``.

    Returns
    -------
    ndarray of shape (n,)
        Lower bounds, at most 1.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The universal bracket".

    Examples
    --------
    >>> sensitivity_lower(p=1.0, v=[1.0, 1.0], leverages=[1.0, 1.0]).round(4)
    array([0.7071, 0.7071])
    """
    by_ratio, by_total = _log_brackets(p, v, leverages)
    return np.asarray(np.exp(np.minimum(by_total if p <= 2.0 else by_ratio, 0.0)))


def sensitivity_upper(*, p: float, v: npt.ArrayLike, leverages: npt.ArrayLike) -> FloatArray:
    r"""Upper bound on every lp sensitivity from any positive weights; see `sensitivity_lower` for the symbols.

    :math:`s_i \le c_i \rho^{1-p/2}` for :math:`p\le 2` and :math:`s_i \le c_i (\sum v)^{p/2-1}` for :math:`p\ge 2`, and never above 1.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The universal bracket".

    Examples
    --------
    >>> sensitivity_upper(p=1.0, v=[1.0, 4.0], leverages=[1.0, 1.0])
    array([1., 1.])
    """
    by_ratio, by_total = _log_brackets(p, v, leverages)
    return np.asarray(np.exp(np.minimum(by_ratio if p <= 2.0 else by_total, 0.0)))


def total_sensitivity_range(*, p: float, rank: int) -> tuple[float, float]:
    r"""Smallest and largest total sensitivity of a matrix of rank d: between :math:`\min(d, d^{p/2})` and :math:`\max(d, d^{p/2})`.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The universal bracket" (take Lewis weights for v).

    Examples
    --------
    >>> total_sensitivity_range(p=1.0, rank=16)
    (4.0, 16.0)
    """
    _need_exponent(p)
    ends = float(rank), float(rank) ** (p / 2.0)
    return min(ends), max(ends)


def lewis_contraction(*, p: float) -> float:
    r"""Lipschitz factor of the Lewis map in :math:`\max_i |\ln(v_i/v'_i)|`: :math:`|1-p/2|`, below 1 exactly for p < 4.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Contraction". It is also the local rate of the unrelaxed iteration.

    Examples
    --------
    >>> lewis_contraction(p=3.0)
    0.5
    """
    _need_exponent(p)
    return abs(1.0 - p / 2.0)


def optimal_relaxation(*, p: float) -> float:
    r"""Step :math:`\theta = 4/(p+2)` that equalises both ends of the spectrum of the relaxed Lewis map.

    Examples
    --------
    >>> optimal_relaxation(p=2.0)
    1.0
    """
    _need_exponent(p)
    return 4.0 / (p + 2.0)


def relaxed_rate(*, p: float, theta: float | None = None) -> float:
    r"""Local rate of :math:`\ln v \leftarrow (1-\theta)\ln v + \theta \ln T(v)`: :math:`\max(|1-\theta|, |1-\theta p/2|)`.

    Parameters
    ----------
    p : float
        Exponent of the norm.
    theta : float, optional
        The step; by default `optimal_relaxation`, which gives :math:`|p-2|/(p+2)`. With 1 it is the classical :math:`|1-p/2|`.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Rates": the Jacobian's eigenvalues are :math:`1-\theta-\theta(p/2-1)\lambda` with
    :math:`\lambda\in[0,1]`, and the end :math:`\lambda=1` (a common factor of all weights) is always attained.

    Examples
    --------
    >>> relaxed_rate(p=6.0)
    0.5
    >>> relaxed_rate(p=6.0, theta=1.0)
    2.0
    """
    step = optimal_relaxation(p=p) if theta is None else theta
    if theta is None:
        return abs(p - 2.0) / (p + 2.0)
    return max(abs(1.0 - step), abs(1.0 - step * p / 2.0))


def lewis_error(*, residual: float, p: float) -> float:
    r"""Certified entrywise error :math:`\max_i|\ln(v_i/w_i)| \le \mathrm{res}/(1-|1-p/2|)` for p < 4; infinity from p = 4 on.

    Parameters
    ----------
    residual : float
        :math:`\max_i |\ln(T(v)_i/v_i)|` at the weights v.
    p : float
        Exponent of the norm.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Contraction" (geometric series).

    Examples
    --------
    >>> lewis_error(residual=1e-3, p=1.0)
    0.002
    >>> lewis_error(residual=1e-3, p=5.0)
    inf
    """
    factor = lewis_contraction(p=p)
    return residual / (1.0 - factor) if factor < 1.0 else math.inf


def logdet_gap(*, p: float, rank: int, overshoot: float) -> float:
    r"""Certified distance from the maximum of :math:`\log\det(A^\top V^{1-2/p}A)` over :math:`\sum v = d`, for p >= 2.

    It equals :math:`(1-2/p)\, d\, (\rho - 1)` with :math:`\rho = \max_i t_i/v_i`, because the objective is concave in v with
    slopes :math:`(1-2/p)t_i/v_i`.

    Parameters
    ----------
    p : float
        Exponent, at least 2.
    rank : int
        Rank d of the matrix; the weights sum to it.
    overshoot : float
        The number rho.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Large p".

    Examples
    --------
    >>> logdet_gap(p=4.0, rank=10, overshoot=1.01).__round__(6)
    0.05
    """
    _need(p >= 2.0, f"p={p!r}: the log-determinant is concave in the weights only from p = 2 on; use lewis_error below 4")
    return (1.0 - 2.0 / p) * rank * max(overshoot - 1.0, 0.0)


# --- samples -------------------------------------------------------------------------------------------------------------------


def _leading_rows(sampler: str, p: float, d: float, S: float) -> float:
    """Leading factor of the sample size: what multiplies C eps^-2 L."""
    if sampler == "lewis":
        return max(d, math.pow(d, p / 2.0))
    if sampler == "sensitivity_classical":
        return S * d
    if sampler == "sensitivity_power":
        return math.pow(S, 2.0 / p if p <= 2.0 else 2.0 - 2.0 / p)
    if sampler == "sensitivity":
        return math.pow(d, 1.0 - p / 2.0) * S if p <= 2.0 else math.pow(S, 2.0 - 2.0 / p)
    if sampler == "leverage_sensitivity":
        _need(p >= 2.0, f"sampler='leverage_sensitivity' covers p >= 2, got p={p!r}; use 'l2_augmented' below")
        return math.pow(d, 2.0 / p) * math.pow(S, 2.0 - 4.0 / p)
    if sampler == "leverage":
        _need(p == 2.0, f"sampler='leverage' has a guarantee for p = 2 only, got p={p!r}; use 'root_leverage' or 'lewis'")
        return d
    _need(p <= 2.0, f"sampler={sampler!r} covers p <= 2, got p={p!r}; use 'lewis' or 'sensitivity'")
    return S + d if sampler == "l2_augmented" else d


def sample_size(
    *,
    sampler: str,
    p: float,
    d: int,
    S: float | None = None,
    eps: float = 0.5,
    delta: float = 0.1,
    C: float = 2.0,
    L: float | None = None,
    n: int | None = None,
    max_sensitivity: float | None = None,
) -> int:
    r"""Rows that suffice for distortion eps with probability 1 - delta: :math:`\lceil C\,\varepsilon^{-2}\,f\,L\rceil`.

    =====================  ========  ==================================  ==========================================
    sampler                p         f                                   status
    =====================  ========  ==================================  ==========================================
    lewis                  all       :math:`\max(d, d^{p/2})`            recalled: Cohen and Peng 2015
    sensitivity_classical  all       :math:`S d`                         classical
    sensitivity_power      all       :math:`S^{2/p}`; :math:`S^{2-2/p}`  Woodruff and Yasuda 2023, abstract
    sensitivity            all       :math:`d^{1-p/2}S`; as above        p < 2: Chen and Derezinski 2021 (as cited there)
    l2_augmented           p <= 2    :math:`S + d`                       Munteanu and Omlor 2024, abstract
    root_leverage          p <= 2    :math:`d`                           Woodruff and Yasuda 2023, abstract; recursive
    leverage_sensitivity   p >= 2    :math:`d^{2/p} S^{2-4/p}`           Woodruff and Yasuda 2023, abstract
    leverage               p = 2     :math:`d`                           classical
    uniform                all       ``sensitivity`` x n max s / S       derived: uniform dominates the scores
    =====================  ========  ==================================  ==========================================

    Constants and logarithms of these theorems are not known to us, nor is the power of eps for root leverage and
    leverage_sensitivity (2 is used); they are the parameters C and L, and every use says which values it took.

    Parameters
    ----------
    sampler : str
        One of `SAMPLERS`.
    p : float
        Exponent of the norm.
    d : int
        Rank of the matrix.
    S : float, optional
        Total sensitivity or an upper bound; by default the largest value that the rank allows.
    eps, delta : float, default=0.5, 0.1
        Distortion of the norm and failure probability.
    C : float, default=2
        Constant; 2 is the value frozen by claim LP-11.
    L : float, optional
        Logarithmic factor, by default ``max(1, ln(d / delta))``.
    n, max_sensitivity : optional
        Number of rows and largest sensitivity; needed by ``sampler="uniform"``.

    Raises
    ------
    ValueError
        When a parameter is out of range or the sampler has no guarantee at this p.

    Examples
    --------
    >>> sample_size(sampler="lewis", p=1.0, d=20, eps=0.5, L=1.0)
    160
    """
    _need_exponent(p)
    _need(sampler in SAMPLERS, f"sampler={sampler!r} is unknown; choose one of {', '.join(SAMPLERS)}")
    _need(d >= 1, f"d={d!r} must be at least 1")
    _need(0.0 < eps < math.inf, f"eps={eps!r} must be positive and finite")
    _need(0.0 < delta < 1.0, f"delta={delta!r} must lie strictly between 0 and 1")
    total = total_sensitivity_range(p=p, rank=d)[1] if S is None else float(S)
    _need(total > 0.0, f"S={S!r} must be positive")
    if sampler == "uniform":
        if n is None or max_sensitivity is None:
            raise ValueError("sampler='uniform' needs n and max_sensitivity: its size grows with n * max s_i / S")
        leading = max(1.0, n * max_sensitivity / total) * _leading_rows("sensitivity", p, d, total)
    else:
        leading = _leading_rows(sampler, p, d, total)
    log_factor = max(1.0, math.log(d / delta)) if L is None else L
    return math.ceil(C * leading * log_factor / eps**2)


def uniform_miss_probability(
    *, n: int, m: int, k: int, draw: Literal["bernoulli", "with_replacement", "without_replacement"] = "bernoulli"
) -> float:
    r"""Probability that a uniform sample of (expected) size m out of n rows misses at least one of k given rows.

    Bernoulli: :math:`1-(m/n)^k`. Without replacement: :math:`1-\binom{n-k}{m-k}/\binom nm`. With replacement:
    :math:`1-\sum_j(-1)^j\binom kj(1-j/n)^m`, evaluated in integers because the terms cancel.

    Parameters
    ----------
    n, m, k : int
        Rows, sample size, rows that matter; ``0 <= k <= n``, ``0 <= m``, and ``m <= n`` unless drawn with replacement.
    draw : {"bernoulli", "with_replacement", "without_replacement"}
        How rows are drawn. The integers of "with_replacement" have about ``m * log2(n)`` bits.

    Examples
    --------
    >>> round(uniform_miss_probability(n=100, m=5, k=2, draw="without_replacement"), 6)
    0.99798
    """
    _need(0 <= k <= n and m >= 0, f"n={n!r}, m={m!r}, k={k!r}: need 0 <= k <= n and m >= 0")
    if draw == "with_replacement":
        every: int = pow(n, m)
        hits: int = sum((-1) ** j * math.comb(k, j) * int(pow(n - j, m)) for j in range(k + 1))
        return (every - hits) / every
    _need(m <= n, f"m={m!r} exceeds n={n!r}; at most every row can be kept without replacement")
    if k == 0:
        return 0.0
    if draw == "bernoulli":
        return 1.0 if m == 0 else -math.expm1(k * math.log(m / n))
    if draw == "without_replacement":
        return 1.0 if m < k else -math.expm1(math.fsum(math.log((m - j) / (n - j)) for j in range(k)))
    raise ValueError(f"draw={draw!r} is unknown; choose 'bernoulli', 'with_replacement' or 'without_replacement'")


def norm_power(*, products: npt.ArrayLike, p: float) -> float:
    r"""Norm that every sample estimates, :math:`\|Ax\|_p^p = \sum_i |a_i x|^p`, from the products :math:`a_i x`.

    Examples
    --------
    >>> norm_power(products=[3.0, -4.0], p=2.0)
    25.0
    """
    _need_exponent(p)
    return math.fsum((np.abs(np.asarray(products, dtype=np.float64)) ** p).tolist())


def bernoulli_variance(*, terms: npt.ArrayLike, q: npt.ArrayLike) -> float:
    r"""Variance :math:`\sum_i (1/q_i-1) z_i^2` of the Bernoulli estimate :math:`\sum_{i\ kept} z_i/q_i`.

    Parameters
    ----------
    terms : array_like of shape (n,)
        The summands, for a norm :math:`z_i = |a_i x|^p`.
    q : array_like of shape (n,)
        Inclusion probabilities; positive wherever the term is not zero.

    Examples
    --------
    >>> bernoulli_variance(terms=[1.0, 2.0], q=[0.5, 1.0])
    1.0
    """
    z, probability = np.asarray(terms, dtype=np.float64), np.asarray(q, dtype=np.float64)
    alive = z != 0.0
    _need(bool(np.all(probability[alive] > 0.0)), "q must be positive wherever a term is not zero: such rows cannot be estimated")
    z, probability = z[alive], probability[alive]
    return math.fsum(((1.0 - probability) / probability * z**2).tolist())


def fixed_size_variance(*, terms: npt.ArrayLike, probabilities: npt.ArrayLike, m: int) -> float:
    r"""Variance :math:`\frac1m\left(\sum_i z_i^2/\pi_i - (\sum_i z_i)^2\right)` of m draws with replacement.

    Parameters
    ----------
    terms : array_like of shape (n,)
        The summands.
    probabilities : array_like of shape (n,)
        Drawing probabilities, summing to 1; positive wherever the term is not zero.
    m : int
        Number of draws.

    Examples
    --------
    >>> fixed_size_variance(terms=[1.0, 1.0], probabilities=[0.5, 0.5], m=3)
    0.0
    """
    z, law = np.asarray(terms, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    alive = z != 0.0
    _need(bool(np.all(law[alive] > 0.0)), "probabilities must be positive wherever a term is not zero")
    second = math.fsum((z[alive] ** 2 / law[alive]).tolist())
    return (second - math.fsum(z.tolist()) ** 2) / m


# --- families with known sensitivities -------------------------------------------------------------------------------------------


def two_basis_total_sensitivity(*, d: int, p: float, bases: int = 2) -> float:
    r"""Total sensitivity :math:`Jd/(1+(J-1)d^{1-p/2})` of J mutually unbiased bases of R^d, all rows alike.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Two bases". Within a factor 2 of the smallest possible value for p < 2.

    Examples
    --------
    >>> two_basis_total_sensitivity(d=16, p=1.0)
    6.4
    """
    _need_exponent(p)
    return bases * d / (1.0 + (bases - 1) * math.pow(d, 1.0 - p / 2.0))


def sign_cube_total_sensitivity(*, d: int, p: float) -> float:
    r"""Total sensitivity :math:`d^p / E|\epsilon_1+\dots+\epsilon_d|^p` of the 2^(d-1) sign vectors.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Sign cube".

    Examples
    --------
    >>> round(sign_cube_total_sensitivity(d=10, p=1.0), 7)
    4.0634921
    """
    _need_exponent(p)
    k = np.arange(d + 1)
    moment = float(np.sum(special.comb(d, k) * np.abs((2.0 * k - d) / d) ** p)) / 2.0**d
    return 1.0 / moment


# --- quantile regression -----------------------------------------------------------------------------------------------------------


def quantile_loss(*, residuals: npt.ArrayLike, quantile: float, weights: npt.ArrayLike = 1.0) -> float:
    r"""Weighted quantile loss :math:`\sum_i \omega_i (t\,r_i^+ + (1-t)\,r_i^-)`; half the absolute loss at t = 1/2.

    Examples
    --------
    >>> quantile_loss(residuals=[2.0, -1.0], quantile=0.9)
    1.9
    """
    r = np.asarray(residuals, dtype=np.float64)
    loss = np.maximum(quantile * r, (quantile - 1.0) * r)
    return math.fsum(np.ravel(np.asarray(weights, dtype=np.float64) * loss).tolist())


def quantile_gap_identity(
    *, band_residuals: npt.ArrayLike, band_dual: npt.ArrayLike, flipped_residuals: npt.ArrayLike, quantile: float
) -> float:
    r"""Primal minus dual value of all rows from the band alone: :math:`\sum_{band}(\rho_t(r_i)-y_i r_i)+\sum_{flipped}|r_i|`.

    Parameters
    ----------
    band_residuals, band_dual : array_like of shape (b,)
        Residuals and dual values of the rows inside the band.
    flipped_residuals : array_like of shape (f,)
        Residuals of outside rows whose sign differs from the one assumed by their dual value.
    quantile : float
        The quantile t.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "The gap". It needs a dual that is orthogonal to every column.

    Examples
    --------
    >>> quantile_gap_identity(band_residuals=[0.0, 1.0], band_dual=[0.2, 0.5], flipped_residuals=[-3.0], quantile=0.5)
    3.0
    """
    r, y = np.asarray(band_residuals, dtype=np.float64), np.asarray(band_dual, dtype=np.float64)
    inside = np.maximum(quantile * r, (quantile - 1.0) * r) - y * r
    return math.fsum([*inside.tolist(), *np.abs(np.asarray(flipped_residuals, dtype=np.float64)).tolist()])


def relative_gap(*, primal: float, dual: float, scale: float = 0.0) -> float:
    r"""Proven relative suboptimality :math:`\max(P-D, 0)/\max(P, f)`, with :math:`f = 10^{-14}` times the scale of the data.

    It is 0 when P and P - D are both at most f.

    Parameters
    ----------
    primal, dual : float
        Loss reached and lower bound on every loss.
    scale : float, default=0
        Weighted sum of the absolute responses: below 1e-14 of it the loss is rounding noise.

    Examples
    --------
    >>> relative_gap(primal=2.0, dual=1.5)
    0.25
    >>> relative_gap(primal=1e-15, dual=0.0, scale=1.0)
    0.0
    """
    floor, slack = 1e-14 * scale, max(primal - dual, 0.0)
    if primal <= floor and slack <= floor:
        return 0.0
    return slack / max(primal, floor, math.ulp(0.0))


def sketch_and_solve_ratio(*, eps: float, quantile: float = 0.5) -> float:
    r"""Loss of the sample's minimiser over the optimum when the sample preserves the l1 norm of [A b] to 1 +- eps.

    It is :math:`\left(\frac{\max(t,1-t)}{\min(t,1-t)}\right)^2\frac{1+\varepsilon}{1-\varepsilon}`; the first factor is 1 at the
    median, and is needed elsewhere because an l1 embedding does not preserve the quantile loss itself.

    Notes
    -----
    Derived: docs/theory/lp_embeddings.md, "Sketch and solve".

    Examples
    --------
    >>> sketch_and_solve_ratio(eps=0.5)
    3.0
    """
    _need(0.0 <= eps < 1.0, f"eps={eps!r} must lie in [0, 1)")
    _need(0.0 < quantile < 1.0, f"quantile={quantile!r} must lie strictly between 0 and 1")
    skew = max(quantile, 1.0 - quantile) / min(quantile, 1.0 - quantile)
    return skew**2 * (1.0 + eps) / (1.0 - eps)
