import json
from dataclasses import dataclass, field

import numpy as np
import pytest
import scipy.sparse as sp

from algos.common.guarantees import Certificate, Guarantee, data_digest


@dataclass(frozen=True)
class MaximumCertificate(Certificate):
    value: float
    row: int
    rows: np.ndarray
    counts: np.ndarray
    label: str = "largest entry"
    checked: bool = True
    limits: tuple[float, ...] = (-np.inf, np.inf)
    details: dict[str, object] = field(default_factory=dict)
    nothing: None = None
    guarantee: Guarantee = field(default_factory=lambda: Guarantee("none", reason="not asked for"))

    def verify(self, x):
        return bool(np.max(x) == self.value)

    def explain(self):
        return f"the {self.label} is {self.value}"


@dataclass(frozen=True)
class OtherCertificate(Certificate):
    value: float

    def verify(self):
        return True

    def explain(self):
        return ""


def example():
    rows = np.array([[0.1, -0.0], [np.nan, np.nextafter(1, 2)]])
    return MaximumCertificate(
        np.nextafter(0.1, 1), 3, rows, np.arange(4, dtype=np.int32), details={"a": (1, 2.5), "b": {"c": np.float64(np.inf)}},
        guarantee=Guarantee("proved gap", 1e-300, ("finite data",), "weak duality"),
    )  # fmt: skip


def test_text_gives_back_the_same_bits():
    before = example()
    after = Certificate.from_json(before.to_json())
    assert type(after) is MaximumCertificate
    assert after.rows.tobytes() == before.rows.tobytes()
    assert after.rows.shape == (2, 2)
    assert after.counts.dtype == np.int32
    for name in ("value", "row", "label", "checked", "limits", "details", "nothing", "guarantee"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.to_json() == before.to_json()


def test_text_is_strict_json():
    constants = []
    json.loads(example().to_json(), parse_constant=constants.append)
    assert not constants  # NaN and Infinity are no JSON


def test_big_endian_arrays_keep_their_values():
    certificate = MaximumCertificate(1.0, 0, np.array([1.5, 2.5], dtype=">f8"), np.zeros(0))
    np.testing.assert_array_equal(Certificate.from_json(certificate.to_json()).rows, [1.5, 2.5])


def test_only_the_class_that_wrote_the_text_reads_it():
    text = OtherCertificate(1.0).to_json()
    with pytest.raises(ValueError, match="holds a 'OtherCertificate', not a MaximumCertificate"):
        MaximumCertificate.from_json(text)
    with pytest.raises(ValueError, match="holds a 'Unknown'"):
        Certificate.from_json(text.replace("OtherCertificate", "Unknown"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(format=99), "format 99"),
        (lambda record: record["fields"].pop("value"), "has fields"),
        (lambda record: record["fields"].update(extra=1), "has fields"),
        (lambda record: record.pop("fields"), "not a certificate"),
    ],
)
def test_altered_text_is_refused(change, message):
    record = json.loads(OtherCertificate(1.0).to_json())
    change(record)
    with pytest.raises(ValueError, match=message):
        Certificate.from_json(json.dumps(record))


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "3"])
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match="not a certificate"):
        Certificate.from_json(text)


def test_objects_can_neither_be_written_nor_read():
    with pytest.raises(TypeError, match="cannot be stored"):
        OtherCertificate(object()).to_json()
    with pytest.raises(TypeError, match="dtype object"):
        OtherCertificate(np.array([None])).to_json()
    text = OtherCertificate(1.0).to_json().replace("1.0", '{"array": "", "dtype": "|O", "shape": [0]}')
    with pytest.raises(ValueError, match="dtype object"):
        Certificate.from_json(text)


def test_equal_guarantees_stay_equal_through_text():
    certificate = MaximumCertificate(1.0, 0, np.zeros(0), np.zeros(0))
    assert Certificate.from_json(certificate.to_json()).guarantee == certificate.guarantee
    assert not certificate.guarantee.holds


@pytest.mark.parametrize("arguments", [("",), ("none",), ("none", 1.0, (), "why"), ("proved gap",)])
def test_a_guarantee_has_a_number_or_a_reason(arguments):
    with pytest.raises(ValueError, match="kind"):
        Guarantee(*arguments)


def test_digest_is_that_of_the_values_not_of_their_storage(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.integers(-2, 3, size=(5000, 3)).astype(float)
    y = rng.standard_normal(5000)
    stored = np.memmap(tmp_path / "x.bin", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    negative_zero = np.where(X == 0, -0.0, X)
    forms = [X, np.asfortranarray(X), X.astype(np.float32), X.astype(int), stored, sp.csr_array(X), [X[:7], X[7:]], negative_zero]
    assert len({data_digest(form, y) for form in forms}) == 1
    assert len(data_digest(X)) == 64


def test_digest_sees_every_value_the_shape_and_the_target():
    X, y = np.arange(12.0).reshape(4, 3), np.arange(4.0)
    changed = X.copy()
    changed[3, 2] = np.nextafter(11, 12)
    target = y.copy()
    target[0] = 1e-300
    digests = [
        data_digest(X),
        data_digest(X, y),
        data_digest(changed),
        data_digest(X, target),
        data_digest(X.reshape(6, 2)),
        data_digest(X[::-1]),
    ]
    assert len(set(digests)) == len(digests)


def test_digest_is_pinned():
    # SHA-256 recomputed with hashlib from the definition; a change would orphan every stored certificate
    assert data_digest([[1.0, 2.0]], [3.0]) == PINNED


def _defined_digest():
    import hashlib

    table = hashlib.sha256(np.array([1.0, 2.0], dtype="<f8").tobytes()).digest()
    target = hashlib.sha256(np.array([3.0], dtype="<f8").tobytes()).digest()
    return hashlib.sha256(b"1,2,True" + table + target).hexdigest()


PINNED = _defined_digest()
