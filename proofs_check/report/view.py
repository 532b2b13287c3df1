"""From a run to what the page shows: every number is formatted here, every sentence written here, nothing is computed in the template."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proofs_check import evalues
from proofs_check.evidence import Counterexample, Evidence, MutantResult, RunResult, Slack, Verdict
from proofs_check.lints import Lint, bound_slack, lint
from proofs_check.report import words
from proofs_check.report.mathml import formula
from proofs_check.report.svg import Plot, evidence_plot, log_position, loglog_plot

__all__ = ["ClaimView", "MutantView", "PartView", "claim_views", "number", "short_slack"]

_COUNTED = frozenset({"tail", "lower", "soundness", "completeness"})
_SEQUENTIAL = frozenset({"tail", "expectation", "lower", "order", "rate", "soundness", "completeness"})
# Verdicts whose parts a reader will want to see at once.
_TROUBLE = frozenset({"REFUTED", "ERROR", "INCONCLUSIVE"})
_OPEN_PARTS = 12


@dataclass(frozen=True, slots=True)
class PartView:
    """One line of a claim's table of parts."""

    label: str
    status: str
    n: str
    failures: str
    interval: str
    ln_R: str
    ln_A: str
    slack: str
    reason: str
    track: tuple[float, float, float] | None  # per cent: ends of the interval, and the level


@dataclass(frozen=True, slots=True)
class MutantView:
    """One mistake, and who noticed it."""

    id: str
    where: str
    why: str
    status: str
    killer: str
    n: str
    reason: str
    crossed: bool
    alarming: bool
    blind: bool
    also: str


