"""Claims with known answers get them, whatever the workers do and wherever a run was cut."""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest

from proofs_check import Catalogue, Family, FloatBudget, Instance, Interval, Mutant, Outcome, check, run
from proofs_check.console import claim_words
from proofs_check.engine import _next_folder
from proofs_check.floats import unit_roundoff
from proofs_check.records import load_records

ANY = [Mutant("any", "impl", {"f": lambda f: lambda *a: 1e9}, why="nonsense")]
COMMON = {"source": "folklore", "plain": "p", "mutants": ANY, "impl": {"f": float}}


def verdicts(catalogue, **options):
    result = run(catalogue=catalogue, **({"out": None} | options))
    return {verdict.claim: verdict for verdict in result.verdicts}, result


def plain(path):
    """The lines of a result file without what may differ between runs: times and paths."""
    lines = []
    for text in path.read_text().splitlines():
        line = json.loads(text)
        line.pop("seconds")
        line.pop("provenance", None)
        for found in line.get("counterexamples", ()):
            found.pop("path")
        lines.append(line)
    return lines


def declare(kind="tail", claim_id="ZZ-01", **options):
    """Return a decorator into a catalogue of one claim; the catalogue is its attribute ``cat``."""
    cat = Catalogue("test")
    defaults = {"families": {"one": [{"n": 4}]}, **COMMON}
    if kind == "tail":
        defaults |= {"bound": lambda *, delta: 1 - delta, "levels": (0.5,)}
    decorator = getattr(cat, kind)(claim_id, **(defaults | options))

    def register(fn):
        decorator(fn)
        return cat

    return register


# -------------------------------------------------------------------------------------------------------------------- known answers


def test_true_claims_hold_and_their_mutants_die(synthetic):
    found, result = verdicts(synthetic.good)
    assert {claim: verdict.status for claim, verdict in found.items()} == {"GD-01": "VERIFIED", "GD-02": "SURVIVED", "GD-03": "VERIFIED"}
    assert all(mutant.status == "killed" for verdict in found.values() for mutant in verdict.mutants)
    assert result.exit_code == 0
    assert found["GD-03"].n == 12  # an enumeration is gone through once


def test_false_claims_fall(synthetic):
    found, result = verdicts(synthetic.bad)
    assert (found["BD-01"].status, found["BD-02"].status, result.exit_code) == ("REFUTED", "REFUTED", 1)
    assert found["BD-02"].counterexamples[0].measured > 1.0


def test_a_true_tail_at_its_boundary_is_not_refuted_and_a_false_one_is():
    """P(u > 1 - delta) = delta exactly, against twice the odds and more."""
    at = declare(levels=(0.2,))(lambda inst, rng, impl: impl.f(rng.random()))
    beyond = declare(levels=(0.2,))(lambda inst, rng, impl: impl.f(rng.random() ** 0.3))
    assert all(verdicts(at, root=root)[0]["ZZ-01"].status != "REFUTED" for root in range(20))
    assert all(verdicts(beyond, root=root)[0]["ZZ-01"].status == "REFUTED" for root in range(5))


def test_per_iterate_values_are_judged_at_their_worst():
    steps = {"path": [{"steps": np.arange(1.0, 6.0)}]}
    good = declare("inequality", bound=lambda *, steps: steps**2, families=steps)(lambda inst, rng, impl: inst.steps * 1.0)
    bad = declare("inequality", bound=lambda *, steps: steps**2, families=steps)(
        lambda inst, rng, impl: inst.steps + (inst.steps == 1) * 0.5
    )
    assert verdicts(good)[0]["ZZ-01"].slack.worst == 1.0
    assert verdicts(bad)[0]["ZZ-01"].status == "REFUTED"
    assert verdicts(bad)[0]["ZZ-01"].slack.worst == 1.5


