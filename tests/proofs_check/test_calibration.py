import itertools
import json
import math

import numpy as np
import pytest

from proofs_check import BlockRecord, Catalogue, Mutant, _counts, calibrate, check, evalues, rules
from proofs_check import calibration as module
from proofs_check.broken_checkers import broken_checkers
from proofs_check.walks import as_decided, walk

# delta: exact P(REFUTED) at delta, exact P(VERIFIED) at p1, medians to VERIFIED at p = 0, delta/2, delta and to REFUTED at p1, 2 p1.
# Computed twice: here by dynamic programming over boundaries tabulated by evalues, and once in 60 digits when the rules were designed.
TABLE = {
    0.5: (5.9e-7, 5.3e-4, (7, 19, 105), (193, 29)),
    0.2: (6.7e-7, 8.1e-4, (17, 45, 132), (221, 23)),
    0.1: (5.9e-7, 8.2e-4, (34, 88, 221), (353, 48)),
    0.05: (4.7e-7, 8.8e-4, (67, 155, 402), (647, 96)),
    0.01: (2.6e-7, 8.9e-4, (333, 766, 1829), (3184, 518)),
}


@pytest.fixture(scope="module")
def quick():
    return calibrate()


# ------------------------------------------------------------------------------------------------------------------------- the walk


def test_walk_equals_the_enumeration_of_all_sequences():
    table = evalues.boundary(0.3, 0.6, 12, step=3, alpha_R=0.2, alpha_A=0.2)
    for p in (0.2, 0.3, 0.7):
        refuted, verified = np.zeros(4), np.zeros(4)
        for bits in itertools.product((0, 1), repeat=12):
            weight = p ** sum(bits) * (1 - p) ** (12 - sum(bits))
            for look in range(4):
                k = sum(bits[: 3 * look + 3])
                if k >= table.k_refute[look] or k <= table.k_accept[look]:
                    (refuted if k >= table.k_refute[look] else verified)[look:] += weight
                    break
        exact = walk(p, table)
        assert refuted[-1] > 0 or verified[-1] > 0
        np.testing.assert_allclose(exact.refuted, refuted, atol=1e-14)
        np.testing.assert_allclose(exact.verified, verified, atol=1e-14)
        assert exact.undecided == pytest.approx(1 - refuted[-1] - verified[-1], abs=1e-14)


# -------------------------------------------------------------------------------------------------------------- errors and power


def _matches(rates):
    refuted, verified, to_verified, to_refuted = TABLE[rates.delta]
    assert rates.false_refutation == pytest.approx(refuted, rel=0.02)  # two digits
    assert rates.false_acceptance == pytest.approx(verified, rel=0.02)
    assert rates.to_verified == to_verified
    assert rates.to_refuted == pytest.approx(to_refuted, abs=1)


def test_exact_error_rates_and_medians(quick):
    assert [rates.delta for rates in quick.rates] == [0.5, 0.2, 0.1, 0.05]
    for rates in quick.rates:
        _matches(rates)


def test_power_curves_are_probabilities_and_monotone(quick):
    for curve in quick.power:
        total = np.add(np.add(curve.refuted, curve.verified), curve.inconclusive)
        np.testing.assert_allclose(total, 1.0, atol=1e-9)
        assert np.all(np.diff(curve.refuted) >= -1e-12)
        assert np.all(np.diff(curve.verified) <= 1e-12)
        assert curve.verified[0] > 0.999
        assert curve.refuted[-1] > 0.999


def test_everything_passes_and_can_be_written_as_json(quick):
    assert quick.passed, quick.problems
    assert json.loads(json.dumps(quick.to_dict()))["size"] == "quick"


# --------------------------------------------------------------------------------------------------------------- broken checkers


def test_six_broken_checkers_are_caught(quick):
    assert len(quick.broken) == 6
    assert all(checker.caught for checker in quick.broken), quick.broken
    errors = {checker.name: checker.error for checker in quick.broken}
    assert errors["null too small"] == pytest.approx(0.126, abs=5e-4)
    assert errors["peeks at an interval"] == pytest.approx(0.109, abs=5e-4)
    assert errors["counts by completion"] > 0.9
    assert errors["drops void trials"] > 0.997
    assert errors["judges on search trials"] > 0.5
    assert errors["margin too wide"] > 0.5


def test_worst_of_many_agrees_with_simulation():
    """P(the worst of 200 binomials is rejected at 1 %), from draws."""
    exact = next(c for c in broken_checkers(1, np.random.default_rng(0)) if c.name == "judges on search trials")
    counts = np.random.default_rng(1).binomial(100, 0.1, size=(4000, 200)).max(axis=1)
    drawn = np.mean(counts >= 19)  # P(Bin(100, .1) >= 19) = .0046, >= 18 = .0100 > .01
    assert exact.error == pytest.approx(drawn, abs=4 * math.sqrt(0.24 / 4000))


