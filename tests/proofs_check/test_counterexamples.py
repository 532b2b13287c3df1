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
from proofs_check.cli import main
from proofs_check.counterexamples import CounterexampleError
from proofs_check.exact import decode, encode, seal, unseal


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
    body = unseal(Path(found.path).read_text())
    for text, words in (
        ("", "not JSON"),
        ("[]", "no entry 'sha256'"),
        (seal({"format": 7})[0], "format 7"),
        (seal({"format": 2, "claim": "ZZ-01"})[0], "not a counterexample"),
        (seal(body | {"measured": None})[0], "not a counterexample"),
        (seal(body | {"data": {"surprise": 1}})[0], "unknown kind 'surprise'"),
    ):
        path.write_text(text)
        with pytest.raises(CounterexampleError, match=words):
            replay(path, catalogue=catalogue())


@pytest.mark.parametrize("name", ["*", "9f2c*", "no/such/file.json", "", "../x", "9F2C"])
def test_what_is_neither_an_id_nor_a_file_is_wrong_usage_that_says_what_is_right(tmp_path, name, capsys):
    known = run("ZZ-01", catalogue=catalogue(), out=tmp_path, mutants="none").verdicts[0].counterexamples[0].id
    assert main(["replay", name, "--runs", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert f"{name!r} is neither a file nor an id: name one counterexample by its id" in err
    assert known in err


# --------------------------------------------------------------------------------------------------------------- files changed by hand


def test_an_edited_file_is_refused(tmp_path):
    """Any digit that is changed by hand: the digest no longer belongs to the content."""
    found = run("ZZ-01", catalogue=catalogue(), out=tmp_path, mutants="none").verdicts[0].counterexamples[0]
    text = Path(found.path).read_text()
    for old, new in ((found.measured.hex(), "0x1p+3"), ('"trial": ', '"trial": 1'), ('"float64"', '"float32"'), ('"ZZ-01"', '"ZZ-02"')):
        changed = text.replace(old, new, 1)
        assert changed != text
        Path(found.path).write_text(changed)
        with pytest.raises(CounterexampleError, match="edited or damaged"):
            replay(found.path, catalogue=catalogue())
    Path(found.path).write_text(json.dumps(json.loads(text)))  # another layout is the same content
    assert replay(found.path, catalogue=catalogue()).violated


def _larger(body):
    name, (kind, shape, items) = body["data"]["mapping"][0][0], body["data"]["mapping"][0][1]["array"]
    return {"data": {"mapping": [[name, {"array": [kind, shape, [(9.0).hex(), *items[1:]]]}]]}}


@pytest.mark.parametrize("claim", ["ZZ-01", "ZZ-02"])
@pytest.mark.parametrize(
    ("forged", "words"),
    [
        (lambda body: {"measured": (9.5).hex()}, "others when they are computed from its arrays"),
        (lambda body: {"bound": (0.5).hex()}, "others when they are computed from its arrays"),
        (_larger, "others when they are computed"),
        (lambda body: {"trial": body["trial"] + 1}, "is not the one that its seed gives"),
        (lambda body: {"block": body["block"] + 1}, "is not the one that its seed gives"),
    ],
)
def test_a_forged_file_with_the_right_digest_is_found_out_while_the_code_is_the_same(tmp_path, claim, forged, words):
    cat = catalogue()
    found = run(claim, catalogue=cat, out=tmp_path, mutants="none").verdicts[0].counterexamples[0]
    assert replay(found.path, catalogue=cat).same_code
    body = unseal(Path(found.path).read_text())
    Path(found.path).write_text(seal(body | forged(body))[0])
    with pytest.raises(CounterexampleError, match=f"this file's numbers do not come from this claim: .*{words}"):
        replay(found.path, catalogue=cat)


def test_a_consistent_forgery_is_found_out_by_its_seed(tmp_path):
    """Array, measured value and digest fit each other; only the seed tells that the claim's family never drew this array."""
    cat = catalogue()
    found = run("ZZ-01", catalogue=cat, out=tmp_path, mutants="none").verdicts[0].counterexamples[0]
    body = unseal(Path(found.path).read_text())
    body |= _larger(body)
    bits = np.random.PCG64DXSM()
    bits.state = {**body["generator"], "state": {k: int(v) for k, v in body["generator"]["state"].items()}}
    forged = seal(body | {"measured": (9.0 + 0.1 * np.random.Generator(bits).random()).hex()})[0]
    Path(found.path).write_text(forged)
    with pytest.raises(CounterexampleError, match="its instance is not the one that its seed gives"):
        replay(found.path, catalogue=cat)


def test_after_a_change_of_the_code_other_numbers_are_news_and_no_forgery(tmp_path):
    found = run("ZZ-01", catalogue=catalogue(), out=tmp_path, mutants="none").verdicts[0].counterexamples[0]
    again = replay(found.path, catalogue=catalogue(scale=2.0))
    assert (again.violated, again.same_code, again.stored_measured) == (True, False, found.measured)
    assert again.measured > found.measured


def test_a_large_instance_whose_seed_gives_another_one_today_is_refused(tmp_path):
    def family(shift):
        return Family("gauss", lambda rng, point: Instance({"n": 5}, {"x": shift + rng.standard_normal(250_000)}))

    found = run("ZZ-01", catalogue=catalogue(family=family(0.0)), out=tmp_path, mutants="none").verdicts[0].counterexamples[0]
    with pytest.raises(CounterexampleError, match="its seed gives another one today"):
        replay(found.path, catalogue=catalogue(family=family(0.5)))
