"""Files written are whole, free of pickle, and readable by any JSON parser."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments import provenance


def test_json_has_no_nan_and_plain_numbers(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    provenance.write_json(path, {"a": np.float64(1.5), "b": np.arange(2), "c": float("nan"), "d": (np.int64(3), Path("p"))})
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {"a": 1.5, "b": [0, 1], "c": None, "d": [3, "p"]}


def test_arrays_come_back_equal_without_pickle(tmp_path: Path) -> None:
    arrays = {"x": np.linspace(0, 1, 5), "names": np.array(["a", "bc"])}
    provenance.save_arrays(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as saved:
        assert set(saved) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(saved[name], array)


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="array 'o' holds Python objects"):
        provenance.save_arrays(tmp_path / "o.npz", {"o": np.array([None, 1], dtype=object)})
    assert not list(tmp_path.iterdir())


def test_interrupted_write_leaves_the_former_file_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.txt"
    provenance.write_text(path, "old")

    def interrupt(self: Path, *args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        provenance.write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["t.txt"]


def test_versions_name_what_is_installed_only() -> None:
    found = provenance.versions(("numpy", "no-such-distribution"))
    assert found["numpy"] == np.__version__
    assert "no-such-distribution" not in found
