"""A catalogue with a hole in it cannot be imported: the command line says so in one line and exits with 2."""

import sys

import pytest

from proofs_check.cli import main

HEAD = """
from fractions import Fraction
from proofs_check import Bound, Budget, Catalogue, EquivalentProof, Family, FloatBudget, Instance, Margin, Mutant, Rule, Source, Subject
cat = Catalogue("mine")
M = Mutant("m", "impl", {"f": lambda f: f}, why="w")
OPTIONS = dict(impl={"f": float}, families={"one": [{"n": 1}]}, mutants=[M], source="folklore", plain="p")
def declare(kind="inequality", claim_id="USR-01", **options):
    options = {"bound": lambda *, n: n} | OPTIONS | options
    options = {name: value for name, value in options.items() if value is not None}
    getattr(cat, kind)(claim_id, **options)(lambda inst, rng, impl: 0.0)
"""

HOLES = {
    "derived without proof": ('declare(source="derived")', "a derived statement has no proof; say in `proof` where it is written down"),
    "derived with an empty proof": ('declare(source=Source("derived", proof=" "))', "a derived statement has no proof"),
    "paper without reference": ('declare(source=Source("paper"))', "a paper source has no reference"),
    "bare tolerance": ("declare(budget=1e-9)", "budget=1e-09 is a bare tolerance; pass FloatBudget(k, cond, scale, why)"),
    "tolerance without reason": ("declare(budget=FloatBudget(k=3))", "a float budget has no reason; count the operations in `why`"),
    "margin without reason": (
        'declare("tail", levels=(.1,), margin=Margin("odds", 2.0, why=""))',
        "a margin has no reason; say in `why` what the size means",
    ),
    "unknown parameter": (
        "declare(bound=lambda *, m: m)",
        "bound parameter ['m'] is not in params of family 'one'; add it to the grid points",
    ),
    "parameters that cannot be read": ("declare(bound=lambda **k: 1)", "name its parameters in `params`"),
    "no mutant": ("declare(mutants=[])", "no mutant; a check that nothing can fail proves nothing"),
    "mutants forgotten": ("declare(mutants=None)", "no 'mutants'; every claim states it"),
    "mutant without reason": (
        'declare(mutants=[Mutant("m", "impl", {"f": len}, why="")])',
        "has no reason; say in `why` which mistake it stands for",
    ),
    "mutant of a part that is not there": (
        'declare(mutants=[Mutant("m", "impl", {"f": len}, why="w", part="two*")])',
        "mutant 'm': no part matches 'two*'",
    ),
    "mutant of a bound that is not there": (
        'declare(bound=None, mutants=[Mutant("m", "bound", lambda f: f, why="w")])',
        "bound mutant without bound; use where='impl'",
    ),
    "equivalence without proof": ('EquivalentProof("")', "an equivalence has no proof"),
    "killer that is not there": (
        'declare(mutants=[Mutant("m", "impl", {"f": len}, why="w", killers=("USR-77",))])',
        "mutant 'm' names killer 'USR-77', which no catalogue holds",
    ),
    "companion that is not there": ('declare(companions=("USR-77",))', "companion 'USR-77' is in no catalogue"),
    "duplicate id": ("declare(); declare()", "USR-01: declared twice in 'mine'; ids are unique"),
    "reserved prefix": (
        'declare(claim_id="MB-18")',
        "MB-18: the prefix MB is reserved for misspecified_bandits; choose another, such as USR",
    ),
    "id of another shape": ('declare(claim_id="claim 1")', "ids look like MB-18 or LP-06a"),
    "tight without adversary": ("declare(tight=0.9)", "`tight` without adversary; add an adversarial family"),
    "no plain statement": ('declare(plain=" ")', "no plain statement; say in `plain` what is claimed"),
    "no family": ("declare(families={})", "no family or no subject"),
    "implementation and subjects": (
        'declare(subjects=[Subject("s", {})])',
        "give either `impl` (one implementation) or `subjects` (several)",
    ),
    "levels that are no probabilities": ('declare("tail", levels=(1.5,))', "levels lie strictly between 0 and 1"),
    "tail without levels": ('declare("tail", levels=())', "tail claim without levels; list the deltas"),
    "equality as an inequality": ('declare(sense="==")', "an equality is an identity with a float budget"),
    "sense that is none": ('declare(sense="<")', "choose one of these for sense"),
    "keyword that is none": ("declare(colour=3)", "unknown keywords ['colour']"),
    "trials that are no whole blocks": (
        'declare(budgets=dict.fromkeys(("quick", "full", "nightly"), Budget(100, 64)))',
        "trials=100 is no multiple of block=64; caps are whole blocks",
    ),
    "tier without budget": ('declare(budgets={"quick": Budget(64)})', "give one Budget per tier"),
}


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_is_named_when_the_catalogue_is_imported(hole, tmp_path, monkeypatch, capsys):
    text, words = HOLES[hole]
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "holed_claims.py").write_text(HEAD + text + "\n")
    try:
        assert main(["list", "--catalogue", "holed_claims:cat"]) == 2
    finally:
        sys.modules.pop("holed_claims", None)
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_without_a_hole_the_same_module_is_a_catalogue(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "whole_claims.py").write_text(HEAD + "declare()\n")
    assert main(["list", "--catalogue", "whole_claims:cat"]) == 0
    assert "1 claims" in capsys.readouterr().out
