"""An invented run of any size, to look at the report and to measure it: nothing in it was checked.

``python -m proofs_check.report.sample PATH`` writes a page with 140 invented claims.
"""

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from proofs_check import evalues
from proofs_check.evidence import Counterexample, Evidence, MutantResult, Part, RunResult, Slack, Status, Verdict

__all__ = ["sample_figures", "sample_run"]

_SYSTEMS = {
    "lp_embeddings": ("LP", ("lewis_weights", "leverage_scores", "samplers", "distortion")),
    "testable_halfspaces": ("HS", ("moment_tests", "certificates", "disagreement")),
    "misspecified_bandits": ("MB", ("hull_enumeration", "elimination", "optimal_design")),
    "latent_label_shift": ("LS", ("anchors", "factorization")),
    "active_multitask": ("MT", ("allocation", "saltus", "risk")),
    "supervised_dictionary": ("DL", ("lpgd", "curvature", "inference")),
}
_KINDS = ("inequality", "tail", "identity", "expectation", "rate", "lower", "order", "soundness", "completeness", "witness")
_TEX = (
    r"\sum_{i=1}^{n} \tau_i(A) = \operatorname{rank}(A)",
    r"\Pr\left[\, |\hat\mu - \mu| > \sqrt{\frac{\ln(2/\delta)}{2n}} \,\right] \le \delta",
    r"\|w^{(t+1)} - w^\star\|_\infty \le \left|\tfrac{p}{2} - 1\right| \, \|w^{(t)} - w^\star\|_\infty",
    r"\mathbb{E}\, \|Z_T - Z^\star\|_F^2 \le \rho^{2T} \|Z_0 - Z^\star\|_F^2 + \frac{C r}{n}",
    r"(1-\varepsilon)\|Ax\|_p \le \|SAx\|_p \le (1+\varepsilon)\|Ax\|_p",
)
_PLAIN = (
    "the leverage scores of any matrix sum to its rank",
    "the mean of n coins is within the radius of p, except with probability delta",
    "every round of the Lewis iteration contracts the distance to the fixed point",
    "the squared error of the last iterate is at most the initial error, shrunk geometrically, plus the statistical floor",
    "the sampled rows preserve the norm of every vector in the column space up to a factor of one plus or minus epsilon",
)
_TITLES = (
    "leverage scores sum to the rank",
    "mean of coins within its radius",
    "Lewis iteration contracts",
    "projected gradient reaches the floor",
    "sampled rows preserve every norm",
    "hull enumeration errs by at most twice the misspecification",
    "recommended action under noise",
)
_MISTAKES = (
    ("half", "bound", "2n became 8n"),
    ("no_log", "bound", "the logarithm was dropped"),
    ("drop_kappa2", "impl", "the Gram route squares the condition number"),
    ("half_sample", "impl", "uses half of the sample"),
    ("swapped", "env", "rows and weights are permuted apart"),
)


