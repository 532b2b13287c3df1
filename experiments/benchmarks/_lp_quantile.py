"""Certified quantile regression against interior point, reweighting and linear programming solvers."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import data
from ._lp_leverage import _case, ratio
from ._table import Row, Target
from ._timing import Timing, interleave

if TYPE_CHECKING:
    from . import Settings

FloatArray = NDArray[np.float64]
Solver = Callable[[], FloatArray]

OURS = "epsdelta certified_quantile"
OURS_AGAIN = "epsdelta certified_quantile, other seed"
TOL = 1e-9  # proven relative gap that the targets ask for
PEER = "pyqreg2"
# The largest number of rows that each method bears within about half a minute at 20 columns.
LARGEST = {"statsmodels": 100_000, "scikit-learn": 10_000, "HiGHS": 100_000}


def synthetic(rows: int, columns: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return a Gaussian design with an intercept and responses with t(3) noise.

    Examples
    --------
    >>> A, b = synthetic(100, 5, 0)
    >>> A.shape, b.shape, bool((A[:, 0] == 1).all())
    ((100, 5), (100,), True)
    """
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((rows, columns))
    A[:, 0] = 1.0
    return A, A @ rng.standard_normal(columns) + rng.standard_t(3, rows)


def quantile(settings: "Settings") -> Iterator[Row | Target]:
    """Least absolute deviations on synthetic data of growing size."""
    sizes = [2_000, 10_000] if settings.quick else [10_000, 100_000, 1_000_000]
    limits = {100_000: 0.6, 1_000_000: 0.3}
    for rows in sizes:
        A, b = synthetic(rows, 20, settings.seed)
        yield from _compare(settings, "quantile", f"{_case(rows, 20)}, t=0.5", A, b, 0.5, limits.get(rows))


def flights(settings: "Settings") -> Iterator[Row | Target]:
    """Median and 0.9-quantile of the arrival delay of real flights."""
    try:
        dataset = data.load("flights")
    except data.DataUnavailable as error:
        yield Target("flights", "flights, t=0.5: time / pyqreg2", 0.5, None, str(error))
        return
    assert dataset.y is not None
    step = 20 if settings.quick else 1
    X, y = np.ascontiguousarray(dataset.X[::step]), np.ascontiguousarray(dataset.y[::step])
    for t in (0.5, 0.9):
        limit = 0.5 if t == 0.5 and not settings.quick else None
        yield from _compare(settings, "flights", f"flights {X.shape[0]:,} x {X.shape[1]}, t={t}", X, y, t, limit)


def _compare(
    settings: "Settings", part: str, case: str, A: FloatArray, b: FloatArray, t: float, limit: float | None
) -> Iterator[Row | Target]:
    """Time every method that bears the size; yield its rows, then the targets."""
    from algos.lp_embeddings import certified_quantile
    from algos.lp_embeddings.bounds import quantile_loss

    methods: dict[str, Callable[[], Any]] = {OURS: lambda: certified_quantile(A, b, t, tol=TOL, random_state=settings.seed)}
    missing: list[Row] = []
    for name, build in PEERS.items():
        if A.shape[0] > LARGEST.get(name, A.shape[0]) or (name != PEER and A.shape[0] > 2e5):
            continue
        try:
            methods |= build(A, b, t)
        except ImportError as error:
            missing.append(Row(part, case, name, note=f"not installed ({error.name})"))
    times = interleave(methods, settings.repeats)
    best = times[OURS].result
    for method, timing in times.items():
        quality: dict[str, float] = {}
        if not timing.error:
            coef = best.coef if method == OURS else timing.result
            primal = float(quantile_loss(residuals=b - A @ coef, quantile=t))
            quality = {"proven gap": float(best.gap)} if method == OURS else {"excess over our bound": primal / best.dual_bound - 1.0}
        yield Row(part, case, method, **timing.fields(), quality=quality)
    yield from missing
    yield from _targets(part, case, times, limit)


def _targets(part: str, case: str, times: dict[str, Timing], limit: float | None) -> Iterator[Target]:
    """Yield the promise on the gap, and on the time where there is one."""
    result = times[OURS].result
    yield Target(part, f"{case}: proven relative gap", TOL, float(result.gap) if result is not None else None)
    if limit is None:
        return
    # Against the faster of the peer's two routes, whichever it would have chosen itself.
    peers = [timing for name, timing in times.items() if name.startswith(PEER) and timing.runs]
    fastest = min(peers, key=lambda timing: timing.cpu, default=None)
    note = "" if fastest else "pyqreg2 gave no time"
    yield Target(part, f"{case}: time / pyqreg2 (its faster route)", limit, ratio(times[OURS], fastest) if fastest else None, note)


def _pyqreg2(A: FloatArray, b: FloatArray, t: float) -> dict[str, Solver]:
    """Return both routes of pyqreg2 without standard errors; its column order is made here, outside the clock."""
    from pyqreg import QuantReg
    from pyqreg.utils import rng_generator

    model = QuantReg(np.asfortranarray(b), np.asfortranarray(A))
    routes: dict[str, Solver] = {"pyqreg2 interior point": lambda: model.fit_ipm(t)}
    if A.shape[0] >= 100_000:  # from here on it screens rows by default
        routes["pyqreg2 with preprocessing"] = lambda: model.fit_preproc_ipm(t, rng_generator(0))
    return routes


def _statsmodels(A: FloatArray, b: FloatArray, t: float) -> dict[str, Solver]:
    """Return iteratively reweighted least squares; the fit has no way to leave standard errors out."""
    from statsmodels.regression.quantile_regression import QuantReg

    def solve() -> FloatArray:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its iteration limit: the row's excess shows what that costs
            return np.asarray(QuantReg(b, A).fit(q=t).params)

    return {"statsmodels QuantReg": solve}


def _sklearn(A: FloatArray, b: FloatArray, t: float) -> dict[str, Solver]:
    """Return the linear programme that scikit-learn hands to HiGHS."""
    from sklearn.linear_model import QuantileRegressor

    def solve() -> FloatArray:
        model = QuantileRegressor(quantile=t, alpha=0.0, fit_intercept=False, solver="highs")
        return np.asarray(model.fit(A, b).coef_)

    return {"scikit-learn QuantileRegressor": solve}


def _highs(A: FloatArray, b: FloatArray, t: float) -> dict[str, Solver]:
    """Return the dual linear programme (as many equations as columns) by HiGHS' interior point method, the fast way to use it."""
    from scipy.optimize import linprog

    def solve() -> FloatArray:
        solution = linprog(-b, A_eq=A.T, b_eq=np.zeros(A.shape[1]), bounds=(t - 1.0, t), method="highs-ipm")
        return -np.asarray(solution.eqlin.marginals)

    return {"HiGHS (scipy linprog, dual)": solve}


PEERS: dict[str, Callable[[FloatArray, FloatArray, float], dict[str, Solver]]] = {
    PEER: _pyqreg2,
    "statsmodels": _statsmodels,
    "scikit-learn": _sklearn,
    "HiGHS": _highs,
}
