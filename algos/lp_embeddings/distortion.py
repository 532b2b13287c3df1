r"""Distortion of a sketch: how far the lp norms of ``TA @ x`` and ``A @ x`` can differ, over all x at once.

.. math:: \varepsilon = \max_x \left|\frac{\|TAx\|_p}{\|Ax\|_p} - 1\right| .

A quotient of two convex functions has many local extremes, so an exact value is available in special cases only. A result says what it
is: exact, a certified bracket, or a lower bound found by a search.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from algos.common.blocks import RowSource
from algos.common.randomness import RandomStateLike, as_generator
from algos.common.validation import check_option, check_range
from algos.lp_embeddings._arguments import checked_exponent
from algos.lp_embeddings._distortion_exact import arc_extremes, lp_norms, ray_extremes
from algos.lp_embeddings._distortion_kernels import ascend, norm_gradient
from algos.lp_embeddings._distortion_table import Reference
from algos.lp_embeddings._support_problem import WhitenedTable

__all__ = ["Distortion", "Reference", "Sides", "distortion", "measure", "ratio_ascent"]

FloatArray = npt.NDArray[np.float64]
Method = Literal["eigenvalues", "enumeration", "arcs", "ascent"]

_METHODS = ("auto", "eigenvalues", "enumeration", "arcs", "ascent")
_LOST = 1e-12  # share of the largest singular value below which a direction is lost by the sketch
_MOST_PAIRS = 4_000_000  # pairs of rows in space: about a second
_MOST_ROWS = 2_000_000
_STEPS = 40  # of the ascent; 5 to 20 are usual
_MANY = 5_000  # rows from which on the search begins on a sample of them
_FEW_STEPS = 4  # on all rows, after it
_POLISH = 12  # exact steps after it
_POLISH_TOL = 1e-8
_LEVEL = 1e-8  # relative growth below which these stop


@dataclass(frozen=True, eq=False)
class Distortion:
    r"""What is known about the distortion of a sketch.

    Attributes
    ----------
    lower, upper : float
        The distortion lies between them. A search alone proves no upper bound: then ``upper`` is infinite.
    exact : bool
        Whether both are the distortion itself, up to rounding.
    x_min, x_max : ndarray of shape (d,)
        Directions with the smallest and the largest ratio found, :math:`\|Ax\|_p = 1`.
    smallest, largest : float
        The ratios :math:`\|TAx\|_p / \|Ax\|_p` there; 0 where the sketch has lost a direction. ``lower`` is the larger one of
        ``1 - smallest`` and ``largest - 1``.
    method : {"eigenvalues", "enumeration", "arcs", "ascent"}
        How it was found.
    """

    lower: float
    upper: float
    exact: bool
    x_min: FloatArray
    x_max: FloatArray
    smallest: float
    largest: float
    method: Method


class _Side(NamedTuple):
    """An extreme ratio that is attained at z, and the bound beyond which there is none."""

    z: FloatArray
    attained: float
    bound: float


class Sides(NamedTuple):
    """Directions and, step by step, the ratios of an ascent; one column for each start."""

    directions: FloatArray
    trace: FloatArray


def distortion(
    A: Any,
    TA: Any,
    p: float,
    *,
    method: Literal["auto"] | Method = "auto",
    starts: int = 6,
    random_state: RandomStateLike = 0,
) -> Distortion:
    r"""Measure or bound the distortion of a sketch of a table.

    .. math:: \varepsilon = \max_x \left|\|TAx\|_p / \|Ax\|_p - 1\right| \quad\text{over } Ax \ne 0 .

    Parameters
    ----------
    A : array-like or sparse matrix of shape (n, d)
        Table, of any rank r. A whitened copy, n times r, is held in memory.
    TA : array-like or sparse matrix of shape (m, d)
        Sketch: for a sample, rows of A multiplied by ``weight**(1/p)``. No rows are allowed.
    p : float
        Exponent, 1 <= p < inf.
    method : {"auto", "eigenvalues", "enumeration", "arcs", "ascent"}, default="auto"
        ``"eigenvalues"`` (p = 2): exact. ``"enumeration"`` (p = 1, rank at most 3): exact, all rays orthogonal to r - 1 rows.
        ``"arcs"`` (rank 2, any p): bracket of relative width 1e-10, by convexity on arcs. ``"ascent"``: a lower bound by local search.
        ``"auto"`` takes the first of these that applies.
    starts : int, default=6
        Starting directions of the search for each end, at least 1: extreme directions for p = 2, directions in which single rows
        weigh most, random ones; more starts are added at the end of this list.
    random_state : None, int or Generator, default=0
        Draws the random starts. A fixed number by default: a measurement should not change from call to call.

    Returns
    -------
    Distortion
        Where the sketch has lost a direction of the table, ``smallest`` is 0 and ``lower`` at least 1.

    Raises
    ------
    ValueError
        p outside [1, inf), tables of different width, NaN or infinite entries, a table of zeros, a sketch with rows outside the row
        space of A (its distortion is infinite), or a method that does not apply.

    Notes
    -----
    Rows that are multiples of each other are merged first, which changes no norm. Time: O(n d^2) for p = 2; O(N log N) and O(N^2 log N) for
    the enumeration at rank 2 and 3 with N different rows; for the search some hundred weighted Gram matrices, about 10 ms at 600 x 6. It
    improves the ratio monotonically by reweighted least squares, from 5,000 rows on first on a sample of the rows, and finishes with
    exact maximisations on all of them (the support function of the ball). It can stop at a local
    extreme. No polynomial method is known to us that certifies the distortion for general p and rank.

    References
    ----------
    Derived: docs/theory/lp_embeddings.md, "Distortion".

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings import distortion
    >>> A = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> found = distortion(A, A[:2] * [[1.0], [2.5]], 1.0)
    >>> found.lower, found.exact, found.method
    (0.25, True, 'enumeration')
    >>> found.x_max.round(6)
    array([0. , 0.5])
    """
    p = checked_exponent(p)
    return measure(Reference.of(A, p), TA, method=method, starts=starts, random_state=random_state)


def measure(
    reference: Reference, TA: Any, *, method: Literal["auto"] | Method = "auto", starts: int = 6, random_state: RandomStateLike = 0
) -> Distortion:
    """Measure or bound the distortion of a sketch of a table that was prepared once for many sketches; see `distortion`.

    Parameters
    ----------
    reference : Reference
        The table and the exponent.
    TA : array-like or sparse matrix of shape (m, d)
    method, starts, random_state
        As in `distortion`.

    Returns
    -------
    Distortion

    Examples
    --------
    >>> import numpy as np
    >>> from algos.lp_embeddings.distortion import Reference, measure
    >>> table = Reference.of(np.eye(2), 2.0)
    >>> [measure(table, c * np.eye(2)).lower for c in (1.0, 1.5, 3.0)]
    [0.0, 0.5, 2.0]
    """
    check_option(method, _METHODS, name="method")
    starts = check_range(starts, name="starts", low=1, integer=True)
    p, B, C = reference.p, reference.rows, reference.coordinates(TA)
    chosen = _choose(method, p, B, C)
    low, high = _SOLVERS[chosen](B, C, p, starts, as_generator(random_state))
    floor, ceiling = min(low.bound, low.attained), max(high.bound, high.attained)
    x_min, x_max = (reference.basis @ (z / lp_norms(z[None, :] @ B.T, p)[0]) for z in (low.z, high.z))
    lower, upper = max(1.0 - low.attained, high.attained - 1.0, 0.0), max(1.0 - floor, ceiling - 1.0, 0.0)
    exact = chosen in ("eigenvalues", "enumeration") or lower == upper
    return Distortion(float(lower), float(upper), exact, x_min, x_max, float(low.attained), float(high.attained), chosen)


def _choose(method: str, p: float, B: FloatArray, C: FloatArray) -> Method:
    r, n = B.shape[1], len(B) + len(C)
    applies: dict[Method, tuple[bool, str]] = {
        "eigenvalues": (p == 2.0, f"covers p = 2, got p={p!r}"),
        "enumeration": (
            (p == 1.0 or r == 1) and r <= 3 and (n * n <= _MOST_PAIRS if r == 3 else n <= _MOST_ROWS),
            f"covers p = 1 and rank at most 3 with at most {int(_MOST_PAIRS**0.5)} different rows (rank 3) or {_MOST_ROWS} (rank 2); "
            f"got p={p!r}, rank {r}, {n} rows",
        ),
        "arcs": (r == 2 and n <= _MOST_ROWS, f"covers rank 2 with at most {_MOST_ROWS} different rows; got rank {r}, {n} rows"),
        "ascent": (True, ""),
    }
    if method == "auto":
        return next(name for name, (fits, _) in applies.items() if fits)
    for name, (fits, rule) in applies.items():
        if name == method and fits:
            return name
        if name == method:
            raise ValueError(f"method={method!r} {rule}; use method='auto'")
    raise AssertionError(method)


# --- the four ways -------------------------------------------------------------------------------------------------------------------


def _by_eigenvalues(B: FloatArray, C: FloatArray, p: float, starts: int, rng: np.random.Generator) -> tuple[_Side, _Side]:
    correction = np.linalg.inv(np.linalg.cholesky(B.T @ B).T)  # what the whitening left
    values, right = _singular(C @ correction)
    low, high = float(values[-1]), float(values[0])
    return _Side(correction @ right[-1], low, low), _Side(correction @ right[0], high, high)


def _by_rays(B: FloatArray, C: FloatArray, p: float, starts: int, rng: np.random.Generator) -> tuple[_Side, _Side]:
    if B.shape[1] == 1:  # one direction, any p
        z = np.ones(1)
        only = _Side(z, *(_ratio(B, C, z, p),) * 2)
        return only, only
    found = ray_extremes(B, C)
    return _Side(found.z_min, found.floor, found.floor), _Side(found.z_max, found.ceiling, found.ceiling)


def _by_arcs(B: FloatArray, C: FloatArray, p: float, starts: int, rng: np.random.Generator) -> tuple[_Side, _Side]:
    found = arc_extremes(B, C, p)
    low, high = (_ratio(B, C, z, p) for z in (found.z_min, found.z_max))
    return _Side(found.z_min, 0.0 if found.floor == 0.0 else low, found.floor), _Side(found.z_max, high, found.ceiling)


def _by_ascent(B: FloatArray, C: FloatArray, p: float, starts: int, rng: np.random.Generator) -> tuple[_Side, _Side]:
    values, right = _singular(C)
    if not len(C):
        return _Side(right[-1], 0.0, 0.0), _Side(right[0], 0.0, 0.0)
    random = [part.standard_normal((starts, B.shape[1])) for part in rng.spawn(2)]
    high = _climb(C, B, _starts(right[:2], _heaviest(C, np.eye(B.shape[1])), random[0], starts), p)
    upper_end = _Side(high[0], high[1], np.inf)
    if values[-1] <= _LOST * values[0]:
        return _Side(right[-1], 0.0, 0.0), upper_end
    metric = (right.T / values**2) @ right
    low = _climb(B, C, _starts(right[: -3 if len(right) > 2 else None : -1], _heaviest(B, metric), random[1], starts), p)
    return _Side(low[0], 1.0 / low[1], 0.0), upper_end


_SOLVERS: dict[Method, Any] = {"eigenvalues": _by_eigenvalues, "enumeration": _by_rays, "arcs": _by_arcs, "ascent": _by_ascent}


def _singular(C: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return r singular values, falling, and right singular vectors as rows, also where there are fewer rows than columns."""
    r = C.shape[1]
    tall = C if len(C) >= r else np.vstack([C, np.zeros((r - len(C), r))])
    values, right = np.linalg.svd(tall, full_matrices=False)[1:]
    return np.where(values > _LOST * max(float(values[0]), np.finfo(float).tiny), values, 0.0), right


