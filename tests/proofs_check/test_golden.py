"""Counterexamples that were stored once, and are measured again for ever."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from proofs_check import Catalogue, check, replay
from proofs_check.exact import unseal

HERE = Path(__file__).parent
FILES = sorted((HERE / "golden").glob("*.json"))


@pytest.fixture(scope="module")
def golden():
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    import golden_claims

    return golden_claims


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_measured_again_to_the_last_bit_and_spares_the_right_claim(path, golden):
    again = replay(path, catalogue=golden.wrong)
    assert again.violated
    assert (again.measured.hex(), again.bound.hex()) == (again.stored_measured.hex(), again.stored_bound.hex())
    assert not replay(path, catalogue=golden.right).violated


def test_every_wrong_claim_has_its_file_and_is_refuted_today(golden):
    assert [path.stem for path in FILES] == sorted(golden.wrong)
    for claim_id in golden.wrong:
        assert check(golden.wrong[claim_id], mutants="none").status == "REFUTED"
        right = check(golden.right[claim_id])
        assert (right.status in ("SURVIVED", "VERIFIED"), right.mutants[0].status) == (True, "killed"), (claim_id, right.reason)


def test_files_are_small_exact_text_of_all_shapes():
    """Numbers, rationals, arrays, sparse tables, a searched vector, the state of a generator: nothing is only named by its seed."""
    bodies = [unseal(path.read_text(encoding="utf-8")) for path in FILES]
    assert sum(path.stat().st_size for path in FILES) < 50_000
    assert not any("rebuild" in body for body in bodies)
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    assert all(f'"{kind}"' in text for kind in ("float", "array", "csr", "mapping", "generator"))
    assert any(body["family"].endswith(".worst") for body in bodies)
    assert math.isfinite(sum(float.fromhex(body["measured"]) for body in bodies))


def test_the_same_file_is_news_when_the_statement_changes(golden):
    """A claim that is loosened later is no longer violated, and says so without complaint about the file."""
    loose = Catalogue("tests/loose")
    bound = golden.wrong["GO-01"].bound
    loose.add(replace(golden.wrong["GO-01"], bound=replace(bound, fn=lambda *, n, length: 10.0 * length)))
    assert not replay(HERE / "golden" / "GO-01.json", catalogue=loose).violated