@pytest.mark.parametrize(
    ("name", "spoiled", "words"),
    [
        ("log_refute", lambda original: lambda k, n, p0: original(k, n, 0.7 * np.asarray(p0)), "false refutation"),
        ("log_accept", lambda original: lambda k, n, p1: original(k, n, np.minimum(1.3 * np.asarray(p1), 0.99)), "false acceptance"),
    ],
)
def test_spoiled_rules_are_noticed(monkeypatch, name, spoiled, words):
    evalues.boundary.cache_clear()
    monkeypatch.setattr(module, "_LEVELS", {"quick": (0.2,)})
    monkeypatch.setattr(module, "_ENGINE_RUNS", {"quick": 3})
    monkeypatch.setattr(module, "_PATHS", {"quick": 20})
    monkeypatch.setattr(module, "broken_checkers", lambda runs, rng: ())
    monkeypatch.setattr(_counts, name, spoiled(getattr(_counts, name)))
    try:
        problems = calibrate().problems
    finally:
        evalues.boundary.cache_clear()
    assert any(words in problem for problem in problems)


def test_spoiled_bets_are_noticed(monkeypatch):
    original = evalues.betting_log_wealth
    monkeypatch.setattr(evalues, "betting_log_wealth", lambda x, null, extreme: original(x, 0.8 * null, extreme))
    streams = module._betting_streams(100, np.random.default_rng(0))
    assert not all(stream.within for stream in streams)


# --------------------------------------------------------------------------------------------------------------- engine and bets


def test_engine_agrees_with_the_exact_law(quick):
    assert [agreement.p for agreement in quick.engine] == [0.1, 0.15, 0.2]
    for agreement in quick.engine:
        assert agreement.agrees, agreement
    assert 0.2 < quick.engine[1].exact_refuted < 0.8  # where the comparison has power


def test_rules_decide_exactly_at_the_tabulated_counts():
    """What the exact laws are computed from is what the engine's rules do, at every look."""
    claim = module._coin(0.1, 0.1, 1e-6, 1536, 64)
    part = claim.parts()[0]
    table = as_decided(evalues.boundary(0.1, 0.2, 1536, step=64), 0.1)
    for n, refute, accept in zip(table.looks.tolist(), table.k_refute.tolist(), table.k_accept.tolist(), strict=True):
        for k in {refute - 1, refute, accept, accept + 1, 0, n} & set(range(n + 1)):
            state = rules.new_state(claim, "quick", claim.parts())
            rules.update(state, BlockRecord("", claim.id, "", part.subject, part.family, 0, 0.1, 1, 0, n=n, k_lo=k, k_hi=k))
            assert rules.decision(state) == ("REFUTED" if k >= refute else "VERIFIED" if k <= accept else None), (n, k)


def test_an_engine_that_looks_elsewhere_would_disagree(quick):
    """The same runs compared with the law of a rule that looks after every trial."""
    every = walk(0.15, evalues.boundary(0.1, 0.2, 512, step=1, alpha_R=0.05, alpha_A=1e-3))
    claimed = module.EngineAgreement(0.15, 2000, round(2000 * quick.engine[1].exact_refuted), 200, float(every.refuted[-1]), 0.1)
    assert not claimed.agrees


def test_unbounded_mean_is_never_verified():
    cat = Catalogue("tests/unbounded")

    @cat.expectation(
        "TST-06",
        bound=lambda *, n: 2.0,
        envelope=(0.0, math.inf),
        families={"exponential": [{"n": 1}]},
        impl={"f": len},
        mutants=[Mutant("tenth", "bound", lambda f: lambda **k: f(**k) / 10, why="lost a factor")],
        source="folklore",
        plain="the mean of an exponential variable is at most 2",
    )
    def measure(inst, rng, impl):
        return rng.exponential()

    verdict = check(cat["TST-06"])
    assert verdict.status == "SURVIVED"
    assert verdict.mutants[0].status == "killed"  # R needs the lower end only


def test_unknown_size_is_refused():
    with pytest.raises(ValueError, match="choose 'quick' or 'full'"):
        calibrate("tiny")


@pytest.mark.slow
def test_full_calibration():
    full = calibrate("full")
    assert full.passed, full.problems
    for rates in full.rates:
        _matches(rates)
    assert sum(agreement.runs for agreement in full.engine) >= 1998
    assert all(stream.paths == 10_000 for stream in full.betting)
