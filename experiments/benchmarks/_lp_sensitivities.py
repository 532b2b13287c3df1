"""Sensitivities for p = 1: exact ones against a conic solver, bounds of all rows in units of one leverage computation."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import data
from ._lp_leverage import OURS as LEVERAGE
from ._lp_leverage import _case, ratio
from ._table import Row, Target
from ._timing import Timing, interleave

if TYPE_CHECKING:
    from . import Settings

FloatArray = NDArray[np.float64]

EXACT = "epsdelta lp_sensitivities(method='exact')"
BRACKET = "epsdelta lp_sensitivities (bracket)"
PEER = "cvxpy with Clarabel, one problem per row"
RTOL = 1e-6  # width of the bounds that ours proves: the accuracy that the conic solver is asked for as well
SPEEDUP, PASSES = 50.0, 20.0


def sensitivities(settings: "Settings") -> Iterator[Row | Target]:
    """Exact l1 sensitivities of all rows of a small table; the peer solves some of the rows, and times are compared per row."""
    rows, columns, some = (200, 5, 3) if settings.quick else (2_000, 10, 20)
    A = np.random.default_rng(settings.seed).standard_t(3, (rows, columns))
    chosen = np.linspace(0, rows - 1, some).astype(int)
    methods: dict[str, Callable[[], Any]] = {EXACT: partial(_exact, A), PEER: partial(one_problem_per_row, A, chosen)}
    times = interleave(methods, settings.repeats)
    case = _case(rows, columns)
    ours, peer = times[EXACT], times[PEER]
    quality = {"widest bounds - 1": float(np.max(ours.result.upper / ours.result.lower) - 1.0)}
    yield Row("sensitivities", f"{case}, all rows", EXACT, **ours.fields(), quality=quality)
    found = {}
    if not peer.error:
        found = {"max difference from ours": float(np.max(np.abs(peer.result / ours.result.upper[chosen] - 1.0)))}
    yield Row("sensitivities", f"{case}, {some} rows", PEER, **peer.fields(), quality=found)
    per_row = None if peer.error else ours.cpu / rows / (peer.cpu / some)
    if not settings.quick:
        note = peer.error
        yield Target("sensitivities", f"exact l1 sensitivities {case}: time per row / cvxpy", 1.0 / SPEEDUP, per_row, note)


def brackets(settings: "Settings") -> Iterator[Row | Target]:
    """Bounds on the l1 sensitivities of every row, of a large table and of the flights."""
    from algos.lp_embeddings import leverage_scores, lp_sensitivities

    rows, columns = (20_000, 20) if settings.quick else (1_000_000, 20)
    tables = {f"{_case(rows, columns)}, t(3)": np.random.default_rng(settings.seed).standard_t(3, (rows, columns))}
    try:
        X = data.load("flights").X[:: 20 if settings.quick else 1]
        tables[f"flights {X.shape[0]:,} x {X.shape[1]}"] = np.ascontiguousarray(X)
    except data.DataUnavailable as error:
        yield Target("brackets", "l1 bounds of all flights: time / leverage time", PASSES, None, str(error))
    for case, A in tables.items():
        times = interleave({BRACKET: partial(lp_sensitivities, A, 1.0), LEVERAGE: partial(leverage_scores, A)}, settings.repeats)
        for method, timing in times.items():
            yield Row("brackets", case, method, **timing.fields(), quality=_widths(timing) if method == BRACKET else {})
        if not settings.quick:
            yield Target("brackets", f"l1 bounds of all rows, {case}: time / leverage time", PASSES, ratio(times[BRACKET], times[LEVERAGE]))


def _exact(A: FloatArray) -> Any:
    from algos.lp_embeddings import lp_sensitivities

    return lp_sensitivities(A, 1.0, method="exact", rtol=RTOL)


def one_problem_per_row(A: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
    """Return l1 sensitivities of some rows, a conic problem for each; the problem is compiled once and its row is a parameter.

    Examples
    --------
    >>> one_problem_per_row(np.array([[1.0], [3.0]]), np.array([1])).round(6).tolist()
    [0.75]
    """
    import cvxpy as cp

    x, row = cp.Variable(A.shape[1]), cp.Parameter(A.shape[1])
    problem = cp.Problem(cp.Minimize(cp.norm1(A @ x)), [row @ x == 1])
    found = np.empty(len(rows))
    for place, i in enumerate(rows):
        row.value = A[i]
        problem.solve(solver=cp.CLARABEL)
        found[place] = 1.0 / problem.value
    return found


def _widths(timing: Timing) -> dict[str, float]:
    """Return the share of rows with bounds, and how wide these are."""
    found = timing.result
    present = found.upper > 0.0
    width = found.upper[present] / found.lower[present]
    inside = (found.lower <= found.upper) & (found.lower >= 0.0) & (found.upper <= 1.0)
    quantiles = np.quantile(width, [0.0, 0.1, 0.5, 0.9, 1.0]).tolist()
    names = ("smallest", "10 %", "median", "90 %", "largest")
    return {"rows bracketed": float(inside.mean())} | {f"width {name}": value for name, value in zip(names, quantiles, strict=True)}
