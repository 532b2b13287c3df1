"""State on disk: bit for bit, whole or not at all, and nothing that could run code."""

import json
import math
import os
import pickle
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algos.common import serialization
from algos.common.serialization import load_state, save_state

ARRAYS = (
    np.zeros((0, 3), np.float32),
    np.arange(6, dtype=">i4").reshape(2, 3)[:, ::2],
    np.asfortranarray(np.random.default_rng(0).standard_normal((4, 3))),
    np.array([np.nan, np.inf, -0.0, 5e-324]),
    np.array(2.5),
    np.array([True, False]),
    np.array([2**64 - 1], dtype=np.uint64),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8)


def bits(value):
    """Comparable form in which NaN equals NaN, and 0.0 differs from -0.0 and from 0."""
    if isinstance(value, float):
        return "float", math.copysign(1.0, value), repr(value)
    if isinstance(value, list):
        return [bits(item) for item in value]
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    return type(value), value


@settings(derandomize=True, deadline=None, max_examples=25)
@given(state=st.dictionaries(st.text(), VALUES, max_size=4))
def test_numbers_and_text_come_back_bit_for_bit(state, tmp_path_factory):
    file = tmp_path_factory.mktemp("state") / "a"
    save_state(file, state, kind="test")
    assert bits(load_state(file, kind="test")) == bits(state)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_arrays_come_back_bit_for_bit(array, tmp_path):
    save_state(tmp_path / "a", {"inner": [{"array": array}]}, kind="test")
    again = load_state(tmp_path / "a", kind="test")["inner"][0]["array"]
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert again.tobytes() == np.ascontiguousarray(array).tobytes()


def test_numpy_scalars_become_numbers_and_tuples_lists(tmp_path):
    save_state(tmp_path / "a", {"n": np.int64(3), "x": np.float64(0.1), "t": (1, 2)}, kind="test")
    again = load_state(tmp_path / "a", kind="test")
    assert again == {"n": 3, "x": 0.1, "t": [1, 2]}
    assert type(again["n"]) is int


def test_the_same_state_gives_the_same_bytes_and_numpy_opens_the_file(tmp_path):
    state = {"rows": np.arange(5.0), "n": 1}
    save_state(tmp_path / "a", state, kind="test")
    save_state(tmp_path / "b", state, kind="test")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with np.load(tmp_path / "a", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["0"], state["rows"])


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({"a": np.array([object()])}, r"state\['a'\] is an array of dtype object"),
        ({"a": [1, {2: 3}]}, r"state\['a'\]\[1\] has the key 2"),
        ({"a": 1j}, r"state\['a'\] has type complex"),
        ({"a": np.array(["x"])}, "dtype <U1"),
    ],
)
def test_what_cannot_be_saved_is_named_and_the_former_file_stays(state, named, tmp_path):
    file = tmp_path / "a"
    save_state(file, {"good": 1}, kind="test")
    with pytest.raises(TypeError, match=named):
        save_state(file, state, kind="test")
    assert load_state(file, kind="test") == {"good": 1}
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("moment", ["write", "sync", "rename"])
def test_a_failure_at_any_step_leaves_the_former_file_and_no_litter(moment, tmp_path, monkeypatch):
    file = tmp_path / "a"
    save_state(file, {"n": 1}, kind="test")

    def fail(*_):
        raise KeyboardInterrupt

    target = {"write": (np.lib.format, "write_array"), "sync": (serialization.os, "fsync"), "rename": (serialization.os, "replace")}[moment]
    monkeypatch.setattr(*target, lambda *args, **options: fail())
    with pytest.raises(KeyboardInterrupt):
        save_state(file, {"n": 2, "rows": np.arange(3)}, kind="test")
    monkeypatch.undo()
    assert load_state(file, kind="test") == {"n": 1}
    assert os.listdir(tmp_path) == ["a"]


def test_a_process_killed_while_it_saves_leaves_a_whole_file(tmp_path):
    script = """
import sys
import numpy as np
from algos.common.serialization import save_state
for count in range(10**9):
    save_state(sys.argv[1], {"count": count, "rows": np.full(50_000, float(count))}, kind="test")
    if count == 0:
        print("first", flush=True)
"""
    file = tmp_path / "a"
    for kill in range(6):
        with subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.003 * kill)  # another moment of the loop each time
            process.kill()
        state = load_state(file, kind="test")
        assert np.all(state["rows"] == state["count"])


def test_damage_is_noticed_wherever_it_is(tmp_path):
    file = tmp_path / "a"
    state = {"rows": np.arange(40.0), "x": 0.1, "name": "n"}
    save_state(file, state, kind="test")
    whole = file.read_bytes()
    expected = repr(load_state(file, kind="test"))
    noticed = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        file.write_bytes(damaged)
        try:
            assert repr(load_state(file, kind="test")) == expected  # a time stamp or another byte without meaning
        except ValueError:
            noticed += 1
    assert noticed > len(whole) / 2
    for length in range(0, len(whole), 11):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is damaged or is not a saved state"):
            load_state(file, kind="test")


def test_files_of_another_kind_or_format_and_other_files_are_refused(tmp_path):
    file = tmp_path / "a"
    save_state(file, {"n": 1}, kind="coreset")
    with pytest.raises(ValueError, match="holds the state of a 'coreset', not of a 'learner'"):
        load_state(file, kind="learner")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("state.json", json.dumps({"format": 99, "kind": "coreset", "state": {"dict": {}}}))
    with pytest.raises(ValueError, match="has format 99"):
        load_state(file, kind="coreset")
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path / "none", kind="coreset")
    with pytest.raises(OSError, match="none"):
        save_state(tmp_path / "none" / "a", {}, kind="coreset")


class Explosive:
    def __reduce__(self):
        return os.system, ("exit 1",)


def test_a_pickle_inside_a_file_is_never_loaded(tmp_path):
    file = tmp_path / "a"
    np.savez(file.with_suffix(".npz"), **{"0": np.array([Explosive()], dtype=object)})
    with zipfile.ZipFile(file.with_suffix(".npz"), "a") as archive:
        archive.writestr("state.json", json.dumps({"format": 1, "kind": "test", "state": {"dict": {"x": {"array": 0}}}}))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        load_state(file.with_suffix(".npz"), kind="test")
    file.write_bytes(pickle.dumps(Explosive()))
    with pytest.raises(ValueError, match="is damaged or is not a saved state"):
        load_state(file, kind="test")