def test_lower_bounds_and_negative_bounds():
    at_least = declare("inequality", bound=lambda *, n: n, sense=">=")(lambda inst, rng, impl: 2.0 * inst.n)
    assert verdicts(at_least)[0]["ZZ-01"].slack.worst == 0.5
    negative = declare("inequality", bound=lambda *, n: -1.0 * n)(lambda inst, rng, impl: -2.0)
    assert verdicts(negative)[0]["ZZ-01"].status == "REFUTED"  # -2 <= -4 is false


@pytest.mark.parametrize(
    ("sense", "value", "status"), [("<=", 3.0, "SURVIVED"), ("<=", 5.0, "REFUTED"), (">=", 5.0, "SURVIVED"), (">=", 3.0, "REFUTED")]
)
def test_the_sense_counts_where_the_measurement_brings_the_other_side(sense, value, status):
    cat = declare("inequality", sense=sense)(lambda inst, rng, impl: Outcome(value, reference=4.0))
    assert verdicts(cat, mutants="none")[0]["ZZ-01"].status == status


# --------------------------------------------------------------------------------------------------------------- the precision ladder


def third(x, relative=0.0):
    return x / x.dtype.type(3) * x.dtype.type(3) * x.dtype.type(1 + relative)


def at_level(relative):
    def residual(inst, rng, impl, level):
        if level == "mpmath":
            raise NotImplementedError
        x = inst.x.astype(level)
        return float(np.abs(third(x, relative).sum() - x.sum()))

    return residual


def identity(relative, k, ladder=True):
    family = Family("gauss", lambda rng, point: Instance(point, {"x": rng.standard_normal(1000)}), grid=({"n": 1000},))
    options = {
        "budget": FloatBudget(k=k, scale=30.0, why="roundings"),
        "families": [family],
        "ladder": at_level(relative) if ladder else None,
    }
    return declare("identity", **{name: value for name, value in options.items() if value is not None})(
        lambda inst, rng, impl: Outcome(third(inst.x, relative).sum(), reference=inst.x.sum())
    )


@pytest.mark.parametrize(
    ("relative", "k", "ladder", "status"),
    [
        (0.0, 3000, True, "SURVIVED"),  # true, within its budget
        (6e-7, 100_000, True, "REFUTED"),  # false by little: does not shrink with the precision
        (6e-7, 100_000, False, "INCONCLUSIVE"),  # without a second precision nobody can tell
        (6e-5, 3000, False, "REFUTED"),  # a million budgets
        (1e-13, 1, False, "INCONCLUSIVE"),  # neither clear nor repeatable in another precision
        (0.5, 3000, False, "REFUTED"),
    ],
)
def test_rounding_and_falsehood_are_told_apart(relative, k, ladder, status):
    assert verdicts(identity(relative, k, ladder))[0]["ZZ-01"].status == status


def test_a_budget_that_is_too_small_does_not_refute():
    """The residual shrinks with the unit roundoff (s = 1 up to luck), so the budget is blamed and not the identity."""

    def shrinking(inst, rng, impl, level):
        if level == "mpmath":
            raise NotImplementedError
        return 100 * float(np.finfo(level).eps)

    cat = declare("identity", budget=FloatBudget(k=1, why="too few"), ladder=shrinking)(
        lambda inst, rng, impl: Outcome(1.0 + 100 * 2.0**-52, reference=1.0)
    )
    verdict = verdicts(cat)[0]["ZZ-01"]
    assert verdict.status == "INCONCLUSIVE"
    assert "budget was too small" in verdict.reason


@pytest.mark.parametrize(
    ("falsehood", "tier", "status"), [(5e-17, "quick", "SURVIVED"), (5e-17, "full", "REFUTED"), (0.0, "full", "SURVIVED")]
)
def test_a_falsehood_below_the_rounding_of_double_is_found_beyond_the_quick_tier(falsehood, tier, status):
    """One passing trial in a hundred is repeated: 5e-17 hides in the tolerance of double precision, 1.1e-16, and not in a finer one."""
    cat = declare(
        "identity",
        budget=FloatBudget(k=1, why="one rounding"),
        ladder=lambda inst, rng, impl, level: falsehood + unit_roundoff(level) / 2,
    )(lambda inst, rng, impl: Outcome(1.0, reference=1.0))
    assert verdicts(cat, tier=tier, mutants="none")[0]["ZZ-01"].status == status


