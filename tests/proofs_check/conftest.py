"""Claims that are true, false, loose, clumsy or broken, in a module that worker processes can import."""

import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="session")
def synthetic():
    """The module ``synthetic_claims`` beside this file."""
    if HERE not in sys.path:
        sys.path.insert(0, HERE)
    import synthetic_claims

    return synthetic_claims


@pytest.fixture(scope="session")
def rank_truncation():
    """The module ``rank_truncation`` beside this file: a claim with a known sharp constant."""
    if HERE not in sys.path:
        sys.path.insert(0, HERE)
    import rank_truncation

    return rank_truncation
