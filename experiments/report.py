"""The report: claims on trial, figures drawn, one HTML file."""

import argparse
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import figures
from .codes import EXIT_INTERRUPTED, EXIT_OK, EXIT_REFUTED, EXIT_UNAVAILABLE
from .making import make_figures

if TYPE_CHECKING:
    from proofs_check.calibration import Calibration
    from proofs_check.evidence import RunResult

__all__ = ["make_report"]


def make_report(arguments: argparse.Namespace, finished: list[Path]) -> int:
    """Check every claim, make every figure, write ``<out>/report/index.html`` and print what came out.

    An interrupt ends the part it hits; the report is then written from what is finished.

    Parameters
    ----------
    arguments : Namespace
        Options ``tier, seed, jobs, out, json`` of the command line. Seed 0 means the roots that the repository records.
    finished : list of Path
        Gets the files written.

    Returns
    -------
    int
        Exit code: 1 if anything was refuted, else 130 after an interrupt, else that of the claims, else 3 if a figure lacked its data or
        the decision rules did not pass their own trial.
    """
    from proofs_check import report as writer

    result = _run_claims(arguments)
    finished.append(Path(result.results))
    made: list[figures.FigureResult] = []
    code, interrupted = EXIT_OK, bool(result.interrupted)
    for entry in [] if interrupted else figures.catalogue().values():
        try:
            results, missing = make_figures([entry], arguments, finished)
        except KeyboardInterrupt:
            interrupted = True
            break
        made += results
        code = max(code, missing)
    judge = None if interrupted else _judge_on_trial()
    if judge is not None and not judge.passed:
        code = max(code, EXIT_UNAVAILABLE)
    shown = [each.for_report() for each in made]
    path = writer.write(result, shown, arguments.out / "report" / "index.html", title="epsdelta", calibration=judge)
    finished.append(path)
    stopped = interrupted and result.exit_code != EXIT_REFUTED
    code = EXIT_INTERRUPTED if stopped else result.exit_code or code
    _print_summary(result, made, path, code, arguments, judge)
    return code


@cache
def _judge_on_trial() -> "Calibration":
    """Put the decision rules themselves on trial, in the quick form of a few seconds; nothing in it depends on the run."""
    from proofs_check import calibrate

    return calibrate("quick")


def _run_claims(arguments: argparse.Namespace) -> "RunResult":
    """Put every claim on trial, with a line per claim unless JSON is asked for."""
    import proofs_check
    from proofs_check.console import listener
    from proofs_check.seeds import ROOT

    options: dict[str, Any] = {
        "jobs": arguments.jobs,
        "root": arguments.seed or ROOT,
        "out": arguments.out / "runs",
        "allow_missing": True,
    }
    if arguments.json:
        return proofs_check.run((), arguments.tier, **options)
    with listener(arguments.jobs) as front:
        return proofs_check.run((), arguments.tier, listener=front, **options)


def tightest_and_loosest(result: "RunResult") -> list[tuple[str, str, float]]:
    """Return id, title and worst slack of the bound nearest to what was measured and of the one furthest from it.

    Slack is measured over promised in the worst trial, of the claims for which that says how loose the bound is (not identities nor exact
    laws, nor events that never happened); violated bounds (above 1) are not called tight, they are refuted.
    """
    from proofs_check.lints import bound_slack

    slacks = [(verdict.claim, bound_slack(verdict, result.summaries[verdict.claim])) for verdict in result.verdicts]
    known = [
        (claim, str(result.summaries[claim]["title"]), slack.worst)
        for claim, slack in slacks
        if slack is not None and 0.0 < slack.worst <= 1.0
    ]
    known.sort(key=lambda item: item[2])
    return [known[-1], known[0]] if known else []


def _print_summary(
    result: "RunResult",
    made: list[figures.FigureResult],
    path: Path,
    code: int,
    arguments: argparse.Namespace,
    judge: "Calibration | None",
) -> None:
    """Print counts, tightest and loosest bound, the report's path, and why the exit code is what it is."""
    bounds = tightest_and_loosest(result)
    if arguments.json:
        from .cli import print_json

        names = ("id", "title", "slack")
        print_json(
            {
                "counts": dict(result.counts),
                "tightest": dict(zip(names, bounds[0], strict=True)) if bounds else None,
                "loosest": dict(zip(names, bounds[1], strict=True)) if bounds else None,
                "figures": [each.record["name"] for each in made],
                "report": path,
                "results": result.results,
                "judge": None if judge is None else {"passed": judge.passed, "problems": judge.problems, "seconds": judge.seconds},
                "exit_code": code,
            }
        )
        return
    from proofs_check.console import run_words

    sys.stderr.flush()
    print(run_words(result))
    for word, (claim, title, slack) in zip(("tightest", "loosest"), bounds, strict=False):
        print(f"{word:<9} {claim:<8} {title}: measured is {slack:.3g} of what is promised")
    print(f"{len(made)} figures in {arguments.out / 'figures'}")
    if judge is not None:
        caught = f"{sum(checker.caught for checker in judge.broken)} of {len(judge.broken)} broken checkers found out"
        print(f"judge     {'sound' if judge.passed else 'NOT SOUND'}: {caught}, {judge.seconds:.1f} s")
    print(f"report    {path}")
    print(f"exit {code}: {_reason(result, code, judge)}")


def _reason(result: "RunResult", code: int, judge: "Calibration | None") -> str:
    """Return why the exit code is what it is."""
    if code == EXIT_INTERRUPTED:
        folder = Path(result.results).parent
        return f"interrupted; what was finished is in the report. Go on with: python -m proofs_check run --resume {folder}"
    if code == EXIT_OK:
        return "all as expected"
    if code != result.exit_code and judge is not None and not judge.passed:
        return f"the judge did not pass its own trial: {judge.problems[0]}"
    if code != result.exit_code:
        return "a figure lacked its data"
    bad = [f"{verdict.claim} {verdict.status}" for verdict in result.verdicts if verdict.status == "REFUTED" or not verdict.expected]
    alive = [f"mutant {mutant.id} survived" for mutant in result.survivors]
    return ", ".join(bad + alive) or "see the report"