# ------------------------------------------------------------------------------------------------------------------ broken measurements


def test_broken_claims_are_errors_and_the_others_finish(synthetic):
    found, result = verdicts(synthetic.broken, mutants="none")
    assert Counter(verdict.status for verdict in found.values()) == {"ERROR": 6, "INCONCLUSIVE": 1}
    for claim in ("BR-01", "BR-02", "BR-03"):
        assert "non-deterministic" in found[claim].reason
    assert "ZeroDivisionError: no data (synthetic_claims.py:" in found["BR-04"].reason
    assert "not a number" in found["BR-05"].reason
    assert 'pip install "epsdelta[data]"' in found["BR-06"].reason
    assert "missed the premise" in found["BR-07"].reason
    assert result.exit_code == 3


def test_missing_data_can_be_allowed_and_stays_visible(synthetic):
    found, result = verdicts(synthetic.broken, patterns="BR-06", allow_missing=True)
    assert (found["BR-06"].status, result.exit_code) == ("UNAVAILABLE", 3)


@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_a_trial_that_never_returns_is_an_error(backend):
    from proofs_check.model import Budget

    def endless(inst, rng, impl):
        while True:
            time.sleep(0.001)

    cat = declare(budgets={tier: Budget(64, seconds=0.1) for tier in ("quick", "full", "nightly")})(endless)
    verdict = verdicts(cat, backend=backend)[0]["ZZ-01"]
    assert verdict.status == "ERROR"
    assert "BlockTimeoutError" in verdict.reason


@pytest.mark.parametrize("caught", [Exception, BaseException])
@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_a_claim_cannot_outlive_its_wall_limit_by_a_fallback(backend, caught):
    """A fallback that swallows the alarm would give a value that depends on the clock."""
    from proofs_check.model import Budget

    trials = []

    def falls_back(inst, rng, impl):
        trials.append(inst)
        try:
            while len(trials) == 1:  # the first trial alone outlives the limit; the rest of its block runs on as if nothing had happened
                time.sleep(0.001)
        except caught:
            pass
        return 0.0

    cat = declare(budgets={tier: Budget(64, seconds=0.1) for tier in ("quick", "full", "nightly")})(falls_back)
    verdict = verdicts(cat, backend=backend)[0]["ZZ-01"]
    assert verdict.status == "ERROR"
    assert "BlockTimeoutError" in verdict.reason


def test_a_trial_that_exits_is_an_error_and_the_others_finish():
    cat = declare()(lambda inst, rng, impl: sys.exit(0))
    cat.extend(declare(claim_id="ZZ-02")(lambda inst, rng, impl: rng.random() / 4))
    found, result = verdicts(cat, mutants="none")
    assert {name: verdict.status for name, verdict in found.items()} == {"ZZ-01": "ERROR", "ZZ-02": "VERIFIED"}
    assert result.exit_code == 3
    assert "SystemExit" in found["ZZ-01"].reason


def test_control_characters_of_a_message_do_not_reach_the_terminal():
    def shouts(inst, rng, impl):
        raise ValueError("red \x1b[31m line\nnext")

    verdict = verdicts(declare()(shouts), mutants="none")[0]["ZZ-01"]
    words = claim_words(verdict, "a \x1b[2J title")
    assert "\x1b" not in words
    assert r"red \x1b[31m line" in words


def _unsendable():
    lock = threading.Lock()

    def measure(inst, rng, impl):
        with lock:
            return 0.0

    return measure


