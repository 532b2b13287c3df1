"""How far from the optimum is a quantile regression on sampled flights, and what can be proved about it?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    pass

TITLE = "Quantile regression of arrival delay from sampled flights"
TOPIC = "quantile_regression"
DATA = ("flights",)
SAMPLERS = ("uniform", "leverage", "lewis")

Arrays = Mapping[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Sizes of the figure.

    Attributes
    ----------
    sizes : tuple of int
        Expected rows sampled.
    quantiles : tuple of float
    draws : int
        Samples for each size and sampler.
    certified_draws : int
        Runs of the certified regression for each size, which start from such samples.
    seed : int
    """

    sizes: tuple[int, ...] = (500, 1000, 2000, 4000)
    quantiles: tuple[float, ...] = (0.5, 0.9)
    draws: int = 5
    certified_draws: int = 1
    seed: int = 0


QUICK = Parameters()
FULL = Parameters(sizes=(500, 1000, 2000, 4000, 8000, 16000, 32000), draws=15, certified_draws=5)
