"""What the judge promises, put to the test as a user would: whole claims through the engine.

Error rates, power, broken checkers and betting stand in ``test_calibration``, search in ``test_search``, the pair of soundness and
completeness in ``test_generated``, the user's example in ``test_own_bound``, exit codes in ``test_cli``, the report in ``tests/browser``.
"""

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from proofs_check import Budget, Catalogue, Family, FloatBudget, Instance, Interval, Margin, Mutant, Outcome, Subject, check, run
from proofs_check.cli import main
from proofs_check.model import TIERS
from proofs_check.results import load_results

HERE = Path(__file__).parent
ANY = [Mutant("any", "impl", {"f": lambda f: lambda *a: 1e9}, why="nonsense")]
COMMON = {"source": "folklore", "plain": "p", "mutants": ANY, "impl": {"f": float}}


def digits(folder):
    """The result lines without what may differ between runs: times, paths, notes, provenance."""
    lines = [json.loads(text) for text in (folder / "results.jsonl").read_text().splitlines()]
    for line in lines:
        for name in ("seconds", "provenance", "notes"):
            line.pop(name, None)
        for found in line.get("counterexamples", ()):
            found.pop("path")
    return lines


# --------------------------------------------------------------------------------------------------------- 5: kills at random times


def killed_and_resumed(tmp_path, kills, catalogue, claims):
    """Start a run in another process, kill it without warning, go on; until it ends by itself."""
    command = [sys.executable, "-m", "proofs_check", "run", *claims, "--catalogue", f"synthetic_claims:{catalogue}"]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    whole = tmp_path / "build" / "runs" / "0001"
    folder = tmp_path / "build" / "runs" / "0002"
    rng = np.random.default_rng(5)
    killed = 0
    for attempt in range(40 * kills):
        resume = ["--resume", str(folder)] if (folder / "records.jsonl").exists() else []
        process = subprocess.Popen([*command, *resume], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if killed < kills:
            before = (folder / "records.jsonl").stat().st_size if resume else 0
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and process.poll() is None:
                if (folder / "records.jsonl").exists() and (folder / "records.jsonl").stat().st_size > before:
                    break
                time.sleep(0.001)
            time.sleep(float(rng.uniform(0, 0.02)))
            process.send_signal(signal.SIGKILL)
        killed += process.wait(timeout=60) == -signal.SIGKILL
        if (folder / "results.jsonl").exists():
            assert attempt > 0 or kills == 0
            return killed, digits(whole), digits(folder)
    raise AssertionError("the run never ended")


def test_a_run_killed_without_warning_comes_to_the_same_digits(tmp_path):
    killed, whole, resumed = killed_and_resumed(tmp_path, 1, "good", ["GD-01"])
    assert killed >= 1
    assert whole == resumed


@pytest.mark.slow
def test_twenty_kills_come_to_the_same_digits(tmp_path):
    killed = 0
    for round_ in range(10):
        (tmp_path / str(round_)).mkdir()
        dead, whole, resumed = killed_and_resumed(tmp_path / str(round_), 4, "good", [])
        killed += dead
        assert whole == resumed
    assert killed >= 20


def test_a_run_of_another_tier_or_root_is_not_continued(synthetic, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["run", "GD-03", "--catalogue", "synthetic_claims:good"])
    for options, words in (
        (["--tier", "full"], "this run has tier quick, not full; go on with --tier quick"),
        (["--root", "7"], "has root 20240229"),
    ):
        assert main(["run", "GD-03", "--catalogue", "synthetic_claims:good", "--resume", *options]) == 2
        assert words in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ 6 and bad input: broken claims

BROKEN = {
    "envelope": ("expectation", lambda inst, rng, impl: 1.5, "outside the declared envelope"),
    "inverted": ("tail", lambda inst, rng, impl: Interval(2.0, 1.0, "a wrong bracket"), "inverted or undefined interval"),
    "nan": ("tail", lambda inst, rng, impl: float("nan"), "not a number"),
    "raises": ("tail", lambda inst, rng, impl: inst.nothing, "the instance has no 'nothing'"),
    "no_answer": ("soundness", lambda inst, rng, impl: 0.0, "must say whether it accepted"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_claim_is_an_error_with_its_place_and_the_next_claim_finishes(name):
    kind, measure, words = BROKEN[name]
    cat = Catalogue("tests/broken")
    options = {**COMMON, "families": {"one": [{"n": 4}, {"n": 5}]}, "bound": lambda *, n: 0.5}
    if kind == "expectation":
        options |= {"envelope": (0.0, 1.0), "margin": Margin("add", 0.1, why="w")}
    else:
        options |= {"levels": (0.2,)}
    getattr(cat, kind)("BK-01", **options)(measure)
    cat.inequality("BK-02", bound=lambda *, n: n, families={"one": [{"n": 4}]}, **COMMON)(lambda inst, rng, impl: 4.0)
    result = run(catalogue=cat, mutants="none", out=None)
    assert [verdict.status for verdict in result.verdicts] == ["ERROR", "SURVIVED"]
    assert words in result.verdicts[0].reason
    assert "block 0 on one[0]" in result.verdicts[0].reason
    assert result.exit_code == 3


# ------------------------------------------------------------------------------------------------------------------ 9: the ladder


def leverage_sum(X, level, error=0.0):
    """|trace of X (X'X)^-1 X' - d (1 + error)| by elimination that exists in every precision."""
    if level == "mpmath":
        import mpmath

        A = np.vectorize(mpmath.mpf, otypes=[object])(X)
    else:
        A = X.astype(level)
    G, Z, d = A.T @ A, A.T.copy(), X.shape[1]
    for i in range(d):
        Z[i], G[i] = Z[i] / G[i, i], G[i] / G[i, i]
        for j in range(d):
            if j != i:
                Z[j], G[j] = Z[j] - G[j, i] * Z[i], G[j] - G[j, i] * G[i]
    return abs((A * Z.T).sum() - d * (1 + error))


def conditioned(rng, point):
    d = 6
    X = rng.standard_normal((40, d)) @ np.diag(np.geomspace(1.0, 1e-3, d)) @ rng.standard_normal((d, d))
    return Instance({"n": 40}, {"X": X})


def leverage_claim(error, size):
    """The scores sum to d; the tolerance is `size` times what the largest residual needs."""
    cat = Catalogue("tests/ladder")
    cat.identity(
        "LD-01",
        budget=FloatBudget(k=1, scale=size, why="chosen by the test"),
        families=[Family("kappa_1000", conditioned)],
        ladder=lambda inst, rng, impl, level: leverage_sum(inst.X, level, error),
        **COMMON,
    )(lambda inst, rng, impl: Outcome(float(leverage_sum(inst.X, "float64", error)), reference=0.0))
    return cat["LD-01"]


NEEDED = max(float(leverage_sum(conditioned(np.random.default_rng(seed), {}).X, "float64")) for seed in range(20)) * 2.0**53


@pytest.mark.parametrize("longdouble", [True, False])
@pytest.mark.parametrize(
    ("error", "size", "status", "words"),
    [
        (0.0, 1e4, "SURVIVED", "no violation"),
        (0.0, 1e-2, "INCONCLUSIVE", "budget was too small"),
        (6e-7, 1e-2, "REFUTED", "also after the recheck"),
    ],
)
def test_rounding_of_an_ill_conditioned_identity_is_told_from_falsehood(monkeypatch, longdouble, error, size, status, words):
    if not longdouble:
        original = np.finfo
        monkeypatch.setattr(np, "finfo", lambda kind: original(np.float64 if np.dtype(kind) == np.longdouble else kind))
    verdict = check(leverage_claim(error, size * NEEDED), mutants="none")
    assert verdict.status == status
    assert words in verdict.reason


# ------------------------------------------------------------------------------------------------------------------- 10: rates

SIZES = tuple(250 * 2**j for j in range(8))


def rate_claim(truth, sizes=SIZES, gap=None):
    """An error with known law; the inner median of nine norms of four Gaussians is its noise."""
    cat = Catalogue("tests/rates")
    n = np.asarray(sizes, dtype=float)

    def measure(inst, rng, impl):
        noise = np.median(np.linalg.norm(rng.standard_normal((len(n), 9, 4)), axis=2), axis=1) / 2
        errors = truth(n) * noise
        return errors if gap is None else Outcome(errors, aux={"optimisation_gap": gap(errors)})

    budget = Budget(60, 1, sizes=sizes)
    cat.rate("RT-01", bound=lambda *, n: 0.5, families={"one": [{"n": 1}]}, budgets=dict.fromkeys(TIERS, budget), **COMMON)(measure)
    return cat["RT-01"]


def test_four_sizes_never_decide_a_rate():
    verdict = check(rate_claim(lambda n: n**-0.5, SIZES[:4]), mutants="none")
    assert verdict.status == "INCONCLUSIVE"
    assert "6 sizes" in verdict.reason


@pytest.mark.parametrize(
    ("exponent", "gap", "status", "words"),
    [
        (0.5, lambda e: 0.09 * e, "VERIFIED", ""),
        (0.5, lambda e: 0.11 * e, "INCONCLUSIVE", "a solver may have missed 11% of an error"),
        (1 / 3, lambda e: 0.09 * e, "REFUTED", ""),
        (1 / 3, lambda e: 0.3 * e, "INCONCLUSIVE", "a solver may have missed 30% of an error"),  # a guard spares false claims as well
        (0.5, lambda e: 1e-4, "VERIFIED", ""),  # one tolerance for all sizes: the smallest error is .006
        (0.5, lambda e: 1e-3, "INCONCLUSIVE", "of an error that it measured"),
        (0.5, lambda e: -e, "ERROR", "none negative"),
        (0.5, lambda e: e[1:], "ERROR", "one number, or one per size"),
    ],
)
def test_a_rate_is_decided_only_if_its_solver_was_ten_times_as_accurate_as_its_errors(exponent, gap, status, words):
    verdict = check(rate_claim(lambda n: n**-exponent, gap=gap), mutants="none")
    assert verdict.status == status
    assert words in verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("truth", "status", "share"),
    [
        (lambda n: n**-0.5, "VERIFIED", 1.0),
        (lambda n: n**-0.5 * np.log(n), "REFUTED", 1.0),  # an R above one is never accepted, which the .95 of a plain race lacks
        (lambda n: n ** (-1 / 3), "REFUTED", 1.0),
        (lambda n: n**-0.5 + 0.01, "REFUTED", 1.0),
        (lambda n: n**-0.4, "VERIFIED", 0.0),
    ],
)
def test_decisions_about_rates(truth, status, share):
    claim = rate_claim(truth)
    found = [check(claim, root=root, mutants="none").status for root in range(200)]
    assert found.count(status) / len(found) == pytest.approx(share, abs=0.05)


# ----------------------------------------------------------------------------------------------------------- 11: lower bounds


def needle_claim(learners, needles=60, queries=5):
    """Among N places one holds the needle, drawn after the learner is built: q queries and a guess find it with (q + 1) / N."""
    cat = Catalogue("tests/needles")

    @cat.lower(
        "ND-01",
        bound=lambda *, N, q: (q + 1) / N,
        families={"uniform": [{"N": needles, "q": queries}]},
        subjects=[Subject(name, {"guess": guess}, expected) for name, (guess, expected) in learners.items()],
        mutants=[Mutant("told", "impl", {"guess": lambda f: lambda rng, N, q, ask, secret: secret}, why="is told the answer")],
        source="folklore",
        plain="no learner finds the needle more often than it can look",
    )
    def measure(inst, rng, impl):
        needle = int(rng.integers(inst.N))
        asked = []

        def ask(place):
            asked.append(place)
            return place == needle

        answer = impl.guess(rng, inst.N, inst.q, ask, needle)
        assert len(asked) <= inst.q
        return answer == needle

    return cat["ND-01"]


def in_order(start, step):
    """A learner that looks at places in a fixed order and guesses the next one."""

    def guess(rng, N, q, ask, secret):
        for i in range(q):
            if ask((start + i * step) % N):
                return (start + i * step) % N
        return (start + q * step) % N

    return guess


def at_random(rng, N, q, ask, secret):
    places = rng.permutation(N)[: q + 1]
    return next((place for place in places[:q] if ask(place)), places[q])


HONEST = {f"learner{i}": (in_order(7 * i, (1, 7, 11)[i % 3]), "pass") for i in range(9)} | {"random": (at_random, "pass")}


def test_ten_honest_learners_survive_and_one_that_reads_the_needle_is_caught():
    cheating = {"cheater": (lambda rng, N, q, ask, secret: secret, "refuted")}
    verdict = check(needle_claim(HONEST | cheating))
    assert verdict.status == "SURVIVED"
    assert len([part for part in verdict.parts if part.status == "SURVIVED"]) == 10
    caught = next(part for part in verdict.parts if part.part.subject == "cheater")
    assert (caught.status, caught.n) == ("REFUTED", 64)  # one block; it succeeded every time
    assert verdict.mutants[0].status == "killed"
    alone = check(needle_claim({"cheater": (lambda rng, N, q, ask, secret: secret, "pass")}), mutants="none")
    assert (alone.status, alone.n <= 100) == ("REFUTED", True)


def test_a_cheater_that_is_not_caught_makes_the_harness_blind():
    blind = {"sleepy": (lambda rng, N, q, ask, secret: 0, "refuted")}
    verdict = check(needle_claim(HONEST | blind), mutants="none")
    assert verdict.status == "ERROR"
    assert "harness blind" in verdict.reason


def test_the_bound_on_needles_is_attained_exactly_in_rationals():
    """Every deterministic learner, over all needles: (q + 1) / N as a fraction, and an enumeration accepts the equality."""
    cat = Catalogue("tests/needles")
    points = tuple({"N": N, "q": q} for N in (2, 5, 9) for q in range(N))

    @cat.identity(
        "ND-02",
        bound=lambda *, N, q: Fraction(q + 1, N),
        budget=FloatBudget(k=1, scale=5e-324, why="rationals: nothing rounds"),
        families=[Family("all", grid=points, role="enumeration")],
        impl={"guess": in_order(0, 1)},
        mutants=[Mutant("never_guesses", "impl", {"guess": lambda f: lambda rng, N, q, ask, secret: -1}, why="gives up")],
        source="folklore",
        plain="the bound is attained",
    )
    def success(inst, rng, impl):
        found = sum(
            impl.guess(None, inst.N, inst.q, lambda place, needle=needle: place == needle, None) == needle for needle in range(inst.N)
        )
        return Fraction(found, inst.N)

    verdict = check(cat["ND-02"])
    assert (verdict.status, verdict.n, verdict.mutants[0].status) == ("VERIFIED", len(points), "killed")


# ---------------------------------------------------------------------------------------------------------------- 14, 15: machine formats


def test_lines_of_real_runs_follow_the_shipped_schema_and_junit_counts_failures(synthetic, tmp_path):
    import xml.etree.ElementTree as ET

    import jsonschema

    from proofs_check.report import junit_xml, schema

    validator = jsonschema.Draft202012Validator(schema())
    for name in ("good", "bad", "broken", "mutants"):
        result = run(catalogue=getattr(synthetic, name), out=tmp_path / name, mutants="generated")
        for text in (tmp_path / name / "0001" / "results.jsonl").read_text().splitlines():
            validator.validate(json.loads(text))
        suite = ET.fromstring(junit_xml(load_results(tmp_path / name / "0001"))).find("testsuite")
        refuted = sum(verdict.status == "REFUTED" for verdict in result.verdicts)
        assert int(suite.get("failures")) == refuted + len(result.survivors)
        assert int(suite.get("errors")) >= sum(verdict.status == "ERROR" for verdict in result.verdicts)
