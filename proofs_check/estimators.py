"""Put the bound that an estimator reports about itself on trial, for any object with ``fit``."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from proofs_check import comparing, floats
from proofs_check.evidence import Tier, Verdict
from proofs_check.model import (
    TIERS,
    Bound,
    Budget,
    Claim,
    ClaimDefinitionError,
    Family,
    FloatBudget,
    Instance,
    Interval,
    Mutant,
    Outcome,
    Rule,
    Source,
    Subject,
)
from proofs_check.seeds import ROOT

__all__ = ["check_estimator_bound", "estimator_claim"]

_TRIALS: Mapping[bool, Mapping[Tier, int]] = {
    False: {"quick": 64, "full": 1024, "nightly": 16_384},
    True: {"quick": 1536, "full": 20_032, "nightly": 1_000_000},
}
_BLOCK = 64
_SEED_LIMIT = 2**31 - 1  # what RandomState, and so every estimator, takes as a seed


def check_estimator_bound(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    attribute: str | Callable[[Any], float] = "bound_",
    measure: Callable[[Any, Any, Any], float],
    sense: Literal["<=", ">="] = "<=",
    delta: float | None = None,
    rows: int | None = None,
    budget: FloatBudget | None = None,
    trials: int | None = None,
    tier: Tier = "quick",
    jobs: int = 1,
    root: int = ROOT,
) -> Verdict:
    """Try to refute the bound that fitted estimators report about themselves.

    Two kinds of bounds are told apart by ``delta``.

    * ``delta=None``: the bound must hold for every fit.  The estimator is fitted to the data and to rows drawn from them with
      replacement, and ``measure(fitted, X_fit, y_fit)`` sees what it was fitted to.
    * ``0 < delta < 1``: the bound may fail with probability ``delta`` over independent rows.  The given data play the whole population,
      of which everything is known: each trial fits to ``rows`` rows drawn independently, and ``measure(fitted, X, y)`` sees all of it.

    Parameters
    ----------
    estimator : object
        Has ``fit(X, y)``; cloned for every trial, and every parameter called ``random_state`` gets a seed of the trial.
    X : array, sparse matrix or DataFrame of shape (n_samples, n_features)
        Data, indexed by rows.
    y : array-like of shape (n_samples,), optional
        Targets.
    attribute : str or callable
        The fitted attribute that holds the bound (default ``"bound_"``), or a function of the fitted estimator.  NaN means "no guarantee
        here": the trial is void.
    measure : callable
        Returns the quantity that the bound is about.
    sense : {"<=", ">="}, default="<="
        Whether the measured quantity must not exceed the bound, or not fall below it.
    delta : float, optional
        Probability with which the bound may fail.
    rows : int, optional
        Rows per fit; default as many as there are.
    budget : FloatBudget, optional
        Rounding that is granted to the comparison; its functions see the instance (``rows``) and the outcome (``aux["bound"]``).  Without
        one the comparison is exact.
    trials : int, optional
        Fits, rounded up to blocks of 64; default 64 (1,536 with ``delta``) in the quick tier.
    tier, jobs, root
        As in :func:`proofs_check.run`.

    Returns
    -------
    Verdict
        Its only mutant reports half of the bound (twice, for ">="): if it survives, the bound is looser than that on these data.

    Raises
    ------
    ValueError
        A parameter out of range, or data of unequal length.

    Examples
    --------
    >>> import numpy as np
    >>> class Midrange:  # |midrange - any point| <= half of the range, for all data
    ...     def fit(self, X, y=None):
    ...         self.centre_, self.bound_ = (X.max() + X.min()) / 2, (X.max() - X.min()) / 2
    ...         return self
    >>> X = np.arange(12.0)[:, None]
    >>> verdict = check_estimator_bound(Midrange(), X, measure=lambda fitted, X, y: abs(X - fitted.centre_).max())
    >>> verdict.status, round(verdict.slack.worst, 12)
    ('SURVIVED', 1.0)
    """
    from proofs_check.engine import check

    claim = estimator_claim(
        estimator, X, y, attribute=attribute, measure=measure, sense=sense, delta=delta, rows=rows, budget=budget, trials=trials
    )
    return check(claim, tier, jobs=jobs, root=root)


def estimator_claim(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    attribute: str | Callable[[Any], float] = "bound_",
    measure: Callable[[Any, Any, Any], float],
    sense: Literal["<=", ">="] = "<=",
    delta: float | None = None,
    rows: int | None = None,
    budget: FloatBudget | None = None,
    trials: int | None = None,
    claim_id: str = "EST-01",
) -> Claim:
    """Return the claim that :func:`check_estimator_bound` tries, for catalogues of one's own.

    Parameters
    ----------
    estimator, X, y, attribute, measure, sense, delta, rows, budget, trials
        As there.
    claim_id : str, default="EST-01"
        Id in the catalogue.

    Returns
    -------
    Claim
    """
    n = _length(X, "X")
    if y is not None and _length(y, "y") != n:
        raise ValueError(f"X has {n} rows, y has {_length(y, 'y')}; give one target per row")
    size = n if rows is None else rows
    if size < 1:
        raise ValueError(f"rows={rows!r}: a fit needs at least one row")
    if delta is not None and not 0.0 < delta < 1.0:
        raise ValueError(f"delta={delta!r}: a probability strictly between 0 and 1, or None for a bound that must always hold")
    if sense not in ("<=", ">="):
        raise ValueError(f"sense={sense!r}: choose '<=' or '>='")
    if not hasattr(estimator, "fit"):
        raise ClaimDefinitionError(f"{type(estimator).__name__} has no fit; pass an estimator, not its class or a function")
    trial = _Trial(X, y, measure, sense, delta is not None, budget)
    name = type(estimator).__name__
    families = [Family("resampled", _draw, ({"rows": size, "population": n},), draw="trial")]
    if delta is None:
        families.insert(0, Family("given", _everything, ({"rows": n},), role="typical", draw="trial"))
    looser = 0.5 if sense == "<=" else 2.0
    half = Mutant("half" if sense == "<=" else "twice", "impl", {"bound": lambda f: lambda e: looser * f(e)}, why="a factor two was lost")
    return Claim(
        id=claim_id,
        kind="inequality" if delta is None else "soundness",
        title=f"bound of {name}",
        plain=f"the bound that {name} reports {'is not exceeded' if sense == '<=' else 'is reached'} by what is measured",
        source=Source("folklore", reference=f"promise of {name}"),
        measure=trial,
        families=tuple(families),
        subjects=(Subject(name, {"estimator": estimator, "bound": _reader(attribute)}),),
        rule=Rule("estimator", levels=() if delta is None else (delta,)),
        mutants=(half,),
        tiers={tier: _budget(_TRIALS[delta is not None][tier] if trials is None else trials) for tier in TIERS},
        bound=Bound(_one, ()),
        requires=_promised,
    )


class _Trial:
    """One fit: the measured quantity, in units of the bound where the bound must always hold."""

    def __init__(self, X: Any, y: Any, measure: Callable[..., float], sense: str, random: bool, budget: FloatBudget | None) -> None:
        self._X, self._y, self._measure, self._sense, self._random, self._budget = X, y, measure, sense, random, budget

    def __call__(self, instance: Instance, rng: np.random.Generator, impl: Any) -> Outcome:
        """Fit to the rows of the instance and compare."""
        X, y = _rows(self._X, instance.index), None if self._y is None else _rows(self._y, instance.index)
        fitted = _fresh(impl.estimator, rng)
        fitted = fitted.fit(X, y) if y is not None else fitted.fit(X)
        bound = float(impl.bound(fitted))
        value = float(self._measure(fitted, self._X, self._y) if self._random else self._measure(fitted, X, y))
        if math.isnan(value):
            raise ValueError("measure returned NaN; return a number for every fit")
        aux = {"bound": bound, "measured": value}
        if math.isnan(bound):
            return Outcome(0.0, accepted=False, aux=aux)
        slip = 0.0 if self._budget is None else float(floats.tolerance(self._budget, instance, Outcome(value, reference=bound, aux=aux)))
        limit = bound + slip if self._sense == "<=" else bound - slip
        pair = (value, limit) if self._sense == "<=" else (limit, value)
        ratio = float(comparing.ratios(*pair).max())
        return Outcome(
            ratio, accepted=True, claimed=Interval(1.0, 1.0, "bound reported by the estimator") if self._random else None, aux=aux
        )


def _promised(instance: Instance, outcome: Outcome) -> bool:
    """Tell whether there is a bound: one that is not a number promises nothing."""
    return not math.isnan(outcome.aux["bound"])


def _one() -> float:
    return 1.0


def _everything(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"rows": point["rows"]}, {"index": np.arange(point["rows"])})


def _draw(rng: np.random.Generator, point: Mapping[str, Any]) -> Instance:
    return Instance({"rows": point["rows"]}, {"index": rng.integers(point["population"], size=point["rows"])})


def _reader(attribute: str | Callable[[Any], float]) -> Callable[[Any], float]:
    if callable(attribute):
        return attribute

    def read(fitted: Any) -> float:
        if not hasattr(fitted, attribute):
            raise AttributeError(f"{type(fitted).__name__} has no attribute {attribute!r} after fit; name the one that holds the bound")
        return float(getattr(fitted, attribute))

    return read


def _fresh(estimator: Any, rng: np.random.Generator) -> Any:
    """Return an unfitted copy with seeds of the trial."""
    if not hasattr(estimator, "get_params"):
        return copy.deepcopy(estimator)
    from sklearn.base import clone

    new = clone(estimator)
    seeds = [name for name in sorted(new.get_params(deep=True)) if name == "random_state" or name.endswith("__random_state")]
    return new.set_params(**{name: int(rng.integers(_SEED_LIMIT)) for name in seeds})


def _rows(table: Any, index: Any) -> Any:
    if hasattr(table, "iloc"):
        return table.iloc[index]
    return table[index] if hasattr(table, "shape") else np.asarray(table)[index]


def _length(table: Any, name: str) -> int:
    shape = getattr(table, "shape", None)
    n = int(shape[0]) if shape else len(table)
    if n < 1:
        raise ValueError(f"{name} has no rows; give at least one")
    return n


def _budget(trials: int) -> Budget:
    whole = -(-trials // _BLOCK) * _BLOCK
    return Budget(whole, _BLOCK, slack_trials=min(whole, 4 * _BLOCK))
