"""What a run will cost, what a change moved, and what a person sees while claims run."""

import io
import json
from dataclasses import replace

import pytest

import proofs_check
from proofs_check import Catalogue, evalues, run
from proofs_check.catalogue import describe
from proofs_check.cli import main
from proofs_check.compare import compare_runs
from proofs_check.console import Live, Plain
from proofs_check.planning import plan


@pytest.fixture(scope="module")
def good(synthetic):
    return run(catalogue=synthetic.good, out=None)


# ---------------------------------------------------------------------------------------------------------------------- the plan


def test_the_same_tier_is_planned_as_it_ran(good):
    for planned, verdict in zip(plan(list(good.summaries.values()), good, "quick"), good.verdicts, strict=True):
        assert (planned.claim, planned.trials, planned.seconds) == (verdict.claim, verdict.n, verdict.seconds)


def test_a_larger_tier_is_planned_from_the_boundaries(good, synthetic):
    """The prediction for the full tier against the full run: never failing parts are accepted at the first look that allows it."""
    planned = {each.claim: each for each in plan(list(good.summaries.values()), good, "full")}
    full = {verdict.claim: verdict for verdict in run(catalogue=synthetic.good, tier="full", mutants="none", out=None).verdicts}
    assert planned["GD-03"].trials == full["GD-03"].n == 12
    assert planned["GD-02"].trials == full["GD-02"].n
    assert planned["GD-01"].trials == pytest.approx(full["GD-01"].n, rel=0.5)  # failures are rare, and known from 100 trials a part
    accepting = evalues.boundary(0.05, evalues.odds_margin(0.05, 1.25), 20_032).k_accept
    assert planned["GD-01"].trials >= 64 * (int((accepting >= 0).argmax()) + 1)


def test_a_claim_that_no_run_knows_is_planned_without_seconds(good, synthetic):
    (planned,) = plan([describe(synthetic.bad["BD-01"])], good, "quick")
    assert (planned.trials, planned.seconds, planned.too_slow) == (3072, None, False)
    assert "unknown" in planned.line()


