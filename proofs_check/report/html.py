"""The page: one file that needs nothing else, neither a server nor a network nor a script."""

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proofs_check.evidence import RunResult, Status
from proofs_check.lints import Lint, lint_all
from proofs_check.report import words
from proofs_check.report.reliability import reliability
from proofs_check.report.svg import inline_svg, log_position, power_plot, ticks_log
from proofs_check.report.view import ClaimView, claim_views, number, place, short_slack, slack_axis
from proofs_check.rules import TIER_ODDS

if TYPE_CHECKING:
    from proofs_check.calibration import Calibration

__all__ = ["render"]

# Budgets of one part; beyond 4,992 trials the exact law costs more than it tells.
_TRIALS = {"quick": 1536, "full": 4992, "nightly": 4992}
_TEMPLATES = Path(__file__).parent / "templates"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="none" '
    'stroke="#0072B2" stroke-width="2"/><path d="M8 2a6 6 0 0 0 0 12z" fill="#0072B2"/></svg>'
)


@dataclass(frozen=True, slots=True)
class Group:
    """A heading and what stands below it."""

    name: str
    rows: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, cleaned for the page."""

    anchor: str
    title: str
    svg: str
    caption: str
    provenance: str
    data: str
    least: int  # CSS pixels below which its words could not be read: the box scrolls instead


def render(
    result: RunResult,
    figures: Sequence[Mapping[str, Any]] = (),
    *,
    title: str = "Proof check",
    sections: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (),
    calibration: "Calibration | None" = None,
) -> str:
    """Render the report.

    Parameters
    ----------
    result : RunResult
        What was checked.
    figures : sequence of mapping
        Keys ``system, topic, name, title, svg, alt, caption, provenance, data``.
    title : str, default="Proof check"
        Title of the browser tab.
    sections : sequence of (str, sequence of (str, str))
        Further facts under "This run": a heading and name-value pairs each.
    calibration : Calibration, optional
        Result of :func:`proofs_check.calibration.calibrate`, shown as "The judge on trial".

    Returns
    -------
    str
        An HTML document.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = (_TEMPLATES / "script.js").read_text(encoding="utf-8")
    claims = claim_views(result)
    context = {
        "title": title,
        "css": (_TEMPLATES / "style.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "favicon": "data:image/svg+xml;base64," + base64.b64encode(_ICON.encode()).decode(),
        "number": number,
        "slack": short_slack,
        "signed": lambda value: "–" if value is None or math.isnan(value) else f"{value:.1f}".replace("-", "−"),
        "order": {
            status: index for index, status in enumerate(("REFUTED", "ERROR", "UNAVAILABLE", "INCONCLUSIVE", "SURVIVED", "VERIFIED"))
        },
        "mutant_words": words.MUTANT_WORDS,
        "claims": claims,
        "claim_groups": _by_system(claims),
        "systems": [(system, words.system_name(system)) for system in _unique(c.system for c in claims)],
        "kinds": sorted({c.kind for c in claims if c.kind}),
        "any_recalled": any(c.recalled for c in claims),
        "unavailable": [c for c in claims if c.status == "UNAVAILABLE"],
        "notes": result.notes,
        "lints": _lints(result),
        "sections": sections,
        "provenance": _provenance(result),
        **_reliability(result),
        **_calibration(calibration),
        "figures": _figures(figures),
        **_head(result, claims),
        **_slack_chart(claims),
        **_mutants(claims),
    }
    return environment.get_template("report.html.j2").render(context)


def _head(result: RunResult, claims: Sequence[ClaimView]) -> dict[str, Any]:
    counts = result.counts
    known = dict(result.provenance)
    when = str(known.get("started", "")).replace("T", " ").replace("Z", " UTC")
    bounds = [c for c in claims if c.slack is not None and 0.0 < c.slack.worst < math.inf and c.status != "REFUTED"]
    tightest = max(bounds, key=lambda c: c.slack.worst if c.slack else 0.0, default=None)
    loosest = min(bounds, key=lambda c: c.slack.worst if c.slack else 0.0, default=None)
    budget_R = math.fsum(float(s.get("alpha_R", 1e-6)) for s in result.summaries.values())
    escape = 1.0 - math.prod(1.0 - float(s.get("alpha_A", 1e-3)) for s in result.summaries.values())
    first = next((c for c in claims if c.status == "REFUTED"), claims[0] if claims else None)
    return {
        "eyebrow": " · ".join(
            filter(None, ["proofs_check", f"{result.tier} tier", f"root {result.root}", when, f"exit code {result.exit_code}"])
        ),
        "headline": _headline(claims, counts),
        "lead": _lead(result, claims),
        "tally": [(status, counts[status], words.MEANING[status]) for status in words.ORDER],
        "tightest": tightest,
        "tightest_note": _ratio_note(tightest),
        "loosest": loosest if loosest is not tightest else None,
        "loosest_note": _ratio_note(loosest),
        "budget_R": f"≤ {number(budget_R, 2)}",
        "budget_A_note": f"If all {len(claims)} were false by their margins, some would be accepted with probability ≤ {escape:.2g}.",
        "rerun": f"python -m proofs_check run {first.id} --tier {result.tier} --root {result.root}"
        if first
        else "python -m proofs_check list",
    }


def _headline(claims: Sequence[ClaimView], counts: Mapping[Status, int]) -> str:
    total = f"{len(claims)} claim{'' if len(claims) == 1 else 's'} on trial"
    trouble: tuple[tuple[Status, str], ...] = (("REFUTED", "refuted"), ("ERROR", "in error"))
    parts = [f"{counts[status]} {said}" for status, said in trouble if counts[status]]
    return f"{total}: {', '.join(parts)}" if parts else f"{total}: none refuted"


def _lead(result: RunResult, claims: Sequence[ClaimView]) -> str:
    systems = [words.system_name(s) for s in _unique(c.system for c in claims)]
    about = systems[0] if len(systems) == 1 else f"{len(systems)} systems" if systems else "nothing"
    undecided = [c for c in claims if c.status in ("INCONCLUSIVE", "UNAVAILABLE")]
    by_design = sum(c.expected for c in undecided)
    text = f"Theorems, formulas and code of {about}, tried in {result.seconds:,.0f} seconds."
    if result.interrupted:
        text += " The run was interrupted; what was finished is shown."
    if by_design:
        text += f" {by_design} of the {len(undecided)} undecided claims need a larger tier by design."
    return text


def _ratio_note(claim: ClaimView | None) -> str:
    if claim is None or claim.slack is None:
        return ""
    worst = claim.slack.worst
    return "measured equals promised in the worst case" if worst > 0.995 else f"promises {1 / worst:.3g} times what was measured"


def _slack_chart(claims: Sequence[ClaimView]) -> dict[str, Any]:
    shown = [c for c in claims if c.slack is not None and math.isfinite(c.slack.worst)]
    axis = slack_axis(shown)
    places = place(shown, axis)
    groups = [
        Group(group.name, [(c, *places[c.id]) for c in sorted(group.rows, key=lambda c: -c.slack.worst if c.slack else 0.0)])
        for group in _by_system(shown)
    ]
    missing = len(claims) - len(shown)
    kinds = _listed(sorted({c.kind for c in claims if c.slack is None and c.kind}))
    without = f"{missing} claims have no slack in this sense ({kinds})." if missing and shown and kinds else ""
    return {
        "slack_groups": groups,
        "axis_ticks": [(log_position(t, *axis), f"{t:g}") for t in ticks_log(*axis) if log_position(t, *axis) < 97 or t == 1.0],
        "one": log_position(1.0, *axis),
        "without_slack": without,
    }


def _mutants(claims: Sequence[ClaimView]) -> dict[str, Any]:
    with_mutants = [c for c in claims if c.mutants]
    survivors = [(c, m) for c in claims for m in c.mutants if m.alarming and m.status == "survived"]
    tried = sum(c.tried for c in claims)
    return {
        "mutant_groups": _by_system(with_mutants),
        "survivors": survivors,
        "any_blind": any(m.blind for c in claims for m in c.mutants),
        "any_crossed": any(m.crossed for c in claims for m in c.mutants),
        "caught": sum(c.caught for c in claims),
        "tried": tried,
        "survivors_note": f"{len(survivors)} went unnoticed" if survivors else "none went unnoticed" if tried else "none were planted",
    }


def _lints(result: RunResult) -> list[tuple[str, str, list[Lint]]]:
    """Group warnings by their code."""
    found = lint_all(result.verdicts, result.summaries)
    return [(code, text, [f for f in found if f.code == code]) for code, text in words.LINTS.items() if any(f.code == code for f in found)]


def _reliability(result: RunResult) -> dict[str, Any]:
    """Error rates and power of the counting rule at the levels of this run."""
    levels = sorted({float(level) for summary in result.summaries.values() for level in summary.get("levels", ())}, reverse=True)
    trials = _TRIALS[result.tier]
    return {"reliability": reliability(levels[:8], odds=TIER_ODDS[result.tier], trials=trials), "reliability_trials": trials}


def _calibration(found: "Calibration | None") -> dict[str, Any]:
    if found is None:
        return {"calibration": None}
    lines = [
        f"Betting on {s.name}: a share of {number(s.error, 2)} of {s.paths:,} true statements refuted at a nominal {s.nominal:g}."
        for s in found.betting
    ]
    lines += [
        f"The engine at p = {e.p:g}: {e.refuted} of {e.runs} runs refuted ({number(e.exact_refuted)} expected by the exact law), "
        f"{e.verified} verified ({number(e.exact_verified)})."
        for e in found.engine
    ]
    power = [
        (
            power_plot(c.p, c.refuted, c.verified, c.inconclusive, c.delta),
            f"δ = {c.delta:g}. Blue: VERIFIED, orange: REFUTED, dotted: INCONCLUSIVE.",
        )
        for c in found.power
    ]
    return {"calibration": found, "calibration_lines": lines, "power": power}


def _figures(figures: Sequence[Mapping[str, Any]]) -> list[Group]:
    cleaned: dict[str, list[Figure]] = {}
    taken: set[str] = set()
    for index, figure in enumerate(figures):
        name = re.sub(r"[^a-z0-9]+", "-", str(figure.get("name", "")).lower()).strip("-") or "unnamed"
        anchor = f"figure-{name}" if f"figure-{name}" not in taken else f"figure-{name}-{index + 1}"
        taken.add(anchor)
        provenance = figure.get("provenance") or {}
        svg = inline_svg(str(figure["svg"]), f"drawing-{index + 1}", str(figure.get("alt", "")))
        cleaned.setdefault(str(figure.get("system", "")), []).append(
            Figure(
                anchor,
                str(figure.get("title") or figure.get("name", "")),
                svg,
                str(figure.get("caption", "")),
                provenance if isinstance(provenance, str) else " · ".join(f"{key}: {_flat(value)}" for key, value in provenance.items()),
                str(figure.get("data") or ""),
                _least_width(svg),
            )
        )
    return [Group(words.system_name(system), rows) for system, rows in cleaned.items()]


def _least_width(svg: str) -> int:
    """Return the width at which words of 10 units are 8.5 pixels high (0 for a drawing that does not say its size)."""
    found = re.search(r'viewBox="[-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]+)', svg)
    return round(0.85 * float(found.group(1))) if found else 0


def _provenance(result: RunResult) -> list[tuple[str, str]]:
    entries = [
        ("claims", f"{len(result.verdicts):,}"),
        ("tier", result.tier),
        ("root", str(result.root)),
        ("seconds", f"{result.seconds:,.1f}"),
    ]
    entries += [("records", result.records)] if result.records else []
    entries += [("results", result.results)] if result.results else []
    for key, value in result.provenance.items():
        if isinstance(value, Mapping):
            entries += [(f"{key}: {inner}", _flat(item)) for inner, item in value.items()]
        else:
            entries.append((str(key), _flat(value)))
    return entries


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    return number(value) if isinstance(value, float) else str(value)


def _by_system(claims: Sequence[ClaimView]) -> list[Group]:
    return [Group(words.system_name(s), [c for c in claims if c.system == s]) for s in _unique(c.system for c in claims)]


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else ""
