"""The words of the harness: claims, instances, outcomes, records and verdicts as frozen dataclasses.

Nothing here runs a claim.  Every definition is checked when it is made, so that a catalogue with a hole in it cannot be imported.

How the modules meet
--------------------
``measuring`` turns trials into one :class:`BlockRecord` per part and block (it evaluates the bound, compares, climbs the precision ladder).
``rules`` turns committed records into statements; the engine uses exactly this much of it::

    rules.DECIDABLE                        frozenset of kinds that can be decided
    rules.new_state(claim, tier, parts)    -> state; ``parts``: tuple of Part, weights sum to at most 1 (a mutant may run on fewer)
    rules.update(state, record)            committed records only, block-major (block b of every part, then b + 1); stream 2: slack only
    rules.frozen(state, part)              -> bool: the part needs no further block (its acceptance threshold is crossed)
    rules.decision(state)                  -> Status or None; asked after every completed round, the first answer stops the claim
    rules.finish(state, exhausted)         -> (Status, reason, tuple[Evidence, ...]); ``exhausted`` is true when the budget was spent
    rules.log_wealth(claim, tier, x, b, instance)  -> (R side, A side), 16 numbers each, for kinds that bet

``floats`` does the rounding arithmetic::

    floats.tolerance(budget, instance, outcome, unit=2**-53)  -> float (or array): gamma_k * cond * scale
    floats.climb(residual, levels) -> Climb(verdict "refuted" | "budget" | "unclear", slope); ``residual(level)`` repeats a trial

A part's state is a function of the prefix of its records, so that a verdict never depends on the number of workers.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np

from proofs_check.evidence import (
    BETS,
    SCHEMA,
    SLACK_BINS,
    STATUSES,
    TIERS,
    BlockRecord,
    Counterexample,
    Evidence,
    MutantResult,
    MutantStatus,
    Part,
    RunResult,
    Slack,
    Status,
    Tier,
    Verdict,
    Where,
    worst,
)
from proofs_check.problems import (
    ClaimDefinitionError,
    DatasetRef,
    Family,
    Instance,
    InstanceKey,
    Interval,
    MissingDataError,
    Num,
    Outcome,
    ReadOnly,
    Role,
    SearchSpace,
    Subject,
    as_outcome,
    grid_instance,
    one_of,
    require,
)

# fmt: off
__all__ = [
    "BETS", "DETERMINISTIC", "KINDS", "LEVELLED", "RESERVED", "SCHEMA", "SLACK_BINS", "STATUSES", "STREAMS", "TIERS", "BlockRecord",
    "Bound", "Budget", "Claim", "ClaimDefinitionError", "Counterexample", "DatasetRef", "EquivalentProof", "Evidence", "Family",
    "FloatBudget", "Instance", "InstanceKey", "Interval", "Kind", "Margin", "MissingDataError", "Mutant", "MutantResult",
    "MutantStatus", "Num", "Outcome", "Part", "ReadOnly", "Role", "Rule", "RunResult", "SearchSpace", "Sense", "Slack", "Source",
    "Status", "Subject", "Tier", "Verdict", "Where", "as_outcome", "as_source", "grid_instance", "worst",
]
# fmt: on

Kind = Literal["inequality", "tail", "expectation", "rate", "lower", "order", "identity", "soundness", "completeness", "witness"]
Sense = Literal["<=", ">=", "=="]

KINDS: tuple[Kind, ...] = get_args(Kind)
DETERMINISTIC: frozenset[str] = frozenset({"inequality", "identity", "witness"})
LEVELLED: frozenset[str] = frozenset({"tail", "soundness", "completeness"})
STREAMS = {"search": 0, "confirm": 1, "slack": 2, "shrink": 3, "build": 4}

_ID = re.compile(r"[A-Z]{2,6}-[0-9]{2}[a-z]{0,2}")
#: Prefixes of the package's own claims, each for one system.
RESERVED: Mapping[str, str] = {
    "LP": "lp_embeddings",
    "HS": "testable_halfspaces",
    "MB": "misspecified_bandits",
    "LS": "latent_label_shift",
    "MT": "active_multitask",
    "DL": "supervised_dictionary",
}


# ---------------------------------------------------------------------------------------------------------------- the statement


@dataclass(frozen=True, slots=True)
class Source:
    """Where a statement comes from; ``recalled`` marks a reference quoted from memory, ``proof`` is needed for what was derived here."""

    origin: Literal["paper", "derived", "folklore"]
    reference: str = ""
    recalled: bool = False
    proof: str = ""

    def __post_init__(self) -> None:
        one_of(self.origin, ("paper", "derived", "folklore"), "origin")
        require(
            self.origin != "derived" or bool(self.proof.strip()),
            "a derived statement has no proof",
            "say in `proof` where it is written down",
        )
        require(self.origin != "paper" or bool(self.reference.strip()), "a paper source has no reference", "give `reference`")


@dataclass(frozen=True, slots=True)
class Bound:
    """The formula under test: a pure function of keyword parameters, shared with the estimator and the figures.

    ``fn`` sees the instance's ``params``, the level ``delta`` and ``frozen`` constants, nothing else, and is evaluated before the trial.
    """

    fn: Callable[..., Any]
    params: tuple[str, ...]
    sense: Sense = "<="
    tex: str = ""
    exact: Callable[..., Any] | None = None
    frozen: Mapping[str, Num] = field(default_factory=ReadOnly)
    attribute: str | None = None
    figures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(callable(self.fn), f"bound {self.fn!r} is not a function", "pass a pure function of keyword parameters")
        one_of(self.sense, ("<=", ">=", "=="), "sense")
        object.__setattr__(self, "frozen", ReadOnly(self.frozen))

    def value(self, params: Mapping[str, Any], level: float | None = None) -> Any:
        """Evaluate the formula on the parameters it names (``delta`` is the level)."""
        known: dict[str, Any] = {**params, **self.frozen}
        if level is not None:
            known["delta"] = level
        missing = [name for name in self.params if name not in known]
        require(not missing, f"the bound asks for {missing}, which the instance's params do not hold", "add them to Instance.params")
        return self.fn(**{name: known[name] for name in self.params})


# ------------------------------------------------------------------------------------------------------------------- how it is judged


@dataclass(frozen=True, slots=True)
class Margin:
    """By how much a statement must be false before accepting it counts as an error: odds ratio, ratio or additive."""

    kind: Literal["odds", "ratio", "add"]
    size: float
    why: str

    def __post_init__(self) -> None:
        one_of(self.kind, ("odds", "ratio", "add"), "margin kind")
        require(bool(self.why.strip()), "a margin has no reason", "say in `why` what the size means")
        require(
            self.size > (0 if self.kind == "add" else 1),
            f"margin {self.kind} {self.size} is empty",
            "ratios exceed 1, additive margins exceed 0",
        )


@dataclass(frozen=True, slots=True)
class FloatBudget:
    """A tolerance with a reason: ``gamma_k * cond * scale`` for ``k`` roundings.

    Each of the three is a number or a function ``(instance, outcome) -> number``.
    """

    k: int | Callable[[Instance, Outcome], Any]
    cond: float | Callable[[Instance, Outcome], Any] = 1.0
    scale: float | Callable[[Instance, Outcome], Any] = 1.0
    why: str = ""

    def __post_init__(self) -> None:
        require(bool(self.why.strip()), "a float budget has no reason", "count the operations in `why`")
        for name in ("k", "cond", "scale"):
            value = getattr(self, name)
            require(
                callable(value) or value > 0,
                f"float budget {name}={value!r}",
                "give a positive number or a function of (instance, outcome)",
            )


@dataclass(frozen=True, slots=True)
class Rule:
    """Error probabilities, margin, levels and float budget of a claim."""

    name: str
    alpha_R: float = 1e-6
    alpha_A: float = 1e-3
    margin: Margin | None = None
    levels: tuple[float, ...] = ()
    budget: FloatBudget | None = None
    delta_in_algorithm: bool = False
    envelope: tuple[float, float] | None = None  # [lo, hi] of a mean's summands
    sense: Sense = "<="  # of a claim without a bound: how the value relates to the reference that comes with it
    bracket_miss: float = 0.0  # largest `Interval.miss` of brackets that are made afresh in every trial
    instance_miss: float = 0.0  # sum over the parts of the `Interval.miss` of bounds, which are fixed with the instance

    def __post_init__(self) -> None:
        one_of(self.sense, ("<=", ">=", "=="), "sense")
        for name in ("alpha_R", "alpha_A"):
            value = getattr(self, name)
            require(0 < value < 1, f"{name}={value}", "error probabilities lie strictly between 0 and 1")
        require(0 <= self.bracket_miss < 1, f"bracket_miss={self.bracket_miss}", "a probability in [0, 1)")
        spent = min(self.alpha_R, self.alpha_A) / 2
        require(
            0 <= self.instance_miss <= spent,
            f"instance_miss={self.instance_miss:g}",
            f"brackets that are fixed with the instance may spend half of the error probabilities, here {spent:g}; make them more certain",
        )
        require(all(0 < level < 1 for level in self.levels), f"levels={self.levels}", "levels lie strictly between 0 and 1")
        require(len(set(self.levels)) == len(self.levels), f"levels={self.levels} repeat", "list each level once")
        require(
            self.budget is None or isinstance(self.budget, FloatBudget),
            f"budget={self.budget!r} is a bare tolerance",
            "pass FloatBudget(k, cond, scale, why)",
        )

    @property
    def refutes_at(self) -> float:
        """Log evidence that refutes: what fixed brackets may miss is taken from the error probability first."""
        return -math.log(self.alpha_R - self.instance_miss)

    @property
    def accepts_at(self) -> float:
        """Log evidence that accepts a part."""
        return -math.log(self.alpha_A - self.instance_miss)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a tier may spend on one part: trials in blocks, search evaluations, and the wall limit of one block (not a budget, a fuse)."""

    trials: int
    block: int = 64
    search_evals: int = 0
    sizes: tuple[int, ...] = ()
    slack_trials: int = 0
    seconds: float = 300.0

    def __post_init__(self) -> None:
        require(self.block >= 1 and self.trials >= 1, f"trials={self.trials}, block={self.block}", "both are at least 1")
        require(self.trials % self.block == 0, f"trials={self.trials} is no multiple of block={self.block}", "caps are whole blocks")
        require(
            self.slack_trials % self.block == 0, f"slack_trials={self.slack_trials} is no multiple of block={self.block}", "whole blocks"
        )
        require(self.seconds > 0, f"seconds={self.seconds}", "the wall limit of a block is positive")


