"""How long will it take?  Trials from the exact boundaries of the rules, seconds from the newest run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from proofs_check import evalues
from proofs_check.evidence import TIERS, Evidence, RunResult, Tier, Verdict
from proofs_check.rules import TIER_ODDS

__all__ = ["QUICK_SECONDS", "Plan", "plan"]

#: A claim that takes longer with its quick mutants belongs to a larger tier, or needs smaller instances.
QUICK_SECONDS = 4.0
_HORIZON = 20_032  # boundaries beyond are extrapolated by the budget: nothing larger is tabulated for a plan


@dataclass(frozen=True, slots=True)
class Plan:
    """Predicted cost of one claim; ``seconds`` is None where no run says what a trial costs."""

    claim: str
    tier: Tier
    trials: int
    seconds: float | None
    mutant_seconds: float | None
    why: str

    @property
    def too_slow(self) -> bool:
        """Whether the quick tier should refuse it."""
        return self.tier == "quick" and self.seconds is not None and self.seconds > QUICK_SECONDS

    def line(self) -> str:
        """One line for a person."""
        cost = "unknown" if self.seconds is None else f"{self.seconds:8.2f} s, of it mutants {self.mutant_seconds:.2f} s"
        return f"{self.claim:<8} {self.trials:>12,} trials  {cost}  {self.why}{'  TOO SLOW' if self.too_slow else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"too_slow": self.too_slow}


def plan(summaries: Sequence[Mapping[str, Any]], last: RunResult, tier: Tier) -> list[Plan]:
    """Predict what a run costs.

    Parameters
    ----------
    summaries : sequence of mapping
        Claims, as :func:`proofs_check.catalogue.describe` writes them.
    last : RunResult
        A finished run: failures per part, and seconds per trial.
    tier : {"quick", "full", "nightly"}
        Tier to predict.

    Returns
    -------
    list of Plan
        In the order of the claims.
    """
    known = {verdict.claim: verdict for verdict in last.verdicts}
    return [_plan(summary, known.get(summary["id"]), last.tier, tier) for summary in summaries]


def _plan(summary: Mapping[str, Any], verdict: Verdict | None, seen: Tier, tier: Tier) -> Plan:
    budget = int(summary["trials"][tier])
    if verdict is None or not verdict.parts or not verdict.n:
        return Plan(summary["id"], tier, budget * int(summary["parts"]), None, None, "not in the newest run; the whole budget is assumed")
    spent = sum(mutant.seconds for mutant in verdict.mutants)
    if tier == seen:  # the same seeds: the same trials, unless the code changed
        return Plan(summary["id"], tier, verdict.n, verdict.seconds, spent, f"as in the newest {seen} run")
    counted = summary["kind"] in ("tail", "soundness", "completeness") and summary["sense"] != "=="
    single = {family["name"] for family in summary["families"] if family["role"] in ("enumeration", "real")}
    deterministic = summary["kind"] in ("inequality", "identity", "witness")
    trials = 0
    for part in verdict.parts:
        if counted and part.part.level is not None:
            trials += _until_accepted(part, tier, budget)
        else:
            trials += 1 if deterministic and part.part.family in single else budget
    factor = trials / verdict.n
    # A mutant stops at its refutation, which needs no more trials in a larger tier; deterministic ones spend their whole budget.
    mutants = spent * (factor if deterministic and TIERS.index(tier) > TIERS.index(seen) else 1.0)
    own = max(verdict.seconds - spent, 0.0) * factor
    how = "from the counts of failures" if counted else "from the budget"
    return Plan(summary["id"], tier, trials, own + mutants, mutants, f"trials {how}, seconds per trial from the {seen} run")


def _until_accepted(part: Evidence, tier: Tier, budget: int) -> int:
    """Return the first look at which the observed share of failures is accepted, or the budget."""
    p0 = float(part.part.level or 0.5)
    table = evalues.boundary(p0, evalues.odds_margin(p0, TIER_ODDS[tier]), min(budget, _HORIZON), step=64)
    share = part.k_hi / max(part.n, 1)
    reached = np.flatnonzero(table.k_accept >= np.ceil(share * table.looks))
    return int(table.looks[reached[0]]) if reached.size else budget
