"""Finds of earlier searches: kept exactly, tried first, written on request only."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from proofs_check import Catalogue, ClaimDefinitionError, check, run, search_worst
from proofs_check.cli import main
from proofs_check.corpora import CORPUS, KEPT, Remembered, collect, read, remembering, write
from proofs_check.provenance import fingerprint
from proofs_check.records import load_records
from proofs_check.search import search_families

PHI = (1 + 5**0.5) / 2
EXTREMAL = (1.0 + 1e-9, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, PHI)  # M = diag(1 + e, 1), S = diag(0, phi)
POINT = {"m": 2, "n": 2, "rank": 1}
FOUND = Remembered("pairs", POINT, EXTREMAL, 0.5)

MODULE = """
from pathlib import Path
from proofs_check import Catalogue
import rank_truncation
cat = Catalogue("tests/corpus", corpus=Path(__file__).with_name("kept"))
cat.add(rank_truncation.claim(sizes=((2, 2, 1),), tight=None))
"""


@pytest.fixture
def place(tmp_path, monkeypatch, rank_truncation):
    """A module with a catalogue that keeps a corpus beside it."""
    (tmp_path / "kept_claims.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("kept_claims", None)


def few(claim, evaluations=12):
    return replace(claim, tiers={tier: replace(budget, search_evals=evaluations) for tier, budget in claim.tiers.items()})


# ------------------------------------------------------------------------------------------------------------------------------ files


def test_vectors_come_back_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    found = tuple(
        Remembered("pairs", {"n": n, "p": 0.1 * n}, tuple(rng.standard_normal(3) * 10.0 ** rng.integers(-300, 300, 3)), 0.1 + 0.2)
        for n in range(20)
    )
    assert write("ZZ-01", found, tmp_path)
    assert read("ZZ-01", tmp_path) == found
    assert not write("ZZ-01", found, tmp_path)  # nothing changed
    assert read("ZZ-02", tmp_path) == ()


@pytest.mark.parametrize("change", [lambda t: t.replace("0x1.8", "0x1.9", 1), lambda t: t[:-9], lambda t: "{}"])
def test_an_edited_corpus_stops_the_import_of_its_claim(tmp_path, change, rank_truncation):
    write("TST-02", [replace(FOUND, vector=(1.5,) * 8)], tmp_path)
    path = tmp_path / "TST-02.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(ClaimDefinitionError, match=r"TST-02: corpus .*TST-02\.json: .*; restore the file, or delete it and search again"):
        Catalogue("tests/corpus", corpus=tmp_path).add(rank_truncation.claim())


# ------------------------------------------------------------------------------------------------------------------------- what it does


def test_a_search_that_is_too_short_finds_the_worst_instance_when_it_is_remembered(tmp_path, rank_truncation):
    claim = few(rank_truncation.claim(tight=0.9999))
    write(claim.id, [FOUND], tmp_path)
    forgetful, kept = Catalogue("tests/corpus"), Catalogue("tests/corpus", corpus=tmp_path)
    forgetful.add(claim)
    kept.add(claim)
    alone, with_corpus = check(forgetful[claim.id], mutants="none"), check(kept[claim.id], mutants="none")
    assert (alone.status, with_corpus.status) == ("INCONCLUSIVE", "SURVIVED")
    assert "adversary too weak" in alone.reason
    assert with_corpus.slack.worst == pytest.approx(1.0, abs=1e-7)
    assert check(few(remembering(rank_truncation.claim(1.6, tight=None), tmp_path)), mutants="none").status == "REFUTED"


def test_starts_of_a_space_are_kept_and_those_of_other_families_are_not_taken(rank_truncation, tmp_path):
    claim = rank_truncation.claim()
    given = replace(claim.families[0], search=replace(claim.families[0].search, start=((1.0,) * 8,)))
    write(claim.id, [FOUND, replace(FOUND, family="others", vector=(9.0,))], tmp_path)
    assert remembering(replace(claim, families=(given,)), tmp_path).families[0].search.start == ((1.0,) * 8, EXTREMAL)
    assert remembering(claim, None) is claim
    blind = replace(claim, families=(replace(given, search=None),), tight=None)
    assert remembering(blind, tmp_path) is blind


def test_another_corpus_is_another_run(rank_truncation, tmp_path):
    """Stored records of a search that began elsewhere are not used."""
    claim = rank_truncation.claim()
    write(claim.id, [FOUND], tmp_path)
    assert fingerprint(claim, "quick", 0) != fingerprint(remembering(claim, tmp_path), "quick", 0)


def test_a_run_writes_no_corpus(place):
    run(catalogue="kept_claims:cat", mutants="none", out=place / "runs")
    assert sorted(path.name for path in place.iterdir() if not path.name.startswith("__")) == ["kept_claims.py", "runs"]


# -------------------------------------------------------------------------------------------------------------------------- collecting


def test_the_command_keeps_the_finds_only_when_it_is_told_to(place, capsys):
    command = ["corpus", "--catalogue", "kept_claims:cat", "--evaluations", "300"]
    assert main(command) == 0
    assert "nothing written; keep these with --write" in capsys.readouterr().out
    assert not (place / "kept").exists()
    assert main([*command, "--write"]) == 0
    assert "TST-02   3 instances, 3 new, slack 0.9" in capsys.readouterr().out
    first = read("TST-02", place / "kept")
    assert [item.slack for item in first] == sorted((item.slack for item in first), reverse=True)
    sys.modules.pop("kept_claims")
    assert main([*command, "--root", "7", "--write"]) == 0
    assert read("TST-02", place / "kept")[0].slack >= first[0].slack


def test_finds_of_a_run_are_taken_without_searching(place, capsys):
    run(catalogue="kept_claims:cat", mutants="none", out=place / "runs")
    assert main(["corpus", "--catalogue", "kept_claims:cat", "--from", "runs/0001", "--write"]) == 0
    (kept,) = read("TST-02", place / "kept")
    (record,) = [r for r in load_records(place / "runs" / "0001").records.values() if r.stream == 0]
    assert (kept.vector, kept.slack) == (record.values, record.slack_max)


def test_a_catalogue_without_corpus_is_wrong_usage(synthetic, capsys):
    assert main(["corpus", "--catalogue", "synthetic_claims:good"]) == 2
    assert "declare it with Catalogue(topic, corpus=" in capsys.readouterr().err


def test_what_no_longer_fits_is_dropped_and_what_is_alike_is_kept_once(rank_truncation, tmp_path):
    claim = rank_truncation.claim()
    rng = np.random.default_rng(1)
    others = [Remembered("pairs", POINT, tuple(rng.standard_normal(8)), 2.0) for _ in range(5)]
    alike = replace(FOUND, vector=tuple(np.array(EXTREMAL) + 1e-9))
    misfits = [
        replace(FOUND, family="gone"),
        replace(FOUND, point={"m": 9, "n": 9, "rank": 1}),
        replace(FOUND, vector=(1.0, 2.0)),
        replace(FOUND, vector=(0.0,) * 8),  # inadmissible
    ]
    write(claim.id, [*misfits, *others, alike, FOUND], tmp_path)
    kept = collect(claim, tmp_path, records=[])
    assert len(kept) == KEPT
    assert kept[0].vector == EXTREMAL
    assert len({item.vector for item in kept} & {item.vector for item in others}) == 2
    assert all(0.0 < item.slack <= 1.0 + 1e-9 for item in kept)  # measured again: not the .5 and 2. of the file


# ---------------------------------------------------------------------------------------------------------------- the package's own corpus


@pytest.fixture(scope="module")
def claims():
    from proofs_check.claims import catalogue

    return catalogue()


def test_deterministic_claims_about_small_arrays_are_searched(claims):
    searched = {claim.id for claim in claims.claims if search_families(claim)}
    assert {"LP-01a", "LP-02", "LP-03b", "LP-04", "LP-06", "LP-09", "LP-10"} <= searched
    assert {path.stem for path in CORPUS.glob("*.json")} <= searched


def test_the_corpus_is_small_and_every_instance_of_it_fits_its_claim(claims):
    assert sum(path.stat().st_size for path in CORPUS.glob("*.json")) < 200_000
    for path in CORPUS.glob("*.json"):
        kept = read(path.stem, CORPUS)
        again = collect(claims[path.stem], CORPUS, records=[])
        assert {(item.family, item.vector) for item in again} == {(item.family, item.vector) for item in kept}, path
        starts = {vector for family in search_families(claims[path.stem]) for vector in family.search.start}
        assert {item.vector for item in kept} <= starts


@pytest.mark.parametrize("claim_id", ["LP-01a", "LP-03b", "LP-04", "LP-06", "LP-09", "LP-10"])
def test_with_its_corpus_a_search_of_forty_evaluations_knows_how_tight_a_bound_is(claims, claim_id):
    found = search_worst(claims[claim_id], family="searched", evaluations=40)
    assert found.slack == pytest.approx(1.0, abs=1e-3)
    assert not found.violated