def _dies():
    parent = os.getpid()
    return lambda inst, rng, impl: 0.0 if os.getpid() == parent else os._exit(0)


def test_claims_that_break_their_workers_are_errors_and_the_others_finish():
    cat = declare()(_unsendable())
    cat.extend(declare(claim_id="ZZ-02")(_dies()))
    cat.extend(declare(claim_id="ZZ-03")(lambda inst, rng, impl: rng.random() / 4))
    found, result = verdicts(cat, mutants="none", jobs=2, backend="loky")
    assert {name: verdict.status for name, verdict in found.items()} == {"ZZ-01": "ERROR", "ZZ-02": "ERROR", "ZZ-03": "VERIFIED"}
    assert result.exit_code == 3
    for name in ("ZZ-01", "ZZ-02"):
        assert "block 0 on one[0] ended its worker" in found[name].reason


@pytest.mark.parametrize("value", [None, "text", [1, "a"]])
def test_a_value_that_is_no_number_is_an_error(value):
    assert verdicts(declare()(lambda inst, rng, impl: value))[0]["ZZ-01"].status == "ERROR"


def test_a_family_that_builds_something_else_is_an_error():
    cat = declare(families=[Family("one", lambda rng, point: 3, grid=({"n": 1},))])(lambda inst, rng, impl: 0.0)
    assert "returns an Instance" in verdicts(cat)[0]["ZZ-01"].reason


def test_a_bound_parameter_that_a_generator_forgets_is_an_error():
    cat = declare("inequality", bound=lambda *, m: m, families=[Family("one", lambda rng, point: Instance({"n": 1}))])(lambda i, r, f: 0.0)
    assert "['m']" in verdicts(cat)[0]["ZZ-01"].reason


# ------------------------------------------------------------------------------------------------------------------- streams and levels


def test_levels_share_their_trials_unless_the_algorithm_sees_delta():
    calls = Counter()

    def counting(name):
        def measure(inst, rng, impl):
            calls[name] += 1
            return rng.random() / 4 + 0 * (inst.delta if name == "apart" else 0)

        return measure

    levels = (0.5, 0.3, 0.2)
    for name in ("together", "apart"):
        verdicts(declare(levels=levels, trials=64, delta_in_algorithm=name == "apart")(counting(name)), mutants="none")
    # 64 trials, the same again to detect non-determinism, and the slack stream: once, against once per level
    assert calls["apart"] == 3 * calls["together"]


def test_asking_for_a_shared_level_says_what_to_declare():
    verdict = verdicts(declare()(lambda inst, rng, impl: inst.delta))[0]["ZZ-01"]
    assert "delta_in_algorithm=True" in verdict.reason


def test_a_certificate_may_depend_on_delta():
    def claims_to_err_by_no_more_than_delta(inst, rng, impl):
        return Outcome(rng.random(), claimed=Interval(1 - inst.delta, 1 - inst.delta, "uniform"), accepted=True)

    options = {"levels": (0.5, 0.2), "delta_in_algorithm": True}
    found, _ = verdicts(declare("soundness", **options)(claims_to_err_by_no_more_than_delta), mutants="none")
    assert found["ZZ-01"].status == "VERIFIED"
    often, seldom = (part.k_lo / part.n for part in found["ZZ-01"].parts)
    assert often > 0.35 > seldom


def test_deterministic_claims_draw_a_fresh_instance_for_every_trial():
    seen = set()
    family = Family("gauss", lambda rng, point: Instance(point, {"x": rng.random()}), grid=({"n": 1},))

    def measure(inst, rng, impl):
        seen.add(inst.x)
        return 0.0

    verdicts(declare("inequality", bound=lambda *, n: n, families=[family], trials=8)(measure), mutants="none")
    assert len(seen) == 8


