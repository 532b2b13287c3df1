"""Result lines: one per run, claim and mutant, written whole or not at all, and read back for reports and comparisons."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from proofs_check.evidence import SCHEMA, Counterexample, Evidence, MutantResult, Part, RunResult, Slack, Verdict
from proofs_check.records import RecordError, dumps, plain

RESULTS = "results.jsonl"


def result_lines(result: RunResult) -> Iterator[dict[str, Any]]:
    """Yield the lines of a run: a head, then every claim followed by its mutants."""
    yield {
        "type": "run",
        "schema": SCHEMA,
        "tier": result.tier,
        "root": result.root,
        "seconds": result.seconds,
        "exit_code": result.exit_code,
        "counts": plain(result.counts),
        "interrupted": result.interrupted,
        "notes": list(result.notes),
        "provenance": plain(result.provenance),
    }
    for verdict in result.verdicts:
        yield _claim_line(verdict, result.summaries[verdict.claim])
        for mutant in verdict.mutants:
            yield {"type": "mutant", "schema": SCHEMA, **plain(mutant)}


def _claim_line(verdict: Verdict, summary: Mapping[str, Any]) -> dict[str, Any]:
    body = plain(verdict)
    del body["provenance"]  # the head holds it once
    body["mutants"] = dict(Counter(mutant.status for mutant in verdict.mutants))
    return {"type": "claim", "schema": SCHEMA, **body, "slack": plain(verdict.slack), "summary": plain(summary)}


def write_results(result: RunResult, path: Path) -> None:
    """Write ``results.jsonl``."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        for line in result_lines(result):
            file.write(dumps(line) + "\n")
    temporary.replace(path)


def load_results(path: str | Path) -> RunResult:
    """Read a run back.

    Parameters
    ----------
    path : str or Path
        ``results.jsonl``, or the folder that holds it.

    Returns
    -------
    RunResult

    Raises
    ------
    RecordError
        A line that this version did not write; the message names it.
    """
    path = Path(path)
    if path.is_dir():
        path = path / RESULTS
    if not path.is_file():
        raise RecordError(f"{path}: no results; name a run folder such as build/runs/0001")
    head: dict[str, Any] = {}
    claims: list[dict[str, Any]] = []
    mutants: dict[str, list[MutantResult]] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            line = json.loads(text)
            kind = line.pop("type")
            if line.pop("schema") != SCHEMA:
                raise ValueError(f"another schema than {SCHEMA}")
            if kind == "run":
                head = line
            elif kind == "claim":
                claims.append(line)
            else:
                mutants.setdefault(line["claim"], []).append(MutantResult(**{**line, "also": tuple(line.get("also", ()))}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(f"{path}:{number}: {error}; this is not a result line of this version") from error
    if not head:
        raise RecordError(f"{path}:1: no line of type 'run'")
    try:
        return _run_result(path, head, claims, mutants)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{path}: {error!r}; this is not a result file of this version") from error


def _run_result(path: Path, head: Mapping[str, Any], claims: list[dict[str, Any]], mutants: Mapping[str, list[MutantResult]]) -> RunResult:
    return RunResult(
        verdicts=tuple(_verdict(line, tuple(mutants.get(line["claim"], ())), head["provenance"]) for line in claims),
        summaries={line["claim"]: line["summary"] for line in claims},
        tier=head["tier"],
        root=head["root"],
        seconds=head["seconds"],
        provenance=head["provenance"],
        records=str(path.with_name("records.jsonl")),
        results=str(path),
        interrupted=head["interrupted"],
        notes=tuple(head["notes"]),
    )


def _verdict(line: Mapping[str, Any], mutants: tuple[MutantResult, ...], provenance: Mapping[str, Any]) -> Verdict:
    return Verdict(
        claim=line["claim"],
        status=line["status"],
        reason=line["reason"],
        parts=tuple(_evidence(part) for part in line["parts"]),
        counterexamples=tuple(Counterexample(**_numbers(item, "measured", "bound", "slack")) for item in line["counterexamples"]),
        mutants=mutants,
        provenance=provenance,
        tier=line["tier"],
        n=line["n"],
        seconds=line["seconds"],
        expected=line["expected"],
    )


def _evidence(body: Mapping[str, Any]) -> Evidence:
    values = _numbers(body, "ln_R", "ln_A")
    values["part"] = Part(**body["part"])
    values["interval"] = _pair(body["interval"])
    values["slack"] = None if body["slack"] is None else _slack(body["slack"])
    values["path"] = tuple((int(n), float(r), float(a)) for n, r, a in body["path"])
    return Evidence(**values)


def _slack(body: Mapping[str, Any]) -> Slack:
    values = _numbers(body, "worst", "median", "best")
    values["interval"] = _pair(body["interval"])
    return Slack(**values)


def _numbers(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Read numbers, which are strings where they are not finite."""
    return {name: float(value) if name in names and value is not None else value for name, value in body.items()}


def _pair(value: Any) -> tuple[float, float] | None:
    return None if value is None else cast(tuple[float, float], tuple(float(end) for end in value))


def latest(runs: str | Path) -> Path:
    """Return the folder of the newest run.

    Raises
    ------
    RecordError
        There is none.
    """
    folders = sorted(path.parent for path in Path(runs).glob(f"*/{RESULTS}") if path.parent.name.isdigit())
    if not folders:
        raise RecordError(f"{runs}: no finished run; start one with: python -m proofs_check run")
    return folders[-1]
