"""Every estimator passes scikit-learn's checks; there is no list of expected failures."""

import importlib.util
import inspect
import os
import pkgutil
import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import estimator_checks_generator

import algos

_spec = importlib.util.spec_from_file_location("estimators_table", Path(__file__).with_name("estimators.py"))
_table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_table)
ESTIMATORS = _table.ESTIMATORS

NEEDS_A_FRESH_PROCESS = {"check_array_api_input"}  # scipy reads SCIPY_ARRAY_API once, when it is imported


def name_of(check):
    return (check.func if isinstance(check, partial) else check).__name__


def all_checks():
    for estimator in ESTIMATORS:
        for instance, check in estimator_checks_generator(estimator):
            if name_of(check) not in NEEDS_A_FRESH_PROCESS:
                yield pytest.param(instance, check, id=f"{instance}-{name_of(check)}")


@pytest.mark.parametrize(("estimator", "check"), list(all_checks()))
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_checks_that_depend_on_the_environment():
    script = """
import importlib.util, sys
from sklearn.utils.estimator_checks import estimator_checks_generator
spec = importlib.util.spec_from_file_location("estimators_table", sys.argv[1])
table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(table)
passed = 0
for estimator in table.ESTIMATORS:
    for instance, check in estimator_checks_generator(estimator):
        if getattr(check, "func", check).__name__ in sys.argv[2:]:
            check(instance)
            passed += 1
print(passed)
"""
    arguments = [sys.executable, "-c", script, str(Path(__file__).with_name("estimators.py")), *NEEDS_A_FRESH_PROCESS]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env={**os.environ, "SCIPY_ARRAY_API": "1"})
    assert int(done.stdout) >= len(ESTIMATORS)


def test_the_table_holds_every_estimator():
    """Learners that ask and are told have a contract of their own, in test_learner_contract.py."""
    found = set()
    for module in pkgutil.walk_packages(algos.__path__, "algos."):
        classes = inspect.getmembers(import_module(module.name), inspect.isclass)
        found |= {cls for _, cls in classes if issubclass(cls, BaseEstimator) and cls.__module__ == module.name}
    found = {cls for cls in found if not hasattr(cls, "ask")}
    assert found == {type(estimator) for estimator in ESTIMATORS}
