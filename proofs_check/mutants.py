"""Mutants: plausible mistakes injected into a claim, run under the same seeds, and the question whether anybody noticed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any, cast

from proofs_check.model import Bound, Claim, ClaimDefinitionError, Instance, Mutant, MutantResult, MutantStatus, Part, Status, Subject, Tier

RELATIVE = "relative"
"""Generated mutant of an identity: its right-hand side is off by a millionth. Iterations that stop earlier cannot see it."""


@dataclass(frozen=True, slots=True)
class Injection:
    """What a block works with: bound, implementation and world, each original or replaced."""

    bound: Bound | None
    impl: SimpleNamespace
    world: Callable[[Instance], Instance] | None


def inject(claim: Claim, subject: Subject, mutant: Mutant | None) -> Injection:
    """Return the pieces of a claim with one of them replaced; nothing global is touched, so that threads do not meet.

    Raises
    ------
    ClaimDefinitionError
        The mutant replaces what the claim does not have.
    """
    if mutant is None or mutant.where == "claim":
        return Injection(claim.bound, SimpleNamespace(**subject.impl), None)
    if mutant.where == "impl":
        return Injection(claim.bound, SimpleNamespace(**_mutated(claim, subject.impl, mutant)), None)
    make = cast(Callable[[Any], Any], mutant.make)
    if mutant.where == "env":
        return Injection(claim.bound, SimpleNamespace(**subject.impl), make)
    if claim.bound is None:
        raise ClaimDefinitionError(f"{claim.id}: mutant {mutant.id!r} replaces a bound, but the claim has none")
    return Injection(replace(claim.bound, fn=make(claim.bound.fn), exact=None), SimpleNamespace(**subject.impl), None)


def _mutated(claim: Claim, impl: Mapping[str, Any], mutant: Mutant) -> dict[str, Any]:
    if callable(mutant.make):
        return dict(mutant.make(dict(impl)))
    missing = [name for name in mutant.make if name not in impl]
    if missing:
        raise ClaimDefinitionError(f"{claim.id}: mutant {mutant.id!r} replaces {missing}, but impl holds {sorted(impl)}")
    return {name: mutant.make[name](value) if name in mutant.make else value for name, value in impl.items()}


def mutant_parts(claim: Claim, mutant: Mutant, tier: Tier) -> tuple[Part, ...]:
    """Return the parts on which a mutant runs: in the quick tier only its declared killer part, with that part's ordinary weight."""
    parts = tuple(part for part in claim.parts() if _is_honest(claim, part.subject))
    if mutant.part is None or (tier != "quick" and not mutant.generated):
        return parts
    glob = mutant.part
    return tuple(part for part in parts if fnmatchcase(part.label.replace(".worst(", "(", 1), glob)) or parts  # found instances go along


def _is_honest(claim: Claim, name: str) -> bool:
    return any(subject.name == name and subject.expected == "pass" for subject in claim.subjects)


def killers(claim: Claim, mutant: Mutant) -> tuple[str, ...]:
    """Return the claims that may catch a mutant, in the order in which they are asked: declared ones, or the owner and its companions."""
    if mutant.killers:
        return mutant.killers
    if mutant.where == "claim":
        return (claim.id,)
    return (claim.id,) if mutant.where == "bound" else (claim.id, *claim.companions)


def changed(claim: Claim, mutant: Mutant | None) -> Claim:
    """Return the claim that a mistake of a whole claim makes of it."""
    if mutant is None or mutant.where != "claim":
        return claim
    return cast(Callable[[Claim], Claim], mutant.make)(claim)


def wanted(mutant: Mutant, tier: Tier, which: str) -> bool:
    """Tell whether a declared mutant runs: under "auto" quick ones in the quick tier, all in larger ones."""
    if which == "auto":
        return mutant.quick or tier != "quick"
    return which in ("all", "generated") or (which == "quick" and mutant.quick)


def judge(claim: Claim, mutant: Mutant, runs: Mapping[str, tuple[Status, str, int]], *, decided: bool) -> MutantResult:
    """Turn the verdicts of the killers into the fate of a mutant.

    Parameters
    ----------
    claim, mutant : Claim, Mutant
        Owner and mutant.
    runs : mapping
        Killer id -> (status, reason, trials); empty when the mutant did not run.
    decided : bool
        Whether this tier is large enough to decide the claim, so that a survivor is a failure.
    """
    status, killer, reason = _fate(mutant, runs)
    trials = sum(n for _, _, n in runs.values())
    also = tuple(name for name, (fate, _, _) in runs.items() if fate == "REFUTED" and name != killer)
    return MutantResult(
        mutant.id, claim.id, mutant.where, status, mutant.why, killer, decided, trials, reason, generated=mutant.generated, also=also
    )


def _fate(mutant: Mutant, runs: Mapping[str, tuple[Status, str, int]]) -> tuple[MutantStatus, str, str]:
    if not runs:
        return "not run", "", ""
    killed = next((killer for killer, (status, _, _) in runs.items() if status == "REFUTED"), "")
    raised = next((killer for killer, (status, _, _) in runs.items() if status == "ERROR"), "")
    if mutant.equivalent is not None:
        if killed:
            return "survived", killed, f"declared equivalent, yet refuted: {runs[killed][1]}"
        return "equivalent", "", mutant.equivalent.text
    if killed:
        return "killed", killed, runs[killed][1]
    if raised:
        return ("killed" if mutant.may_raise else "error"), raised, runs[raised][1]
    last = list(runs)[-1]
    if mutant.generated and mutant.id == RELATIVE:
        return "blind", "", f"a millionth is within the rounding that the claim grants ({runs[last][0]}, {runs[last][1]})"
    return "survived", "", f"{last}: {runs[last][0]}, {runs[last][1]}"