def _heaviest(rows: FloatArray, metric: FloatArray) -> FloatArray:
    """Return the directions ``metric @ row`` of the two rows with the largest ``row @ metric @ row``."""
    if not len(rows):
        return rows
    toward = rows @ metric
    weight = np.einsum("ij,ij->i", toward, rows)
    return toward[np.argsort(weight)[::-1][:2]]


def _starts(extreme: FloatArray, heavy: FloatArray, random: FloatArray, count: int) -> FloatArray:
    """Interleave extreme and heavy directions, fill up with random ones."""
    known = [z for pair in zip(extreme, heavy, strict=False) for z in pair] or list(extreme)
    return np.ascontiguousarray(np.array([*known, *random])[:count])


def _climb(above: FloatArray, below: FloatArray, starts: FloatArray, p: float) -> tuple[FloatArray, float]:
    """Return the direction of the largest ratio found and the ratio."""
    if max(len(above), len(below)) > _MANY:  # the starts are sorted out on some of the rows; what is returned is judged on all of them
        found = ratio_ascent(_thinned(above, p), _thinned(below, p), starts, p).directions
        seen = [_ratio(below, above, z, p) for z in found]
        directions, trace = ratio_ascent(above, below, found[[int(np.argmax(seen))]], p, steps=_FEW_STEPS)
    else:
        directions, trace = ratio_ascent(above, below, starts, p)
    z = directions[int(np.argmax(trace[-1]))]
    ratio = _ratio(below, above, z, p)
    ball = WhitenedTable.of(RowSource.of(below, name="A"))
    for _ in range(_POLISH):
        form = ball.direction(norm_gradient(above, above @ z, p))
        form = form / np.linalg.norm(form)
        candidate = ball.coefficients(ball.support(form, p, form, _POLISH_TOL)[0])
        reached = _ratio(below, above, candidate, p)
        if reached > ratio:
            z = candidate
        if not reached > (1.0 + _LEVEL) * ratio:
            break
        ratio = reached
    return z, max(ratio, _ratio(below, above, z, p))


