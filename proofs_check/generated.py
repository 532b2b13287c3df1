"""Mistakes that nobody declared: formulas a little too small, exponents off by a half, lost logarithms, testers that never say no.

They are made after the claim itself was tried, because its slack tells which of them could be seen at all.  A bound that is scaled by ``f``
is visible to trials only if ``f`` is below the slack of some part; what is not visible is listed as *blind*, with the numbers.
"""

import glob
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from proofs_check import comparing, evalues, floats
from proofs_check._state import PartState, State
from proofs_check.evidence import MutantResult
from proofs_check.instances import build
from proofs_check.model import Claim, Instance, Interval, Mutant, Outcome, as_outcome
from proofs_check.mutants import RELATIVE
from proofs_check.seeds import build_key, generator

__all__ = ["Generated", "generate"]

# Room between what the slack says and what is planted: a quantile of a few hundred ratios is not known better.
_ROOM = 0.05
_RELATIVE = 1e-6  # of the right-hand side of an identity


@dataclass(frozen=True, slots=True)
class Generated:
    """Mistakes worth planting, and those that trials cannot see."""

    mutants: tuple[Mutant, ...] = ()
    blind: tuple[MutantResult, ...] = ()


def generate(claim: Claim, state: State, root: int) -> Generated:
    """Make the mistakes of a claim that was tried.

    Parameters
    ----------
    claim : Claim
        The claim, with the instances that its search found.
    state : State
        Evidence about it: its slack decides what is visible.
    root : int
        Root of the run's seeds.

    Returns
    -------
    Generated
    """
    if claim.kind == "identity":
        return Generated((_claim_mutant(RELATIVE, ScaledSide(1.0 + _RELATIVE), "the right-hand side is off by a millionth"),))
    if claim.kind == "soundness":
        return Generated((_claim_mutant("accept_all", Accepting(True), "accepts whatever it is shown"),))
    if claim.kind == "completeness":
        return Generated((_claim_mutant("reject_all", Accepting(False), "rejects whatever it is shown"),))
    if claim.kind not in ("inequality", "tail") or claim.bound is None or claim.sense == "==":
        return Generated()
    found: list[Mutant] = []
    blind: list[MutantResult] = []
    why = "<= was read as >=, or the other way round"
    if _tells_senses_apart(claim, state):
        found.append(_claim_mutant("flipped", flip_sense, why))
    else:
        reason = "the bound is attained in every trial, or fails as often as it holds: the instances do not tell the senses apart"
        blind.append(MutantResult("flipped", claim.id, "claim", "blind", why, expected_dead=False, reason=reason))
    visible = _visible_parts(claim, state, root)
    for name, make, why in _formulas(claim, visible):
        seen, best, reason = _best_part(claim, make, visible)
        if seen is not None and best > _ROOM:
            part = glob.escape(seen.part.label)
            found.append(Mutant(name, "bound", make, why, (claim.id,), part, quick=False, generated=True))
        else:
            blind.append(MutantResult(name, claim.id, "bound", "blind", why, expected_dead=False, reason=reason))
    return Generated(tuple(found), tuple(blind))


def _tells_senses_apart(claim: Claim, state: State) -> bool:
    """Tell whether the reversed bound would fail: it does where there is room, and for a tail in more trials than may fail."""
    if claim.kind == "inequality":
        return min((own.slack.least for own in state.honest()), default=1.0) < 1.0 - _ROOM
    medians = [median.worst for own in state.honest() if (median := own.slack.quantile(0.5)) is not None]
    return min(claim.rule.levels) < 0.5 and min(medians, default=1.0) < 1.0 - _ROOM


def _claim_mutant(name: str, make: Callable[[Claim], Claim], why: str) -> Mutant:
    return Mutant(name, "claim", make, why, quick=False, generated=True)


# --------------------------------------------------------------------------------------------------------------------- what is visible


@dataclass(frozen=True, slots=True)
class _Visible:
    """A part, its instance, the value of its bound, and the factor below which a smaller bound would be seen there."""

    part: Any
    instance: Instance
    value: float
    factor: float


