"""Rows of a cone, the polynomials chosen for them, and other polynomials that might have been chosen."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algos.testable_halfspaces import bounds
from proofs_check import Instance

__all__ = [
    "EXTREMES",
    "at_the_switch",
    "decoded_row",
    "extreme_rows",
    "negated_excess",
    "other_polynomials",
    "places",
    "polynomials",
    "rows_in_a_cone",
]

FloatArray = npt.NDArray[np.float64]


def rows_in_a_cone(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    """Distances over nine orders of e, lengths at or beyond them: only such rows can change sides."""
    a = np.exp(rng.uniform(-5.0, 4.0, 12))
    reach = np.exp(rng.exponential(size=12) * rng.choice([0.0, 0.1, 1.0], 12))
    return Instance(dict(point), {"a": a, "rho": a * reach})


EXTREMES = {
    "zero": np.array([0.0, 0.0, 1e-200, 1e-20]),
    "switch": np.array([1.0, np.nextafter(1.0, 0.0), np.nextafter(2.0, 0.0), 2.0, np.nextafter(2.0, 3.0), math.sqrt(3.0)]),
    "far": np.array([1e3, 1e8, 1e77, 1e100, 1e150]),
}


def extreme_rows(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    a = EXTREMES[point["distances"]]
    rho = a * rng.choice([1.0, 1.0 + 1e-9, 2.0], a.size) if point["distances"] != "zero" else rng.exponential(size=a.size)
    return Instance({"k": 2, "quartic": point["quartic"]}, {"a": a, "rho": rho})


def decoded_row(x: FloatArray, point: Mapping[str, Any]) -> Instance:
    a = np.exp(np.clip(x[:1], -20.0, 20.0))
    return Instance(dict(point), {"a": a, "rho": a * np.exp(np.clip(np.abs(x[1:2]), 0.0, 20.0)), "share": np.tanh(x[2:])})


def places(inst: Instance) -> FloatArray:
    """Coordinates at which rows are looked at: from end to end, where the indicator jumps, and where the squares vanish."""
    a, rho = inst.a[:, None], inst.rho[:, None]
    grid = rho * (inst.share if "share" in inst.data else np.linspace(-1.0, 1.0, 61))
    zero = np.divide(1.0, a, out=np.zeros_like(a), where=a > 1e-100)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        other = np.where(a > math.sqrt(3.0), np.sqrt(np.abs(a * a - 3.0)) / np.sqrt(np.abs(a * a - 1.0)), 0.0)
    special = np.hstack([-a, np.nextafter(-a, 0.0), np.nextafter(-a, -np.inf), zero, np.nan_to_num(other, posinf=1.0), -rho])
    return np.asarray(np.clip(np.hstack([grid, special]), -rho, rho))


Choice = Callable[..., Any]


def polynomials(choice: Any, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the values of the chosen polynomials, and the size of their terms."""
    near, far, capped, (c0, c1, c2), (c, e) = choice
    values, terms = np.ones(u.shape), np.ones(u.shape)
    v = u[near]
    line, root = c1[near, None] * v, np.sqrt(c2[near])[:, None] * v
    values[near] = c0[near, None] - 2.0 * line + root * root
    terms[near] = c0[near, None] + 2.0 * np.abs(line) + root * root
    v = np.sqrt(np.sqrt(c[far]))[:, None] * u[far]
    values[far] = (v * v + (np.sqrt(c[far]) * e[far])[:, None]) ** 2
    terms[far] = (v * v + (np.sqrt(c[far]) * np.abs(e[far]))[:, None]) ** 2
    assert np.all(near ^ far ^ capped)
    return values, terms


def _quadratic(p: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coefficients of the square of ``p - q u``."""
    return p * p, p * q, q * q


def other_polynomials(
    line: Callable[[FloatArray], tuple[FloatArray, FloatArray]] | None = None,
    quartic: Callable[[FloatArray], tuple[FloatArray, FloatArray]] | None = None,
    start: float = bounds.QUARTIC_FROM,
) -> Callable[[Choice], Choice]:
    """Make a choice of majorants with other coefficients."""

    def mutate(choose: Choice) -> Choice:
        def wrong(a: FloatArray, rho2: FloatArray, k: int, *, quartic: bool) -> Any:
            far = (a >= start) & quartic
            coefficients = bounds.cantelli_coefficients(a=a) if line is None else _quadratic(*line(a))
            c, e = np.zeros(a.size), np.zeros(a.size)
            c[far], e[far] = quartics(a[far])
            return ~far, far, np.zeros(a.size, dtype=bool), coefficients, (c, e)

        return wrong

    def right(a: FloatArray) -> tuple[FloatArray, FloatArray]:
        e = (3.0 - a * a) / (a * a - 1.0)
        return (a * a + e) ** -2.0, e

    quartics = right if quartic is None else quartic
    return mutate


def negated_excess(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    e = (a * a - 3.0) / (a * a - 1.0)
    return (a * a + e) ** -2.0, e


def at_the_switch(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    e = np.full(a.size, -1.0 / 3.0)
    return (4.0 + e) ** -2.0, e
