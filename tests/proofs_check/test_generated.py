"""Mistakes that nobody declared are planted where they can be seen, and named where they cannot."""

import math
from fractions import Fraction

import numpy as np
import pytest

from proofs_check import Catalogue, EquivalentProof, Family, FloatBudget, Instance, Interval, Mutant, Outcome, check, run
from proofs_check.generated import Powered, Scaled, without_logarithm
from proofs_check.model import ClaimDefinitionError

ANY = [Mutant("any", "impl", {"f": lambda f: lambda *a: 1e9}, why="nonsense")]
COMMON = {"source": "folklore", "plain": "p", "mutants": ANY, "impl": {"f": float}}


def radius(*, n, delta):
    return np.sqrt(np.log(2 / delta) / (2 * n))


def hoeffding(**options):
    cat = Catalogue("tests/generated")
    cat.tail(
        "GN-01",
        bound=radius,
        levels=(0.5, 0.05),
        families={"coins": [{"n": n, "p": 0.5} for n in (20, 80)]},
        **{**COMMON, "impl": {"mean": np.mean}, "mutants": [Mutant("zero", "impl", {"mean": lambda f: lambda x: 9.0}, why="w")]},
        **options,
    )(lambda inst, rng, impl: abs(impl.mean(rng.random(inst.n) < inst.p) - inst.p))
    return cat["GN-01"]


@pytest.fixture(scope="module")
def tried():
    return check(hoeffding(), mutants="generated")


def fates(verdict):
    return {mutant.id: mutant for mutant in verdict.mutants}


# --------------------------------------------------------------------------------------------------------------------- bounds


def test_what_the_slack_shows_is_planted_and_dies(tried):
    found = fates(tried)
    assert {name for name, mutant in found.items() if mutant.generated} == {
        "flipped",
        "scaled",
        "n.minus_half",
        "one_minus_delta",
        "no_logarithm",
    }
    assert all(mutant.status == "killed" for mutant in found.values() if mutant.generated)
    assert 0.3 < float(found["scaled"].why.split()[2]) < 0.74  # below the worst slack of this bound


def test_what_trials_cannot_see_is_listed_with_the_reason(tried):
    found = fates(tried)
    blind = {name: mutant.reason for name, mutant in found.items() if mutant.status == "blind"}
    assert set(blind) == {"n.plus_half"}
    assert "looser on every part" in blind["n.plus_half"]
    loose = Catalogue("tests/generated")
    loose.inequality("GN-13", bound=lambda *, n: 20.0 * math.log(n), families={"one": [{"n": 9}]}, **COMMON)(lambda inst, rng, impl: 4.0)
    found = fates(check(loose["GN-13"], mutants="generated"))
    assert found["no_logarithm"].status == "blind"  # the bound becomes 20, where 4 is measured
    assert "slack law: at best the bound shrinks to 0.455 of itself where 0.091 would be needed" in found["no_logarithm"].reason


def test_blind_spots_and_quick_runs_touch_no_exit_code():
    cat = Catalogue("tests/generated")
    cat.add(hoeffding())
    result = run(catalogue=cat, mutants="generated", out=None)
    assert result.exit_code == 0
    assert not any(mutant.generated for mutant in check(hoeffding()).mutants)


def test_what_cannot_be_mutated_is_said_and_ends_nothing(monkeypatch):
    monkeypatch.setattr("proofs_check.scheduling.generate", lambda *a: 1 / 0)
    verdict = check(hoeffding(), mutants="generated")
    assert verdict.status == "VERIFIED"
    assert "ZeroDivisionError" in fates(verdict)["generated"].reason


def test_processes_plant_the_same_mistakes(tried):
    cat = Catalogue("tests/generated")
    cat.add(hoeffding())
    again = run(catalogue=cat, mutants="generated", jobs=2, out=None).verdicts[0]
    assert [(m.id, m.status, m.n) for m in again.mutants] == [(m.id, m.status, m.n) for m in tried.mutants]


def test_larger_tiers_generate_by_themselves():
    cat = Catalogue("tests/generated")
    cat.inequality("GN-02", bound=lambda *, n: math.sqrt(n), families={"one": [{"n": 16}]}, **COMMON)(lambda inst, rng, impl: 4.0)
    found = fates(check(cat["GN-02"], tier="full"))
    assert found["scaled"].status == found["n.minus_half"].status == "killed"
    assert found["flipped"].status == "blind"  # 4 >= 4 holds as well: this instance does not tell the senses apart


