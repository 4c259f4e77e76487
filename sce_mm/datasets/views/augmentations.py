"""Strength and probability of crop, jitter, blur, solarise and flip, by name.

The named augmentations of the SCE paper. A config names one of them and
overrides what differs::

    dict(augmentation='strong_alpha', size=224, scale=(0.2, 1.0))

Values: the SCE paper (WACV 2023) and the configs of its official code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ...utils.checks import (
    check_integer,
    check_number,
    check_range,
    did_you_mean,
)
from ...utils.errors import UserError


@dataclass(frozen=True)
class Augmentation:
    """Operations of one view of an image, their strength and probability.

    The operations run in the order of the fields: resized crop, colour
    jitter, grey, blur, solarise, flip. A strength ``x`` of the jitter draws
    its factor from U(max(0, 1 - x), 1 + x), ``hue`` from U(-hue, hue).

    Args:
        size: Height and width of the view, pixels.
        scale: Smallest and largest share of the image's area in the crop.
        ratio: Smallest and largest width / height of the crop.
        jitter_prob: Probability of the colour jitter.
        brightness: Strength of brightness.
        contrast: Strength of contrast.
        saturation: Strength of saturation.
        hue: Largest shift of the hue, in turns (at most 0.5).
        grey_prob: Probability of losing all colour.
        blur_prob: Probability of the Gaussian blur.
        blur_sigma: Smallest and largest standard deviation, pixels.
        solarise_prob: Probability of inverting the bright pixels.
        solarise_threshold: Pixels at or above this level are inverted.
        flip_prob: Probability of the horizontal flip.

    Raises:
        UserError: A value lies outside its range.
    """

    size: int = 224
    scale: tuple[float, float] = (0.2, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    jitter_prob: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey_prob: float = 0.0
    blur_prob: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarise_prob: float = 0.0
    solarise_threshold: int = 128
    flip_prob: float = 0.5

    def __post_init__(self) -> None:
        check_integer('size', self.size, low=1)
        check_integer('solarise_threshold', self.solarise_threshold, 0, 256)
        for name in ('jitter', 'grey', 'blur', 'solarise', 'flip'):
            check_number(f'{name}_prob', getattr(self, f'{name}_prob'), 1.0)
        for name in ('brightness', 'contrast', 'saturation'):
            check_number(name, getattr(self, name))
        check_number('hue', self.hue, high=0.5)
        check_range('scale', self.scale, high=1.0)
        check_range('ratio', self.ratio)
        check_range('blur_sigma', self.blur_sigma)
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        if self.jitter_prob > 0 and not any(strengths):
            raise UserError(
                f'jitter_prob is {self.jitter_prob}, but brightness, contrast,'
                ' saturation and hue are all 0: the jitter would do nothing. '
                'Set at least one of them, or jitter_prob=0'
            )


_STRONG = Augmentation(
    jitter_prob=0.8,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    grey_prob=0.2,
    blur_prob=0.5,
)
_ALPHA = replace(_STRONG, saturation=0.2, blur_prob=1.0)
_BETA = replace(_ALPHA, blur_prob=0.1, solarise_prob=0.2)

AUGMENTATIONS: Mapping[str, Augmentation] = {
    'weak': Augmentation(),
    'strong': _STRONG,
    'strong_alpha': _ALPHA,
    'strong_beta': _BETA,
    'strong_gamma': replace(_BETA, blur_prob=0.5),
}


def build_augmentation(augmentation: str, **overrides: Any) -> Augmentation:
    """Take a named augmentation and replace the numbers given.

    Raises:
        UserError: The name or a key is unknown (the message names the
            nearest), or a value lies outside its range.
    """
    if augmentation not in AUGMENTATIONS:
        raise UserError(
            f'unknown augmentation {augmentation!r}'
            f'{did_you_mean(augmentation, [*AUGMENTATIONS])}; '
            f'known are {", ".join(AUGMENTATIONS)}'
        )
    keys = [field.name for field in fields(Augmentation)]
    for key in [key for key in overrides if key not in keys]:
        raise UserError(
            f'unknown key {key!r}{did_you_mean(key, keys)}; beside '
            f'augmentation the valid keys are {", ".join(keys)}'
        )
    # Configs turn tuples into lists; the dataclass must stay hashable.
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in overrides.items()
    }
    return replace(AUGMENTATIONS[augmentation], **values)
