"""Learning, testing and certifying halfspaces against scikit-learn's linear classifiers, and what the certificate says."""

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._hs_kernels import labelled
from ._lp_leverage import _case, ratio
from ._table import Row, Target
from ._timing import interleave

if TYPE_CHECKING:
    from . import Settings

FloatArray = NDArray[np.float64]

PATH, LOGISTIC = "epsdelta ramp_path", "scikit-learn LogisticRegression"
PER_LOGISTIC = 4.0
SGD, STEPS = "scikit-learn SGDClassifier, one epoch", "epsdelta single-row descent"
SGD_PER_OURS = 20.0
EVERY_ROW = 16.0  # so wide a band that no Gaussian row is outside: every step moves w
ETA, DIM = 0.2, 10
EXCESS = {100_000: 0.225, 1_000_000: 0.027}  # certified by the first numpy version of the method, on as many rows
REPLICATES = 79  # the fewest that allow the level of 0.025; they do not enter the times that are compared


def path(settings: "Settings") -> Iterator[Row | Target]:
    """Descend the whole path of ten widths from four starts, one of which is a logistic regression on some of the rows."""
    from algos.testable_halfspaces.ramp_learner import ramp_path

    rows, columns = (5_000, 20) if settings.quick else (1_000_000, 20)
    X, y = labelled(rows, columns, settings.seed)
    methods: dict[str, Callable[[], Any]] = {PATH: partial(ramp_path, X, y, random_state=settings.seed), LOGISTIC: partial(_logistic, X, y)}
    times = interleave(methods, settings.repeats)
    for method, timing in times.items():
        quality = {"share of mistakes": float(np.mean((X @ _normal(timing.result) >= 0.0) != (y > 0.0)))}
        if method == PATH:
            quality |= {"widths": len(timing.result), "steps": sum(candidate.n_iter for candidate in timing.result)}
        yield Row("path", _case(rows, columns), method, **timing.fields(), quality=quality)
    if not settings.quick:
        statement = f"descent path {_case(rows, columns)}: time / LogisticRegression"
        yield Target("path", statement, PER_LOGISTIC, ratio(times[PATH], times[LOGISTIC]))


def _logistic(X: FloatArray, y: FloatArray) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(fit_intercept=False).fit(X, y)


def _normal(fitted: Any) -> FloatArray:
    return np.asarray(fitted.coef_[0] if hasattr(fitted, "coef_") else fitted.best.w)


def steps(settings: "Settings") -> Iterator[Row | Target]:
    """Time one pass of single-row steps: neither side shuffles, both see every row once."""
    from sklearn.linear_model import SGDClassifier

    from algos.testable_halfspaces._labelled_rows import LabelledRows
    from algos.testable_halfspaces._single_row_descent import single_row_descent

    sizes = [(5_000, 10)] if settings.quick else [(1_000_000, 10), (1_000_000, 20), (200_000, 50)]
    for rows, columns in sizes:
        X, y = labelled(rows, columns, settings.seed)
        table, w = LabelledRows(X, y), np.full(columns, columns**-0.5)
        peer = SGDClassifier(fit_intercept=False, max_iter=1, tol=None, shuffle=False, random_state=settings.seed)
        ours = {f"{STEPS}, sigma={sigma:g}": partial(single_row_descent, table, w, sigma, 1e-3, rows) for sigma in (1.0, EVERY_ROW)}
        times = interleave(ours | {SGD: partial(peer.fit, X, y)}, settings.repeats)
        for method, timing in times.items():
            rate = {"steps per second": rows / timing.cpu} if timing.runs else {}
            yield Row("steps", _case(rows, columns), method, **timing.fields(), quality=rate)
        if not settings.quick:
            for method in ours:
                statement = f"{method.removeprefix('epsdelta ')} {_case(rows, columns)}: time / SGDClassifier epoch"
                yield Target("steps", statement, 1.0 / SGD_PER_OURS, ratio(times[method], times[SGD]))


def verdict(settings: "Settings") -> Iterator[Row | Target]:
    """Fit with both kinds of noise: testers and certificate against the descent path of the same fit, calibration apart.

    Also what is certified: the excess error of a halfspace with Massart noise.
    """
    sizes = [5_000] if settings.quick else sorted(EXCESS)
    for rows in sizes:
        X, y = labelled(rows, DIM, settings.seed, ETA)
        case = f"{_case(rows, DIM)}, eta={ETA:g}"
        for noise in ("massart", "agnostic"):
            fits = [_fit(noise, X, y, seed) for seed in range(settings.repeats + 1)][1:]
            seconds = {step: statistics.median(fit.seconds_[step] for fit in fits) for step in fits[0].seconds_}
            method, fit = f"epsdelta TestableHalfspace('{noise}')", fits[-1]
            calibrate, whole = seconds["calibrate"], sum(seconds.values()) - seconds["calibrate"]
            found = {"eps_hat": statistics.median(fit.eps_hat_ for fit in fits)} if noise == "massart" else {"opt_lower": fit.opt_lower_}
            quality = found | {f"{step} s": taken for step, taken in seconds.items() if step != "calibrate"}
            note = f"calibration apart: {calibrate:.2g} s where it was not in memory; {'accepted' if fit.accepted_ else 'not accepted'}"
            yield Row("verdict", case, method, whole, repeats=len(fits), quality=quality, note=note)
            if settings.quick:
                continue
            if rows == max(sizes):
                shares = [(fit.seconds_["test"] + fit.seconds_["certify"]) / fit.seconds_["learn"] for fit in fits]
                yield Target("verdict", f"{noise} {case}: testers and certificate / descent path", 1.0, statistics.median(shares))
            if noise == "massart":
                yield Target("verdict", f"{noise} {case}: certified excess eps_hat", EXCESS[rows], found["eps_hat"])


def _fit(noise: str, X: FloatArray, y: FloatArray, seed: int) -> Any:
    from algos.testable_halfspaces import TestableHalfspace

    eta = ETA if noise == "massart" else None
    model = TestableHalfspace(
        noise, eta=eta, fit_intercept=False, n_calibration=REPLICATES, on_reject="ignore", force=True, random_state=seed
    )
    return model.fit(X, y)
