"""Matrices and regressions with known answers: typical, hard and adversarial.

Every generator returns a small frozen record with read-only arrays and whatever is known exactly about them. A field that is not
known in closed form is None.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from algos.common.randomness import RandomStateLike, as_generator
from algos.lp_embeddings import bounds
from algos.lp_embeddings._quantile_instances import QUANTILE_DESIGNS, QuantileInstance, frozen, quantile_designs

__all__ = [
    "QUANTILE_DESIGNS",
    "RANDOM_FAMILIES",
    "MatrixInstance",
    "QuantileInstance",
    "coherent",
    "identity",
    "mixture_hard_instance",
    "one_column",
    "quantile_designs",
    "random_families",
    "sign_cube",
    "two_basis",
    "two_columns",
    "with_condition",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MatrixInstance:
    """A matrix and what is known about it.

    Attributes
    ----------
    name : str
        Family.
    A : ndarray of shape (n, d), read-only
        The matrix.
    p : float or None
        The exponent that the scores below refer to; None when no score is known.
    rank : int
        Rank of A.
    sensitivities, lewis_weights : ndarray of shape (n,) or None
        Exact lp sensitivities and lp Lewis weights.
    special_rows : ndarray of int
        Rows that a sample must contain to keep the rank (`coherent`), or rows of the flat block (`mixture_hard_instance`).
    """

    name: str
    A: FloatArray
    p: float | None
    rank: int
    sensitivities: FloatArray | None = None
    lewis_weights: FloatArray | None = None
    special_rows: npt.NDArray[np.int64] | None = None

    @property
    def total_sensitivity(self) -> float | None:
        """Sum of the sensitivities."""
        return None if self.sensitivities is None else float(np.sum(self.sensitivities))


# --- exact families --------------------------------------------------------------------------------------------------------------


def identity(d: int, p: float = 1.0) -> MatrixInstance:
    """Identity matrix: every sensitivity and every Lewis weight is 1.

    Examples
    --------
    >>> identity(3).total_sensitivity
    3.0
    """
    ones = frozen(np.ones(d))
    return MatrixInstance("identity", frozen(np.eye(d)), p, d, ones, ones)


def one_column(entries: npt.ArrayLike, p: float = 1.0) -> MatrixInstance:
    """Make a single column: sensitivities and Lewis weights are the shares of ``abs(a)**p``.

    Examples
    --------
    >>> one_column([3.0, -1.0, 0.0]).sensitivities
    array([0.75, 0.25, 0.  ])
    """
    a = np.asarray(entries, dtype=np.float64)
    largest = np.max(np.abs(a))
    if not largest > 0.0:
        raise ValueError("entries must contain a number other than zero")
    powers = (np.abs(a) / largest) ** p
    share = frozen(powers / powers.sum())
    return MatrixInstance("one_column", frozen(a[:, None]), p, 1, share, share)


def two_columns(A: npt.ArrayLike) -> MatrixInstance:
    r"""Two columns and p = 1: exact sensitivities by trying the direction orthogonal to each row.

    The minimum of the convex, piecewise linear :math:`\|Ax\|_1` on the line :math:`a_i x = 1` lies at a kink, where x is orthogonal
    to some row. Cost O(n^2) in time and memory.

    Parameters
    ----------
    A : array_like of shape (n, 2)
        Rank 2.

    Examples
    --------
    >>> two_columns([[1.0, 0.0], [0.0, 1.0]]).sensitivities
    array([1., 1.])
    """
    rows = np.asarray(A, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != 2 or np.linalg.matrix_rank(rows) < 2:
        raise ValueError(f"A has shape {rows.shape}; two columns and rank 2 are needed")
    alive = rows[np.any(rows != 0.0, axis=1)]
    directions = np.column_stack([alive[:, 1], -alive[:, 0]])
    products = np.abs(rows @ directions.T)
    return MatrixInstance("two_columns", frozen(rows), 1.0, 2, frozen(np.max(products / products.sum(axis=0), axis=1)))


def _hadamard(d: int) -> FloatArray:
    if d < 1 or d & (d - 1):
        raise ValueError(f"d={d!r} must be a power of two: Hadamard matrices are built by doubling")
    H = np.ones((1, 1))
    while H.shape[0] < d:
        H = np.block([[H, H], [H, -H]])
    return H


def two_basis(d: int, copies: int = 1, p: float = 1.0) -> MatrixInstance:
    """Stack unit vectors on a scaled Hadamard matrix and repeat every row: equal sensitivities with an extreme sum.

    Parameters
    ----------
    d : int
        Dimension, a power of two.
    copies : int, default=1
        Repetitions of each row, scaled by ``copies**(-1/p)`` so that norms do not change.
    p : float, default=1
        Exponent of the norm.

    Returns
    -------
    MatrixInstance
        With ``2 * d * copies`` rows and total sensitivity ``2 d / (1 + d**(1 - p/2))``.

    Examples
    --------
    >>> round(two_basis(16).total_sensitivity, 12)
    6.4
    """
    rows = np.vstack([np.eye(d), _hadamard(d) / np.sqrt(d)])
    n = 2 * d * copies
    share = bounds.two_basis_total_sensitivity(d=d, p=p) / n
    A = np.repeat(rows, copies, axis=0) * copies ** (-1.0 / p)
    return MatrixInstance("two_basis", frozen(A), p, d, frozen(np.full(n, share)), frozen(np.full(n, d / n)))


def sign_cube(d: int, p: float = 1.0) -> MatrixInstance:
    """All sign vectors up to a common sign: ``2**(d-1)`` rows with equal sensitivities.

    Examples
    --------
    >>> round(sign_cube(4).total_sensitivity, 12)
    2.666666666667
    """
    n = 2 ** (d - 1)
    A = 1.0 - 2.0 * ((np.arange(n)[:, None] >> np.arange(d)) & 1)
    share = bounds.sign_cube_total_sensitivity(d=d, p=p) / n
    return MatrixInstance("sign_cube", frozen(A), p, d, frozen(np.full(n, share)), frozen(np.full(n, d / n)))


def mixture_hard_instance(d1: int = 64, copies: int = 32, k: int = 32, p: float = 1.0) -> MatrixInstance:
    """Two-basis block beside k coordinates that are spread over many rows: bad for plain sensitivity sampling.

    The flat block has small sensitivities (sum about ``2 * d1**(p/2)``) although its rank is d1; the k spread coordinates take most of the
    sampling budget. Sampling by sensitivities then loses directions of the flat block.

    Parameters
    ----------
    d1, copies : int
        The flat block, as in `two_basis`; its rows are ``special_rows``.
    k : int
        Number of spread coordinates, each of ``copies`` equal rows.
    p : float, default=1
        Exponent of the norm.

    Examples
    --------
    >>> mixture_hard_instance(4, 2, 3).A.shape
    (22, 7)
    """
    flat = two_basis(d1, copies, p)
    spread = np.repeat(np.eye(k), copies, axis=0) * copies ** (-1.0 / p)
    n1, n2 = flat.A.shape[0], spread.shape[0]
    A = np.zeros((n1 + n2, d1 + k))
    A[:n1, :d1], A[n1:, d1:] = flat.A, spread
    assert flat.sensitivities is not None
    assert flat.lewis_weights is not None
    alike = np.full(n2, 1.0 / copies)
    return MatrixInstance(
        "mixture_hard_instance",
        frozen(A),
        p,
        d1 + k,
        frozen(np.concatenate([flat.sensitivities, alike])),
        frozen(np.concatenate([flat.lewis_weights, alike])),
        np.arange(n1),
    )


def coherent(n: int = 2000, d: int = 5, k: int = 20, scale: float = 1.0, random_state: RandomStateLike = 0) -> MatrixInstance:
    """Gaussian rows plus k rows that are each the only one with an entry in some column.

    Parameters
    ----------
    n : int
        Rows in all, at least ``d + k``.
    d : int
        Columns of the Gaussian part; the matrix has ``d + k``.
    k : int
        Rows that must be kept: a sample without one of them has lost a column. Their positions, drawn at random, are ``special_rows``.
    scale : float
        Their only entry. Scores do not depend on it.
    random_state : None, int or Generator
        Source of randomness.

    Examples
    --------
    >>> instance = coherent(n=50, d=2, k=3)
    >>> instance.A.shape, len(instance.special_rows)
    ((50, 5), 3)
    """
    if n < d + k:
        raise ValueError(f"n={n!r} must be at least d + k = {d + k}, the rank")
    rng = as_generator(random_state)
    where = np.sort(rng.choice(n, size=k, replace=False))
    A = np.zeros((n, d + k))
    A[np.setdiff1d(np.arange(n), where), :d] = rng.standard_normal((n - k, d))
    A[where, d + np.arange(k)] = scale
    return MatrixInstance("coherent", frozen(A), None, d + k, special_rows=where)


def with_condition(
    n: int, d: int, cond: float, spectrum: str = "geometric", column_scale: float = 1.0, random_state: RandomStateLike = 0
) -> MatrixInstance:
    """Matrix with a given condition number, before its columns are scaled.

    Parameters
    ----------
    n, d : int
        Shape.
    cond : float
        Largest over smallest singular value.
    spectrum : {"geometric", "one_small", "one_large"}
        How the singular values lie between 1 and 1/cond.
    column_scale : float, default=1
        Columns are multiplied by powers from 1 to this number, which does not change any leverage score: an algorithm that does not
        scale its columns back sees a far worse matrix.
    random_state : None, int or Generator
        Source of randomness.

    Examples
    --------
    >>> f"{np.linalg.cond(with_condition(50, 4, 1e3).A):.0f}"
    '1000'
    """
    shapes: dict[str, Callable[[], FloatArray]] = {
        "geometric": lambda: np.geomspace(1.0, 1.0 / cond, d),
        "one_small": lambda: np.r_[np.ones(d - 1), 1.0 / cond],
        "one_large": lambda: np.r_[1.0, np.full(d - 1, 1.0 / cond)],
    }
    if spectrum not in shapes:
        raise ValueError(f"spectrum={spectrum!r} is unknown; choose one of {', '.join(shapes)}")
    rng = as_generator(random_state)
    U = np.linalg.qr(rng.standard_normal((n, d)))[0]
    V = np.linalg.qr(rng.standard_normal((d, d)))[0]
    A = (U * shapes[spectrum]()) @ V.T
    return MatrixInstance("with_condition", frozen(A * np.geomspace(1.0, column_scale, d)), None, d)


# --- random families -----------------------------------------------------------------------------------------------------------------


def _gaussian(n: int, d: int, rng: Generator) -> FloatArray:
    return rng.standard_normal((n, d))


def _heavy_tailed(n: int, d: int, rng: Generator) -> FloatArray:
    return np.asarray(rng.standard_t(1.2, (n, d)), dtype=np.float64)


def _spiked(n: int, d: int, rng: Generator) -> FloatArray:
    return np.vstack([30.0 * np.eye(d), rng.standard_normal((n - d, d))])


def _legendre(n: int, d: int, rng: Generator) -> FloatArray:
    nodes = np.sort(rng.uniform(-1.0, 1.0, n))
    return np.asarray(np.polynomial.legendre.legvander(nodes, d - 1), dtype=np.float64)


def _vandermonde(n: int, d: int, rng: Generator) -> FloatArray:
    return np.vander(np.linspace(-1.0, 1.0, n), d, increasing=True)


def _row_scales(n: int, d: int, rng: Generator) -> FloatArray:
    return rng.standard_normal((n, d)) * np.geomspace(1.0, 1e-6, n)[:, None]


def _block_diagonal(n: int, d: int, rng: Generator) -> FloatArray:
    half, top = max(1, d // 2), n // 3
    A = np.zeros((n, d))
    A[:top, :half] = rng.standard_normal((top, half))
    A[top:, half:] = 1e4 * rng.standard_normal((n - top, d - half))
    return A


def _one_hot(n: int, d: int, rng: Generator) -> FloatArray:
    levels = max(1, d // 2)
    frequency = np.geomspace(1.0, 0.02, levels)
    group = rng.choice(levels, size=n, p=frequency / frequency.sum())
    group[:levels] = np.arange(levels)  # no level is empty
    return np.hstack([np.eye(levels)[group], rng.standard_normal((n, d - levels))])


RANDOM_FAMILIES: dict[str, Callable[[int, int, Generator], FloatArray]] = {
    "gaussian": _gaussian,
    "heavy_tailed": _heavy_tailed,
    "spiked": _spiked,
    "legendre": _legendre,
    "vandermonde": _vandermonde,
    "row_scales": _row_scales,
    "block_diagonal": _block_diagonal,
    "one_hot": _one_hot,
}
"""Generators of `random_families`, by name."""


def random_families(
    n: int = 300, d: int = 6, *, names: Iterable[str] | None = None, random_state: RandomStateLike = 0
) -> dict[str, MatrixInstance]:
    """Matrices of full column rank that stress different parts of the theory.

    Gaussian; heavy tails (t with 1.2 degrees of freedom); spiked (30 x identity above Gaussian rows); Legendre and Vandermonde
    polynomials; rows scaled from 1 down to 1e-6; two diagonal blocks whose scales differ by 1e4; one-hot levels beside numbers.

    Parameters
    ----------
    n, d : int, default=300, 6
        Shape, ``n >= 3 * d`` and ``d >= 2``.
    names : iterable of str, optional
        Families wanted, by default all of `RANDOM_FAMILIES`.
    random_state : None, int or Generator
        Source of randomness. Families are drawn in the order of `RANDOM_FAMILIES`, each from its own stream.

    Returns
    -------
    dict of str to MatrixInstance

    Examples
    --------
    >>> sorted(random_families(40, 4, names=["gaussian", "legendre"]))
    ['gaussian', 'legendre']
    """
    if d < 2 or n < 3 * d:
        raise ValueError(f"n={n!r}, d={d!r}: need d >= 2 and n >= 3 d so that every family has full rank")
    wanted = list(RANDOM_FAMILIES if names is None else names)
    unknown = sorted(set(wanted) - set(RANDOM_FAMILIES))
    if unknown:
        raise ValueError(f"names={unknown!r} are unknown; choose among {', '.join(RANDOM_FAMILIES)}")
    streams = dict(zip(RANDOM_FAMILIES, as_generator(random_state).spawn(len(RANDOM_FAMILIES)), strict=True))
    return {name: MatrixInstance(name, frozen(RANDOM_FAMILIES[name](n, d, streams[name])), None, d) for name in wanted}
