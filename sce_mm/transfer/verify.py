"""Whether pretrained weights arrived, under the conditions that they need.

The command and the hook ask the same questions here; nothing of mmdet is
needed to answer them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .arrival import (
    EXPECTED_MISSING,
    Arrival,
    parts_that_load,
    pretrained_init,
    take_stock,
    tensors_to_load,
    who_could_take,
)
from .compare import compare
from .meta_hook import describe_backbone, describe_input

BATCH, STORED = 'statistics of the batch', 'stored statistics'

# What mmengine makes of SyncBN where there is but one process.
NAMES = {'_BatchNormXd': 'SyncBN (BN in one process)'}

# Where a config sets what is compared.
SETTING = {
    'channel_order': 'model.data_preprocessor.bgr_to_rgb (to_rgb in '
    'mmpretrain)',
    'mean': 'model.data_preprocessor.mean',
    'std': 'model.data_preprocessor.std',
    'style': 'model.backbone.style',
}


class Rules(NamedTuple):
    """What is let through.

    Attributes:
        allow_frozen: Frozen stages or batch norm in evaluation mode. Weights
            of self-supervised learning do worse with them in a detector; a
            linear evaluation wants them.
        allow_unknown: A file that does not say what pixels it expects.
        expected_missing: Beginnings of names in the model, such as
            ``'backbone.layer2.0.conv2.conv_offset.'``, that no file has.
    """

    allow_frozen: bool = False
    allow_unknown: bool = False
    expected_missing: tuple[str, ...] = EXPECTED_MISSING


class Verdict(NamedTuple):
    """What was found.

    Attributes:
        arrival: Where each tensor stands.
        settings: Name, what the file asks for, what the model has.
        frozen: Parameters of the parts that are not trained.
        norms: Batch norm layers of the parts by what they do in training.
        problems: Everything that is not as it should be, in words.
    """

    arrival: Arrival
    settings: tuple[tuple[str, Any, Any], ...]
    frozen: tuple[str, ...]
    norms: dict[str, int]
    problems: tuple[str, ...]


def path_of(model: nn.Module) -> str:
    """File that the backbone is told to load.

    Raises:
        ValueError: There is no backbone, it is told nothing, or to look for
            a prefix that backbone files do not have.
    """
    backbone = getattr(model, 'backbone', None)
    if backbone is None:
        raise ValueError(
            f'{type(model).__name__} has no model.backbone, so there is no '
            'place whose weights could be compared'
        )
    init_cfg = pretrained_init(backbone)
    path = init_cfg.get('checkpoint')
    if not path:
        raise ValueError(
            'the backbone is not told to load anything. Set '
            "model.backbone.init_cfg = dict(type='Pretrained', "
            "checkpoint='backbone.pth'); the config has "
            f'{getattr(backbone, "init_cfg", None)}. load_from and resume are '
            'for whole detectors'
        )
    for name, part in parts_that_load(model, path).items():
        prefix = pretrained_init(part).get('prefix')
        if prefix:
            raise ValueError(
                f'model.{name}.init_cfg has prefix={prefix!r}, but backbone '
                'files have bare names: remove it'
            )
    return path


def misfits(
    model: nn.Module,
    path: str,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    rules: Rules,
) -> str:
    """How names and shapes of file and model differ; empty if they do not.

    Args:
        model: Need not be initialised yet.
        path: Of :func:`path_of`.
        weights: Of the file, under bare names.
        meta: Of the file.
        rules: What is let through.
    """
    parts = parts_that_load(model, path)
    wanted = tensors_to_load(parts, rules.expected_missing)
    difference = compare(wanted, weights)
    if not difference:
        return ''
    arch = describe_backbone(parts['backbone'])['arch']
    text = f'{path} (arch {meta["arch"]}) does not fit {arch}:\n{difference}'
    left_over = tuple(name for name in weights if name not in wanted)
    place = left_over and who_could_take(model, left_over, parts)
    if place:
        text += (
            f'\n  model.{place} has a place for what is left over: set its '
            f"init_cfg = dict(type='Pretrained', checkpoint={path!r})"
        )
    return text


def verify(
    model: Any,
    path: str,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    rules: Rules,
) -> Verdict:
    """Compare a model that is about to be trained with the file.

    Args:
        model: Initialised; it is put into training mode.
        path: Of :func:`path_of`.
        weights: Of the file, under bare names.
        meta: Meta block of the file.
        rules: What is let through.
    """
    parts = parts_that_load(model, path)
    arrival = take_stock(parts, weights, rules.expected_missing)
    here = describe_input(model.data_preprocessor)
    here['style'] = stride_style(parts)
    settings = tuple((name, meta[name], here[name]) for name in SETTING)
    frozen = tuple(
        f'{part}.{name}'
        for part, module in parts.items()
        for name, parameter in module.named_parameters()
        if not parameter.requires_grad
    )
    model.train()
    norms = norm_modes(parts)
    problems = list(_tensor_problems(arrival, len(weights)))
    problems += _setting_problems(settings, rules)
    if not rules.allow_frozen:
        problems += _frozen_problems(frozen, norms)
    return Verdict(arrival, settings, frozen, norms, tuple(problems))


def norm_modes(parts: Mapping[str, nn.Module]) -> dict[str, int]:
    """Batch norm layers, counted by kind and present mode."""
    modes: Counter[str] = Counter()
    for part in parts.values():
        for module in part.modules():
            if isinstance(module, _BatchNorm):
                mode = BATCH if module.training else STORED
                name = type(module).__name__
                modes[f'{NAMES.get(name, name)}, {mode}'] += 1
    return dict(modes)


def stride_style(parts: Mapping[str, nn.Module]) -> str | None:
    """Where bottlenecks have their strides.

    Returns:
        ``'pytorch'`` (3 x 3), ``'caffe'`` (1 x 1), ``'mixed'`` if the parts
        differ; without strided bottlenecks what the backbone says.
    """
    styles = set()
    for part in parts.values():
        for module in part.modules():
            convs = dict(module.named_children())
            if {'conv1', 'conv2', 'conv3'} <= set(convs):
                strides = [
                    getattr(convs[name], 'stride', 1)
                    for name in ('conv1', 'conv2')
                ]
                if strides[0] in (2, (2, 2)):
                    styles.add('caffe')
                if strides[1] in (2, (2, 2)):
                    styles.add('pytorch')
    if not styles:
        return describe_backbone(parts['backbone'])['style']
    return styles.pop() if len(styles) == 1 else 'mixed'


def same(value: Any, expected: Any) -> bool:
    """Equal, numbers to a hundredth of a grey level."""
    if isinstance(expected, list) and isinstance(value, list):
        return len(value) == len(expected) and all(
            abs(a - b) < 0.01 for a, b in zip(value, expected, strict=True)
        )
    return value == expected


def _tensor_problems(arrival: Arrival, total: int) -> Iterator[str]:
    if arrival.wrong:
        yield (
            f'{len(arrival.wrong)} of {total} tensors are not those of the '
            f'file ({_first(arrival.wrong)}): something initialised or loaded '
            'over them, or the config names another file'
        )
    if arrival.untouched:
        yield (
            f'{len(arrival.untouched)} tensors are not in the file and keep '
            f'their random values ({_first(arrival.untouched)})'
        )
    if arrival.left_over:
        yield (
            f'{len(arrival.left_over)} tensors of the file went nowhere '
            f'({_first(arrival.left_over)})'
        )


def _setting_problems(
    settings: tuple[tuple[str, Any, Any], ...], rules: Rules
) -> Iterator[str]:
    for name, expected, value in settings:
        if expected is None:
            if not rules.allow_unknown:
                yield (
                    f'the file does not say its {name}: export it again '
                    f'with --{name.replace("_", "-")}, or set '
                    'allow_unknown=True in the hook'
                )
        elif not same(value, expected):
            yield (
                f'{name} is {value} here and was {expected} in the '
                f'pretraining: change {SETTING[name]}'
            )


def _frozen_problems(
    frozen: tuple[str, ...], norms: Mapping[str, int]
) -> Iterator[str]:
    if frozen:
        yield (
            f'{len(frozen)} pretrained parameters are frozen '
            f'({_first(frozen)}): set frozen_stages=-1 and '
            'norm_cfg.requires_grad=True, or allow_frozen=True in the hook'
        )
    stored = sum(n for mode, n in norms.items() if mode.endswith(STORED))
    if stored:
        yield (
            f'{stored} batch norm layers would run on stored statistics: set '
            'norm_eval=False (in a shared head too), or allow_frozen=True in '
            'the hook'
        )


def _first(names: tuple[str, ...]) -> str:
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
