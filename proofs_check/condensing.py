"""From trials to a record: counts, bets, repetitions or comparisons, by kind of claim."""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from proofs_check import comparing, rules
from proofs_check.model import DETERMINISTIC, STREAMS, BlockRecord, Interval, Outcome
from proofs_check.trials import Level, Trial, Trials

# ---------------------------------------------------------------------------------------------- the short way: counts of bare numbers


def plain_numbers(values: Sequence[Any]) -> np.ndarray | None:
    """Return the values as an array if all are plain numbers."""
    if not set(map(type, values)) <= _NUMBERS:
        return None
    return np.array(values, dtype=np.float64)


AUDIT_EVERY = 100
_NUMBERS = {float, int, bool, np.float64, np.float32, np.int64, np.bool_}


def condense_numbers(source: Trials, level: Level, bound: Any, values: np.ndarray, seconds: float) -> BlockRecord:
    """Condense the values of a tail claim whose trials share a scalar bound."""
    unit = source.unit
    assert source.claim.bound is not None
    sense = source.claim.bound.sense
    _check_misses(source, bound)
    x, b = (values, bound) if sense != ">=" else (bound, values)
    slacks = comparing.ratios(comparing.high(x), comparing.low(b))
    if np.isnan(slacks).any():
        at = int(np.argmax(np.isnan(slacks)))
        raise ValueError(f"trial {at} measured {values[at]} against {bound!r}: not a number; return a number in every trial")
    if unit.stream == STREAMS["slack"]:
        return unit.blank(level, n=len(values), values=tuple(slacks.tolist()), seconds=seconds)
    surely = possibly = int(np.count_nonzero(comparing.low(x) > comparing.high(b)))
    if isinstance(bound, Interval):
        possibly = int(np.count_nonzero(comparing.high(x) > comparing.low(b)))
    at = int(np.argmax(slacks))
    worst = float(slacks[at])
    slack = worst if math.isfinite(worst) else None
    return unit.blank(level, n=len(values), k_lo=surely, k_hi=possibly, argmax_trial=at, slack_max=slack, seconds=seconds)


# ------------------------------------------------------------------------------------------------------------ from trials to a record


def condense(source: Trials, level: Level, trials: Sequence[Trial]) -> BlockRecord:
    """Condense the trials of a block into the record of one level, as the kind of the claim asks."""
    kind = source.claim.kind
    record = replace(source.unit.blank(level), n=len(trials))
    for trial in trials:
        _check_misses(source, None, trial.outcome)
    requires = source.claim.requires
    void = [False if requires is None else not requires(trial.instance, trial.outcome) for trial in trials]
    record = replace(record, void=sum(void))
    if kind in ("order", "rate"):
        gaps = _gaps(trials, void) if kind == "rate" else ()
        return replace(record, values=tuple(_repetitions(trials, void)), gaps=gaps)
    kept = [(index, trial) for index, trial in enumerate(trials) if not void[index]]
    if source.unit.stream == STREAMS["slack"]:
        return replace(record, values=tuple(_slack_values(source, level, kept)))
    if kind in DETERMINISTIC:
        return _witnesses(source, level, kept, record) if kind == "witness" else _deterministic(source, level, kept, record)
    if kind == "expectation":
        return _bets(source, level, trials, void, record)
    return _counted(source, level, kept, record)


def _check_misses(source: Trials, bound: Any, outcome: Outcome | None = None) -> None:
    """Refuse a bracket that is less certain than the claim declares: what it may miss is paid for in advance."""
    rule = source.claim.rule
    if isinstance(bound, Interval) and bound.miss * len(source.claim.parts()) > rule.instance_miss:
        raise ValueError(
            f"the bound's bracket ({bound.certificate}) misses with probability {bound.miss:g}; declare instance_miss, the sum over "
            f"{len(source.claim.parts())} parts, or make it certain"
        )
    for value in () if outcome is None else (outcome.value, outcome.claimed, outcome.reference):
        if isinstance(value, Interval) and value.miss > rule.bracket_miss:
            raise ValueError(
                f"a bracket ({value.certificate}) misses with probability {value.miss:g}, the claim declares bracket_miss="
                f"{rule.bracket_miss:g}; declare as much, or make the bracket certain"
            )


def _number(value: Any) -> float:
    number = float(value)
    if np.isnan(number):
        raise ValueError("measured NaN; return a number in every trial, or declare the premise in `requires`")
    return number


def _repetitions(trials: Sequence[Trial], void: Sequence[bool]) -> list[float]:
    values: list[float] = []
    for trial, missed in zip(trials, void, strict=True):
        errors = np.atleast_1d(np.asarray(trial.outcome.value, dtype=np.float64)).ravel()
        values += [float("nan")] * errors.size if missed else [_number(error) for error in errors]
    return values


