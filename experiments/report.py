"""The report: claims on trial, figures drawn, one HTML file."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import figures
from .codes import EXIT_INTERRUPTED, EXIT_OK, EXIT_REFUTED
from .making import make_figures

if TYPE_CHECKING:
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
        Exit code: 1 if anything was refuted, else 130 after an interrupt, else that of the claims, else 3 if a figure lacked its data.
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
    path = writer.write(result, [each.for_report() for each in made], arguments.out / "report" / "index.html", title="epsdelta")
    finished.append(path)
    stopped = interrupted and result.exit_code != EXIT_REFUTED
    code = EXIT_INTERRUPTED if stopped else result.exit_code or code
    _print_summary(result, made, path, code, arguments)
    return code


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

    Slack is measured over promised in the worst trial; violated bounds (above 1) are not called tight, they are refuted.
    """
    known = [
        (verdict.claim, str(result.summaries[verdict.claim]["title"]), verdict.slack.worst)
        for verdict in result.verdicts
        if verdict.slack is not None and 0.0 < verdict.slack.worst <= 1.0
    ]
    known.sort(key=lambda item: item[2])
    return [known[-1], known[0]] if known else []


def _print_summary(result: "RunResult", made: list[figures.FigureResult], path: Path, code: int, arguments: argparse.Namespace) -> None:
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
    print(f"report    {path}")
    print(f"exit {code}: {_reason(result, code)}")


def _reason(result: "RunResult", code: int) -> str:
    """Return why the exit code is what it is."""
    if code == EXIT_INTERRUPTED:
        folder = Path(result.results).parent
        return f"interrupted; what was finished is in the report. Go on with: python -m proofs_check run --resume {folder}"
    if code == EXIT_OK:
        return "all as expected"
    if code != result.exit_code:
        return "a figure lacked its data"
    bad = [f"{verdict.claim} {verdict.status}" for verdict in result.verdicts if verdict.status == "REFUTED" or not verdict.expected]
    alive = [f"mutant {mutant.id} survived" for mutant in result.survivors]
    return ", ".join(bad + alive) or "see the report"
