"""Quantile regressions with a known difficulty; public through `algos.lp_embeddings.instances`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from algos.common.randomness import RandomStateLike, as_generator

__all__ = ["QUANTILE_DESIGNS", "QuantileInstance", "frozen", "quantile_designs"]

FloatArray = npt.NDArray[np.float64]


def frozen(array: npt.ArrayLike) -> FloatArray:
    """Return a read-only float64 copy."""
    copy = np.array(array, dtype=np.float64, order="C")
    copy.setflags(write=False)
    return copy


@dataclass(frozen=True)
class QuantileInstance:
    """A quantile regression that is hard for some reason.

    Attributes
    ----------
    name : str
        What is hard.
    A : ndarray of shape (n, d), read-only
        Design.
    b : ndarray of shape (n,), read-only
        Response.
    quantile : float
        The quantile.
    optimum : float or None
        Smallest loss, where it is known in closed form.
    """

    name: str
    A: FloatArray
    b: FloatArray
    quantile: float
    optimum: float | None = None


def _regression(A: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
    return A, A @ np.arange(1.0, A.shape[1] + 1.0) + noise


def _ties(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    A = rng.integers(-2, 3, (n, d)).astype(float)
    return _regression(A, rng.integers(-2, 3, n).astype(float))


def _one_hot_ties(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    return _regression(np.eye(d)[rng.integers(d, size=n)], rng.integers(-3, 4, n).astype(float))


def _half_exact(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    noise = rng.standard_normal(n)
    noise[: n // 2] = 0.0
    return _regression(rng.standard_normal((n, d)), noise)


def _exact_fit(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    # integers, so that the fit is exact in floating point and the optimum is 0, not rounding
    return _regression(rng.integers(-9, 10, (n, d)).astype(float), np.zeros(n))


def _zero_response(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    # every residual of the first fit is exactly zero: windows and scales taken from residuals have no width
    return rng.standard_normal((n, d)), np.zeros(n)


def _duplicated(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    base, copies = max(d + 1, n // 20), rng.integers
    A, b = _regression(rng.standard_normal((base, d)), rng.standard_normal(base))
    rows = copies(base, size=n)
    return A[rows], b[rows]


def _cauchy_errors(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    return _regression(rng.standard_normal((n, d)), rng.standard_cauchy(n))


def _heavy_design(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    return _regression(rng.standard_t(1.2, (n, d)), rng.standard_normal(n))


def _badly_scaled(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    return _regression(rng.standard_normal((n, d)) * np.geomspace(1.0, 1e6, d), 1e3 * rng.standard_normal(n))


def _bimodal(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    # no residual lies near the fit: the band around a first solution is empty
    return _regression(rng.standard_normal((n, d)), rng.choice([-10.0, 10.0], n) + 0.01 * rng.standard_normal(n))


def _nearly_collinear(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    A = rng.standard_normal((n, d))
    A[:, -1] = A[:, 0] + 1e-6 * A[:, -1]
    return _regression(A, rng.standard_normal(n))


def _offset(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    # an intercept beside a column far from zero, such as a date or a coordinate
    A = np.column_stack([np.ones(n), rng.standard_normal((n, d - 1))])
    A[:, -1] += 1e8
    return A, A[:, : d - 1].sum(axis=1) + rng.standard_normal(n)


def _rank_deficient(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    A = rng.standard_normal((n, d))
    A[:, -1] = A[:, 0]
    return _regression(A, rng.standard_normal(n))


def _outlying_rows(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    A, b = _regression(rng.standard_normal((n, d)), rng.standard_normal(n))
    A[: d // 2 + 1] *= 1e4
    return A, b


def _skewed(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    A = np.column_stack([np.ones(n), rng.standard_normal((n, d - 1))])
    return _regression(A, (1.0 + np.abs(A[:, 1])) * rng.exponential(size=n))


def _gaussian_regression(n: int, d: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    return _regression(rng.standard_normal((n, d)), rng.standard_normal(n))


QUANTILE_DESIGNS: dict[str, Callable[[int, int, Generator], tuple[FloatArray, FloatArray]]] = {
    "gaussian": _gaussian_regression,
    "ties": _ties,
    "one_hot_ties": _one_hot_ties,
    "half_exact": _half_exact,
    "exact_fit": _exact_fit,
    "zero_response": _zero_response,
    "duplicated": _duplicated,
    "cauchy_errors": _cauchy_errors,
    "heavy_design": _heavy_design,
    "badly_scaled": _badly_scaled,
    "bimodal": _bimodal,
    "nearly_collinear": _nearly_collinear,
    "offset": _offset,
    "rank_deficient": _rank_deficient,
    "outlying_rows": _outlying_rows,
    "skewed": _skewed,
}
"""Generators of `quantile_designs`, by name."""


def quantile_designs(
    n: int = 400, d: int = 4, quantile: float = 0.5, *, names: Iterable[str] | None = None, random_state: RandomStateLike = 0
) -> dict[str, QuantileInstance]:
    """Quantile regressions that break careless solvers: ties, exact fits, heavy tails, scales, offsets, empty bands, lost rank.

    Parameters
    ----------
    n, d : int, default=400, 4
        Shape, ``n > d >= 2``.
    quantile : float, default=0.5
        The quantile, strictly between 0 and 1.
    names : iterable of str, optional
        Designs wanted, by default all of `QUANTILE_DESIGNS`.
    random_state : None, int or Generator
        Source of randomness; each design has its own stream.

    Returns
    -------
    dict of str to QuantileInstance

    Examples
    --------
    >>> quantile_designs(names=["exact_fit"])["exact_fit"].optimum
    0.0
    """
    if not 0.0 < quantile < 1.0:
        raise ValueError(f"quantile={quantile!r} must lie strictly between 0 and 1")
    if d < 2 or n <= d:
        raise ValueError(f"n={n!r}, d={d!r}: need n > d >= 2")
    wanted = list(QUANTILE_DESIGNS if names is None else names)
    unknown = sorted(set(wanted) - set(QUANTILE_DESIGNS))
    if unknown:
        raise ValueError(f"names={unknown!r} are unknown; choose among {', '.join(QUANTILE_DESIGNS)}")
    streams = dict(zip(QUANTILE_DESIGNS, as_generator(random_state).spawn(len(QUANTILE_DESIGNS)), strict=True))
    made = {}
    for name in wanted:
        A, b = QUANTILE_DESIGNS[name](n, d, streams[name])
        made[name] = QuantileInstance(name, frozen(A), frozen(b), quantile, 0.0 if name in ("exact_fit", "zero_response") else None)
    return made