def _visible_parts(claim: Claim, state: State, root: int) -> list[_Visible]:
    found = []
    for own in state.honest():
        factor = _seen_below(claim, state, own)
        family = next(family for family in claim.families if family.name == own.part.family)
        if not math.isfinite(factor):
            continue
        instance = build(claim, family, own.part.instance, generator(build_key(claim.id, family.name, own.part.instance), root))
        if claim.rule.delta_in_algorithm:
            instance = replace(instance, params={**instance.params, "delta": own.part.level})
        value = _scalar(claim.bound.value(instance.params, own.part.level)) if claim.bound is not None else math.nan
        if math.isfinite(value) and value != 0.0:
            found.append(_Visible(own.part, instance, value, factor - _rounding(claim, instance, factor, value)))
    return found


def _rounding(claim: Claim, instance: Instance, factor: float, value: float) -> float:
    """Return what the float budget takes from a factor: an excess within eight budgets refutes nothing (infinite where nobody knows)."""
    if claim.rule.budget is None:
        return 0.0
    try:
        granted = floats.tolerance(claim.rule.budget, instance, Outcome(factor * value, reference=value))
    except Exception:  # the budget's functions may ask for what only a real trial reports
        return math.inf
    return comparing.CLEAR * float(np.max(granted)) / abs(value)


def _seen_below(claim: Claim, state: State, own: PartState) -> float:
    """Return the largest factor at which a smaller bound is refuted on this part within the budget."""
    if claim.kind == "inequality":
        return own.slack.most
    if not own.slack.ratios:
        return math.nan
    trials = claim.tiers[state.tier].trials
    counts = np.arange(trials + 1)
    needed = claim.rule.refutes_at - math.log(own.part.weight)
    k = int(np.argmax(evalues.log_refute(counts, trials, own.p0) >= needed))
    share = (k + 2.5 * math.sqrt(k)) / trials  # so many failures in all but one of a hundred runs
    return float(np.quantile(own.slack.ratios, 1.0 - share)) if 0.0 < share < 1.0 else math.nan


def _scalar(value: Any) -> float:
    if isinstance(value, Interval):
        return float(value.hi)
    flat = np.asarray(value, dtype=np.float64).ravel()
    return float(flat[0]) if flat.size == 1 else math.nan


def _best_part(claim: Claim, make: Callable[..., Any], visible: list[_Visible]) -> tuple[_Visible | None, float, str]:
    """Return the part on which a mistake shows most, by how much, and why it does not show."""
    best, at, shrinks = -math.inf, None, math.inf
    assert claim.bound is not None
    wrong = replace(claim.bound, fn=make(claim.bound.fn), exact=None)
    for candidate in visible:
        try:
            value = _scalar(wrong.value(candidate.instance.params, candidate.part.level))
        except (ArithmeticError, ValueError, TypeError):
            continue
        factor = value / candidate.value if claim.sense == "<=" else candidate.value / value if value else math.inf
        shrinks = min(shrinks, factor)
        if math.isfinite(factor) and candidate.factor - factor > best:
            best, at = candidate.factor - factor, candidate
    if at is None:
        return None, best, "no part has a single bound, a slack and a known rounding to compare it with"
    if shrinks >= 1.0:
        return at, best, "it makes the bound looser on every part; only a sharper claim could notice"
    return at, best, f"the slack law: at best the bound shrinks to {at.factor - best:.3g} of itself where {at.factor:.3g} would be needed"


# ---------------------------------------------------------------------------------------------------------------------- the formulas


def _formulas(claim: Claim, visible: list[_Visible]) -> Iterator[tuple[str, Callable[..., Any], str]]:
    assert claim.bound is not None
    top = max((v.factor for v in visible), default=-math.inf)
    tight = claim.tight if claim.tight is not None else top
    if math.isfinite(tight) and tight > 2 * _ROOM:
        smaller = tight - 2 * _ROOM
        yield "scaled", Scaled(smaller if claim.sense == "<=" else 1.0 / smaller), f"a factor {smaller:.3g} slipped in"
    numbers = [name for name in claim.bound.params if name != "delta" and all(_is_power_base(v.instance.params.get(name)) for v in visible)]
    for name in numbers if visible else ():
        for half, word in ((-0.5, "lower"), (0.5, "higher")):
            yield f"{name}.{'minus' if half < 0 else 'plus'}_half", Powered(name, half), f"the exponent of {name} is a half {word}"
    if "delta" in claim.bound.params:
        yield "one_minus_delta", swap_delta, "delta was read as 1 - delta"
    if _has_logarithm(claim.bound.fn):
        yield "no_logarithm", without_logarithm, "the logarithmic factor was lost"


