"""A record file may end anywhere; the resumed run ends where the uninterrupted one did, in every printed digit."""

import json
from dataclasses import replace

import pytest

from proofs_check import Catalogue, Family, Instance, Mutant, run
from proofs_check.cli import main
from proofs_check.model import SearchSpace
from proofs_check.records import RecordError, decode_record, encode_record

COMMON = {"source": "folklore", "plain": "p", "impl": {"f": float}}


def catalogue():
    """Every kind of line: searches, blocks of two claims, slack trials, mutants; names that are not ASCII."""
    cat = Catalogue("tests/cuts")
    cat.tail(
        "ZZ-01",
        bound=lambda *, delta: 1 - delta,
        levels=(0.5, 0.2),
        families=[Family("münzen", grid=({"n": 1}, {"n": 2}))],
        mutants=[Mutant("always", "impl", {"f": lambda f: lambda u: 1.0}, why="fails every time")],
        budgets={tier: _budget(16, 4, slack_trials=4) for tier in ("quick", "full", "nightly")},
        **COMMON,
    )(lambda inst, rng, impl: impl.f(rng.random() / 3))
    space = SearchSpace(lambda p: 1, lambda x, p: Instance(p, {"x": min(abs(float(x[0])), 1.0)}))
    cat.inequality(
        "ZZ-02",
        bound=lambda *, n: 1.0,
        families=[Family("line", lambda rng, p: Instance(p, {"x": rng.random()}), ({"n": 1},), search=space)],
        mutants=[Mutant("two", "impl", {"f": lambda f: lambda x: 2.0 * x}, why="doubled", part="line*")],
        budgets={tier: _budget(2, 1, search_evals=20) for tier in ("quick", "full", "nightly")},
        **COMMON,
    )(lambda inst, rng, impl: impl.f(inst.x))
    return cat


def _budget(*sizes, **options):
    from proofs_check import Budget

    return Budget(*sizes, **options)


def digits(folder):
    lines = [json.loads(text) for text in (folder / "results.jsonl").read_text().splitlines()]
    for line in lines:
        for name in ("seconds", "provenance", "notes"):
            line.pop(name, None)
    return lines


def contents(text):
    """The records of a file, without their times and the checksums that these enter."""
    found = [json.loads(line) for line in text.splitlines()[1:]]
    return sorted(json.dumps({k: v for k, v in line.items() if k not in ("seconds", "sha")}, sort_keys=True) for line in found)


@pytest.fixture
def whole(tmp_path):
    run(catalogue=catalogue(), out=tmp_path)
    folder = tmp_path / "0001"
    return folder, (folder / "records.jsonl").read_bytes(), digits(folder)


def positions(text):
    """Ends of a file by kind, within the first, a middle and the last line of records."""
    starts = [i + 1 for i, byte in enumerate(text[:-1]) if byte == ord("\n")]
    umlaut = text.index("ü".encode()) + 1  # inside a character of two bytes
    levels = next(i for i in starts if b'"level":0.2' in text[i : text.index(b"\n", i)])  # between the two records of one block
    yield from (starts[0], len(text), len(text) - 1, umlaut, levels)
    for start in (starts[0], starts[len(starts) // 2], starts[-1]):
        line = text[start : text.index(b"\n", start)]
        yield from (
            start,
            start + 1,
            start + line.index(b":"),
            start + line.index(b'"n":') + 4,
            start + line.rindex(b'"sha"'),
            start + len(line),
        )


def goes_on(folder, text, expected, cut):
    (folder / "records.jsonl").write_bytes(text[:cut])
    (folder / "results.jsonl").unlink(missing_ok=True)
    run(catalogue=catalogue(), resume=folder)
    assert digits(folder) == expected, cut
    assert contents((folder / "records.jsonl").read_text()) == contents(text.decode()), cut


def test_a_file_that_ends_at_any_kind_of_byte_goes_on_to_the_same_digits(whole):
    folder, text, expected = whole
    kinds = {(r["claim"], bool(r["mutant"]), r["stream"]) for r in map(json.loads, text.splitlines()[1:])}
    assert kinds >= {
        ("ZZ-01", False, 1),
        ("ZZ-01", True, 1),
        ("ZZ-01", False, 2),
        ("ZZ-02", False, 0),
        ("ZZ-02", False, 1),
        ("ZZ-02", True, 1),
    }
    for cut in sorted(set(positions(text))):
        goes_on(folder, text, expected, cut)


@pytest.mark.slow
def test_a_file_that_ends_at_every_eleventh_byte_goes_on_to_the_same_digits(whole):
    folder, text, expected = whole
    for cut in range(text.index(b"\n") + 1, len(text) + 1, 11):
        goes_on(folder, text, expected, cut)


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_file_that_ends_within_its_header_is_refused(whole, cut, capsys):
    """Nothing was measured yet; a run that cannot say what it was is not continued."""
    folder, text, _ = whole
    header = text[: text.index(b"\n")]
    (folder / "records.jsonl").write_bytes(header[:cut] if cut >= 0 else header)
    with pytest.raises(RecordError, match=r"records\.jsonl:1: no header"):
        run(catalogue=catalogue(), resume=folder)
    assert main(["run", "--catalogue", "synthetic_claims:good", "--resume", str(folder)]) == 2


def test_half_of_a_block_that_is_not_what_the_code_gives_is_an_error(whole):
    """A kill left the record of one level of two, and somebody edited it: the block is measured again, and differs."""
    folder, text, _ = whole
    lines = text.splitlines(keepends=True)
    half = decode_record(lines[1].decode())
    assert half.level == 0.5
    edited = encode_record(replace(half, k_lo=half.n, k_hi=half.n)).encode() + b"\n"
    (folder / "records.jsonl").write_bytes(lines[0] + edited)
    verdict = run("ZZ-01", catalogue=catalogue(), resume=folder, mutants="none").verdicts[0]
    assert verdict.status == "ERROR"
    assert "stored block 0 of münzen[0] is not what the code gives" in verdict.reason
