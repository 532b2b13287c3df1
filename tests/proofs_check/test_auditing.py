"""What is measured twice, and what a record file cannot hide."""

import json
import re
import time
from collections import Counter
from dataclasses import replace

from proofs_check import Catalogue, Mutant, run
from proofs_check.auditing import ONE_IN, Measured, StoredSample, to_repeat
from proofs_check.evidence import BlockRecord
from proofs_check.records import encode_record, load_records
from proofs_check.scheduling import Track

COMMON = {
    "bound": lambda *, delta: 1 - delta,
    "levels": (0.05,),
    "impl": {"f": float},
    "families": {"one": [{"n": 1}]},
    "source": "folklore",
    "plain": "p",
    "mutants": [
        Mutant(f"m{i}", "impl", {"f": lambda f: lambda u: 1.0}, why="always fails") for i in range(100)
    ],  # none of 100 looked at: .875^100 = 2e-6
}


def catalogue(measure, **options):
    cat = Catalogue("tests/auditing")
    cat.tail("ZZ-01", **(COMMON | options))(measure)
    return cat


def uniform(inst, rng, impl):
    return impl.f(rng.random())


def too_often(inst, rng, impl):
    """Fail with probability .1 against .05: the claim falls after some blocks."""
    return impl.f(1.0 - rng.random() / 2)


# ------------------------------------------------------------------------------------------------------------------ non-determinism


def test_a_claim_that_reads_the_clock_only_after_its_first_block_is_caught():
    calls = Counter()

    def warms_up(inst, rng, impl):
        calls["n"] += 1
        late = calls["n"] > 4 * 64  # block 0, its repetition, and two more blocks
        return impl.f(rng.random()) + (1e-9 * (time.perf_counter_ns() % 1000) if late else 0.0)

    verdict = run(catalogue=catalogue(warms_up), mutants="none", out=None).verdicts[0]
    assert verdict.status == "ERROR"
    assert re.search(r"non-deterministic claim: block [3-9] of one\[0\], measured twice", verdict.reason)


def test_a_block_that_raises_only_when_it_is_repeated_is_caught():
    calls = Counter()

    def moody(inst, rng, impl):
        calls["n"] += 1
        return 1 / 0 if calls["n"] == 100 else rng.random() / 4

    verdict = run(catalogue=catalogue(moody), mutants="none", out=None).verdicts[0]
    assert verdict.status == "ERROR"
    assert "non-deterministic claim: block 0 of one[0]" in verdict.reason
    assert "ZeroDivisionError" in verdict.reason


# ------------------------------------------------------------------------------------------------------------------- forged records


def forge(folder, change):
    """Rewrite the records for which ``change`` returns something, with correct checksums."""
    path = folder / "records.jsonl"
    header, *_ = path.read_text().splitlines()
    kept = [change(record) or record for record in load_records(path).records.values()]
    path.write_text("\n".join([header, *map(encode_record, kept)]) + "\n")


def test_a_refutation_that_was_edited_away_is_noticed(tmp_path):
    cat = catalogue(too_often)
    assert run(catalogue=cat, mutants="none", out=tmp_path).verdicts[0].status == "REFUTED"
    forge(tmp_path / "0001", lambda r: replace(r, k_lo=0, k_hi=0) if r.block > 0 and r.stream == 1 else None)
    verdict = run(catalogue=cat, mutants="none", resume=tmp_path / "0001").verdicts[0]
    assert verdict.status == "ERROR"
    assert "is not what the code gives: the record file was edited" in verdict.reason