def test_a_quick_claim_beyond_four_seconds_is_refused(good, synthetic, tmp_path, monkeypatch, capsys):
    from proofs_check.results import write_results

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "build" / "runs" / "0001"
    folder.mkdir(parents=True)
    slow = replace(good.verdicts[0], seconds=4.5)
    write_results(replace(good, verdicts=(slow, *good.verdicts[1:])), folder / "results.jsonl")
    assert main(["list", "--plan", "--catalogue", "synthetic_claims:good"]) == 1
    captured = capsys.readouterr()
    assert "TOO SLOW" in captured.out
    assert "GD-01" in captured.err
    assert main(["list", "GD-03", "--plan", "--json", "--catalogue", "synthetic_claims:good"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["trials"] == 12
    assert main(["list", "--plan", "--tier", "nightly", "--catalogue", "synthetic_claims:good"]) == 0


# ------------------------------------------------------------------------------------------------------------------- comparisons


def test_a_run_has_not_moved_against_itself(good):
    moved = compare_runs(good, good)
    assert not moved.worse
    assert moved.lines() == [f"3 claims in both runs, 0 differences, {good.seconds:.1f} s and {good.seconds:.1f} s"]


def test_what_got_worse_is_told_from_what_got_better(good):
    first = good.verdicts[0]
    mutant = replace(first.mutants[0], status="survived")
    fallen = replace(first, status="REFUTED", reason="E = 1e7", mutants=(mutant,), seconds=first.seconds + 5)
    changed = replace(good, verdicts=(fallen, good.verdicts[1]), provenance={"commit": "f" * 40, "versions": {"numpy": "9"}})
    forth, back = compare_runs(good, changed), compare_runs(changed, good)
    text = "\n".join(forth.lines())
    assert forth.worse
    assert not back.worse
    assert "GD-01: VERIFIED -> REFUTED (E = 1e7)  WORSE" in text
    assert "GD-01: mutant half killed -> survived  WORSE" in text
    assert "GD-03: VERIFIED -> not in the second run" in text
    assert "ffffffffff" in text
    assert "-> 9" in text
    assert "2 for the worse" in text
    assert json.loads(json.dumps(forth.to_dict()))["worse"] is True


def test_a_new_claim_that_is_refuted_is_for_the_worse(good):
    first = good.verdicts[0]
    refuted = replace(good, verdicts=(*good.verdicts, replace(first, claim="GD-09", status="REFUTED")))
    assert compare_runs(good, refuted).worse
    fine = replace(good, verdicts=(*good.verdicts, replace(first, claim="GD-09")))
    assert not compare_runs(good, fine).worse


def test_slack_moves_only_by_more_than_chance(good):
    def with_slack(worst):
        parts = tuple(replace(part, slack=replace(part.slack, worst=worst)) for part in good.verdicts[1].parts)
        return replace(good, verdicts=(replace(good.verdicts[1], parts=parts),))

    assert len(compare_runs(with_slack(0.5), with_slack(0.505)).lines()) == 1
    assert "GD-02: worst slack 0.5 -> 0.4" in compare_runs(with_slack(0.5), with_slack(0.4)).lines()


def test_the_exit_code_of_a_comparison(tmp_path, monkeypatch, capsys, synthetic):
    monkeypatch.chdir(tmp_path)
    for options in ((), ("--mutants", "none")):
        main(["run", "GD-03", "--catalogue", "synthetic_claims:good", *options])
    assert main(["compare", "build/runs/0001", "build/runs/0002", "--json"]) == 0  # not run is not worse
    assert main(["compare", "build/runs/0001", "build/runs/0003"]) == 2


# ------------------------------------------------------------------------------------------------------------------- the terminal


def test_the_table_shows_what_is_being_tried_and_verdicts_stay(synthetic, monkeypatch):
    from rich.console import Console

    monkeypatch.setenv("TERM", "xterm-256color")  # a dumb terminal gets no colours

    out = io.StringIO()
    front = Live(2, console=Console(file=out, force_terminal=True, width=120, highlight=False))
    claim = synthetic.good["GD-01"]
    with front:
        front.started([claim], proofs_check.RunResult((), {}, "quick", 7, 0.0, {}))
        front.progressed(claim, 640)
        table = Console(file=io.StringIO(), width=120)
        table.print(front._table())
        shown = table.file.getvalue()
        front.finished(claim, run("GD-01", catalogue=synthetic.good, out=None).verdicts[0])
        empty = Console(file=io.StringIO(), width=120)
        empty.print(front._table())
    assert "GD-01" in shown
    assert "640 trials" in shown
    assert "0 of 1 claims" in shown
    assert "1 VERIFIED" in empty.file.getvalue()
    assert "640" not in empty.file.getvalue()
    assert "root 7" in out.getvalue()
    assert "\x1b[" in out.getvalue()


def test_plain_lines_hold_no_escape_and_name_the_replay_of_an_error(synthetic):
    out = io.StringIO()
    result = run(
        "BR-04", catalogue=synthetic.broken, out=None, tier="full", root=3, mutants="none", listener=Plain(1, out, "my.claims:cat")
    )
    text = out.getvalue()
    assert result.exit_code == 3
    assert "\x1b" not in text
    assert "trial 0 of block 0 on one[0]: ZeroDivisionError: no data" in text
    assert "again: python -m proofs_check run BR-04 --mutants none --tier full --root 3 --catalogue my.claims:cat" in text


def test_a_long_silence_is_broken(synthetic, monkeypatch):
    monkeypatch.setattr("proofs_check.console.HEARTBEAT_SECONDS", -1.0)
    out = io.StringIO()
    run("GD-01", catalogue=synthetic.good, out=None, mutants="none", listener=Plain(1, out))
    assert "... GD-01 after" in out.getvalue()


def test_titles_that_look_like_markup_are_printed_as_they_are():
    cat = Catalogue("tests/markup")
    cat.inequality(
        "MK-01", bound=lambda *, n: n, title="[red]odd[/red]", families={"one": [{"n": 1}]}, impl={"f": float},
        source="folklore", plain="p", mutants=[proofs_check.Mutant("m", "impl", {"f": lambda f: lambda x: 9.0}, why="w")],
    )(lambda inst, rng, impl: impl.f(0))  # fmt: skip
    from rich.console import Console

    out = io.StringIO()
    front = Live(1, console=Console(file=out, width=120))
    with front:
        run(catalogue=cat, out=None, listener=front)
    assert "[red]odd[/red]" in out.getvalue()
