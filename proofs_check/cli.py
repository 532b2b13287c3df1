"""Command line: list, run, show, replay, report, compare, corpus, catalogue.

Exit codes: 0 everything as expected; 1 a refuted claim, a surviving mutant, a counterexample that still violates its claim, a comparison
in which something got worse, or a plan with a claim that is too slow; 2 wrong usage; 3 something undecided, in error or unavailable;
130 interrupted.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CATALOGUE_FILE = Path(__file__).with_name("catalogue.json")
RUNS = "build/runs"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except (ValueError, OSError) as error:
        print(f"proofs_check: {error}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m proofs_check", description="Try to refute claims about algorithms.")
    commands = parser.add_subparsers(required=True, metavar="command")

    listing = commands.add_parser("list", help="the claims")
    _selection(listing)
    listing.add_argument("--json", action="store_true", help="machine-readable")
    listing.add_argument(
        "--plan", action="store_true", help="predict trials and seconds from the newest run; 1 if a quick claim is too slow"
    )
    listing.add_argument("--tier", choices=("quick", "full", "nightly"), default="quick", help="tier to plan for (default: quick)")
    listing.add_argument("--runs", default=RUNS, help=f"folder of runs (default: {RUNS})")
    listing.set_defaults(command=_list)

    running = commands.add_parser("run", help="put claims on trial")
    _selection(running)
    running.add_argument("--tier", choices=("quick", "full", "nightly"), default="quick", help="budgets (default: quick)")
    running.add_argument("--jobs", type=int, default=1, help="workers, -1 for one per processor (default: 1)")
    running.add_argument(
        "--backend", choices=("serial", "loky", "threads"), help="where blocks run (default: serial for one job, else loky)"
    )
    running.add_argument(
        "--mutants",
        choices=("auto", "none", "quick", "all", "generated"),
        default="auto",
        help="auto: quick ones in quick, else all and generated ones",
    )
    running.add_argument("--root", type=int, help="root of all seeds (recorded)")
    running.add_argument("--max-seconds", type=float, help="start nothing new after this time")
    running.add_argument("--out", default=RUNS, help=f"folder of runs (default: {RUNS})")
    running.add_argument("--resume", nargs="?", const="", metavar="RUN", help="go on with an interrupted run (default: the newest)")
    running.add_argument("--allow-missing", action="store_true", help="absent data is UNAVAILABLE, not ERROR")
    running.add_argument("--report", metavar="FILE", help="write an HTML report")
    running.add_argument("--junit", metavar="FILE", help="write JUnit XML")
    running.add_argument("--json", action="store_true", help="print result lines instead of words")
    running.set_defaults(command=_run)

    showing = commands.add_parser("show", help="one claim and its last verdict")
    showing.add_argument("id")
    _where(showing)
    showing.set_defaults(command=_show)

    replaying = commands.add_parser("replay", help="measure a stored counterexample again: 1 still violated, 0 not")
    replaying.add_argument("counterexample", help="id or file")
    _where(replaying)
    replaying.set_defaults(command=_replay)

    reporting = commands.add_parser("report", help="write the report of a run")
    reporting.add_argument("run", nargs="?", help="folder of a run (default: the newest)")
    reporting.add_argument("--output", default="build/report/claims.html", help="HTML file")
    reporting.add_argument("--junit", metavar="FILE", help="write JUnit XML too")
    _where(reporting)
    reporting.set_defaults(command=_report)

    comparing = commands.add_parser("compare", help="what a change moved between two runs: 1 if something got worse")
    comparing.add_argument("before", help="folder of a run")
    comparing.add_argument("after", help="folder of a run")
    comparing.add_argument("--json", action="store_true", help="machine-readable")
    comparing.set_defaults(command=_compare)

    keeping = commands.add_parser("corpus", help="the worst instances that searches found, with which later ones begin")
    _selection(keeping)
    keeping.add_argument("--tier", choices=("quick", "full", "nightly"), default="quick", help="effort of the search (default: quick)")
    keeping.add_argument("--evaluations", type=int, help="evaluations a family, instead of those of the tier")
    keeping.add_argument("--root", type=int, help="root of the search's seeds: another one is another search")
    keeping.add_argument("--from", dest="run", metavar="RUN", help="take the finds of a run instead of searching")
    keeping.add_argument("--write", action="store_true", help="write the files; without, only tell what would be kept")
    keeping.set_defaults(command=_corpus)

    cataloguing = commands.add_parser("catalogue", help="check or rewrite catalogue.json")
    cataloguing.add_argument("--write", action="store_true", help="write the file; without, tell whether it is current")
    cataloguing.set_defaults(command=_catalogue)
    return parser


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", help="claim ids or globs such as 'LP-0*'")
    parser.add_argument("--system", help="claims of one system")
    parser.add_argument("--kind", help="claims of one kind")
    parser.add_argument("--catalogue", metavar="MODULE:NAME", help="your own claims")


def _where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", default=RUNS, help=f"folder of runs (default: {RUNS})")
    parser.add_argument("--catalogue", metavar="MODULE:NAME", help="your own claims")


# ------------------------------------------------------------------------------------------------------------------------ commands


def _summaries(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Read the committed summaries, or import a catalogue where one is named."""
    if arguments.catalogue is None:
        if not CATALOGUE_FILE.is_file():
            raise ValueError("catalogue.json is missing; write it with: python -m proofs_check catalogue --write")
        found: list[dict[str, Any]] = json.loads(CATALOGUE_FILE.read_text(encoding="utf-8"))["claims"]
        return found
    from proofs_check.catalogue import describe, load_catalogue

    return [describe(claim) for claim in load_catalogue(arguments.catalogue).claims]


