"""Concrete problems: data sets found by import path, families turned into instances."""

import importlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from proofs_check.model import DETERMINISTIC, Claim, DatasetRef, Family, Instance, InstanceKey, MissingDataError
from proofs_check.seeds import build_key, generator

_KEPT = 4  # instances kept per process: enough for the blocks in flight, few enough for large data
_cache: "OrderedDict[tuple[str, str, int, int], Instance]" = OrderedDict()


@lru_cache(maxsize=8)
def _load(loader: str, name: str) -> Any:
    module, function = loader.split(":")
    return getattr(importlib.import_module(module), function)(name)


def load_dataset(ref: DatasetRef) -> Any:
    """Load a data set, once per process.

    Raises
    ------
    MissingDataError
        It is not installed; the message names the extra.
    """
    try:
        return _load(ref.loader, ref.name)
    except (ImportError, LookupError, OSError, AttributeError) as error:
        extra = f'; install it with: pip install "epsdelta[{ref.extra}]"' if ref.extra else ""
        raise MissingDataError(f"data set {ref.name!r} from {ref.loader} is not available ({error}){extra}") from error


def missing_data(claim: Claim) -> str:
    """Return why a data set of the claim cannot be loaded, or the empty string."""
    for family in claim.families:
        if family.dataset is not None:
            try:
                load_dataset(family.dataset)
            except MissingDataError as error:
                return str(error)
    return ""


def draws_per_trial(claim: Claim, family: Family) -> bool:
    """Tell whether every trial has an instance of its own (deterministic kinds) or all trials of a part share one."""
    if family.draw is not None:
        return family.draw == "trial"
    return claim.kind in DETERMINISTIC


def build(claim: Claim, family: Family, index: int, rng: np.random.Generator) -> Instance:
    """Build one instance.

    Raises
    ------
    TypeError
        ``build`` returned something else.
    """
    point: Mapping[str, Any] = family.grid[index]
    if family.dataset is not None:
        point = {**point, "dataset": load_dataset(family.dataset)}
    instance = family.build(rng, point)
    if not isinstance(instance, Instance):
        raise TypeError(f"{claim.id}: family {family.name!r} built {type(instance).__name__}; build(rng, point) returns an Instance")
    return replace(instance, key=InstanceKey(family.name, index))


def shared_instance(claim: Claim, family: Family, index: int, root: int, fingerprint: str) -> Instance:
    """Return the instance that all trials, subjects, levels and mutants of a part share; it depends on its key alone."""
    key = (fingerprint, family.name, index, root)
    if key in _cache:
        return _cache[key]
    instance = build(claim, family, index, generator(build_key(claim.id, family.name, index), root))
    if instance.env is None:
        _cache[key] = instance
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    return instance
