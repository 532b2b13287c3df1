"""The command line: ``python -m experiments list | figure NAME | bench NAME | report | warmup``.

Exit codes: 0 all as expected; 1 a claim refuted, a mutant that survived, or with ``bench --strict`` a target missed; 2 wrong usage;
3 something inconclusive, in error or unavailable; 130 interrupted, with what was finished kept.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .codes import EXIT_INTERRUPTED, EXIT_OK, EXIT_REFUTED, EXIT_USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        0, 1, 2, 3 or 130, as the module's docstring says.
    """
    arguments = _parser().parse_args(argv)
    commands = {"list": _list, "figure": _figure, "bench": _bench, "report": _report, "warmup": _warmup}
    finished: list[Path] = []
    try:
        return commands[arguments.command](arguments, finished)
    except KeyboardInterrupt:
        kept = [f"  {path}" for path in finished if path.exists()]  # a table is announced before its first row is written
        _say("\n".join(["interrupted; kept:", *kept]) if kept else "interrupted; nothing was finished")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe (head, less) closed it: not an error of ours
        sys.stderr.close()
        return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    """Return the parser; it imports nothing that computes."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description="Figures, benchmarks and the report on lp embeddings.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="print the figures, benchmarks and data sets there are")
    figure = commands.add_parser("figure", help="compute and draw figures")
    figure.add_argument("names", nargs="+", metavar="NAME", help="system/name, name, system, or all")
    figure.add_argument("--redraw", action="store_true", help="draw from the saved arrays, compute nothing")
    figure.add_argument("--format", nargs="+", default=[], choices=["svg", "png", "pdf"], help="formats beside SVG")
    bench = commands.add_parser("bench", help="measure ours against named peers")
    bench.add_argument("names", nargs="+", metavar="NAME", help="a system, or all")
    bench.add_argument("--only", nargs="+", default=[], metavar="PART", help="run these parts; an unknown part prints the list")
    bench.add_argument("--repeats", type=_count, default=None, metavar="N", help="timed runs of each method (default: 3 quick, 5 full)")
    bench.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    report = commands.add_parser("report", help="check the claims, draw the figures, write DIR/report/index.html")
    warmup = commands.add_parser("warmup", help="compile every kernel and print the seconds")
    for command in (figure, bench, report):
        # The targets of a benchmark are promised for full sizes, so these are its default.
        _add_run_options(command, tier="full" if command is bench else "quick")
    for command in (listing, figure, bench, report, warmup):
        command.add_argument(
            "--out", type=Path, default=Path("build"), metavar="DIR", help="folder for everything written (default: build)"
        )
        command.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def _add_run_options(command: argparse.ArgumentParser, *, tier: str) -> None:
    """Add the options of commands that compute."""
    tiers = command.add_mutually_exclusive_group()
    for name, text in (("quick", "small sizes"), ("full", "the sizes and repeats worth publishing")):
        note = " (default)" if name == tier else ""
        tiers.add_argument(f"--{name}", dest="tier", action="store_const", const=name, default=tier, help=text + note)
    command.add_argument("--seed", type=_seed, default=0, metavar="N", help="seed of everything random (default: 0)")
    command.add_argument("--jobs", type=_count, default=1, metavar="N", help="workers; results do not depend on it (default: 1)")


def _seed(text: str) -> int:
    """Parse a seed: a whole number from 0 to 2**63 - 1."""
    value = int(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not in [0, 2**63)")
    return value


def _count(text: str) -> int:
    """Parse a count: a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _say(text: str) -> None:
    """Print a line for the person at the terminal; standard output stays for results."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    from .provenance import plain

    print(json.dumps(plain(value), indent=1, ensure_ascii=False))


def _list(arguments: argparse.Namespace, finished: list[Path]) -> int:
    """Print what there is, by name."""
    from . import benchmarks, data, figures

    there_is = {
        "figures": {entry.key: entry.summary for entry in figures.catalogue().values()},
        "benchmarks": benchmarks.catalogue(),
        "data": data.names(),
    }
    if arguments.json:
        print_json(there_is)
        return EXIT_OK
    width = max(len(name) for group in there_is.values() for name in group)
    for group, entries in there_is.items():
        print(group)
        for name, text in entries.items():
            print(f"  {name:<{width}}  {text}")
    return EXIT_OK


def _figure(arguments: argparse.Namespace, finished: list[Path]) -> int:
    """Make or redraw figures; one that lacks its data does not stop the others."""
    from . import figures
    from .making import make_figures

    try:
        entries = {entry.key: entry for name in arguments.names for entry in figures.find(name)}
    except ValueError as error:
        _say(f"error: {error}")
        return EXIT_USAGE
    results, code = make_figures(list(entries.values()), arguments, finished)
    if arguments.json:
        print_json([result.record | {"files": result.files} for result in results])
    return code


def _bench(arguments: argparse.Namespace, finished: list[Path]) -> int:
    """Run benchmarks; print each one's table."""
    from . import benchmarks
    from .progress import progress_for

    progress = progress_for()
    tables, missed = [], 0
    try:
        chosen = benchmarks.find(arguments.names, arguments.only)
    except ValueError as error:
        _say(f"error: {error}")
        return EXIT_USAGE
    for name, parts in chosen.items():
        folder = arguments.out / "bench"
        finished.append(folder / f"{name}.json")
        table = benchmarks.run(
            name, parts, tier=arguments.tier, seed=arguments.seed, repeats=arguments.repeats, out=folder, progress=progress
        )
        tables.append(table)
        missed += table.misses
        if not arguments.json:
            print(table.markdown())
            print(f"\n{table.summary()} | {folder / name}.md, .json")
    if arguments.json:
        print_json([table.as_dict() for table in tables])
    return EXIT_REFUTED if missed and arguments.strict else EXIT_OK


def _report(arguments: argparse.Namespace, finished: list[Path]) -> int:
    """Check, draw, write the report, print its path last."""
    from .report import make_report

    return make_report(arguments, finished)


def _warmup(arguments: argparse.Namespace, finished: list[Path]) -> int:
    """Compile every kernel for the types that the package uses."""
    from .warmup import warm_kernels

    times = warm_kernels()
    if arguments.json:
        print_json({name: seconds for name, seconds in times})
        return EXIT_OK
    for name, seconds in times:
        print(f"{seconds:7.2f} s  {name}")
    print(f"{sum(seconds for _, seconds in times):7.2f} s  {len(times)} kernels")
    return EXIT_OK
