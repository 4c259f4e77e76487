"""What is wrong with a transfer, and what to change, in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .arrival import Arrival
from .conditions import STORED
from .errors import EXTRACT
from .pixels import same

# Where a config sets what is compared.
SETTING = {
    'channel_order': 'model.data_preprocessor.bgr_to_rgb (to_rgb in '
    'mmpretrain)',
    'mean': 'model.data_preprocessor.mean',
    'std': 'model.data_preprocessor.std',
    'style': 'model.backbone.style, and that of a shared head',
}


def tensor_problems(arrival: Arrival, total: int) -> Iterator[str]:
    """Tensors that are not where they belong.

    Args:
        arrival: Where each tensor stands.
        total: Number of tensors of the file.
    """
    if arrival.wrong:
        yield (
            f'{len(arrival.wrong)} of {total} tensors are not those of the '
            f'file ({first_names(arrival.wrong)}): something initialised or '
            'loaded over them, or the config names another file'
        )
    if arrival.untouched:
        yield (
            f'{len(arrival.untouched)} tensors are not in the file and keep '
            f'their random values ({first_names(arrival.untouched)})'
        )
    if arrival.left_over:
        yield (
            f'{len(arrival.left_over)} tensors of the file went nowhere '
            f'({first_names(arrival.left_over)})'
        )


def setting_problems(
    settings: Iterable[tuple[str, Any, Any]], allow_unknown: bool
) -> Iterator[str]:
    """Pixels or strides that are not those of the pretraining.

    Args:
        settings: Name, what the file asks for, what the model has.
        allow_unknown: Let through what the file does not say.
    """
    for name, expected, value in settings:
        if expected is None:
            if not allow_unknown:
                yield (
                    f'the file does not say its {name}: export it again '
                    f'with --{name.replace("_", "-")} of {EXTRACT}, or set '
                    'allow_unknown=True in the hook'
                )
        elif not same(value, expected):
            yield (
                f'{name} is {value} here and was {expected} in the '
                f'pretraining: change {SETTING[name]}'
            )


def frozen_problems(
    frozen: tuple[str, ...], norms: Mapping[str, int]
) -> Iterator[str]:
    """Pretrained parts that would not be trained.

    Args:
        frozen: Names of parameters.
        norms: Of :func:`~sce_mm.transfer.conditions.norm_modes`.
    """
    if frozen:
        yield (
            f'{len(frozen)} pretrained parameters are frozen '
            f'({first_names(frozen)}): set frozen_stages=-1 and '
            'norm_cfg.requires_grad=True, or allow_frozen=True in the hook'
        )
    stored = sum(n for mode, n in norms.items() if mode.endswith(STORED))
    if stored:
        yield (
            f'{stored} batch norm layers would run on stored statistics: set '
            'norm_eval=False (in a shared head too), or allow_frozen=True in '
            'the hook'
        )


def first_names(names: Sequence[str]) -> str:
    """Three of them, for a message."""
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