def _is_power_base(value: Any) -> bool:
    return isinstance(value, int | float | Fraction | np.number) and not isinstance(value, bool) and 0.0 < float(value) != 1.0


@dataclass(frozen=True, slots=True)
class Scaled:
    """A formula times a constant."""

    factor: float

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the formula."""
        return lambda **k: fn(**k) * self.factor


@dataclass(frozen=True, slots=True)
class Powered:
    """A formula times a power of one of its parameters."""

    name: str
    exponent: float

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the formula."""
        return lambda **k: fn(**k) * float(k[self.name]) ** self.exponent


def swap_delta(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Read delta as 1 - delta."""
    return lambda **k: fn(**{**k, "delta": 1.0 - k["delta"]})


_LOGARITHMS = ("log", "log2", "log10", "log1p")


def _has_logarithm(fn: Callable[..., Any]) -> bool:
    return isinstance(fn, FunctionType) and any(name in fn.__code__.co_names for name in _LOGARITHMS)


def without_logarithm(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same formula with every logarithm replaced by 1."""
    assert isinstance(fn, FunctionType)
    known: dict[str, Any] = dict(fn.__globals__)
    for name, value in fn.__globals__.items():
        if name in _LOGARITHMS:
            known[name] = _one
        elif getattr(value, "__name__", "") in ("numpy", "math") and name in fn.__code__.co_names:
            known[name] = SimpleNamespace(**{**vars(value), **dict.fromkeys(_LOGARITHMS, _one)})
    copy = FunctionType(fn.__code__, known, fn.__name__, fn.__defaults__, fn.__closure__)
    copy.__kwdefaults__ = fn.__kwdefaults__
    return copy


def _one(*_: Any) -> float:
    return 1.0


# --------------------------------------------------------------------------------------------------------------- mistakes of whole claims


def flip_sense(claim: Claim) -> Claim:
    """Turn <= into >= and back."""
    turned: Any = {"<=": ">=", ">=": "<="}[claim.sense]
    bound = None if claim.bound is None else replace(claim.bound, sense=turned)
    return replace(claim, bound=bound, rule=replace(claim.rule, sense=turned), tight=None)


@dataclass(frozen=True, slots=True)
class Accepting:
    """A tester that gives every input the same answer."""

    answer: bool

    def __call__(self, claim: Claim) -> Claim:
        """Replace the measurement."""
        return replace(claim, measure=_Answered(claim.measure, self.answer))


@dataclass(frozen=True, slots=True)
class _Answered:
    measure: Callable[..., Any]
    answer: bool

    def __call__(self, *arguments: Any) -> Outcome:
        return replace(as_outcome(self.measure(*arguments)), accepted=self.answer)


@dataclass(frozen=True, slots=True)
class ScaledSide:
    """An identity whose right-hand side is a little off."""

    factor: float

    def __call__(self, claim: Claim) -> Claim:
        """Scale the bound, or the reference that the measurement brings."""
        if claim.bound is not None:
            return replace(claim, bound=replace(claim.bound, fn=Scaled(self.factor)(claim.bound.fn), exact=None), ladder=None)
        return replace(claim, measure=_Referred(claim.measure, self.factor), ladder=None)


@dataclass(frozen=True, slots=True)
class _Referred:
    measure: Callable[..., Any]
    factor: float

    def __call__(self, *arguments: Any) -> Outcome:
        outcome = as_outcome(self.measure(*arguments))
        side = outcome.reference
        return outcome if side is None else replace(outcome, reference=np.asarray(side, dtype=np.float64) * self.factor)