@dataclass(frozen=True, slots=True)
class ClaimView:
    """Everything that the page says about a claim."""

    id: str
    anchor: str
    title: str
    plain: str
    math: str
    system: str
    topic: str
    kind: str
    status: str
    expected: bool
    reason: str
    slack: Slack | None
    worst: str
    loose_by: str
    sequential: bool
    counted: bool
    slack_head: str
    n: int
    ln_R: float | None
    ln_A: float | None
    holm: bool | None
    bh: bool | None
    seconds: float
    caught: int
    tried: int
    mutants: tuple[MutantView, ...]
    recalled: bool
    source: str
    rule: str
    not_mean: str
    facts: tuple[tuple[str, str], ...]
    parts: tuple[PartView, ...]
    fold_parts: bool
    plot: Plot | None
    plot_caption: str
    counterexamples: tuple[Counterexample, ...]
    replay: str
    lints: tuple[Lint, ...]
    companions: tuple[str, ...]
    blind_to: tuple[str, ...]


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits; a real minus sign; a dash for nothing.

    Examples
    --------
    >>> number(0.012345), number(-3.0), number(1234567.0), number(None)
    ('0.0123', '−3.00', '1.23e6', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size == 0.0:
        return "0"
    if size >= 10.0**digits * 10 or size < 1e-3:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{value:.{max(digits - 1 - math.floor(math.log10(size)), 0)}f}"
    return text.replace("-", "−")


def short_slack(value: float | None) -> str:
    """Three decimals, so that a column of ratios lines up; powers of ten for what would vanish.

    Examples
    --------
    >>> short_slack(0.98765), short_slack(2e-7)
    ('0.988', '2e−7')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    if 0.0 < abs(value) < 5e-4:
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    return (f"{value:.3f}" if value < 100 else f"{value:.3g}").replace("-", "−")


def claim_views(result: RunResult) -> tuple[ClaimView, ...]:
    """Prepare every claim of a run, in its order.

    Parameters
    ----------
    result : RunResult

    Returns
    -------
    tuple of ClaimView
    """
    evidence = {v.claim: _log_R(v) for v in result.verdicts}
    logs = [value for value in evidence.values() if value is not None]
    tested = [claim for claim, value in evidence.items() if value is not None]
    holm = dict(zip(tested, evalues.e_holm(logs, 1e-3).tolist(), strict=True)) if tested else {}
    bh = dict(zip(tested, evalues.e_bh(logs, 1e-3).tolist(), strict=True)) if tested else {}
    return tuple(
        _claim(
            result,
            verdict,
            result.summaries.get(verdict.claim, {}),
            evidence[verdict.claim],
            holm.get(verdict.claim),
            bh.get(verdict.claim),
        )
        for verdict in result.verdicts
    )


def slack_axis(claims: Sequence[ClaimView]) -> tuple[float, float]:
    """Choose the ends of the logarithmic axis that all slack bars share: round numbers, one inside, three decades at most."""
    values = [v for c in claims if c.slack for v in (c.slack.best, c.slack.worst) if v > 0 and math.isfinite(v)]
    low = max(min([0.5, *values]), 1e-3)
    decade = 10.0 ** math.floor(math.log10(low))
    return max(m * decade for m in (1, 2, 5) if m * decade <= low), max(2.0, min(max([1.0, *values]) * 1.1, 100.0))


def place(claims: Sequence[ClaimView], axis: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """Position of every slack bar on the axis, in per cent: from best to worst."""
    return {c.id: (log_position(max(c.slack.best, 0.0), *axis), log_position(max(c.slack.worst, 0.0), *axis)) for c in claims if c.slack}


# ---------------------------------------------------------------------------------------------------------------------- one claim


def _claim(
    result: RunResult, verdict: Verdict, summary: Mapping[str, Any], ln_R: float | None, holm: bool | None, bh: bool | None
) -> ClaimView:
    kind = str(summary.get("kind", ""))
    slack = bound_slack(verdict, summary)
    source = summary.get("source", {})
    ran = [m for m in verdict.mutants if m.status not in ("blind", "not run")]
    plot, caption = _plot(verdict, summary)
    system = str(summary.get("system", "")) or "other"
    return ClaimView(
        id=verdict.claim,
        anchor=f"claim-{verdict.claim}",
        title=str(summary.get("title") or verdict.claim),
        plain=_sentence(str(summary.get("plain", ""))),
        math=formula(str(summary.get("tex", ""))),
        system=system,
        topic=str(summary.get("topic", system)).split("/")[-1].replace("_", " "),
        kind=kind,
        status=verdict.status,
        expected=verdict.expected,
        reason=verdict.reason,
        slack=slack,
        worst=short_slack(slack.worst) if slack else "–",
        loose_by=_loose_by(slack, verdict.status),
        sequential=kind in _SEQUENTIAL,
        counted=kind in _COUNTED,
        slack_head=_slack_head(kind, summary),
        n=verdict.n or sum(part.n for part in verdict.parts),
        ln_R=ln_R,
        ln_A=min((e.ln_A for e in verdict.parts if e.ln_A is not None), default=None) if kind in _SEQUENTIAL else None,
        holm=holm,
        bh=bh,
        seconds=verdict.seconds,
        caught=sum(m.status in ("killed", "equivalent") for m in ran),
        tried=len(ran),
        mutants=tuple(_mutant(m) for m in verdict.mutants),
        recalled=bool(source.get("recalled", False)),
        source=words.source(source),
        rule=words.rule(kind, summary),
        not_mean=words.not_mean(verdict.status, kind, summary),
        facts=_facts(result, verdict, summary, slack),
        parts=tuple(_part(part, kind) for part in verdict.parts),
        fold_parts=verdict.status not in _TROUBLE or len(verdict.parts) > _OPEN_PARTS,
        plot=plot,
        plot_caption=caption,
        counterexamples=verdict.counterexamples,
        replay=f"python -m proofs_check run {verdict.claim} --tier {verdict.tier} --root {result.root}",
        lints=lint(verdict, summary),
        companions=tuple(summary.get("companions", ())),
        blind_to=tuple(summary.get("blind_to", ())),
    )


def _log_R(verdict: Verdict) -> float | None:
    """Evidence against the claim: the mixture over its parts, each weighted as in the run."""
    parts = [part for part in verdict.parts if part.ln_R is not None and part.part.weight > 0]
    if not parts:
        return None
    total = math.fsum(part.part.weight for part in parts)
    return evalues.log_average([float(part.ln_R or 0.0) for part in parts], [part.part.weight / max(total, 1.0) for part in parts])


def _sentence(text: str) -> str:
    text = text.strip()
    # A capital begins a word, never a symbol such as "n" or "x_i".
    first = text.split(maxsplit=1)[0] if text else ""
    if len(first) > 1 and first.isalpha():
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else text + "."


def _slack_head(kind: str, summary: Mapping[str, Any]) -> str:
    if kind == "identity":
        return "Residual / budget"
    return "Standard errors" if kind in ("tail", "expectation") and summary.get("sense") == "==" else "Slack"


def _loose_by(slack: Slack | None, status: str) -> str:
    # Beyond one by rounding only, a bound that was not refuted is tight, not violated.
    if slack is None or slack.worst <= 0:
        return "–"
    if slack.worst > 1 and status == "REFUTED":
        return "violated"
    return f"{1 / slack.worst:.2f} ×" if slack.worst > 0.01 else f"{1 / slack.worst:.0f} ×"


def _mutant(mutant: MutantResult) -> MutantView:
    alarming = (mutant.status == "survived" and mutant.expected_dead) or mutant.status == "error"
    return MutantView(
        id=mutant.id,
        where=words.WHERE.get(mutant.where, mutant.where),
        why=mutant.why,
        status=mutant.status,
        killer=mutant.killer or (mutant.claim if mutant.status == "killed" else ""),
        n=f"{mutant.n:,}" if mutant.n else "–",
        reason=mutant.reason,
        crossed=mutant.status == "killed" and mutant.killer not in ("", mutant.claim),
        alarming=alarming,
        blind=mutant.status == "blind",
        also=", ".join(mutant.also),
    )


def _part(part: Evidence, kind: str) -> PartView:
    unresolved = "" if part.k_hi == part.k_lo else f"–{part.k_hi:,}"
    failures = f"{part.k_lo:,}{unresolved}" if part.n else "–"
    track = None
    if kind in _COUNTED and part.interval is not None and part.part.level is not None:
        # Square roots spread the small probabilities that matter without hiding zero.
        low, high, level = (round(100.0 * math.sqrt(p), 2) for p in (*part.interval, part.part.level))
        track = (low, high, level)
    return PartView(
        label=part.part.label,
        status=part.status,
        n=f"{part.n:,}",
        failures=failures + (f" + {part.void:,} void" if part.void else ""),
        interval="–" if part.interval is None else f"{part.interval[0]:.3f}–{part.interval[1]:.3f}",
        ln_R=_signed(part.ln_R),
        ln_A=_signed(part.ln_A),
        slack=short_slack(part.slack.worst if part.slack else None),
        reason=part.reason,
        track=track,
    )


def _signed(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.1f}".replace("-", "−")


def _facts(result: RunResult, verdict: Verdict, summary: Mapping[str, Any], slack: Slack | None) -> tuple[tuple[str, str], ...]:
    facts = [("kind", str(summary.get("kind", "–"))), ("trials", f"{verdict.n or sum(p.n for p in verdict.parts):,}")]
    if summary.get("levels"):
        facts.append(("δ", ", ".join(f"{level:g}" for level in summary["levels"])))
    if slack is not None:
        named = (("worst", slack.worst), ("median", slack.median), ("best", slack.best))
        values = ", ".join(f"{name} {short_slack(value)}" for name, value in named)
        facts.append(("slack", values + (", worst case found by search" if slack.searched else "")))
    if summary.get("families"):
        facts.append(("families", ", ".join(_family(f) for f in summary["families"])))
    facts.append(("source", words.source(summary.get("source", {}))))
    facts.append(("seconds", f"{verdict.seconds:.2f}"))
    if verdict.tier != summary.get("decided_in", verdict.tier):
        facts.append(("decided in", f"the {summary['decided_in']} tier"))
    return tuple(facts)


def _family(family: Mapping[str, Any]) -> str:
    name, role = str(family["name"]), str(family["role"])
    return name if name == role else f"{name} ({role})"


def _plot(verdict: Verdict, summary: Mapping[str, Any]) -> tuple[Plot | None, str]:
    for part in verdict.parts:
        if part.guards.get("medians"):
            drawn = loglog_plot(part.guards["sizes"], part.guards["medians"], None)
            slope = part.guards.get("slope")
            interval = part.guards.get("slope_interval", (math.nan, math.nan))
            curvature = part.guards.get("curvature", (math.nan, math.nan))
            text = f"Median slope {number(slope)} (99 % interval of the mean {number(interval[0])} to {number(interval[1])}); "
            return drawn, text + f"curvature {number(curvature[0])} to {number(curvature[1])}. {part.part.label}"
    candidates = [part for part in verdict.parts if part.path and part.ln_R is not None]
    if not candidates:
        return None, ""
    if verdict.status == "REFUTED":
        shown, word = max(candidates, key=lambda part: part.ln_R or 0.0), "the part that speaks loudest against the claim"
    else:
        shown, word = max(candidates, key=lambda part: (part.n, part.ln_R or 0.0)), "the part that took longest"
    if len(candidates) == 1:
        word = "the only part"
    drawn = evidence_plot(shown.path, float(summary.get("alpha_R", 1e-6)), float(summary.get("alpha_A", 1e-3)))
    return drawn, f"Orange: against the claim. Blue: against “false by the margin”. Shown for {shown.part.label}, {word}."
