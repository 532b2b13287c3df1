"""Exponents close to one: duals of tied rows, and a search that begins again where it froze."""

import numpy as np
import pytest

from algos.lp_embeddings import certified_lp, certified_quantile, instances


@pytest.mark.parametrize("p", [1.001, 1.01, 1.05])
@pytest.mark.parametrize("name", ["ties", "half_exact", "outlying_rows", "cauchy_errors"])
def test_exponents_close_to_one_end_with_a_proof(p, name):
    made = instances.quantile_designs(2400, 4, 0.5, names=[name], random_state=1)[name]
    result = certified_lp(made.A, made.b, p, random_state=0)
    assert result.gap <= 1e-9
    assert result.n_iter <= 40
    assert result.certificate.verify(made.A, made.b)
    smallest = certified_lp(made.A, made.b, 1.0, random_state=0).objective
    assert result.objective <= np.linalg.norm(made.b - made.A @ certified_quantile(made.A, made.b, random_state=0).coef, p) * (1.0 + 1e-9)
    assert result.objective >= smallest * len(made.b) ** (1.0 / p - 1.0) * (1.0 - 1e-9)  # power means increase with the exponent
