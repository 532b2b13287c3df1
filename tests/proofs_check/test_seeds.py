"""Streams are named by what they are for."""

import hashlib
import random

import numpy as np
import pytest

from proofs_check.seeds import ROOT, StreamKey, build_key, generator, global_state_kept, poison_global_state

KEY = StreamKey("LP-06", "gauss", 2, 1, 7, 0.05, "ours")


def words(text, count):
    return np.frombuffer(hashlib.sha256(text.encode()).digest()[: 4 * count], dtype="<u4").tolist()


def test_the_stream_is_the_documented_one():
    """The spawn key, put together by hand."""
    spawn = (*words("LP-06", 4), *words("gauss", 1), 2, 1, 7, *words((0.05).hex(), 1), *words("ours", 1))
    expected = np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(ROOT, spawn_key=spawn)))
    assert generator(KEY).random(5).tolist() == expected.random(5).tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"claim": "LP-07"},
        {"family": "signs"},
        {"instance": 3},
        {"stream": 2},
        {"block": 8},
        {"level": 0.1},
        {"level": None},
        {"subject": ""},
    ],
)
def test_every_part_of_the_key_matters(change):
    assert generator(KEY._replace(**change)).random() != generator(KEY).random()


def test_the_root_matters_and_building_has_its_own_stream():
    assert generator(KEY, 1).random() != generator(KEY, 2).random()
    assert build_key("LP-06", "gauss", 2) == StreamKey("LP-06", "gauss", 2, 4, 0, None, "")


def test_global_state_is_poisoned_and_put_back():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    with global_state_kept():
        drawn = set()
        for _ in range(3):
            poison_global_state()
            drawn.add((random.random(), np.random.random()))  # noqa: NPY002
        assert len(drawn) == 3
    assert random.random() == random.Random(1).random()
    assert np.random.random() == np.random.RandomState(1).random_sample()  # noqa: NPY002