def test_any_single_edited_count_is_noticed_at_the_last_block_and_by_luck_elsewhere(tmp_path):
    """One stored block of the part, whichever the content chooses, and the round that decides."""
    cat = catalogue(uniform)
    blocks = run(catalogue=cat, mutants="none", out=tmp_path).verdicts[0].n // 64
    folder = tmp_path / "0001"
    whole = (folder / "records.jsonl").read_bytes()
    caught = []
    for number in range(blocks):
        (folder / "records.jsonl").write_bytes(whole)
        forge(folder, lambda r, b=number: replace(r, slack_max=0.5) if (r.block, r.stream) == (b, 1) else None)
        caught.append(run(catalogue=cat, mutants="none", resume=folder).verdicts[0].status == "ERROR")
    assert blocks > 4
    assert caught[0]
    assert caught[-1]
    assert 2 <= sum(caught) < blocks


def test_edited_records_of_mutants_are_noticed_by_sampling(tmp_path):
    """Survivors were made corpses: the records of a hundred mutants changed, about a dozen of them are looked at."""
    cat = catalogue(lambda inst, rng, impl: rng.random() / 4)  # ignores its implementation: nothing is noticed
    first = run(catalogue=cat, out=tmp_path)
    assert {mutant.status for mutant in first.verdicts[0].mutants} == {"survived"}
    forge(tmp_path / "0001", lambda r: replace(r, k_lo=r.n, k_hi=r.n) if r.mutant else None)
    statuses = Counter(m.status for m in run(catalogue=cat, resume=tmp_path / "0001").verdicts[0].mutants)
    assert statuses["error"] > 0


def test_an_honest_file_goes_on_to_the_same_digits(tmp_path):
    cat = catalogue(uniform, trials=512)
    run(catalogue=cat, out=tmp_path)
    folder = tmp_path / "0001"
    expected = _digits(folder)
    for keep in (1, 2, 5, 9, 40):
        lines = (folder / "records.jsonl").read_bytes().splitlines(keepends=True)
        (folder / "records.jsonl").write_bytes(b"".join(lines[:keep]))
        run(catalogue=cat, resume=folder)
        assert _digits(folder) == expected


def _digits(folder):
    lines = [json.loads(text) for text in (folder / "results.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "provenance")} for line in lines]


# ------------------------------------------------------------------------------------------------------------------------ the choice


def stored(part, mutant="", stream=1, blocks=8, changed=-1):
    return [
        BlockRecord("print", "ZZ-01", mutant, "default", "one", part, None, stream, block, n=64, k_lo=int(block == changed), k_hi=64)
        for block in range(1, blocks + 1)
    ]


def chosen(records):
    claim = catalogue(uniform)["ZZ-01"]
    unit = Track(claim, "quick", 0).units()[0]
    sample = StoredSample()
    for record in records:
        sample.offer(Measured(replace(unit, instance=record.instance, block=record.block), (record,), True))
    return {measured.unit.instance: measured.unit.block for measured in sample.chosen}


def test_every_part_is_looked_at_and_every_block_may_be_the_one():
    found = chosen([record for part in range(400) for record in stored(part)])
    counts = Counter(found.values())
    assert sorted(found) == list(range(400))
    assert set(counts) == set(range(1, 9))
    assert all(abs(count - 50) < 4 * 50**0.5 for count in counts.values())


def test_an_edit_moves_the_choice():
    """Whoever changes a block changes which block is looked at: over many parts, one in eight edits is met."""
    found = chosen([record for part in range(400) for record in stored(part, changed=1 + part % 8)])
    met = sum(block == 1 + part % 8 for part, block in found.items())
    assert abs(met - 50) < 4 * 50**0.5
    assert found != chosen([record for part in range(400) for record in stored(part)])


def test_one_in_eight_of_what_decides_nothing_is_looked_at():
    for options in ({"mutant": "ZZ-01/m"}, {"stream": 0}, {"stream": 2}):
        records = [record for part in range(800) for record in stored(part, blocks=2, **options)]
        met = to_repeat(records)
        assert len(met) == 2 * len({key[4] for key in met})  # whole groups
        assert abs(len(met) / 2 - 800 / ONE_IN) < 4 * (800 / ONE_IN) ** 0.5
        assert met == to_repeat(records[::-1])  # the order of lines does not matter
    assert to_repeat([record for part in range(100) for record in stored(part)]) == frozenset()