def _thinned(rows: FloatArray, p: float) -> FloatArray:
    """Return a sample of many rows that has about their norm: half uniform, half by squared lengths, which are leverage scores here."""
    if len(rows) <= _MANY:
        return rows
    squares = np.einsum("ij,ij->i", rows, rows)
    q = np.minimum(1.0, 0.5 * _MANY * (1.0 / len(rows) + squares / squares.sum()))
    kept = np.random.default_rng(0).random(len(rows)) < q  # fixed: only which local extreme is found depends on it
    return np.ascontiguousarray(rows[kept] * (q[kept] ** (-1.0 / p))[:, None])


def ratio_ascent(above: FloatArray, below: FloatArray, starts: FloatArray, p: float, *, steps: int = _STEPS) -> Sides:
    """Increase ``norm(above @ z) / norm(below @ z)`` monotonically from several directions.

    Parameters
    ----------
    above : ndarray of shape (m, r), float64, C-contiguous
    below : ndarray of shape (n, r), float64, C-contiguous
        Of full column rank.
    starts : ndarray of shape (k, r)
        Directions to start from, none of them zero.
    p : float
        Exponent, 1 <= p < inf.
    steps : int, default=40
        Limit on the steps from each start.

    Returns
    -------
    Sides
        ``directions`` (k, r) and ``trace`` (steps + 1, k), whose columns never fall. Any value of the trace is a ratio that is attained.
    """
    return Sides(*ascend(above, below, np.ascontiguousarray(starts, dtype=np.float64), p, steps))


def _ratio(B: FloatArray, C: FloatArray, z: FloatArray, p: float) -> float:
    below = float(lp_norms(z[None, :] @ B.T, p)[0])
    return float(lp_norms(z[None, :] @ C.T, p)[0]) / below if len(C) else 0.0
