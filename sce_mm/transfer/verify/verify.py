"""Whether pretrained weights arrived, under the conditions that they need.

The command and the hook ask the same questions here; nothing of mmdet is
needed to answer them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from ...checkpoints.compare import compare
from ..describe import (
    describe_backbone,
    describe_input,
    norm_modes,
    stride_style,
)
from .loaded_tensors import (
    EXPECTED_MISSING,
    Arrival,
    parts_that_load,
    pretrained_init,
    take_stock,
    tensors_to_load,
    who_could_take,
)
from .problems import (
    SETTING,
    frozen_problems,
    setting_problems,
    tensor_problems,
)


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
    if isinstance(getattr(backbone, 'init_cfg', None), list) and any(
        'Pretrained' in str(init) for init in backbone.init_cfg
    ):
        raise ValueError(
            'model.backbone.init_cfg is a list, and its other initialisers '
            'begin the blocks anew after the file is loaded: leave Pretrained '
            'alone, as a dict'
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
    problems = list(tensor_problems(arrival, len(weights)))
    problems += setting_problems(settings, rules.allow_unknown)
    if not rules.allow_frozen:
        problems += frozen_problems(frozen, norms)
    return Verdict(arrival, settings, frozen, norms, tuple(problems))
