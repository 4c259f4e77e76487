"""Check numbers that come from a config; the message names the value."""

from __future__ import annotations

from typing import TypeGuard


def check_integer(
    name: str, value: object, low: int, high: float = float('inf')
) -> None:
    """Raise ``ValueError`` unless ``value`` is an integer in range."""
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or not low <= value <= high
    ):
        bound = f'in [{low}, {high}]' if high < float('inf') else f'>= {low}'
        raise ValueError(f'{name} must be an integer {bound}, got {value!r}')


def check_number(name: str, value: object, high: float = float('inf')) -> None:
    """Raise ``ValueError`` unless ``value`` is a number in [0, high]."""
    if not (_is_number(value) and 0 <= value <= high):
        bound = f'in [0, {high:g}]' if high < float('inf') else '>= 0'
        raise ValueError(f'{name} must be a number {bound}, got {value!r}')


def check_range(name: str, value: object, high: float = float('inf')) -> None:
    """Raise ``ValueError`` unless 0 < low <= high for a pair of numbers."""
    if not (
        isinstance(value, tuple)
        and len(value) == 2
        and all(map(_is_number, value))
        and 0 < value[0] <= value[1] <= high
    ):
        bound = f' <= {high:g}' if high < float('inf') else ''
        raise ValueError(
            f'{name} must be a pair (low, high) with 0 < low <= high{bound}, '
            f'got {value!r}'
        )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
