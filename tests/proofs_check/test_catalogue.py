"""Catalogues: declared with decorators, found by name, described in a committed file."""

import importlib.util
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np
import pytest

import proofs_check
from proofs_check import Catalogue, ClaimDefinitionError, Family, FloatBudget, Instance, Mutant, run
from proofs_check.catalogue import CATALOGUE_FILE, describe, load_catalogue, to_json

MUTANTS = [Mutant("m", "impl", {"f": lambda f: f}, why="w")]
BASE = {"impl": {"f": float}, "families": {"one": [{"n": 1}]}, "mutants": MUTANTS, "source": "folklore", "plain": "p"}


def test_the_documented_example_works_as_printed():
    cat = Catalogue("mine")

    def radius(*, n, delta):  # the bound: a pure function of parameters  # fmt: skip
        return np.sqrt(np.log(2 / delta) / (2 * n))

    @cat.tail("USR-01", bound=radius, levels=(.5, .2, .05), impl={"mean": np.mean},
              families={"coins": [dict(n=n, p=p) for n in (20, 80, 320) for p in (.1, .5)]},
              mutants=[Mutant("half", "bound", lambda f: lambda **k: f(**k) / 2, why="2n became 8n")],
              source="folklore", plain="the mean of n coins is within radius of p")  # fmt: skip
    def deviation(inst, rng, impl):
        return abs(impl.mean(rng.random(inst.n) < inst.p) - inst.p)

    verdict = run(catalogue=cat, out=None).verdicts[0]
    assert (verdict.status, len(verdict.parts), verdict.mutants[0].status) == ("VERIFIED", 18, "killed")
    assert callable(deviation)


def test_half_of_the_sample_survives_alone_and_dies_with_a_sharp_companion():
    """A loose bound cannot see it; the exact law of the deviation at a threshold between two atoms can."""
    from math import comb

    half = Mutant("half_the_sample", "impl", {"mean": lambda f: lambda x: f(x[::2])}, why="every other value")
    miss = 1 - sum(comb(80, k) for k in range(39, 42)) / 2**80
    coins = {"families": {"coins": [{"n": 80, "p": 0.5}]}, "impl": {"mean": np.mean}, "source": "folklore", "plain": "p", "mutants": [half]}

    def catalogue(companions):
        cat = Catalogue("test")

        def deviation(inst, rng, impl):
            return abs(impl.mean(rng.random(inst.n) < inst.p) - inst.p)

        cat.tail(
            "ZZ-01", bound=lambda *, n, delta: np.sqrt(np.log(2 / delta) / (2 * n)), levels=(0.5, 0.2), companions=companions, **coins
        )(deviation)
        cat.tail("ZZ-02", bound=lambda *, n: 1.5 / n, sense="==", levels=(miss,), **coins)(deviation)
        return cat

    alone = run("ZZ-01", catalogue=catalogue(()), out=None)
    together = run("ZZ-01", catalogue=catalogue(("ZZ-02",)), out=None)
    assert (alone.verdicts[0].mutants[0].status, alone.exit_code) == ("survived", 1)
    assert (together.verdicts[0].mutants[0].killer, together.exit_code) == ("ZZ-02", 0)


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (lambda cat: cat.inequality("ZZ-01", bound=lambda *, n: n, colour=3, **BASE), r"unknown keywords \['colour'\]"),
        (lambda cat: cat.inequality("ZZ-01", bound=lambda *, n: n, **{k: v for k, v in BASE.items() if k != "mutants"}), "no 'mutants'"),
        (lambda cat: cat.inequality("ZZ-01", bound=lambda *, n: n, **{k: v for k, v in BASE.items() if k != "impl"}), "either `impl`"),
        (lambda cat: cat.inequality("ZZ-01", bound=lambda **k: 1, **BASE), "name its parameters in `params`"),
        (lambda cat: cat.inequality("ZZ-01", bound=lambda *, m: m, **BASE), r"\['m'\] is not in params"),
        (lambda cat: cat.identity("ZZ-01", budget=1e-9, **BASE), "bare tolerance"),
        (lambda cat: cat.inequality("ZZ-01", bound=lambda *, n: n, **{**BASE, "source": "derived"}), "no proof"),
        (lambda cat: cat.inequality("ZZ-01", bound=lambda *, n: n, **{**BASE, "mutants": []}), "no mutant"),
        (lambda cat: cat.inequality("ZZ-01", bound=lambda *, n: n, sense="==", **BASE), "an equality is an identity"),
        (lambda cat: cat.inequality("ZZ-01", sense="<", **BASE), "choose one of these for sense"),
    ],
)
def test_a_hole_is_reported_when_the_catalogue_is_imported(declare, words):
    with pytest.raises(ClaimDefinitionError, match=words):
        declare(Catalogue("test"))(lambda inst, rng, impl: 0.0)