@dataclass(frozen=True, slots=True)
class EquivalentProof:
    """Why a mutant cannot be told from the original; it is run all the same and must not be refuted."""

    text: str

    def __post_init__(self) -> None:
        require(bool(self.text.strip()), "an equivalence has no proof", "write it in `text`")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A plausible mistake that must be caught.

    ``make`` turns the original into the wrong one: ``fn -> fn`` for ``where="bound"``, ``instance -> instance`` for ``"env"``, ``claim ->
    claim`` for ``"claim"`` and, for ``"impl"``, either ``mapping -> mapping`` or a mapping ``{name: function -> function}``.  ``killers``
    are claim ids (when empty: the owner, then its companions); ``part`` is a glob over part labels: the quick tier runs the mutant there
    only, and every tier one that was ``generated``.
    """

    id: str
    where: Where
    make: Callable[[Any], Any] | Mapping[str, Callable[[Any], Any]]
    why: str
    killers: tuple[str, ...] = ()
    part: str | None = None
    quick: bool = True
    may_raise: bool = False
    equivalent: EquivalentProof | None = None
    generated: bool = False

    def __post_init__(self) -> None:
        one_of(self.where, get_args(Where), "where")
        require(bool(re.fullmatch(r"[\w.+-]+", self.id)), f"mutant id {self.id!r} is not one word", "use letters, digits, _ . + -")
        require(bool(self.why.strip()), f"mutant {self.id!r} has no reason", "say in `why` which mistake it stands for")
        shape = callable(self.make) or (self.where == "impl" and isinstance(self.make, Mapping))
        require(shape, f"mutant {self.id!r}: make={self.make!r}", "pass a function (or, for impl, a mapping of functions)")


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement that the harness tries to break."""

    id: str
    kind: Kind
    title: str
    plain: str
    source: Source
    measure: Callable[..., Any]
    families: tuple[Family, ...]
    subjects: tuple[Subject, ...]
    rule: Rule
    mutants: tuple[Mutant, ...]
    tiers: Mapping[Tier, Budget]
    bound: Bound | None = None
    tex: str = ""
    version: int = 1
    requires: Callable[[Instance, Outcome], bool] | None = None
    ladder: Callable[..., Any] | None = (
        None  # (instance, rng, impl, dtype) -> residual, when the trial can be repeated in another precision
    )
    companions: tuple[str, ...] = ()
    tight: float | None = None
    decided_in: Tier = "quick"
    blind_to: tuple[str, ...] = ()
    topic: str = ""  # "system/topic", filled in by the catalogue

    def __post_init__(self) -> None:
        require(bool(_ID.fullmatch(self.id)), f"claim id {self.id!r}", "ids look like MB-18 or LP-06a")
        try:
            self._check()
        except ClaimDefinitionError as error:
            raise ClaimDefinitionError(f"{self.id}: {error}") from None

    def _check(self) -> None:
        one_of(self.kind, KINDS, "kind")
        one_of(self.decided_in, TIERS, "decided_in")
        require(bool(self.plain.strip()), "no plain statement", "say in `plain` what is claimed")
        require(len(self.families) > 0 and len(self.subjects) > 0, "no family or no subject", "list at least one of each")
        require(len(self.mutants) > 0, "no mutant", "a check that nothing can fail proves nothing: declare a plausible mistake")
        for name, items in (("family", self.families), ("subject", self.subjects)):
            names = [item.name for item in items]
            require(len(set(names)) == len(names), f"{name} names repeat: {names}", "names are unique within a claim")
        ids = [mutant.id for mutant in self.mutants]
        require(len(set(ids)) == len(ids), f"mutant ids repeat: {ids}", "ids are unique within a claim")
        require(set(self.tiers) == set(TIERS), f"budgets for {sorted(self.tiers)}", "give one Budget per tier")
        require(self.kind not in LEVELLED or bool(self.rule.levels), f"{self.kind} claim without levels", "list the deltas")
        stated = self.bound is not None or self.kind not in ("tail", "expectation", "lower")
        require(stated, f"{self.kind} claim without bound", "pass the formula under test")
        require(
            self.kind != "identity" or self.rule.budget is not None,
            "identity without float budget",
            "pass FloatBudget(k, cond, scale, why)",
        )
        missing = self.rule.bracket_miss > 0 or self.rule.instance_miss > 0
        require(
            not missing or (self.kind in ("tail", "soundness") and self.sense != "=="),
            f"brackets that may miss in a {self.kind} claim of sense {self.sense!r}",
            "only one-sided statements with a probability can pay for a miss; use brackets that are certain",
        )
        require(
            self.kind not in ("inequality", "witness") or self.sense != "==",
            f"{self.kind} claim of sense '=='",
            "an equality is an identity with a float budget",
        )
        adversarial = any(family.role == "adversarial" or family.search for family in self.families)
        require(self.tight is None or adversarial, "`tight` without adversary", "add an adversarial family")
        require(self.bound is not None or all(m.where != "bound" for m in self.mutants), "bound mutant without bound", "use where='impl'")
        self._check_parameters()
        labels = [part.label for part in self.parts()]
        for mutant in self.mutants:
            require(
                mutant.part is None or any(_glob(mutant.part, label) for label in labels),
                f"mutant {mutant.id!r}: no part matches {mutant.part!r}",
                f"parts: {labels[:6]}",
            )

    def _check_parameters(self) -> None:
        if self.bound is None:
            return
        given = set(self.bound.frozen) | ({"delta"} if self.rule.levels else set())
        for family in self.families:
            if family.build is not grid_instance:
                continue  # what a generator provides is known only when it runs; Bound.value names what is missing
            for point in family.grid:
                missing = [name for name in self.bound.params if name not in given and name not in point]
                require(not missing, f"bound parameter {missing} is not in params of family {family.name!r}", "add it to the grid points")

    @property
    def sense(self) -> Sense:
        """How the measured value relates to the other side."""
        if self.kind == "identity":
            return "=="
        return self.bound.sense if self.bound is not None else self.rule.sense

    def parts(self) -> tuple[Part, ...]:
        """List the parts in their fixed order: subject, family, grid point, level; weights of non-cheating subjects sum to 1."""
        honest = sum(subject.expected == "pass" for subject in self.subjects)
        total = sum(family.weight for family in self.families)
        levels: tuple[float | None, ...] = self.rule.levels or (None,)
        found: list[Part] = []
        for subject in self.subjects:
            for family in self.families:
                share = family.weight / total / len(family.grid) / len(levels)
                weight = share / honest if subject.expected == "pass" else share
                for index, point in enumerate(family.grid):
                    for level in levels:
                        label = _label(subject.name if len(self.subjects) > 1 else "", family.name, point, level)
                        found.append(Part(len(found), subject.name, family.name, index, level, weight, label))
        return tuple(found)


def _glob(pattern: str, label: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(label, pattern)


def _label(subject: str, family: str, point: Mapping[str, Any], level: float | None) -> str:
    inside = ",".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in point.items() if np.ndim(value) == 0
    )
    text = f"{family}({inside})" + ("" if level is None else f"@{level:g}")
    return f"{subject}:{text}" if subject else text


def as_source(source: "Source | str") -> Source:
    """Turn the shorthand ``"folklore"`` into a :class:`Source`."""
    return source if isinstance(source, Source) else Source(cast(Any, source))
