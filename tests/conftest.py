"""Set-up for every test: reproducible property tests, one BLAS thread."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

settings.register_profile("quick", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("quick")


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield
