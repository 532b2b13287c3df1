"""Definitions with a hole are refused with a message; what is built cannot be changed."""

import pickle
from fractions import Fraction

import numpy as np
import pytest

from proofs_check import model
from proofs_check.model import ClaimDefinitionError


def claim(**changes):
    options = {
        "id": "ZZ-01",
        "kind": "tail",
        "title": "t",
        "plain": "p",
        "source": model.Source("folklore"),
        "measure": lambda inst, rng, impl: 0.0,
        "families": (model.Family("one", grid=({"n": 1}, {"n": 2})), model.Family("two", grid=({"n": 3},), weight=3.0)),
        "subjects": (model.Subject("default", {}),),
        "rule": model.Rule("tail", levels=(0.5, 0.1)),
        "mutants": (model.Mutant("m", "bound", lambda f: f, why="w"),),
        "tiers": {tier: model.Budget(64) for tier in model.TIERS},
        "bound": model.Bound(lambda *, n, delta: n, ("n", "delta")),
    }
    return model.Claim(**(options | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "nonsense"}, "ids look like"),
        ({"kind": "guess"}, "kind='guess' is not one of"),
        ({"plain": " "}, "say in `plain`"),
        ({"mutants": ()}, "no mutant"),
        ({"families": ()}, "no family"),
        ({"bound": None, "mutants": (model.Mutant("m", "env", lambda i: i, why="w"),)}, "tail claim without bound"),
        ({"bound": model.Bound(lambda *, m: m, ("m",))}, r"bound parameter \['m'\] is not in params of family 'one'"),
        ({"rule": model.Rule("tail")}, "without levels"),
        ({"tight": 0.9}, "`tight` without adversary"),
        ({"mutants": (model.Mutant("m", "bound", lambda f: f, why="w", part="three*"),)}, "no part matches 'three"),
        ({"mutants": (model.Mutant("m", "bound", lambda f: f, why="w"),) * 2}, "mutant ids repeat"),
        ({"tiers": {"quick": model.Budget(64)}}, "one Budget per tier"),
        ({"kind": "identity"}, "identity without float budget"),
        ({"subjects": (model.Subject("a", {}), model.Subject("a", {}))}, "names repeat"),
    ],
)
def test_a_claim_with_a_hole_names_it(changes, words):
    with pytest.raises(ClaimDefinitionError, match=words) as error:
        claim(**changes)
    assert changes.get("id", "ZZ-01") in str(error.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: model.Source("derived"), "no proof"),
        (lambda: model.Source("paper"), "no reference"),
        (lambda: model.Source("hearsay"), "origin='hearsay'"),
        (lambda: model.FloatBudget(k=3), "count the operations"),
        (lambda: model.FloatBudget(k=0, why="w"), "k=0"),
        (lambda: model.Rule("identity", budget=1e-9), "bare tolerance"),
        (lambda: model.Rule("tail", levels=(0.5, 1.0)), "strictly between 0 and 1"),
        (lambda: model.Rule("tail", alpha_R=0.0), "alpha_R=0"),
        (lambda: model.Budget(100, 64), "no multiple of block"),
        (lambda: model.Mutant("a", "bound", lambda f: f, why=""), "which mistake"),
        (lambda: model.Mutant("a", "bound", {"f": abs}, why="w"), "pass a function"),
        (lambda: model.Mutant("a b", "impl", abs, why="w"), "not one word"),
        (lambda: model.Margin("odds", 1.0, "w"), "empty"),
        (lambda: model.Family("a", grid=()), "empty grid"),
        (lambda: model.Family("a", weight=0), "weights are positive"),
        (lambda: model.DatasetRef("a", "module.function"), "package.module:function"),
        (lambda: model.Interval(0, 1, ""), "no certificate"),
        (lambda: model.Interval(0, 1, "c", miss=1.0), "certain"),
        (lambda: model.EquivalentProof(""), "no proof"),
    ],
)
def test_a_piece_with_a_hole_names_it(make, words):
    with pytest.raises(ClaimDefinitionError, match=words):
        make()


@pytest.mark.parametrize("ends", [(2, 1), (float("nan"), 1), (Fraction(1, 2), Fraction(1, 3))])
def test_an_inverted_interval_is_refused(ends):
    with pytest.raises(ValueError, match="inverted or undefined interval"):
        model.Interval(*ends, certificate="c")


def test_weights_follow_the_families_and_sum_to_one():
    parts = claim().parts()
    assert [part.label for part in parts] == [
        "one(n=1)@0.5",
        "one(n=1)@0.1",
        "one(n=2)@0.5",
        "one(n=2)@0.1",
        "two(n=3)@0.5",
        "two(n=3)@0.1",
    ]
    assert sum(part.weight for part in parts) == pytest.approx(1.0, abs=1e-15)  # six additions of numbers below 1
    assert sum(part.weight for part in parts if part.family == "two") == pytest.approx(0.75, abs=1e-15)


def test_a_cheater_takes_no_weight_from_the_honest():
    parts = claim(subjects=(model.Subject("a", {}), model.Subject("b", {}), model.Subject("cheat", {}, "refuted"))).parts()
    assert sum(part.weight for part in parts if part.subject != "cheat") == pytest.approx(1.0, abs=1e-15)


def test_instances_are_read_only_and_leave_the_original_alone():
    x = np.ones(3)
    inst = model.Instance({"n": 3}, {"x": x})
    with pytest.raises(ValueError, match="read-only"):
        inst.x[0] = 2.0
    with pytest.raises(TypeError, match="read-only"):
        inst.params["n"] = 4
    x[0] = 5.0
    assert inst.x[0] == 5.0


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"no 'm'; params: \['n'\], data: \['x'\]"):
        _ = model.Instance({"n": 1}, {"x": 2}).m
    with pytest.raises(AttributeError, match="delta_in_algorithm"):
        _ = model.Instance({"n": 1}).delta


def test_the_bound_sees_params_level_and_frozen_constants_only():
    bound = model.Bound(lambda **known: known, ("n", "delta", "C"), frozen={"C": 2})
    assert bound.value({"n": 1, "secret": 5}, 0.1) == {"n": 1, "delta": 0.1, "C": 2}
    with pytest.raises(ClaimDefinitionError, match=r"\['delta'\]"):
        bound.value({"n": 1})


def test_instances_survive_a_trip_to_another_process():
    inst = pickle.loads(pickle.dumps(model.Instance({"n": 3}, {"x": np.arange(3.0)}, key=model.InstanceKey("f", 1))))
    assert (inst.n, inst.x.tolist(), inst.key) == (3, [0.0, 1.0, 2.0], model.InstanceKey("f", 1))


def test_statuses_are_ordered_from_verified_to_refuted():
    assert model.STATUSES == ("VERIFIED", "SURVIVED", "INCONCLUSIVE", "UNAVAILABLE", "ERROR", "REFUTED")
    assert model.worst([]) == "VERIFIED"
    assert model.worst(["SURVIVED", "REFUTED", "ERROR"]) == "REFUTED"
