"""How fast does the Lewis iteration converge, against the rates that the theory states?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, Silent

if TYPE_CHECKING:
    pass

TITLE = "Convergence of the Lewis iteration"
TOPIC = "lewis_weights"
DATA = ()

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    rows, columns : int
        Shape of each Gaussian matrix.
    exponents : tuple of float
        Exponents p of the left panel.
    shown : tuple of float
        Exponents whose residuals the right panel shows.
    matrices : int
        Repeats.
    iterations : int
    window : tuple of int
        First and last iteration whose ratio of residuals is measured: after the start has been forgotten, before rounding.
    seed : int
    """

    rows: int = 400
    columns: int = 8
    exponents: tuple[float, ...] = (1.0, 1.25, 1.5, 1.75, 2.25, 2.5, 3.0, 3.5, 3.9, 4.5, 5.0, 6.0, 8.0, 10.0)
    shown: tuple[float, ...] = (1.0, 3.0, 6.0)
    matrices: int = 5
    iterations: int = 16
    window: tuple[int, int] = (6, 12)
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(rows=4000, columns=20, matrices=20)


def compute(parameters: Parameters, *, jobs: int = 1, progress: Progress | None = None) -> dict[str, NDArray[Any]]:
    """Return measured contraction factors and residuals of the plain, the relaxed and the accelerated iteration."""
    from algos.lp_embeddings.bounds import lewis_contraction, optimal_relaxation, relaxed_rate

    exponents = np.array(parameters.exponents)
    shape = (exponents.size, parameters.matrices)
    residuals = {name: np.full((*shape, parameters.iterations), np.nan) for name in ("plain", "relaxed", "package")}
    with (progress or Silent()).step("Lewis iterations", exponents.size * parameters.matrices) as step:
        for repeat in range(parameters.matrices):
            rng = np.random.default_rng([parameters.seed, repeat])
            A = rng.standard_normal((parameters.rows, parameters.columns))
            start = np.exp(rng.standard_normal(parameters.rows))
            for row, p in enumerate(parameters.exponents):
                residuals["plain"][row, repeat] = iterate(A, p, 1.0, start, parameters.iterations)
                residuals["relaxed"][row, repeat] = iterate(A, p, optimal_relaxation(p=p), start, parameters.iterations)
                residuals["package"][row, repeat] = package_residuals(A, p, parameters.iterations)
                step.advance()
    smooth = np.linspace(1.0, exponents.max(), 181)
    return {
        "p": exponents,
        "plain_factor": contraction(residuals["plain"], parameters.window),
        "relaxed_factor": contraction(residuals["relaxed"], parameters.window),
        "plain_rate": np.array([lewis_contraction(p=p) for p in exponents]),
        "relaxed_rate": np.array([relaxed_rate(p=p) for p in exponents]),
        "smooth_p": smooth,
        "smooth_plain_rate": np.array([lewis_contraction(p=p) for p in smooth]),
        "smooth_relaxed_rate": np.array([relaxed_rate(p=p) for p in smooth]),
        "shown": np.array(parameters.shown),
        "shape": np.array([parameters.rows, parameters.columns]),
        "window": np.array(parameters.window),
        **{f"{name}_residuals": values for name, values in residuals.items()},
    }


def iterate(A: NDArray[np.float64], p: float, theta: float, start: NDArray[np.float64], iterations: int) -> NDArray[np.float64]:
    """Return max |ln(T(v)/v)| at the start of each iteration of ln v <- (1 - theta) ln v + theta ln T(v); NaN after divergence.

    T(v)_i = v_i^(1-p/2) tau_i^(p/2) with tau the leverage scores of diag(v)^(1/2-1/p) A; its fixed point is the Lewis weights. The common
    factor of all weights is left in: it converges at exactly the worst rate that the theory allows.
    """
    from algos.lp_embeddings import leverage_scores

    residuals, log_v = np.full(iterations, np.nan), np.log(start)
    for iteration in range(iterations):
        scores = leverage_scores(A * np.exp((0.5 - 1.0 / p) * log_v)[:, None])
        move = 0.5 * p * (np.log(scores) - log_v)
        residuals[iteration] = np.abs(move).max()
        log_v += theta * move
        if not np.abs(log_v).max() < DIVERGED:
            break
    return residuals


def contraction(residuals: NDArray[np.float64], window: tuple[int, int]) -> NDArray[np.float64]:
    """Return the geometric mean of the ratios of successive residuals in the window, as far as residuals are above rounding.

    A mean over an even number of ratios, because two modes of opposite sign make single ratios alternate around their common rate.

    Examples
    --------
    >>> contraction(np.array([[1.0, 0.4, 0.25, 0.1, 0.0625]]), (0, 4)).tolist()
    [0.5]
    """
    first, last = window
    flat = residuals.reshape(-1, residuals.shape[-1])
    factors = np.full(flat.shape[0], np.nan)
    for row, series in enumerate(flat):
        usable = np.flatnonzero(series > ROUNDING)
        end = min(last, usable.max(initial=0))
        steps = (end - first) // 2 * 2
        if steps > 0:
            factors[row] = (series[first + steps] / series[first]) ** (1.0 / steps)
    return factors.reshape(residuals.shape[:-1])
