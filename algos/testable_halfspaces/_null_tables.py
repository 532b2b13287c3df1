"""Tables drawn from the target marginal, and all statistics of one of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from algos.common.validation import check_option, check_range

__all__ = ["MARGINALS", "NullTable", "TransformLike", "draw", "fit_transform", "measure_null"]

FloatArray = npt.NDArray[np.float64]
Map = Callable[[FloatArray], FloatArray]
TransformLike = Literal["whiten", "standardize"] | Callable[[FloatArray], Map] | None

MARGINALS = ("gaussian", "cube", "ball", "laplace", "exponential")
"""Isotropic log-concave distributions of the panel; the first is the target of the exact level."""


@dataclass(frozen=True)
class NullTable:
    """What a simulated table looks like and which statistics are taken of it.

    Attributes
    ----------
    n, d, n_certify : int
    sigma, theta, intercept : float or None
    transform : str, callable or None
    certify : bool
    """

    n: int
    d: int
    n_certify: int
    sigma: float | None
    theta: float | None
    intercept: float | None
    transform: TransformLike
    certify: bool

    @classmethod
    def checked(
        cls,
        n: Any,
        d: Any,
        sigma: Any,
        theta: Any,
        n_certify: Any,
        intercept: Any,
        transform: Any,
        certify: bool | None,
        max_rows: int,
    ) -> "NullTable":
        """Check the arguments of `calibrate` and cut the number of rows down to `max_rows`, in proportion."""
        from algos.testable_halfspaces.moment_tests import MAX_QUARTIC_DIM

        rows = check_range(n, name="n", low=2, integer=True)
        columns = check_range(d, name="d", low=1, integer=True)
        last = rows if n_certify is None else check_range(n_certify, name="n_certify", low=1, high=rows, integer=True)
        if sigma is not None:
            sigma = check_range(sigma, name="sigma", low=0.0, low_open=True)
        if theta is not None:
            theta = check_range(theta, name="theta", low=0.0, high=np.pi / 2, low_open=True, high_open=True)
            if sigma is None:
                raise ValueError("theta is given without sigma; the disagreement test belongs to a band, give its sigma")
        if intercept is not None:
            intercept = check_range(intercept, name="intercept", low=-1.0, high=1.0, low_open=True, high_open=True)
        if not callable(transform):
            check_option(transform, (None, "whiten", "standardize"), name="transform")
        if rows > max_rows:
            last = max(1, round(last * max_rows / rows))
            rows = max_rows
        wanted = columns <= MAX_QUARTIC_DIM if certify is None else bool(certify)
        return cls(rows, columns, last, sigma, theta, intercept, transform, wanted)


def measure_null(table: NullTable, marginal: str, rng: Generator) -> dict[str, float]:
    """Draw one table and return its statistics by name."""
    from algos.testable_halfspaces.band_test import band_measurements
    from algos.testable_halfspaces.disagreement import disagreement_test
    from algos.testable_halfspaces.moment_tests import moment_statistics

    X = draw(marginal, table.n, table.d, rng)
    if table.transform is not None:
        fold = X[: table.n - table.n_certify] if table.n_certify < table.n else X
        X = fit_transform(fold, table.transform)(X)
    measured = {item.name: item.value for item in moment_statistics(X, certify=table.certify, random_state=rng)}
    if table.sigma is None:
        return measured
    rows = X[table.n - table.n_certify :]
    w = np.eye(1, table.d)[0]
    if table.intercept is not None:
        w = np.append(np.sqrt(1.0 - table.intercept**2) * w, table.intercept)
    measured |= {item.name: item.value for item in band_measurements(rows, w, table.sigma, fit_intercept=table.intercept is not None)}
    if table.theta is not None and w.size > 1:
        lifted = rows if table.intercept is None else np.column_stack([rows, np.ones(len(rows))])
        measured["disagreement"] = disagreement_test(lifted, w, table.theta).statistic
    return measured


def draw(marginal: str, n: int, d: int, rng: Generator) -> FloatArray:
    """Draw isotropic rows: mean 0, covariance I."""
    if marginal == "gaussian":
        return rng.standard_normal((n, d))
    if marginal == "cube":
        return rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), (n, d))
    if marginal == "ball":
        X = rng.standard_normal((n, d))
        radius = np.sqrt(d + 2.0) * rng.random(n) ** (1.0 / d)
        return np.asarray(X * (radius / np.linalg.norm(X, axis=1))[:, None])
    if marginal == "laplace":
        return rng.laplace(0.0, np.sqrt(0.5), (n, d))
    return rng.standard_exponential((n, d)) - 1.0


def fit_transform(fold: FloatArray, transform: TransformLike) -> Map:
    """Fit a transform on some rows and return the map of rows."""
    if callable(transform):
        return transform(fold)
    centre = fold.mean(axis=0)
    centred = fold - centre
    if transform == "standardize":
        scale = centred.std(axis=0)
        factor = np.diag(1.0 / np.where(scale > 0.0, scale, 1.0))
    else:
        values, vectors = np.linalg.eigh(centred.T @ centred / len(fold))
        alive = values > 1e-12 * max(float(values[-1]), 1e-300)
        factor = vectors[:, alive] / np.sqrt(values[alive])
    return lambda rows: np.ascontiguousarray((rows - centre) @ factor)
