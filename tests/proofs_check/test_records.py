"""Record files: exact, append-only, and suspicious."""

import json
import math

import numpy as np
import pytest

from proofs_check.evidence import BlockRecord
from proofs_check.records import (
    NonDeterministicError,
    RecordError,
    RecordWriter,
    decode_record,
    dumps,
    encode_record,
    load_records,
    same_content,
)


def record(block=0, **changes):
    options = {"n": 64, "k_lo": 3, "k_hi": 4, "slack_max": 0.1 + 0.2, "values": (0.1, math.inf, -math.inf), "seconds": 0.5}
    return BlockRecord("print", "ZZ-01", "", "default", "one", 0, 0.05, 1, block, **(options | changes))


def written(path, records):
    with RecordWriter(path, {"tier": "quick"}) as writer:
        for item in records:
            writer.write(item)
    return path


def test_a_record_comes_back_to_the_last_bit():
    rng = np.random.default_rng(0)
    for _ in range(200):
        item = record(values=tuple(rng.standard_normal(3) * 10.0 ** rng.integers(-300, 300, 3)), log_wealth_R=tuple(rng.random(16)))
        assert decode_record(encode_record(item)) == item
    assert math.isnan(decode_record(encode_record(record(slack_max=math.nan))).slack_max)


def test_equal_content_ignores_time_and_knows_nan():
    assert same_content(record(seconds=1.0, values=(math.nan,)), record(seconds=2.0, values=(float("nan"),)))
    assert not same_content(record(), record(slack_max=math.nextafter(0.1 + 0.2, 1)))


def test_a_file_cut_anywhere_gives_an_intact_prefix(tmp_path):
    items = [record(block) for block in range(12)]
    whole = written(tmp_path / "records.jsonl", items).read_bytes()
    header = whole.index(b"\n") + 1
    for cut in np.random.default_rng(1).integers(header, len(whole), 50):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(whole[:cut])
        found = load_records(path)
        complete = whole[:cut].count(b"\n") - 1
        assert list(found.records.values()) == items[:complete]
        assert found.good_bytes == whole[:cut].rindex(b"\n") + 1
        assert bool(found.notes) == (not whole[:cut].endswith(b"\n"))
        with RecordWriter(path, {}, keep_bytes=found.good_bytes) as writer:
            for item in items[complete:]:
                writer.write(item)
        assert path.read_bytes() == whole


def test_an_edited_line_is_refused_by_number(tmp_path):
    path = written(tmp_path / "records.jsonl", [record(block) for block in range(3)])
    path.write_text(path.read_text().replace('"k_lo":3', '"k_lo":2', 1))
    with pytest.raises(RecordError, match=r"records\.jsonl:2: checksum does not match"):
        load_records(path)


@pytest.mark.parametrize("counts", [{"k_lo": 5}, {"k_hi": 65}, {"k_lo": -1}, {"void": 65}, {"accepts": -1}])
def test_counts_that_no_block_can_have_are_refused_though_the_checksum_is_right(tmp_path, counts):
    path = written(tmp_path / "records.jsonl", [record(), record(1, **counts)])
    with pytest.raises(RecordError, match=r"records\.jsonl:3: counts that no block can have"):
        load_records(path)


@pytest.mark.parametrize("line", ["not json", "[]", '{"a": 1}', '{"schema":1,"sha":"00000000"}'])
def test_a_foreign_line_is_refused_by_number(tmp_path, line):
    path = written(tmp_path / "records.jsonl", [record()])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RecordError, match=r":3: "):
        load_records(path)


@pytest.mark.parametrize("text", ["", "\n", '{"type":"header","schema":99}\n', '{"type":"header","schema":1}', "PK\x03\x04\n"])
def test_a_file_without_header_is_refused(tmp_path, text):
    path = tmp_path / "records.jsonl"
    path.write_text(text)
    with pytest.raises(RecordError, match=":1: no header"):
        load_records(path)


def test_a_repeated_line_is_harmless_and_a_contradiction_is_not(tmp_path):
    assert len(load_records(written(tmp_path / "a.jsonl", [record(), record(seconds=9.0)])).records) == 1
    path = written(tmp_path / "b.jsonl", [record(), record(k_lo=2)])
    with pytest.raises(NonDeterministicError, match=r"b\.jsonl:3: .* measured twice with different results"):
        load_records(path)


def test_lines_are_strict_json():
    text = dumps({"a": np.float64(0.5), "b": math.nan, "c": np.arange(2), "d": (1, "\x1b<b>")})
    assert json.loads(text, parse_constant=pytest.fail) == {"a": 0.5, "b": "nan", "c": [0, 1], "d": [1, "\x1b<b>"]}


def test_an_existing_file_is_never_overwritten(tmp_path):
    written(tmp_path / "records.jsonl", [record()])
    with pytest.raises(FileExistsError):
        RecordWriter(tmp_path / "records.jsonl", {})
