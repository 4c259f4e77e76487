"""Whether images come as those that the weights were trained on."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from .meta_hook import describe_input


def check_pixels(
    meta: Mapping[str, Any], preprocessor: nn.Module, path: str
) -> None:
    """See that the images come as those that the weights were trained on.

    Args:
        meta: Of :func:`~sce_mm.transfer.extract_backbone`; what it does not
            know is not compared.
        preprocessor: Data preprocessor of the config.
        path: Of the checkpoint, for the message.

    Raises:
        ValueError: Order of channels, mean or std differ.
    """
    for name, value in describe_input(preprocessor).items():
        trained = meta.get(name)
        if None not in (value, trained) and not same(value, trained):
            raise ValueError(
                f'{path} was trained with {name} = {trained}, but the '
                f'config has {value}: change model.data_preprocessor'
            )


def same(value: Any, expected: Any) -> bool:
    """Equal, numbers to a hundredth of a grey level."""
    if isinstance(expected, list) and isinstance(value, list):
        return len(value) == len(expected) and all(
            abs(a - b) < 0.01 for a, b in zip(value, expected, strict=True)
        )
    return value == expected
