"""Parameter checks shared by the formulas."""

import math

__all__ = ["need", "need_exponent"]


def need(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def need_exponent(p: float) -> None:
    need(1.0 <= p < math.inf, f"p={p!r} must be a finite number of at least 1; lp norms below 1 and the max norm are not covered")
