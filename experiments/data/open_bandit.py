"""The Open Bandit sample: logged clicks of a fashion shop, from a folder or wheel that the user has.

Nothing is fetched. The sample lies inside the wheel of the package obp, which need not be installed, and whose recent versions cannot be
under Python 3.11. Clicks are rare, about one in 200 rounds: enough to check estimates made from logs and to measure speed, not to compare
learners by their regret.
"""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from . import DataUnavailable

__all__ = ["CAMPAIGNS", "POLICIES", "OpenBanditLog", "load_open_bandit"]

POLICIES = ("random", "bts")
CAMPAIGNS = ("all", "men", "women")

REMEDY = "pip download --no-deps --python-version 3.10 --only-binary=:all: obp==0.4.1, then give the wheel's path"


@dataclass(frozen=True, eq=False)
class OpenBanditLog:
    """Logged rounds, and what is known of the items.

    Attributes
    ----------
    name : str
    actions : ndarray of int64, of shape (n_rounds,)
        Item shown.
    rewards : ndarray of float64, of shape (n_rounds,)
        1 if it was clicked, else 0.
    propensities : ndarray of float64, of shape (n_rounds,)
        Probability with which the logging policy showed it.
    positions : ndarray of int64, of shape (n_rounds,)
        Place on the page, from 0.
    X : ndarray of float64, of shape (n_items, n_features)
        Item features: an intercept, the number standardised, and an indicator for each level of the hashed ones but the first.
    feature_names : tuple of str
    """

    name: str
    actions: NDArray[np.int64] = field(repr=False)
    rewards: NDArray[np.float64] = field(repr=False)
    propensities: NDArray[np.float64] = field(repr=False)
    positions: NDArray[np.int64] = field(repr=False)
    X: NDArray[np.float64] = field(repr=False)
    feature_names: tuple[str, ...] = field(repr=False)

    def click_rates(self) -> NDArray[np.float64]:
        """Return each item's rate of clicks when shown, weighted by one over the propensities; NaN for items never shown."""
        weights = 1.0 / self.propensities
        n = len(self.X)
        shown = np.bincount(self.actions, weights=weights, minlength=n)
        clicked = np.bincount(self.actions, weights=weights * self.rewards, minlength=n)
        rates = np.full(n, np.nan)
        rates[shown > 0.0] = clicked[shown > 0.0] / shown[shown > 0.0]
        return rates


def load_open_bandit(path: str | Path, *, policy: str = "random", campaign: str = "all") -> OpenBanditLog:
    """Read one log of the Open Bandit sample.

    Parameters
    ----------
    path : str or path-like
        The wheel of obp, or a folder that holds ``random/all/all.csv`` and the like, directly, in ``obd`` or in ``obp/dataset/obd``.
    policy : {"random", "bts"}, default="random"
        Policy that chose the items: uniform, or Thompson sampling.
    campaign : {"all", "men", "women"}, default="all"
        80, 34 or 46 items.

    Returns
    -------
    OpenBanditLog

    Raises
    ------
    ValueError
        Unknown policy or campaign, or a file with other columns.
    DataUnavailable
        No such file or folder.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy={policy!r} is not known; choose one of {', '.join(map(repr, POLICIES))}")
    if campaign not in CAMPAIGNS:
        raise ValueError(f"campaign={campaign!r} is not known; choose one of {', '.join(map(repr, CAMPAIGNS))}")
    import pandas as pd

    tables = []
    for name in (f"{campaign}.csv", "item_context.csv"):
        with _open(Path(path), f"{policy}/{campaign}/{name}") as file:
            tables.append(pd.read_csv(file, index_col=0))
    log, items = tables
    _need_columns(log, ("item_id", "position", "click", "propensity_score"), f"{campaign}.csv")
    _need_columns(items, ("item_id", "item_feature_0"), "item_context.csv")
    items = items.sort_values("item_id")
    if items["item_id"].tolist() != list(range(len(items))):
        raise ValueError("item_context.csv does not number its items 0, 1, ...; give the files as they come with the package")
    actions = log["item_id"].to_numpy(np.int64)
    propensities = log["propensity_score"].to_numpy(np.float64)
    if actions.size and (int(actions.min()) < 0 or int(actions.max()) >= len(items)):
        raise ValueError(f"{campaign}.csv shows item {int(actions.max())}, of {len(items)}; give the files as they come with the package")
    if not np.all((propensities > 0.0) & (propensities <= 1.0)):
        raise ValueError(f"{campaign}.csv has propensities outside (0, 1]; give the files as they come with the package")
    X, names = _item_features(items)
    return OpenBanditLog(
        name=f"Open Bandit, {policy}/{campaign}",
        actions=actions,
        rewards=log["click"].to_numpy(np.float64),
        propensities=propensities,
        positions=np.unique(log["position"].to_numpy(), return_inverse=True)[1].astype(np.int64),
        X=X,
        feature_names=names,
    )


def _open(path: Path, name: str) -> IO[bytes]:
    """Return a file of the sample, opened."""
    folders = ("", "obd/", "obp/dataset/obd/")
    if path.is_file():
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{path} is neither a folder nor a wheel; get one by {REMEDY}")
        with zipfile.ZipFile(path) as wheel:
            held = set(wheel.namelist())
            for folder in folders:
                if folder + name in held:
                    return io.BytesIO(wheel.read(folder + name))
    for folder in folders:
        if (path / folder / name).is_file():
            return (path / folder / name).open("rb")
    raise DataUnavailable(f"{path} holds no {name} of the Open Bandit sample; get it by {REMEDY}")


def _need_columns(table: Any, columns: tuple[str, ...], name: str) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{name} has no column {', '.join(missing)}; give the files as they come with the package")


def _item_features(items: Any) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    number = items["item_feature_0"].to_numpy(np.float64)
    columns, names = [np.ones(len(items)), (number - number.mean()) / (number.std() or 1.0)], ["intercept", "item_feature_0"]
    for name in sorted(column for column in items.columns if column.startswith("item_feature_") and column != "item_feature_0"):
        values = items[name].astype(str).to_numpy()
        for level in np.unique(values)[1:]:
            columns.append((values == level).astype(np.float64))
            names.append(f"{name}={level}")
    return np.ascontiguousarray(np.column_stack(columns)), tuple(names)