def test_logarithms_become_one_wherever_they_come_from():
    def formula(*, n, c=2.0):
        return c * math.log(n) * np.log1p(n)

    assert without_logarithm(formula)(n=10) == 2.0
    assert formula(n=10) == 2.0 * math.log(10) * math.log1p(10)
    assert Scaled(0.5)(formula)(n=10) == formula(n=10) / 2
    assert Powered("n", -0.5)(formula)(n=16) == formula(n=16) / 4


def test_a_declared_worst_case_sets_the_factor():
    cat = Catalogue("tests/generated")
    cat.inequality("GN-03", bound=lambda *, n: n, families=[Family("one", grid=({"n": 4},), role="adversarial")], tight=0.9, **COMMON)(
        lambda inst, rng, impl: 4.0
    )
    scaled = fates(check(cat["GN-03"], mutants="generated"))["scaled"]
    assert (scaled.status, scaled.why) == ("killed", "a factor 0.8 slipped in")


# ------------------------------------------------------------------------------------------------------- identities and testers


def test_an_identity_notices_a_millionth_on_either_side():
    cat = Catalogue("tests/generated")
    budget = FloatBudget(k=2, scale=4.0, why="two roundings")
    families = {"one": [{"n": 4}]}
    cat.identity("GN-04", bound=lambda *, n: n, budget=budget, families=families, **COMMON)(lambda inst, rng, impl: 4.0)
    cat.identity("GN-05", budget=budget, families=families, **COMMON)(lambda inst, rng, impl: Outcome(4.0, reference=4.0))
    for claim_id in cat:
        assert fates(check(cat[claim_id], mutants="generated"))["relative"].status == "killed"


def test_an_identity_that_grants_more_than_a_millionth_is_said_to_be_blind_to_it():
    cat = Catalogue("tests/generated")
    budget = FloatBudget(k=2**34, scale=4.0, why="an iteration that stops at a relative 2e-6")
    cat.identity("GN-14", budget=budget, families={"one": [{"n": 4}]}, **COMMON)(lambda inst, rng, impl: Outcome(4.0, reference=4.0))
    found = fates(check(cat["GN-14"], mutants="generated"))["relative"]
    assert found.status == "blind"
    assert "rounding that the claim grants" in found.reason


def test_a_count_that_is_zero_as_promised_does_not_tell_the_senses_apart():
    cat = Catalogue("tests/generated")
    cat.tail("GN-15", bound=lambda *, n: 0.0 * n, levels=(0.05,), families={"one": [{"n": 4}]}, **COMMON)(lambda inst, rng, impl: 0.0)
    found = fates(check(cat["GN-15"], mutants="generated"))["flipped"]
    assert found.status == "blind"


def promising(kind):
    cat = Catalogue("tests/generated")
    declare = cat.soundness if kind == "soundness" else cat.completeness
    families = {"bad": [{"error": 0.5}], "good": [{"error": 0.0}]} if kind == "soundness" else {"good": [{"error": 0.0}]}
    fates_of = {"accept_all": lambda f: lambda error: True, "reject_all": lambda f: lambda error: False}
    mutants = [Mutant(name, "impl", {"accepts": make}, why=name) for name, make in fates_of.items()]

    @declare(
        "GN-06",
        levels=(0.1,),
        impl={"accepts": lambda error: error < 0.25},
        families=families,
        mutants=mutants,
        source="folklore",
        plain="p",
    )
    def measure(inst, rng, impl):
        return Outcome(inst.error, accepted=impl.accepts(inst.error), claimed=Interval(0.0, 0.25, "the tester's promise"))

    return cat["GN-06"]


@pytest.mark.parametrize(
    ("kind", "dies", "lives"), [("soundness", "accept_all", "reject_all"), ("completeness", "reject_all", "accept_all")]
)
def test_each_half_of_a_tester_dies_by_its_own_claim_only(kind, dies, lives):
    verdict = check(promising(kind), mutants="generated")
    found = fates(verdict)
    assert verdict.status == "VERIFIED"
    assert (found[dies].status, found[lives].status) == ("killed", "survived")
    assert found[f"generated.{dies}"].status == "killed"


def test_a_tester_that_rejects_everything_is_vacuously_sound():
    from dataclasses import replace

    from proofs_check import Subject

    claim = replace(promising("soundness"), subjects=(Subject("never", {"accepts": lambda error: False}),))
    verdict = check(claim, mutants="none")
    assert verdict.status == "INCONCLUSIVE"
    assert "vacuous" in verdict.reason


