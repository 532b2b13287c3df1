"""The certified accuracy under the target: soundness on the simulated tables themselves, rank, and refusals."""

import numpy as np
import pytest

from algos.common.randomness import child
from algos.testable_halfspaces import achievable
from algos.testable_halfspaces.achievable import best_massart_certificate, check_feasible, minimal_eps
from algos.testable_halfspaces.instances import make_halfspace
from algos.testable_halfspaces.ramp_learner import ramp_path
from algos.testable_halfspaces.results import InfeasibleEps


def fitted(seed, n=20_000, d=2, eta=0.1):
    instance = make_halfspace(n, d, noise="rcn", rate=eta, random_state=seed)
    return instance, ramp_path(instance.X[: n // 2], instance.y[: n // 2], sigmas=[0.5, 0.2, 0.08], random_state=0)


def test_best_certificate_is_the_smallest_and_covers_the_true_excess():
    instance, path = fitted(0)
    X, y = instance.X[10_000:], instance.y[10_000:]
    best = best_massart_certificate(path, X, y, 0.1)
    alone = [best_massart_certificate([candidate], X, y, 0.1).eps_hat for candidate in path]
    assert min(alone) <= best.eps_hat < 0.05  # delta is shared among three, so the best of them pays a little
    assert instance.excess_error(best.w) <= best.eps_hat
    assert best.n_candidates == 3


def test_vacuous_candidates_are_told_apart_by_their_mistakes():
    instance, path = fitted(1, n=400, d=12, eta=0.3)
    best = best_massart_certificate(path, instance.X[200:], instance.y[200:], 0.3)
    assert best.vacuous
    wrong = [np.count_nonzero((instance.X[200:] @ c.w >= 0) != (instance.y[200:] > 0)) for c in path]
    assert best.mistakes == min(wrong)


def test_minimal_eps_is_the_ranked_value_of_its_own_tables(monkeypatch):
    drawn = {}

    def certified(task, noise, rng):
        drawn.setdefault(noise, []).append(rng.random())
        return drawn[noise][-1]

    monkeypatch.setattr(achievable, "_certified", certified)
    monkeypatch.setattr(achievable, "_remembered", {})
    found = minimal_eps(100, 2, 0.1, n_calibration=19, level=0.1, key=3)
    assert found == max(sorted(values)[17] for values in drawn.values())  # rank ceil(0.9 * 20) = 18
    assert drawn["rcn"][4] == child(3, "eps", "rcn", 4).random()


def test_more_rows_and_less_noise_certify_more():
    few, many, noisy = (minimal_eps(n, 2, eta, n_calibration=3, level=0.25) for n, eta in ((2000, 0.1), (16_000, 0.1), (16_000, 0.3)))
    assert many < few
    assert many < noisy


def test_an_intercept_and_a_fitted_map_cost_accuracy():
    plain, lifted, whitened = (
        minimal_eps(16_000, 3, 0.1, n_calibration=3, level=0.25, fit_intercept=lift, target_transform=transform)
        for lift, transform in ((False, None), (True, None), (False, "whiten"))
    )
    assert plain < lifted < 1.0  # one dimension more to exclude
    assert 0.8 * plain < whitened < 1.2 * plain  # the map of 8000 Gaussian rows is close to the identity


def test_accuracy_out_of_reach_is_refused_with_what_is_in_reach():
    with pytest.raises(InfeasibleEps, match=r"eps=0\.01 cannot be certified: 1000 Gaussian rows give 0\.3\. Ask for eps >= 0\.3"):
        check_feasible(0.01, 0.3, n=1000, what="Gaussian rows")
    with pytest.raises(ValueError, match=r"eps=0\.0 is outside"):
        check_feasible(0.0, 0.3, n=1000, what="Gaussian rows")
    with pytest.raises(ValueError, match=r"gives 3 ranked tables, level=0\.05 needs 19"):
        minimal_eps(100, 2, 0.1, n_calibration=3)
    with pytest.raises(ValueError, match=r"eta=0.5 is outside \[0, 0.5\)"):
        minimal_eps(100, 2, 0.5)
    with pytest.raises(ValueError, match="candidates is empty"):
        best_massart_certificate([], np.ones((3, 2)), [1, 1, -1], 0.1)
