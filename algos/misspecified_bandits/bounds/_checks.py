"""Preconditions of formulas, as errors that name the number."""

__all__ = ["need"]


def need(condition: bool, message: str) -> None:
    """Raise a ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)
