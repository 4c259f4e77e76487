"""Take a part of labelled images, the same each time.

A hash serves as the random number of an image: there is no generator whose
stream could change, images that are added leave the order of the others, and
larger parts contain the smaller ones.
"""

import hashlib
from collections.abc import Collection
from typing import TypeVar

Key = TypeVar('Key', int, str)


def part_size(count: int, percent: float) -> int:
    """Number of images of a part: one at least."""
    return max(1, round(count * percent / 100))


def choose_part(keys: Collection[Key], percent: float, seed: int) -> list[Key]:
    """The part of the images whose hashes with the seed are the smallest.

    >>> small = choose_part(range(100), 10, seed=0)
    >>> large = choose_part(range(100), 30, seed=0)
    >>> len(small), set(small) <= set(large)
    (10, True)

    Args:
        keys: Ids or names of the images, in any order.
        percent: How large it is.
        seed: Another one takes another part.

    Returns:
        Keys in the order of their hashes.
    """
    ordered = sorted(
        keys, key=lambda k: hashlib.sha256(f'{seed}:{k}'.encode()).digest()
    )
    return ordered[: part_size(len(ordered), percent)]
