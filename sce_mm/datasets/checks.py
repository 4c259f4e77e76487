"""Checks of numbers that come from a config; the message names the value."""

from __future__ import annotations

import numbers


def check_integer(
    name: str, value: object, low: int, high: float = float('inf')
) -> None:
    whole = isinstance(value, numbers.Integral) and _is_number(value)
    if not whole or not low <= value <= high:  # type: ignore[operator]
        bound = f'in [{low}, {high}]' if high < float('inf') else f'>= {low}'
        raise ValueError(f'{name} must be an integer {bound}, got {value!r}')


def check_number(name: str, value: object, high: float = float('inf')) -> None:
    if not _is_number(value) or not 0 <= value <= high:  # type: ignore[operator]
        bound = f'in [0, {high:g}]' if high < float('inf') else '>= 0'
        raise ValueError(f'{name} must be a number {bound}, got {value!r}')


def check_range(name: str, value: object, high: float = float('inf')) -> None:
    pair = (
        isinstance(value, tuple)
        and len(value) == 2
        and all(_is_number(edge) for edge in value)
    )
    if not pair or not 0 < value[0] <= value[1] <= high:  # type: ignore[index]
        bound = f' <= {high:g}' if high < float('inf') else ''
        raise ValueError(
            f'{name} must be a pair (low, high) with 0 < low <= high{bound}, '
            f'got {value!r}'
        )


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
