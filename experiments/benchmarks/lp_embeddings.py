"""Scores, coresets of streams and certified quantile regression against the libraries that a user would take instead.

Fairness: every method of a case gets the same arrays; what a peer wants in another memory order is converted outside its clock; standard
errors and other extras of a peer are left out. Times are those of one thread, in turn, the first call (with compilation) apart.
"""

from ._lp_leverage import conditioning, leverage, lewis
from ._lp_memory import memory
from ._lp_quantile import flights, quantile
from ._lp_regression import regression
from ._lp_sensitivities import brackets, sensitivities
from ._lp_streaming import stream_memory, streaming

PARTS = {
    "leverage": leverage,
    "conditioning": conditioning,
    "lewis": lewis,
    "sensitivities": sensitivities,
    "brackets": brackets,
    "quantile": quantile,
    "flights": flights,
    "regression": regression,
    "memory": memory,
    "streaming": streaming,
    "stream_memory": stream_memory,
}
