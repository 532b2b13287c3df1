"""Sentences of the report: what a verdict means, what it does not mean, and how it was reached."""

from collections.abc import Mapping
from typing import Any

from proofs_check.evidence import Status

__all__ = ["LINTS", "MEANING", "MUTANT_WORDS", "ORDER", "SYSTEMS", "WHERE", "not_mean", "rule", "source", "system_name"]

#: Order in which verdicts are shown: what needs a reader first is counted last in a run without trouble.
ORDER: tuple[Status, ...] = ("VERIFIED", "SURVIVED", "INCONCLUSIVE", "REFUTED", "ERROR", "UNAVAILABLE")

MEANING: Mapping[str, str] = {
    "VERIFIED": "proved on the listed cases by enumeration or exact arithmetic, or accepted by a test with known error",
    "SURVIVED": "a declared search did not break a universal statement",
    "INCONCLUSIVE": "the budget was spent, or a guard had no power, before anything was decided",
    "REFUTED": "a stored counterexample, or evidence that a true claim produces at most once in a million runs",
    "ERROR": "the check itself failed: an exception, an unrepeatable result, an invalid bracket",
    "UNAVAILABLE": "data that the claim needs are not installed",
}

MUTANT_WORDS: Mapping[str, str] = {
    "killed": "noticed",
    "survived": "not noticed",
    "equivalent": "provably the same",
    "error": "could not run",
    "blind": "beyond what trials can see",
    "not run": "not run in this tier",
}

WHERE: Mapping[str, str] = {"bound": "formula", "impl": "code", "env": "data", "claim": "statement"}

SYSTEMS: Mapping[str, str] = {
    "lp_embeddings": "lp embeddings",
    "testable_halfspaces": "testable halfspaces",
    "misspecified_bandits": "misspecified bandits",
    "latent_label_shift": "latent label shift",
    "active_multitask": "active multi-task learning",
    "supervised_dictionary": "supervised dictionary learning",
}


LINTS: Mapping[str, str] = {
    "PC-LOOSE": "The bound is looser than 4/3 in its worst case and has no sharp companion: a formula too small by that much would pass.",
    "PC-TOOTHLESS": "Mistakes were planted, and none was noticed by this claim: sharpen it or drop it.",
}


def system_name(system: str) -> str:
    """Spell the name of a system as a reader would."""
    return SYSTEMS.get(system, system.replace("_", " "))


def source(entry: Mapping[str, Any]) -> str:
    """Say where a statement comes from.

    Examples
    --------
    >>> source({"origin": "paper", "reference": "Cohen and Peng 2015", "recalled": True})
    'Cohen and Peng 2015 (recalled, not re-checked)'
    """
    origin = str(entry.get("origin", ""))
    text = str(entry.get("reference") or {"derived": "derived in this project", "folklore": "folklore"}.get(origin, origin or "not stated"))
    return text + (" (recalled, not re-checked)" if entry.get("recalled") else "")


def rule(kind: str, summary: Mapping[str, Any]) -> str:
    """Say in one or two sentences how a claim of this kind is judged."""
    refute = f"{1 / float(summary.get('alpha_R', 1e-6)):,.0f}"
    accept = f"{1 / float(summary.get('alpha_A', 1e-3)):,.0f}"
    crossing = (
        f"Refuted when the evidence against the claim, averaged over the parts, reaches {refute}; accepted when on every part the evidence "
        f"against “false by the margin” reaches {accept}. Both may be read after every block without losing their error guarantee."
    )
    texts = {
        "tail": crossing,
        "soundness": "A failure is an accepted object whose true error exceeds the claimed one, counted over all families. " + crossing,
        "completeness": "A failure is a rejected object that should have been accepted. " + crossing,
        "expectation": "Sixteen fixed bets against the mean, averaged. " + crossing,
        "lower": f"Refuted when some learner succeeds more often than the bound allows, at evidence {refute}. "
        "A finite set of learners never proves a lower bound.",
        "order": "One sign per seed, ties against the claim; a statement about the median difference. " + crossing,
        "rate": "One sign of the fitted slope per repetition; a statement about the median slope over the window shown, with guards "
        "against curvature and dependence on the smallest size. " + crossing,
        "inequality": "Every trial must respect the bound up to a declared rounding budget. An excess is evaluated again in finer "
        "precision: rounding shrinks, a violation stays. One violation refutes.",
        "identity": "Both sides must agree up to a declared rounding budget. An excess is evaluated again in finer precision: rounding "
        "shrinks, a difference stays. One difference refutes.",
        "witness": "One instance with the stated property, checked again, proves the statement.",
    }
    return texts.get(kind, "")


def not_mean(status: str, kind: str, summary: Mapping[str, Any]) -> str:
    """Say what a reader must not conclude."""
    if status == "VERIFIED":
        return _not_verified(kind, summary)
    if status == "SURVIVED":
        return (
            "This is not a proof. Nothing was found on the families and budgets listed here; a counterexample elsewhere, or a violation "
            "rarer than the number of trials can show, remains possible."
        )
    if status == "REFUTED":
        return (
            "This does not say which side is wrong: the statement, the formula in the code, the implementation or the measurement. "
            f"A true claim meets this verdict with probability at most {_small(summary.get('alpha_R', 1e-6))}"
            + (" for random claims; a confirmed violation of a deterministic one is a fact." if kind in ("inequality", "identity") else ".")
        )
    if status == "INCONCLUSIVE":
        return "Neither “true” nor “false”: the run does not speak for the claim, and not against it. A larger tier may decide."
    if status == "UNAVAILABLE":
        return "Nothing was checked. The claim may be true or false."
    return "Nothing about the claim itself: the check failed before it could judge."


def _not_verified(kind: str, summary: Mapping[str, Any]) -> str:
    alpha = _small(summary.get("alpha_A", 1e-3))
    if kind in ("tail", "soundness", "completeness"):
        return (
            "Not that the failure probability is at most δ, and nothing about instances that are not listed. It means: had the bound "
            "failed, on some listed part, as often as the margin says or more, this run would have been accepted with probability at "
            f"most {alpha}."
        )
    if kind == "rate":
        return "Nothing about sizes outside the window: no finite window excludes a later change of slope."
    if kind in ("order", "expectation"):
        return (
            "Nothing about instances that are not listed. Had the statement been false by the margin, acceptance had probability at most "
            f"{alpha}."
        )
    return "Nothing beyond the cases listed: they were checked completely, others were not."


def _small(value: Any) -> str:
    """Write an error probability as people say it: one in a million."""
    return f"1 in {1 / float(value):,.0f}"
