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
SGD, STEPS = "scikit-learn SGDClassifier", "epsdelta single-row descent, widths of the path"
STEP = 1e-3  # length of a step in units of the width
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
    """Time single-row steps: a pass at each width of the path against as many epochs of a peer that visits rows in random order.

    The path shuffles its rows once, into a copy, and the peer before every epoch, as it does by default: its time without is a row.
    """
    from algos.testable_halfspaces._labelled_rows import LabelledRows
    from algos.testable_halfspaces.ramp_learner import SIGMAS

    sizes = [(2_000, 10)] if settings.quick else [(1_000_000, 10), (1_000_000, 20), (1_000_000, 50)]
    for rows, columns in sizes:
        X, y = labelled(rows, columns, settings.seed)
        table, w = LabelledRows(X, y), np.full(columns, columns**-0.5)
        count = rows * len(SIGMAS)
        methods: dict[str, Callable[[], Any]] = {
            STEPS: partial(_passes, table, w, SIGMAS),
            f"{STEPS.rpartition(',')[0]}, no row outside": partial(_passes, table, w, (EVERY_ROW,) * len(SIGMAS)),
            SGD: partial(_sgd, X, y, len(SIGMAS), True),
            f"{SGD}, not shuffled": partial(_sgd, X, y, len(SIGMAS), False),
        }
        times = interleave(methods, settings.repeats)
        for method, timing in times.items():
            rate = {"steps per second": count / timing.cpu} if timing.runs else {}
            yield Row("steps", f"{_case(rows, columns)}, {len(SIGMAS)} passes", method, **timing.fields(), quality=rate)
        if not settings.quick:
            statement = f"single-row steps {_case(rows, columns)}: time / SGDClassifier, as many"
            yield Target("steps", statement, 1.0 / SGD_PER_OURS, ratio(times[STEPS], times[SGD]))


def _passes(table: Any, w: FloatArray, widths: tuple[float, ...]) -> None:
    from algos.testable_halfspaces._single_row_descent import single_row_descent

    for sigma in widths:
        single_row_descent(table, w, sigma, STEP * sigma, table.n)


def _sgd(X: FloatArray, y: FloatArray, epochs: int, shuffle: bool) -> None:
    from sklearn.linear_model import SGDClassifier

    SGDClassifier(fit_intercept=False, max_iter=epochs, tol=None, shuffle=shuffle, random_state=0).fit(X, y)


def verdict(settings: "Settings") -> Iterator[Row | Target]:
    """Fit with both kinds of noise: testers and certificate against the descent path of the same fit, calibration apart.

    Also what is certified: the excess error of a halfspace with Massart noise.
    """
    from algos.testable_halfspaces.ramp_learner import ramp_path

    sizes = [5_000] if settings.quick else sorted(EXCESS)
    for rows in sizes:
        X, y = labelled(rows, DIM, settings.seed, ETA)
        case = f"{_case(rows, DIM)}, eta={ETA:g}"
        descent = interleave({PATH: partial(ramp_path, X, y, random_state=settings.seed)}, settings.repeats)[PATH]
        yield Row("verdict", case, f"{PATH}, all rows", **descent.fields())
        whole_path = statistics.median(descent.runs)  # by the clock, as the steps of a fit are
        for noise in ("massart", "agnostic"):
            fits = [_fit(noise, X, y, seed) for seed in range(settings.repeats + 1)][1:]
            seconds = {step: statistics.median(fit.seconds_[step] for fit in fits) for step in fits[0].seconds_}
            method, fit = f"epsdelta TestableHalfspace('{noise}')", fits[-1]
            calibrate, whole = seconds["calibrate"], sum(seconds.values()) - seconds["calibrate"]
            found = {"eps_hat": statistics.median(fit.eps_hat_ for fit in fits)} if noise == "massart" else {"opt_lower": fit.opt_lower_}
            quality = found | {f"{step} s": taken for step, taken in seconds.items() if step != "calibrate"}
            proving = statistics.median(fit.seconds_["test"] + fit.seconds_["certify"] for fit in fits)
            note = f"calibration apart: {calibrate:.2g} s where it was not in memory; {'accepted' if fit.accepted_ else 'not accepted'}"
            yield Row("verdict", case, method, whole, repeats=len(fits), quality=quality, note=note)
            if settings.quick:
                continue
            if rows == max(sizes):
                own = statistics.median((fit.seconds_["test"] + fit.seconds_["certify"]) / fit.seconds_["learn"] for fit in fits)
                note = "the path learns on half of the rows, the tests see all"
                yield Target("verdict", f"{noise} {case}: testers and certificate / own descent path", 1.0, own, note)
                yield Target("verdict", f"{noise} {case}: testers and certificate / descent path on all rows", 1.0, proving / whole_path)
            if noise == "massart":
                yield Target("verdict", f"{noise} {case}: certified excess eps_hat", EXCESS[rows], found["eps_hat"])


def _fit(noise: str, X: FloatArray, y: FloatArray, seed: int) -> Any:
    from algos.testable_halfspaces import TestableHalfspace

    eta = ETA if noise == "massart" else None
    model = TestableHalfspace(
        noise, eta=eta, fit_intercept=False, n_calibration=REPLICATES, on_reject="ignore", force=True, random_state=seed
    )
    return model.fit(X, y)
