"""Nets cover: random points, the worst points of the grid, and counts from an enumeration."""

import itertools
import math

import numpy as np
import pytest

from algos.misspecified_bandits.bounds import net_size
from algos.misspecified_bandits.nets import ball_net, sphere_net

ROUNDING = 1e-12  # lengths are of order one


def distances(points, net):
    squares = np.sum(points**2, axis=1)[:, None] + np.sum(net**2, axis=1)[None, :] - 2.0 * points @ net.T
    return np.sqrt(np.maximum(squares, 0.0).min(axis=1))


def corners_of_cells(m):
    """All corners of the grid with m cells along each axis of [-1, 1]."""
    return np.linspace(-1.0, 1.0, m + 1)


@pytest.mark.parametrize(("s", "eta"), [(1, 0.3), (2, 0.2), (2, 0.03), (3, 0.2), (3, 0.11), (4, 0.4)])
def test_every_direction_is_near_the_net_up_to_sign(s, eta):
    net = sphere_net(s, eta)
    np.testing.assert_allclose(np.linalg.norm(net, axis=1), 1.0, atol=ROUNDING)
    units = np.random.default_rng(0).standard_normal((2000, s))
    m = math.ceil(math.sqrt(s - 1) / eta)
    if s > 1:  # midpoints of cells on a face are farthest from the corners
        corners = np.array([(1.0, *rest) for rest in itertools.product(corners_of_cells(m), repeat=s - 1)])
        units = np.concatenate([units, corners])
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    assert distances(units, np.concatenate([net, -net])).max() <= eta * (1.0 + 1e-9)


def test_a_direction_without_its_negative_is_not_covered():
    net = sphere_net(2, 0.1)
    assert distances(np.array([[-math.sqrt(0.5), -math.sqrt(0.5)]]), net).max() > 0.5


@pytest.mark.parametrize(("s", "eta", "R"), [(1, 0.3, 1.0), (2, 0.2, 1.0), (2, 0.5, 3.0), (3, 0.2, 1.0), (3, 0.2, 0.15), (2, 4.0, 1.0)])
def test_every_weight_is_near_the_net(s, eta, R):
    net = ball_net(s, eta, R)
    assert np.linalg.norm(net, axis=1).max() <= R + eta + ROUNDING
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((3000, s))
    weights *= R * rng.uniform(0.0, 1.0, (3000, 1)) ** (1.0 / s) / np.linalg.norm(weights, axis=1, keepdims=True)
    m = math.ceil(math.sqrt(s) * R / eta)
    corners = R * np.array(list(itertools.product(corners_of_cells(m), repeat=s)))
    rim = R * corners / np.maximum(np.linalg.norm(corners, axis=1, keepdims=True), 1e-9)
    points = np.concatenate([weights, rim, corners[np.linalg.norm(corners, axis=1) <= R]])
    assert distances(points, net).max() <= eta * (1.0 + 1e-9)


@pytest.mark.parametrize("s", [1, 2, 3, 4])
@pytest.mark.parametrize("eta", [0.9, 0.41, 0.2])
def test_sizes_are_those_of_the_nets(s, eta):
    assert net_size(s=s, eta=eta) == len(sphere_net(s, eta))
    assert net_size(s=s, eta=eta, net="ball", R=0.8) == len(ball_net(s, eta, 0.8))
    m = math.ceil(math.sqrt(s) * 0.8 / eta)
    middles = [0.8 * (2 * i + 1 - m) / m for i in range(m)]
    listed = [w for w in itertools.product(middles, repeat=s) if math.hypot(*w) <= 0.8 + eta]
    np.testing.assert_allclose(ball_net(s, eta, 0.8), listed, atol=ROUNDING)


def test_sizes_of_larger_nets():
    # counted by an independent enumeration over the whole cube
    assert [net_size(s=2, eta=eta, net="ball") for eta in (0.2, 0.1, 0.05, 0.025)] == [60, 201, 705, 2673]
    assert [net_size(s=3, eta=eta, net="ball") for eta in (0.2, 0.1, 0.05, 0.025)] == [613, 3888, 25551, 193200]
    assert [net_size(s=4, eta=eta) for eta in (0.4, 0.2, 0.1, 0.05)] == [500, 2916, 23328, 171500]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sphere_net(0, 0.1), "s=0"),
        (lambda: sphere_net(2, 0.0), "eta"),
        (lambda: ball_net(2, 0.1, 0.0), "R=0"),
        (lambda: sphere_net(4, 1e-3), "larger eta"),
        (lambda: ball_net(3, 1e-3), "larger eta"),
        (lambda: net_size(s=2, eta=0.1, net="cube"), "sphere"),
        (lambda: net_size(s=2, eta=0.0), "infinitely many"),
        (lambda: net_size(s=2, eta=1e-300), "too small"),
    ],
)
def test_nets_that_cannot_be_made_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