# ------------------------------------------------------------------------------------------------------- cross-kills, equivalence


def test_every_claim_that_notices_is_named_in_the_nightly_tier():
    cat = Catalogue("tests/generated")
    more = [Mutant("more", "impl", {"f": lambda f: lambda x: f(x) + 1}, why="one more")]
    for claim_id, companions in (("GN-07", ("GN-08",)), ("GN-08", ())):
        options = {**COMMON, "mutants": more, "families": {"one": [{"n": 4}]}, "companions": companions, "trials": 2}
        cat.inequality(claim_id, bound=lambda *, n: n, **options)(lambda inst, rng, impl: impl.f(inst.n))
    nightly = fates(run("GN-07", tier="nightly", catalogue=cat, out=None).verdicts[0])["more"]
    full = fates(run("GN-07", tier="full", catalogue=cat, out=None).verdicts[0])["more"]
    assert (nightly.killer, nightly.also) == ("GN-07", ("GN-08",))
    assert (full.killer, full.also) == ("GN-07", ())


@pytest.mark.parametrize(("make", "status"), [(lambda f: lambda x: f(x) * 1.0, "equivalent"), (lambda f: lambda x: f(x) + 1.0, "survived")])
def test_a_declared_equivalence_is_run_and_must_hold(make, status):
    cat = Catalogue("tests/generated")
    mutant = Mutant("same", "impl", {"f": make}, why="w", equivalent=EquivalentProof("multiplying by one changes nothing"))
    options = {**COMMON, "mutants": [mutant], "families": {"one": [{"n": 4}]}}
    cat.inequality("GN-09", bound=lambda *, n: n, **options)(lambda inst, rng, impl: impl.f(inst.n))
    found = fates(check(cat["GN-09"]))["same"]
    assert found.status == status
    assert found.n > 0


# ------------------------------------------------------------------------------------------------- attributes and exact twins


def reporting(attribute, report):
    cat = Catalogue("tests/generated")

    @cat.tail("GN-10", bound=radius, levels=(0.2,), delta_in_algorithm=True, attribute=attribute, families={"coins": [{"n": 20}]}, **COMMON)
    def measure(inst, rng, impl):
        return Outcome(abs(np.mean(rng.random(inst.n) < 0.5) - 0.5), aux={"bound_": report(n=inst.n, delta=inst.delta)})

    return cat


def test_an_attribute_is_the_formula_bit_for_bit():
    cat = reporting("Mean.bound_", radius)
    assert list(cat) == ["GN-10", "GN-10w"]
    verdict = check(cat["GN-10w"])
    assert verdict.status == "SURVIVED"
    assert fates(verdict)["next_number"].status == "killed"
    everything = Catalogue("tests/more")
    everything.extend(cat)
    assert list(everything) == ["GN-10", "GN-10w"]


def test_an_attribute_that_is_computed_otherwise_is_refuted():
    other = reporting("Mean.bound_", lambda *, n, delta: np.nextafter(radius(n=n, delta=delta), 0))
    assert check(other["GN-10w"]).status == "REFUTED"
    silent = reporting("Mean.radius_", radius)
    assert "aux={'radius_': fitted.radius_}" in check(silent["GN-10w"]).reason


def test_no_letter_left_for_the_attribute():
    cat = Catalogue("tests/generated")
    with pytest.raises(ClaimDefinitionError, match="GN-11ab: an id with two letters"):
        cat.inequality("GN-11ab", bound=lambda *, n: n, attribute="E.bound_", families={"one": [{"n": 4}]}, **COMMON)(lambda i, r, f: 0.0)


@pytest.mark.parametrize(
    ("value", "status"), [(Fraction(1, 3), "SURVIVED"), (Fraction(1, 3) + Fraction(1, 10**30), "REFUTED"), (1 / 3, "SURVIVED")]
)
def test_an_exact_twin_decides_what_doubles_cannot(value, status):
    """3 * (1/3) in doubles: the formula rounds downwards, its rational twin does not."""
    cat = Catalogue("tests/generated")
    cat.inequality(
        "GN-12",
        bound=lambda *, n: np.nextafter(1 / n, 0),
        exact=lambda *, n: Fraction(1, n),
        families=[Family("one", lambda rng, point: Instance({"n": 3}))],
        **COMMON,
    )(lambda inst, rng, impl: value)
    assert check(cat["GN-12"], mutants="none").status == status