def sample_run(claims: int = 140, seed: int = 0) -> RunResult:
    """Invent a run.

    Parameters
    ----------
    claims : int, default=140
        How many; the design promises a page below 3 MB for 140.
    seed : int, default=0
        Seed of the invention.

    Returns
    -------
    RunResult
    """
    rng = np.random.default_rng(seed)
    verdicts: list[Verdict] = []
    summaries: dict[str, dict[str, Any]] = {}
    for index in range(claims):
        system = list(_SYSTEMS)[index * len(_SYSTEMS) // max(claims, 1)]
        prefix, topics = _SYSTEMS[system]
        number = 1 + sum(key.startswith(prefix) for key in summaries)
        claim, kind = f"{prefix}-{number:02d}", _KINDS[int(rng.choice(10, p=[0.3, 0.26, 0.16, 0.06, 0.04, 0.04, 0.04, 0.04, 0.03, 0.03]))]
        status = _status(rng, kind, index)
        summaries[claim] = _summary(rng, claim, kind, system, topics[index % len(topics)], index)
        verdicts.append(_verdict(rng, claim, kind, status, summaries[claim]))
    provenance = {
        "started": "2024-02-29T09:30:00Z",
        "python": "3.11.2",
        "packages": {"epsdelta": "0.1.0", "numpy": "2.4.6", "scipy": "1.17.1"},
        "commit": "0123abcd (invented)",
        "cpu": "an invented processor",
        "threads": 1,
    }
    notes = ("Everything on this page is invented; it shows the design.",)
    return RunResult(tuple(verdicts), summaries, "quick", 20240229, 96.4, provenance, "build/runs/1/records.jsonl", notes=notes)


def sample_figures(count: int = 4) -> list[Mapping[str, Any]]:
    """Invent figures that share their identifiers, as drawings of one program do.

    Parameters
    ----------
    count : int, default=4

    Returns
    -------
    list of mapping
    """
    return [_figure(index) for index in range(count)]


def _status(rng: np.random.Generator, kind: str, index: int) -> Status:
    if index in (11, 77):
        return "REFUTED"
    if index == 40:
        return "ERROR"
    if index == 90:
        return "UNAVAILABLE"
    if rng.random() < 0.06:
        return "INCONCLUSIVE"
    return "SURVIVED" if kind in ("inequality", "identity", "lower") and rng.random() < 0.85 else "VERIFIED"


def _summary(rng: np.random.Generator, claim: str, kind: str, system: str, topic: str, index: int) -> dict[str, Any]:
    return {
        "id": claim,
        "kind": kind,
        "system": system,
        "topic": f"{system}/{topic}",
        "title": _TITLES[index % len(_TITLES)],
        "plain": _PLAIN[index % len(_PLAIN)],
        "tex": _TEX[index % len(_TEX)],
        "source": {"origin": "paper", "reference": "An invented paper, section 3", "recalled": bool(rng.random() < 0.2)},
        "sense": "==" if kind in ("identity",) else "<=",
        "levels": [0.5, 0.2, 0.05] if kind in ("tail", "soundness", "completeness") else [],
        "alpha_R": 1e-6,
        "alpha_A": 1e-3,
        "decided_in": "full" if index % 17 == 5 else "quick",
        "families": [{"name": "gauss", "role": "typical", "points": 3}, {"name": "spikes", "role": "adversarial", "points": 3}],
        "companions": [],
        "blind_to": [],
    }


def _verdict(rng: np.random.Generator, claim: str, kind: str, status: Status, summary: Mapping[str, Any]) -> Verdict:
    worst = float(np.clip(rng.beta(2.2, 1.2), 0.02, 1.0)) if status != "REFUTED" else 1.0 + float(rng.random())
    levels = summary["levels"] or [None]
    parts = []
    if status != "UNAVAILABLE":
        for index in range(int(rng.integers(1, 7)) * len(levels)):
            level = levels[index % len(levels)]
            share = worst if index == 0 else worst * float(rng.uniform(0.4, 1.0))
            parts.append(_part(rng, kind, status if index == 0 or status != "REFUTED" else "VERIFIED", index, level, share))
    parts = [_weighted(part, len(parts)) for part in parts]
    kept = []
    if status == "REFUTED":
        path = f"counterexamples/{claim}/9f2c41d0.json"
        kept = [Counterexample("9f2c41d0", claim, "", parts[0].part.label, worst * 0.3, 0.3, worst, path)]
    reasons: dict[Status, str] = {
        "VERIFIED": "P(fail) below 0.692, 0.36, 0.106 is accepted on all parts",
        "SURVIVED": "no violation on any part",
        "REFUTED": "E = 3.1e7 >= 1e+06 after 211 trials",
        "INCONCLUSIVE": "after 1,536 trials neither e-process reached its threshold",
        "ERROR": "ZeroDivisionError: division by zero in trial 17 of block 2 <script>alert('x')</script>",
        "UNAVAILABLE": "data set flights is not installed; install the extra data",
    }
    return Verdict(
        claim,
        status,
        reasons[status],
        tuple(parts),
        tuple(kept),
        _mutants(rng, claim),
        tier="quick",
        n=sum(part.n for part in parts),
        seconds=float(rng.gamma(2.0, 0.4)),
        expected=status not in ("ERROR", "UNAVAILABLE"),
    )


def _part(rng: np.random.Generator, kind: str, status: Status, index: int, level: float | None, slack: float) -> Evidence:
    label = f"gauss(n={20 * 4 ** (index % 3)},d={index % 5 + 2})" + (f"@{level:g}" if level else "")
    part = Part(index, "default", "gauss", index, level, 1.0, label)
    found = (
        None if kind in ("rate", "order", "lower", "completeness", "witness") else Slack(slack, slack * 0.7, slack * 0.3, index % 4 == 1)
    )
    if kind in ("inequality", "identity", "witness"):
        return Evidence(part, status, n=8, k_lo=int(status == "REFUTED"), k_hi=int(status == "REFUTED"), slack=found, reason="")
    p0 = level or 0.2
    p = min(3.2 * p0, 0.9) if status == "REFUTED" else 0.85 * p0 if status == "INCONCLUSIVE" else 0.4 * p0
    path, k, n = [], 0, 0
    for _ in range(24):
        n, k = n + 64, k + int(rng.binomial(64, p))
        ln_R, ln_A = float(evalues.log_refute(k, n, p0)), float(evalues.log_accept(k, n, evalues.odds_margin(p0)))
        path.append((n, ln_R, ln_A))
        if (status == "VERIFIED" and ln_A > math.log(1e3)) or (status == "REFUTED" and ln_R > math.log(1e6)):
            break
    interval = evalues.confidence_sequence(k, n)
    return Evidence(part, status, n, k, k, 0, path[-1][1], path[-1][2], interval, found, path=tuple(path))


def _weighted(part: Evidence, count: int) -> Evidence:
    from dataclasses import replace

    return replace(part, part=replace(part.part, weight=1.0 / count))


def _mutants(rng: np.random.Generator, claim: str) -> tuple[MutantResult, ...]:
    found = []
    for name, where, why in _MISTAKES[: int(rng.integers(2, 6))]:
        draw = rng.random()
        status = "killed" if draw < 0.9 else "not run" if draw < 0.96 else "equivalent" if draw < 0.99 else "survived"
        killer = "LP-01" if status == "killed" and rng.random() < 0.08 else claim
        n = int(rng.integers(1, 12)) * 64
        found.append(MutantResult(name, claim, where, status, why, killer if status == "killed" else "", n=n))  # type: ignore[arg-type]
    return tuple(found)


def _figure(index: int) -> dict[str, Any]:
    dots = "".join(f'<use href="#dot" x="{60 + 50 * i}" y="{40 + (i * 37 + index * 50) % 160}"/>' for i in range(10))
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" width="640pt" height="260pt" viewBox="0 0 640 260">
      <defs><style type="text/css">*{{stroke-linejoin: round}}</style>
      <clipPath id="clip"><rect x="40" y="10" width="580" height="210"/></clipPath><circle id="dot" r="4"
      fill="#0072B2"/></defs><path d="M40 10V220H620" fill="none" stroke="#444"/>
      <g clip-path="url(#clip)">{dots}<path d="M40 {60 + 20 * index}L620 180" stroke="#D55E00" stroke-dasharray="6 4"/></g>
      <text x="330" y="250" font-size="12" text-anchor="middle">rows sampled</text></svg>"""
    system = list(_SYSTEMS)[index % 2]
    return {
        "system": system,
        "topic": "samplers",
        "name": f"invented_{index}",
        "title": f"How many rows are enough? ({index + 1})",
        "svg": svg,
        "alt": "Ten dots around a dashed line",
        "caption": "How many rows are enough? About 1,200 invented ones give an error of one per cent. Median of 30 repeats, seed 0.",
        "provenance": {"seed": 0, "repeats": 30, "numpy": "2.4.6", "data sha256": "9f86d081884c7d65"},
        "data": f"build/figures/{system}/invented_{index}.npz",
    }


if __name__ == "__main__":
    from proofs_check.report import write

    print(write(sample_run(), sample_figures(), sys.argv[1] if len(sys.argv) > 1 else "build/report/sample.html"))
