"""A stored violation is exact, and measured again on request."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.sparse import csr_array

from proofs_check import Catalogue, Family, Instance, Mutant, replay, run
from proofs_check.counterexamples import CounterexampleError, decode, encode


@settings(derandomize=True, deadline=None, max_examples=25)
@given(npst.arrays(st.sampled_from(["f8", "f4", "i8", "u1", "?"]), npst.array_shapes(min_side=0, max_side=3)))
def test_arrays_come_back_bit_for_bit(array):
    back = decode(json.loads(json.dumps(encode(array))))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)
    np.testing.assert_array_equal(np.signbit(back.astype(float)), np.signbit(array.astype(float)))


def test_other_values_come_back():
    value = {"a": Fraction(1, 3), "b": (1, [0.1, None, "x"]), "c": np.float32(0.1), "d": {"e": float("inf")}, 3: True}
    back = decode(json.loads(json.dumps(encode(value))))
    assert back == value
    assert type(back["c"]) is np.float32
    rows = csr_array(np.eye(3)[:, :2])
    np.testing.assert_array_equal(decode(json.loads(json.dumps(encode(rows)))).toarray(), rows.toarray())


@pytest.mark.parametrize(
    "value", [object(), np.array(["a"]), np.ones(2, dtype=np.longdouble) if np.finfo(np.longdouble).eps < 1e-16 else object()]
)
def test_what_has_no_exact_text_is_refused(value):
    with pytest.raises(TypeError, match=r"no .*text"):
        encode(value)


def catalogue(scale=1.0, bound=1.0, family=None):
    cat = Catalogue("test")
    family = family or Family("gauss", lambda rng, point: Instance({"n": 5}, {"x": rng.standard_normal(5)}))
    options = {"mutants": [Mutant("m", "impl", {"f": lambda f: f}, why="w")], "source": "folklore", "plain": "p", "families": [family]}
    impl = {"f": lambda x: scale * np.abs(x).max()}
    cat.inequality("ZZ-01", bound=lambda *, n: bound, impl=impl, **options)(lambda inst, rng, impl: impl.f(inst.x) + 0.1 * rng.random())
    cat.tail("ZZ-02", bound=lambda *, n, delta: bound * delta, levels=(0.1,), impl=impl, **options)(
        lambda inst, rng, impl: impl.f(inst.x) * rng.random()
    )
    return cat


@pytest.mark.parametrize("claim", ["ZZ-01", "ZZ-02"])
def test_a_violation_is_measured_again_to_the_last_bit(tmp_path, claim):
    found = run(claim, catalogue=catalogue(), out=tmp_path, mutants="none").verdicts[0].counterexamples[0]
    again = replay(found.id[:6], catalogue=catalogue(), runs=tmp_path)
    assert again.violated
    assert (again.measured, again.bound) == (found.measured, found.bound) == (again.stored_measured, again.stored_bound)
    assert not replay(found.path, catalogue=catalogue(scale=1e-3)).violated  # the implementation was repaired
    assert not replay(found.path, catalogue=catalogue(bound=1e3)).violated  # the bound was corrected


def test_the_stored_arrays_are_used_and_not_the_seed(tmp_path):
    """Another generator of instances, as after a change of the random stream, changes nothing."""
    found = run("ZZ-01", catalogue=catalogue(), out=tmp_path, mutants="none").verdicts[0].counterexamples[0]
    other = Family("gauss", lambda rng, point: Instance({"n": 5}, {"x": np.zeros(5)}))
    assert replay(found.path, catalogue=catalogue(family=other)).measured == found.measured


def test_a_large_instance_is_drawn_again(tmp_path):
    family = Family("gauss", lambda rng, point: Instance({"n": 5}, {"x": rng.standard_normal(250_000)}))
    found = run("ZZ-01", catalogue=catalogue(family=family), out=tmp_path, mutants="none").verdicts[0].counterexamples[0]
    assert replay(found.path, catalogue=catalogue(family=family)).measured == found.measured
    with open(found.path) as file:
        assert len(file.read()) < 5000


def test_an_unusable_file_is_refused(tmp_path):
    found = run("ZZ-01", catalogue=catalogue(), out=tmp_path, mutants="none").verdicts[0].counterexamples[0]
    with pytest.raises(CounterexampleError, match="0 counterexamples match 'ffff'"):
        replay("ffff", runs=tmp_path)
    with pytest.raises(CounterexampleError, match="not in the catalogue"):
        replay(found.path, catalogue=Catalogue("empty"))
    path = tmp_path / "broken.json"
    for text, words in (('{"format": 7}', "format 7"), ('{"format": 1, "claim": "ZZ-01"}', "not a counterexample")):
        path.write_text(text)
        with pytest.raises(CounterexampleError, match=words):
            replay(path, catalogue=catalogue())
    body = json.loads(Path(found.path).read_text())
    path.write_text(json.dumps(body | {"measured": None}))
    with pytest.raises(CounterexampleError, match="not a counterexample"):
        replay(path, catalogue=catalogue())
