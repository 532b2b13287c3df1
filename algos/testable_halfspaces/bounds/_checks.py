"""Parameter checks shared by the formulas."""

import math

__all__ = ["need", "need_positive", "need_rate"]


def need(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def need_positive(value: float, name: str) -> None:
    need(0.0 < value < math.inf, f"{name}={value!r} must be a finite positive number")


def need_rate(advantage: float) -> None:
    need(0.0 < advantage <= 1.0, f"advantage={advantage!r} must lie in (0, 1]: it is 1 - 2 eta for a flip probability eta below 1/2")