def test_tail_claims_keep_one_instance_for_a_part():
    seen = set()
    family = Family("gauss", lambda rng, point: Instance(point, {"x": rng.random()}), grid=({"n": 1},))

    def measure(inst, rng, impl):
        seen.add(inst.x)
        return 0.0

    verdicts(declare(families=[family], levels=(0.5, 0.2))(measure), mutants="none")
    assert len(seen) == 1


def test_adding_a_family_changes_no_other_number(tmp_path):
    one = {"coins": [{"n": 4}]}
    for name, families in (("a", one), ("b", {"new": [{"n": 9}], **one})):
        run(catalogue=declare(families=families)(lambda i, rng, f: rng.random()), mutants="none", out=tmp_path / name)
    first, second = (load_records(tmp_path / name / "0001").records for name in "ab")
    common = [key for key in first if key in second]
    assert common
    for key in common:
        assert (first[key].k_lo, first[key].slack_max) == (second[key].k_lo, second[key].slack_max)


# ---------------------------------------------------------------------------------------------------------------- workers and restarts


def test_workers_change_no_digit(synthetic, tmp_path):
    files = []
    for name, options in {
        "serial": {"jobs": 1},
        "threads": {"jobs": 3, "backend": "threads"},
        "loky": {"jobs": 2, "backend": "loky"},
    }.items():
        run(("GD-01", "GD-02"), catalogue=synthetic.good, out=tmp_path / name, **options)
        files.append(plain(tmp_path / name / "0001" / "results.jsonl"))
    assert files[0] == files[1] == files[2]


def test_a_run_cut_anywhere_goes_on_to_the_same_end(synthetic, tmp_path):
    run("GD-01", catalogue=synthetic.good, out=tmp_path)
    folder = tmp_path / "0001"
    whole, expected = (folder / "records.jsonl").read_bytes(), plain(folder / "results.jsonl")
    for cut in np.random.default_rng(2).integers(whole.index(b"\n") + 1, len(whole), 6):
        (folder / "records.jsonl").write_bytes(whole[:cut])
        (folder / "results.jsonl").unlink()
        run("GD-01", catalogue=synthetic.good, resume=folder)
        again = plain(folder / "results.jsonl")
        for line in again:
            line.pop("notes", None)
        for line in expected:
            line.pop("notes", None)
        assert again == expected
        assert sorted((folder / "records.jsonl").read_bytes().splitlines()[1:], key=strip) != []
        assert {strip(line) for line in (folder / "records.jsonl").read_bytes().splitlines()[1:]} == {
            strip(line) for line in whole.splitlines()[1:]
        }


def strip(line):
    record = json.loads(line)
    record.pop("seconds", None)
    record.pop("sha")
    return json.dumps(record)


def test_stored_blocks_are_not_measured_again(tmp_path):
    calls = Counter()

    def measure(inst, rng, impl):
        calls["n"] += 1
        return rng.random()

    cat = declare(levels=(0.05,))(measure)  # true without margin: it takes some blocks
    n = run(catalogue=cat, mutants="none", out=tmp_path).verdicts[0].n
    before = calls["n"]
    assert n > 64 * 4
    assert before == n + 64 * (2 + 4)  # block 0 and the last one repeated, slack
    run(catalogue=cat, mutants="none", resume=tmp_path / "0001")
    assert calls["n"] - before in (64 * 2, 64 * 3)  # repeated: block 0, the last one, and one that the content chooses, perhaps the last


def test_records_of_other_code_are_not_used(tmp_path):
    run(catalogue=declare()(lambda inst, rng, impl: rng.random()), mutants="none", out=tmp_path)
    result = run(catalogue=declare(version=2)(lambda inst, rng, impl: 0.0), mutants="none", resume=tmp_path / "0001")
    assert result.verdicts[0].parts[0].k_lo == 0


