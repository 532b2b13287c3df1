"""Formulas about samples: sizes, misses, moments of the norm estimate."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from algos.lp_embeddings.bounds._checks import need, need_exponent
from algos.lp_embeddings.bounds.sensitivities import total_sensitivity_range

__all__ = [
    "SAMPLERS",
    "bernoulli_variance",
    "fixed_size_variance",
    "leading_rows",
    "norm_power",
    "sample_size",
    "uniform_miss_probability",
]


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


def leading_rows(*, sampler: str, p: float, d: float, S: float, n: int | None = None, max_sensitivity: float | None = None) -> float:
    r"""Leading factor f of the sample size, which :math:`C\varepsilon^{-2}L` multiplies; see the table of `sample_size`.

    Parameters
    ----------
    sampler : str
        One of `SAMPLERS`.
    p : float
        Exponent of the norm.
    d : float
        Rank.
    S : float
        Total sensitivity.
    n, max_sensitivity : optional
        Number of rows and largest sensitivity; needed by ``sampler="uniform"``.

    Raises
    ------
    ValueError
        The sampler is unknown or has no guarantee at this p.

    Examples
    --------
    >>> leading_rows(sampler="sensitivity_power", p=1.0, d=16, S=6.0)
    36.0
    """
    need_exponent(p)
    need(sampler in SAMPLERS, f"sampler={sampler!r} is unknown; choose one of {', '.join(SAMPLERS)}")
    if sampler == "uniform":
        if n is None or max_sensitivity is None:
            raise ValueError("sampler='uniform' needs n and max_sensitivity: its size grows with n * max s_i / S")
        return max(1.0, n * max_sensitivity / S) * leading_rows(sampler="sensitivity", p=p, d=d, S=S)
    if sampler == "lewis":
        return max(d, math.pow(d, p / 2.0))
    if sampler == "sensitivity_classical":
        return S * d
    if sampler == "sensitivity_power":
        return math.pow(S, 2.0 / p if p <= 2.0 else 2.0 - 2.0 / p)
    if sampler == "sensitivity":
        return math.pow(d, 1.0 - p / 2.0) * S if p <= 2.0 else math.pow(S, 2.0 - 2.0 / p)
    if sampler == "leverage_sensitivity":
        need(p >= 2.0, f"sampler='leverage_sensitivity' covers p >= 2, got p={p!r}; use 'l2_augmented' below")
        return math.pow(d, 2.0 / p) * math.pow(S, 2.0 - 4.0 / p)
    if sampler == "leverage":
        need(p == 2.0, f"sampler='leverage' has a guarantee for p = 2 only, got p={p!r}; use 'root_leverage' or 'lewis'")
        return d
    need(p <= 2.0, f"sampler={sampler!r} covers p <= 2, got p={p!r}; use 'lewis' or 'sensitivity'")
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
    need_exponent(p)
    need(d >= 1, f"d={d!r} must be at least 1")
    need(0.0 < eps < math.inf, f"eps={eps!r} must be positive and finite")
    need(0.0 < delta < 1.0, f"delta={delta!r} must lie strictly between 0 and 1")
    total = total_sensitivity_range(p=p, rank=d)[1] if S is None else float(S)
    need(total > 0.0, f"S={S!r} must be positive")
    leading = leading_rows(sampler=sampler, p=p, d=d, S=total, n=n, max_sensitivity=max_sensitivity)
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
    need(0 <= k <= n and m >= 0, f"n={n!r}, m={m!r}, k={k!r}: need 0 <= k <= n and m >= 0")
    if draw == "with_replacement":
        every: int = pow(n, m)
        hits: int = sum((-1) ** j * math.comb(k, j) * int(pow(n - j, m)) for j in range(k + 1))
        return (every - hits) / every
    need(m <= n, f"m={m!r} exceeds n={n!r}; at most every row can be kept without replacement")
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
    need_exponent(p)
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
    need(bool(np.all(probability[alive] > 0.0)), "q must be positive wherever a term is not zero: such rows cannot be estimated")
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
    need(bool(np.all(law[alive] > 0.0)), "probabilities must be positive wherever a term is not zero")
    second = math.fsum((z[alive] ** 2 / law[alive]).tolist())
    return (second - math.fsum(z.tolist()) ** 2) / m