def _gaps(trials: Sequence[Trial], void: Sequence[bool]) -> tuple[float, ...]:
    """Return the optimisation gaps of the errors of a rate; none where the measurement does not name them."""
    named = ["optimisation_gap" in trial.outcome.aux for trial in trials]
    if not any(named):
        return ()
    found: list[float] = []
    for trial, missed in zip(trials, void, strict=True):
        errors = np.atleast_1d(np.asarray(trial.outcome.value, dtype=np.float64)).ravel()
        gaps = np.asarray(trial.outcome.aux.get("optimisation_gap", np.nan), dtype=np.float64)
        if not missed and not (gaps.shape in ((), errors.shape) and np.all(gaps >= 0.0)):
            raise ValueError(
                f"optimisation_gap={gaps!r} beside {errors.size} errors; give one number, or one per size, none negative, always"
            )
        found += [float("nan")] * errors.size if missed else np.broadcast_to(gaps, errors.shape).tolist()
    return tuple(found)


def _bounds(source: Trials, level: Level, trials: Sequence[tuple[int, Trial]]) -> list[Any]:
    """Evaluate the bound for every trial, once where all share their instance."""
    if not trials:
        return []
    distinct = [source.bound(trial.instance, level) for _, trial in (trials if source.fresh else trials[:1])]
    for bound in distinct:
        _check_misses(source, bound)
    return distinct if source.fresh else distinct * len(trials)


def _counted(source: Trials, level: Level, trials: Sequence[tuple[int, Trial]], record: BlockRecord) -> BlockRecord:
    kind = source.claim.kind
    sense = source.claim.sense
    lo = hi = accepts = 0
    worst, at = -np.inf, -1
    for (index, trial), bound in zip(trials, _bounds(source, level, trials) if kind != "lower" else [None] * len(trials), strict=True):
        surely, possibly, slack = _failure(trial.outcome, bound, kind, "<=" if sense == "==" else sense)
        lo, hi, accepts = lo + surely, hi + possibly, accepts + bool(trial.outcome.accepted)
        if slack > worst:
            worst, at = slack, index
    record = replace(record, k_lo=lo, k_hi=hi, accepts=accepts, argmax_trial=at)
    return replace(record, slack_max=float(worst)) if np.isfinite(worst) else record


def _failure(outcome: Outcome, bound: Any, kind: str, sense: Any) -> tuple[bool, bool, float]:
    """Tell whether a trial surely failed, possibly failed, and how close it came."""
    if kind == "completeness":
        if outcome.accepted is None:
            raise ValueError("a completeness trial must say whether it accepted: return Outcome(value, accepted=...)")
        return not outcome.accepted, not outcome.accepted, float(not outcome.accepted)
    if kind == "lower":
        success = bool(outcome.value)
        return success, success, float(success)
    if kind == "soundness":
        if outcome.accepted is None:
            raise ValueError("a soundness trial must say whether it accepted: return Outcome(value, accepted=..., claimed=...)")
        bound = outcome.claimed if outcome.claimed is not None else bound
        if not outcome.accepted:
            return False, False, 0.0
        bound = comparing.high(bound)
    surely, possibly = comparing.exceeds(outcome.value, bound, sense)
    slack = _worst_ratio(outcome.value, bound, sense)
    return surely, possibly, slack


def _worst_ratio(value: Any, bound: Any, sense: Any) -> float:
    pair = (comparing.high(value), comparing.low(bound)) if sense != ">=" else (comparing.high(bound), comparing.low(value))
    ratios = comparing.ratios(*pair)
    if np.isnan(ratios).any():
        raise ValueError(f"measured {value!r} against {bound!r}: not a number; return a number in every trial")
    return float(ratios.max())


def _slack_values(source: Trials, level: Level, trials: Sequence[tuple[int, Trial]]) -> list[float]:
    if source.claim.kind in ("lower", "completeness"):
        return []
    sense = source.claim.sense
    if source.claim.kind == "soundness":
        trials = [(index, trial) for index, trial in trials if trial.outcome.accepted]
    found = []
    for (_, trial), bound in zip(trials, _bounds(source, level, trials), strict=True):
        claimed = trial.outcome.claimed if source.claim.kind == "soundness" and trial.outcome.claimed is not None else bound
        found.append(_worst_ratio(trial.outcome.value, claimed, sense))
    return found