def test_a_stored_block_that_differs_from_the_code_is_noticed(tmp_path):
    """The function reads a global that the fingerprint cannot see; measuring block 0 again does."""
    run(catalogue=declare()(_hidden_input), mutants="none", out=tmp_path)
    _HIDDEN[0] = 0.5
    try:
        result = run(catalogue=declare()(_hidden_input), mutants="none", resume=tmp_path / "0001")
    finally:
        _HIDDEN[0] = 0.0
    assert result.verdicts[0].status == "ERROR"


_HIDDEN = [0.0]


def _hidden_input(inst, rng, impl):
    return rng.random() / 4 + _HIDDEN[0]


def test_blocks_run_block_major(tmp_path):
    cat = declare(families={"one": [{"n": 1}, {"n": 2}]}, levels=(0.05,), trials=256)(lambda inst, rng, impl: rng.random())
    run(catalogue=cat, mutants="none", out=tmp_path)
    order = [(record.block, record.instance) for record in load_records(tmp_path / "0001").records.values() if record.stream == 1]
    assert order == [(block, instance) for block in range(4) for instance in (0, 1)]


def test_surplus_blocks_change_nothing(tmp_path):
    """Blocks beyond the stop, left by somebody who ran further, are not read."""

    def measure(inst, rng, impl):
        return rng.random() / 4

    run(catalogue=declare()(measure), mutants="none", out=tmp_path)
    path = tmp_path / "0001" / "records.jsonl"
    from dataclasses import replace

    from proofs_check.records import encode_record

    last = [record for record in load_records(path).records.values() if record.stream == 1][-1]
    with path.open("a") as file:
        file.write(encode_record(replace(last, block=last.block + 1, k_lo=64, k_hi=64)) + "\n")
    expected = plain(tmp_path / "0001" / "results.jsonl")
    run(catalogue=declare()(measure), mutants="none", resume=tmp_path / "0001")
    assert plain(tmp_path / "0001" / "results.jsonl")[1:] == expected[1:]


# -------------------------------------------------------------------------------------------------------------------------- stopping


def test_time_out_gives_no_decision():
    verdict = verdicts(declare()(lambda inst, rng, impl: rng.random()), max_seconds=0.0)[0]["ZZ-01"]
    assert (verdict.status, verdict.reason) == ("INCONCLUSIVE", "not finished within 0 s")


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    def slow(inst, rng, impl):
        time.sleep(0.002)
        return rng.random()

    cat = declare(levels=(0.05,))(slow)
    timer = threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    result = run(catalogue=cat, out=tmp_path, mutants="none")
    timer.join()
    assert (result.interrupted, result.exit_code, result.verdicts[0].status) == (True, 130, "INCONCLUSIVE")
    kept = load_records(tmp_path / "0001").records
    assert kept
    assert (tmp_path / "0001" / "results.jsonl").is_file()


def test_a_claim_of_a_larger_tier_does_not_touch_the_exit_code():
    options = {"levels": (0.05,), "trials": {"quick": 64}, "mutants": ANY}
    late = declare(decided_in="full", **options)(lambda inst, rng, impl: rng.random() / 4)
    now = declare(**options)(lambda inst, rng, impl: rng.random() / 4)
    assert verdicts(late, mutants="none")[1].exit_code == 0
    assert verdicts(now, mutants="none")[1].exit_code == 3


def test_check_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cat = declare()(lambda inst, rng, impl: rng.random() / 4)
    assert check(cat["ZZ-01"], mutants="none").status == "VERIFIED"
    assert list(tmp_path.iterdir()) == []


def test_runs_are_numbered(tmp_path):
    assert [_next_folder(tmp_path).name for _ in range(3)] == ["0001", "0002", "0003"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tier": "tiny"}, "tier='tiny'"),
        ({"mutants": "some"}, "mutants='some'"),
        ({"jobs": 0}, "jobs=0"),
        ({"backend": "dask"}, "backend='dask'"),
        ({"patterns": "QQ-*"}, "no claim matches 'QQ-\\*'"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        verdicts(declare()(lambda inst, rng, impl: 0.0), **options)