def test_ids_are_unique_and_references_exist():
    cat = Catalogue("test")
    cat.inequality("ZZ-01", bound=lambda *, n: n, companions=("ZZ-09",), **BASE)(lambda i, r, f: 0.0)
    with pytest.raises(ClaimDefinitionError, match="ZZ-01: declared twice"):
        cat.inequality("ZZ-01", bound=lambda *, n: n, **BASE)(lambda i, r, f: 0.0)
    with pytest.raises(ClaimDefinitionError, match="companion 'ZZ-09' is in no catalogue"):
        cat.check_references()


def test_a_kind_that_the_rules_cannot_decide_is_refused(monkeypatch):
    monkeypatch.setattr("proofs_check.rules.DECIDABLE", frozenset({"tail"}))
    with pytest.raises(ClaimDefinitionError, match="kind 'inequality' is not yet decided by the engine"):
        Catalogue("test").inequality("ZZ-01", bound=lambda *, n: n, **BASE)(lambda i, r, f: 0.0)


def test_defaults_of_a_bound_are_no_parameters_and_frozen_constants_are():
    cat = Catalogue("test")
    cat.inequality("ZZ-01", bound=lambda *, n, C, slow=False: C * n, frozen={"C": 2}, **BASE)(lambda i, r, f: 0.0)
    assert cat["ZZ-01"].bound.params == ("n", "C")
    assert cat["ZZ-01"].bound.value({"n": 3}) == 6


def test_trials_and_blocks():
    cat = Catalogue("test")
    cat.tail("ZZ-01", bound=lambda *, delta: delta, levels=(0.5,), trials={"quick": 100}, block=8, **BASE)(lambda i, r, f: 0.0)
    cat.inequality("ZZ-02", bound=lambda *, n: n, trials=3, **BASE)(lambda i, r, f: 0.0)
    assert (cat["ZZ-01"].tiers["quick"].trials, cat["ZZ-01"].tiers["full"].trials) == (104, 20_032)
    assert {budget.trials for budget in cat["ZZ-02"].tiers.values()} == {3}


def test_selection(synthetic):
    assert [claim.id for claim in synthetic.good.select(["GD-0[12]"])] == ["GD-01", "GD-02"]
    assert [claim.id for claim in synthetic.good.select(kind="tail")] == ["GD-01"]
    assert synthetic.good.select(system="elsewhere") == ()
    with pytest.raises(ValueError, match="no claim matches 'GD-9'; known: GD-01"):
        synthetic.good.select(["GD-01", "GD-9"])


@pytest.mark.parametrize(("spec", "words"), [("no_such_module:cat", "No module named"), ("json:cat", "is no Catalogue")])
def test_a_catalogue_that_is_not_there(spec, words):
    with pytest.raises(ValueError, match=words):
        load_catalogue(spec)


def test_the_committed_description_is_current():
    assert CATALOGUE_FILE.read_text(encoding="utf-8") == to_json(load_catalogue()), "run: make catalogue"


def test_a_description_holds_what_a_reader_asks_for(synthetic):
    found = describe(synthetic.good["GD-01"])
    assert (found["kind"], found["system"], found["parts"], found["levels"]) == ("tail", "synthetic", 12, [0.5, 0.2, 0.05])
    assert found["mutants"] == [{"id": "half", "where": "bound", "why": "2n became 8n", "quick": True}]


def test_the_template_is_a_working_file_of_claims():
    path = Path(proofs_check.__file__).parent / "claims" / "TEMPLATE"
    loader = SourceFileLoader("claim_template", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("claim_template", loader))
    loader.exec_module(module)
    result = run(catalogue=module.cat, out=None)
    assert result.exit_code == 0, [(v.claim, v.status, v.reason) for v in result.verdicts]
    assert all(mutant.status == "killed" for verdict in result.verdicts for mutant in verdict.mutants)


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, proofs_check; print(sorted({'numpy', 'scipy', 'joblib', 'algos', 'experiments', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_every_public_name_resolves():
    for name in proofs_check.__all__:
        assert getattr(proofs_check, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = proofs_check.nothing


def test_keyword_defaults_reach_the_claim():
    cat = Catalogue("system/topic")
    budget = FloatBudget(k=3, why="three")
    family = Family("f", lambda rng, point: Instance({"n": 2}), role="adversarial")
    cat.identity("ZZ-01", budget=budget, bound=lambda *, n: n, **{**BASE, "families": [family]}, tight=0.5, version=4, tex="x")(len)
    claim = cat["ZZ-01"]
    assert (claim.topic, claim.title, claim.version, claim.tex, claim.tight) == ("system/topic", "len", 4, "x", 0.5)
    assert claim.rule.budget is budget
