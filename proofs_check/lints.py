"""Warnings about claims that pass but could not have failed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from proofs_check.evidence import Slack, Verdict

__all__ = ["LOOSE_BELOW", "Lint", "bound_slack", "lint", "lint_all"]

#: A bound scaled by f is visible to trials only if f is below the worst slack; below this a factor of 4/3 goes unnoticed.
LOOSE_BELOW = 0.75

_BOUND_KINDS = frozenset({"inequality", "tail", "expectation", "soundness"})


@dataclass(frozen=True, slots=True)
class Lint:
    """A warning: its code, the claim and a sentence with the remedy."""

    code: str
    claim: str
    text: str


def bound_slack(verdict: Verdict, summary: Mapping[str, Any]) -> Slack | None:
    """Slack of a claim in the sense of "how loose is the bound", over all its parts.

    Identities (residual over tolerance), exact laws (standard errors), orderings and rates have none; nor have events, which happen or do
    not, and whose quantile at the claimed probability is 0.

    Parameters
    ----------
    verdict : Verdict
    summary : mapping
        The claim's description.

    Returns
    -------
    Slack or None
        Worst: the largest over the parts; best: the smallest; median: the middle one.
    """
    kind = summary.get("kind")
    if kind not in _BOUND_KINDS or (kind in ("tail", "expectation") and summary.get("sense") == "=="):
        return None
    found = [part.slack for part in verdict.parts if part.slack is not None]
    if not found:
        return None
    worst = max(found, key=lambda slack: slack.worst)
    if kind == "tail" and worst.worst == 0.0:
        return None
    middle = sorted(slack.median for slack in found)[len(found) // 2]
    return Slack(worst.worst, middle, min(slack.best for slack in found), any(slack.searched for slack in found), worst.interval)


def lint(verdict: Verdict, summary: Mapping[str, Any]) -> tuple[Lint, ...]:
    """Warn about one claim.

    Parameters
    ----------
    verdict : Verdict
    summary : mapping
        The claim's description; ``companions`` silence PC-LOOSE.

    Returns
    -------
    tuple of Lint
        ``PC-LOOSE``: worst slack below .75 without a sharp companion. ``PC-TOOTHLESS``: mutants ran, and none was killed by this claim.
    """
    found = []
    slack = bound_slack(verdict, summary)
    if slack is not None and 0.0 <= slack.worst < LOOSE_BELOW and not summary.get("companions"):
        blind = f"a formula too small by a factor {1 / max(slack.worst, 1e-300):.3g} would pass"
        text = f"worst slack {slack.worst:.3g}: {blind}; add a sharp companion"
        found.append(Lint("PC-LOOSE", verdict.claim, text))
    ran = [mutant for mutant in verdict.mutants if mutant.status in ("killed", "survived")]
    if ran and not any(mutant.status == "killed" and mutant.killer in ("", verdict.claim) for mutant in ran):
        found.append(Lint("PC-TOOTHLESS", verdict.claim, f"none of {len(ran)} mistakes was noticed by this claim; sharpen it or drop it"))
    return tuple(found)


def lint_all(verdicts: Iterable[Verdict], summaries: Mapping[str, Mapping[str, Any]]) -> tuple[Lint, ...]:
    """Warn about all claims of a run, in its order."""
    return tuple(found for verdict in verdicts for found in lint(verdict, summaries.get(verdict.claim, {})))