def _bets(source: Trials, level: Level, trials: Sequence[Trial], void: Sequence[bool], record: BlockRecord) -> BlockRecord:
    claim, unit = source.claim, source.unit
    values = np.array([np.nan if missed else _number(trial.outcome.value) for trial, missed in zip(trials, void, strict=True)])
    if not source.fresh:
        bound = float(source.bound(trials[0].instance, level))
        up, down = rules.log_wealth(claim, unit.tier, values, bound, trials[0].instance)
        return replace(record, log_wealth_R=up, log_wealth_A=down)
    each = [
        rules.log_wealth(claim, unit.tier, x, float(source.bound(t.instance, level)), t.instance)
        for x, t in zip(values, trials, strict=True)
    ]
    if any(len({len(pair[side]) for pair in each}) > 1 for side in (0, 1)):
        raise ValueError("bets exist on some of the instances only (their bounds lie at or beyond the envelope); split the family")
    sums = [tuple(np.sum([pair[side] for pair in each], axis=0).tolist()) for side in (0, 1)]
    return replace(record, log_wealth_R=sums[0], log_wealth_A=sums[1])


def _witnesses(source: Trials, level: Level, trials: Sequence[tuple[int, Trial]], record: BlockRecord) -> BlockRecord:
    found, at = 0, -1
    best = -np.inf
    for index, trial in trials:
        bound = source.bound(trial.instance, level)
        if bound is None:
            good, closeness = bool(trial.outcome.value), float(bool(trial.outcome.value))
        else:
            sense = source.claim.sense
            good = not comparing.exceeds(trial.outcome.value, bound, sense)[1]
            closeness = 1.0 / max(_worst_ratio(trial.outcome.value, bound, sense), 1e-300)
        found += good
        if closeness > best:
            best, at = closeness, index
    return replace(record, accepts=found, argmax_trial=at)


def _deterministic(source: Trials, level: Level, trials: Sequence[tuple[int, Trial]], record: BlockRecord) -> BlockRecord:
    if not trials:
        return record
    compared = [_audited(source, level, index, trial) for index, trial in trials]
    slacks = [c.slack for c in compared]
    # The trial to keep is a confirmed violation where there is one, else the tightest.
    at = max(range(len(compared)), key=lambda i: (compared[i].verdict == "refuted", slacks[i]))
    counts = {verdict: sum(c.verdict == verdict for c in compared) for verdict in ("refuted", "budget", "unclear")}
    slopes = [c.slope for c in compared if c.slope is not None]
    return replace(
        record,
        k_lo=counts["refuted"],
        k_hi=sum(counts.values()),
        over_budget=counts["budget"],
        unclear=counts["unclear"],
        slack_min=min(slacks),
        slack_max=max(slacks),
        slack_hist=rules.slack_histogram(slacks),
        argmax_trial=trials[at][0],
        ladder_slope=max(slopes, default=None),
    )


def _audited(source: Trials, level: Level, index: int, trial: Trial) -> comparing.Comparison:
    """Compare; beyond the quick tier one trial in a hundred is repeated in finer precision although it passed."""
    found, unit = compare_trial(source, level, trial), source.unit
    number = unit.block * source.claim.tiers[unit.tier].block + index
    if source.claim.kind != "identity" or unit.tier == "quick" or number % AUDIT_EVERY or trial.repeat is None:
        return found
    bound = source.bound(trial.instance, level)
    bound = bound if bound is not None else trial.outcome.reference
    return comparing.audit(found, trial.outcome, bound, source.claim.rule.budget, trial.instance, trial.repeat)


def compare_trial(source: Trials, level: Level, trial: Trial) -> comparing.Comparison:
    """Judge one trial of an inequality or an identity."""
    claim, outcome = source.claim, trial.outcome
    bound = source.bound(trial.instance, level)
    _check_misses(source, bound)
    if bound is None:
        bound = outcome.reference if outcome.reference is not None else outcome.claimed
    if bound is None:
        raise ValueError("nothing to compare with: give the claim a bound, or return Outcome(value, reference=...)")
    exact = source.exact_bound(trial.instance, level)
    if exact is not None and isinstance(outcome.value, int | Fraction):
        bound, exact = exact, None
    found = comparing.compare(outcome, bound, claim.sense, claim.rule.budget, trial.instance, trial.repeat)
    if found.verdict == "holds" or exact is None:
        return found
    return comparing.compare(outcome, exact, claim.sense, claim.rule.budget, trial.instance, trial.repeat)  # the formula did not round


def is_violation(source: Trials, level: Level, trial: Trial) -> bool:
    """Tell whether a single trial surely violates the claim."""
    if source.claim.kind in ("inequality", "identity"):
        return compare_trial(source, level, trial).verdict == "refuted"
    bound = source.bound(trial.instance, level)
    sense = source.claim.sense
    return _failure(trial.outcome, bound, source.claim.kind, "<=" if sense == "==" else sense)[0]
