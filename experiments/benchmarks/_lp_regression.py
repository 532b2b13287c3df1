"""Certified lp regression of a large table: passes over all rows, and time in units of one leverage computation."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ._lp_leverage import OURS as LEVERAGE
from ._lp_leverage import _case
from ._lp_quantile import TOL, synthetic
from ._table import Row, Target
from ._timing import interleave

if TYPE_CHECKING:
    from . import Settings

EXPONENTS = (1.05, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
FEW_PASSES, FROM, TO = 4, 1.5, 3.0  # what is promised, and for which exponents
PEER = "scipy.optimize.minimize (L-BFGS-B)"


def regression(settings: "Settings") -> Iterator[Row | Target]:
    """Fit with t(3) noise for a grid of exponents; the peer is a general minimiser with the gradient, which proves nothing."""
    from algos.lp_embeddings import certified_lp, leverage_scores

    rows, columns = (20_000, 20) if settings.quick else (1_000_000, 20)
    A, b = synthetic(rows, columns, settings.seed)
    methods: dict[str, Callable[[], Any]] = {
        _ours(p): partial(certified_lp, A, b, p, tol=TOL, random_state=settings.seed) for p in EXPONENTS
    }
    slow = f"{PEER}, p=1.5"
    methods[slow] = partial(_minimise, A, b, 1.5)
    times = interleave(methods | {LEVERAGE: partial(leverage_scores, A)}, settings.repeats)
    case = _case(rows, columns)
    unit = times[LEVERAGE].cpu
    for name, timing in times.items():
        quality: dict[str, float] = {}
        if name != LEVERAGE and not timing.error:
            quality = {"leverage passes": timing.cpu / unit}
            if name == slow:
                quality["excess over our bound"] = timing.result / times[_ours(1.5)].result.dual_bound - 1.0
            else:
                quality |= {"proven gap": timing.result.gap, "passes": timing.result.n_iter}
        yield Row("regression", case, name, **timing.fields(), quality=quality)
    for p in EXPONENTS:
        fit = times[_ours(p)].result
        yield Target("regression", f"lp regression {case}, p={p:g}: proven relative gap", TOL, fit.gap)
        if FROM <= p <= TO:
            yield Target("regression", f"lp regression {case}, p={p:g}: Newton steps on all rows", FEW_PASSES, fit.n_iter)


def _ours(p: float) -> str:
    return f"epsdelta certified_lp(p={p:g})"


def _minimise(A: Any, b: Any, p: float) -> float:
    """Return the norm that a quasi-Newton method reaches from least squares."""
    import numpy as np
    from scipy.optimize import minimize

    scale = np.linalg.norm(b) / len(b) ** 0.5

    def loss(x: Any) -> tuple[float, Any]:
        r = (b - A @ x) / scale
        size = np.abs(r) ** (p - 1.0)
        return float(size @ np.abs(r)) / len(b), -(A.T @ (size * np.sign(r))) * (p / scale / len(b))

    start = np.linalg.lstsq(A.T @ A, A.T @ b, rcond=None)[0]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-12, "maxiter": 500})
    return float(scale * (found.fun * len(b)) ** (1.0 / p))