def _chosen(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from fnmatch import fnmatchcase

    summaries = _summaries(arguments)
    for pattern in arguments.ids:
        if not any(fnmatchcase(summary["id"], pattern) for summary in summaries):
            raise ValueError(f"no claim matches {pattern!r}; known: {', '.join(s['id'] for s in summaries) or 'none'}")
    return [
        summary
        for summary in summaries
        if (not arguments.ids or any(fnmatchcase(summary["id"], pattern) for pattern in arguments.ids))
        and arguments.system in (None, summary["system"])
        and arguments.kind in (None, summary["kind"])
    ]


def _list(arguments: argparse.Namespace) -> int:
    chosen = _chosen(arguments)
    if arguments.plan:
        return _plan(arguments, chosen)
    if arguments.json:
        print(json.dumps(chosen, indent=1, ensure_ascii=False))
        return 0
    for summary in chosen:
        when = "" if summary["decided_in"] == "quick" else f"  decided in {summary['decided_in']}"
        parts = f"{summary['parts']} parts, {len(summary['mutants'])} mutants"
        print(f"{summary['id']:<8} {summary['kind']:<12} {summary['topic']:<34} {summary['title'][:44]:<44} {parts}{when}")
    print(f"{len(chosen)} claims")
    return 0


def _plan(arguments: argparse.Namespace, chosen: list[dict[str, Any]]) -> int:
    from proofs_check.planning import QUICK_SECONDS, plan
    from proofs_check.results import latest, load_results

    planned = plan(chosen, load_results(latest(arguments.runs)), arguments.tier)
    if arguments.json:
        print(json.dumps([each.to_dict() for each in planned], indent=1))
    else:
        for each in planned:
            print(each.line())
        known = [each.seconds for each in planned if each.seconds is not None]
        print(f"{len(planned)} claims, {len(known)} of them predicted: {sum(known):.1f} s with one worker ({arguments.tier})")
    slow = [each.claim for each in planned if each.too_slow]
    if slow:
        print(f"too slow for the quick tier ({QUICK_SECONDS:g} s a claim): {', '.join(slow)}", file=sys.stderr)
    return int(bool(slow))


def _run(arguments: argparse.Namespace) -> int:
    from proofs_check.console import listener, run_words
    from proofs_check.engine import run
    from proofs_check.records import dumps
    from proofs_check.results import result_lines
    from proofs_check.seeds import ROOT

    front = None if arguments.json else listener(arguments.jobs, arguments.catalogue)
    options = {
        "jobs": arguments.jobs,
        "backend": arguments.backend,
        "catalogue": arguments.catalogue,
        "system": arguments.system,
        "kind": arguments.kind,
        "root": ROOT if arguments.root is None else arguments.root,
        "mutants": arguments.mutants,
        "out": arguments.out,
        "resume": _resumed(arguments),
        "allow_missing": arguments.allow_missing,
        "max_seconds": arguments.max_seconds,
    }
    if front is None:
        result = run(arguments.ids, arguments.tier, **options)
        for line in result_lines(result):
            print(dumps(line))
    else:
        with front:
            result = run(arguments.ids, arguments.tier, listener=front, **options)
        print(run_words(result))
        if result.interrupted:
            print(f"go on with: python -m proofs_check run --resume {Path(result.records).parent}")
    _write_reports(result, arguments.report, arguments.junit)
    return result.exit_code


def _resumed(arguments: argparse.Namespace) -> Path | None:
    if arguments.resume is None:
        return None
    if arguments.resume:
        folder = Path(arguments.resume)
    else:
        numbered = [path for path in Path(arguments.out).glob("*") if path.name.isdigit()]
        folder = max(numbered, default=Path(arguments.out) / "0001")
    if not (folder / "records.jsonl").is_file():
        raise ValueError(f"--resume {folder}: no records there; start a run without --resume")
    return folder


def _write_reports(result: Any, report: str | None, junit: str | None) -> None:
    if report is None and junit is None:
        return
    from proofs_check import report as writer

    if report is not None:
        print(f"report: {writer.write(result, figures=[], path=Path(report))}")
    if junit is not None:
        print(f"junit: {writer.write_junit(result, Path(junit))}")


def _show(arguments: argparse.Namespace) -> int:
    from proofs_check.console import claim_words
    from proofs_check.records import RecordError
    from proofs_check.results import latest, load_results

    found = next((summary for summary in _summaries(arguments) if summary["id"] == arguments.id), None)
    if found is None:
        raise ValueError(f"no claim {arguments.id!r}; see: python -m proofs_check list")
    source = found["source"]
    print(f"{found['id']} ({found['kind']}, {found['topic']}, version {found['version']}): {found['title']}")
    print(f"  {found['plain']}")
    if found["tex"]:
        print(f"  {found['tex']}")
    print(f"  source: {source['origin']} {source['reference']}{' [recalled]' if source['recalled'] else ''}".rstrip())
    levels = f", levels {found['levels']}" if found["levels"] else ""
    print(f"  rule: refuted at alpha {found['alpha_R']:g}, accepted at {found['alpha_A']:g}{levels}; decided in {found['decided_in']}")
    print(f"  trials per part: {', '.join(f'{tier} {count:,}' for tier, count in found['trials'].items())}; {found['parts']} parts")
    for family in found["families"]:
        print(f"  family {family['name']} ({family['role']}), {family['points']} points")
    for mutant in found["mutants"]:
        print(f"  mutant {mutant['id']} ({mutant['where']}): {mutant['why']}")
    for blind in found["blind_to"]:
        print(f"  blind to {blind}")
    try:
        result = load_results(latest(arguments.runs))
    except RecordError as error:
        print(f"  last verdict: none ({error})")
        return 0
    verdict = next((v for v in result.verdicts if v.claim == arguments.id), None)
    print(
        "  last verdict: not in the newest run"
        if verdict is None
        else f"  last verdict ({result.tier}):\n{claim_words(verdict, found['title'])}"
    )
    for evidence in () if verdict is None else verdict.parts:
        counted = f"n {evidence.n:,}, failed {evidence.k_lo:,}" + (f" to {evidence.k_hi:,}" if evidence.k_hi != evidence.k_lo else "")
        print(f"    {evidence.part.label:<40} {evidence.status:<12} {counted}")
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    from proofs_check.counterexamples import replay

    again = replay(arguments.counterexample, catalogue=arguments.catalogue, runs=arguments.runs)
    print(f"{again.claim} {again.id}: measured {again.measured!r} against {again.bound!r}")
    if (again.measured, again.bound) != (again.stored_measured, again.stored_bound):
        print(f"  when it was stored, by other code: {again.stored_measured!r} against {again.stored_bound!r}")
    print("  still violated" if again.violated else "  no longer violated")
    return int(again.violated)


def _report(arguments: argparse.Namespace) -> int:
    from proofs_check.results import latest, load_results

    result = load_results(arguments.run or latest(arguments.runs))
    _write_reports(result, arguments.output, arguments.junit)
    return result.exit_code


def _compare(arguments: argparse.Namespace) -> int:
    from proofs_check.compare import compare_runs
    from proofs_check.results import load_results

    moved = compare_runs(load_results(arguments.before), load_results(arguments.after))
    print(json.dumps(moved.to_dict(), indent=1) if arguments.json else "\n".join(moved.lines()))
    return int(moved.worse)


def _corpus(arguments: argparse.Namespace) -> int:
    from proofs_check import corpora
    from proofs_check.catalogue import load_catalogue
    from proofs_check.records import load_records
    from proofs_check.search import search_families
    from proofs_check.seeds import ROOT

    everything = load_catalogue(arguments.catalogue)
    if everything.corpus is None:
        raise ValueError("this catalogue keeps no corpus; declare it with Catalogue(topic, corpus=Path(__file__).with_name('corpus'))")
    records = None if arguments.run is None else load_records(arguments.run).records.values()
    options = {"tier": arguments.tier, "evaluations": arguments.evaluations, "root": ROOT if arguments.root is None else arguments.root}
    for claim in everything.select(arguments.ids, system=arguments.system, kind=arguments.kind):
        if not search_families(claim):
            continue
        before = corpora.read(claim.id, everything.corpus)
        found = corpora.collect(claim, everything.corpus, records=records, **options)
        new = sum(item.vector not in {known.vector for known in before} for item in found)
        worst = f"slack {max(item.slack for item in found):.6g}" if found else "nothing found"
        print(f"{claim.id:<8} {len(found)} instances, {new} new, {worst}")
        if arguments.write:
            corpora.write(claim.id, found, everything.corpus)
    print(f"{everything.corpus} written" if arguments.write else "nothing written; keep these with --write")
    return 0


def _catalogue(arguments: argparse.Namespace) -> int:
    from proofs_check.catalogue import load_catalogue, to_json

    text = to_json(load_catalogue())
    current = CATALOGUE_FILE.is_file() and CATALOGUE_FILE.read_text(encoding="utf-8") == text
    if arguments.write and not current:
        CATALOGUE_FILE.write_text(text, encoding="utf-8")
        print(f"{CATALOGUE_FILE} written")
        return 0
    print(f"{CATALOGUE_FILE.name} is {'current' if current else 'out of date; rewrite it with --write'}")
    return 0 if current else 1
