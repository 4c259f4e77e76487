"""Find the reasons to refuse a transfer, each with what to change.

:func:`pretrained_path`, :func:`read_backbone_file` and :func:`require_pyramid`
raise what makes a comparison impossible; the others yield what a comparison
found.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...checkpoints.errors import EXTRACT, CheckpointError
from ...checkpoints.reading import meta_of, read_checkpoint
from ...checkpoints.state_dicts import shape_mismatches, state_dict_of
from ...utils.errors import UserError
from ...utils.text import listed
from ..backbone import Backbone, extract_backbone
from ..formats import PYRAMID, is_whole_pretraining
from ..metadata import (
    FORMAT,
    STORED,
    describe_backbone,
    setting_differences,
)
from .load_report import (
    LoadReport,
    module_accepting,
    modules_of,
    parts_that_load,
    prefix_of,
    pretrained_init,
)

_FROZEN = (
    'if that is meant, allow_frozen=True in the hook, --allow-frozen of sce '
    'verify'
)


def pretrained_path(model: nn.Module) -> str:
    """File that the backbone loads.

    Raises:
        UserError: There is no backbone, it loads nothing or converts what it
            loads, or it looks for a prefix that backbone files do not have.
    """
    backbone = getattr(model, 'backbone', None)
    if backbone is None:
        raise UserError(
            f'{type(model).__name__} has no model.backbone, so there is no '
            'place whose weights could be compared'
        )
    if isinstance(getattr(backbone, 'init_cfg', None), list) and any(
        'Pretrained' in str(init) for init in backbone.init_cfg
    ):
        raise UserError(
            'model.backbone.init_cfg is a list, and its other initialisers '
            'initialise the blocks again after the file is loaded: leave '
            'Pretrained alone, as a dict'
        )
    path = pretrained_init(backbone).get('checkpoint')
    if not path:
        raise UserError(
            'the backbone does not load anything. Set '
            "model.backbone.init_cfg = dict(type='Pretrained', "
            "checkpoint='backbone.pth'); the config has "
            f'{getattr(backbone, "init_cfg", None)}. load_from and resume are '
            'for whole detectors'
        )
    _check_loading(backbone)
    for name, part in parts_that_load(model, path).items():
        prefix = prefix_of(part)
        if prefix and (part is backbone or prefix != PYRAMID):
            raise UserError(
                f'model.{name}.init_cfg has prefix={prefix!r}, but backbone '
                'files have bare names: remove it (those of a pyramid, for '
                f'a neck, have {PYRAMID!r})'
            )
    return path


def _check_loading(backbone: nn.Module) -> None:
    """Refuse a class that loads a file in a way of its own.

    Raises:
        UserError: It is the Swin of mmdet or mmseg.
    """
    cls = type(backbone)
    library = cls.__module__.partition('.')[0]
    if cls.__name__ == 'SwinTransformer' and library in ('mmdet', 'mmseg'):
        raise UserError(
            f'model.backbone is the SwinTransformer of {library}, which '
            'renames what it loads: of a backbone file it drops the patch '
            'embedding (convert_weights=True) or cannot read any tensor '
            "(False). Take type='mmpretrain.SwinTransformer' with "
            'arch=dict(embed_dims=..., depths=..., num_heads=...), '
            'pad_small_map=True and out_indices=(0, 1, 2, 3), which computes '
            'the same; sce detector does it'
        )


def read_backbone_file(path: str) -> Backbone:
    """The file that a backbone loads through ``init_cfg``.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is no backbone file of ours, or damaged.
    """
    checkpoint = read_checkpoint(path)
    if meta_of(checkpoint).get('format') != FORMAT:
        raise CheckpointError(
            f'{path} is not a backbone file: make one with '
            'sce extract CKPT OUT and '
            'name OUT in the config'
        )
    return extract_backbone(checkpoint)


def is_of_pretraining(path: str) -> bool:
    """Whether a local file is a backbone file or a pretraining of ours.

    What cannot be read is neither; whoever loads it says why.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        return False
    try:
        checkpoint = read_checkpoint(file)
        return meta_of(checkpoint).get('format') == FORMAT or (
            is_whole_pretraining(state_dict_of(checkpoint))
        )
    except CheckpointError:
        return False


def require_pyramid(model: nn.Module, path: str) -> None:
    """Check that a file has the pyramid that a neck of a model loads.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It has none, or is no backbone file of ours.
    """
    for name, part in parts_that_load(model, path).items():
        if prefix_of(part) and not read_backbone_file(path).pyramid:
            raise CheckpointError(
                f'model.{name} loads the feature pyramid of {path}, which has '
                'none: make the config again from this file with sce detector '
                f'or sce segmentor, or set model.{name}.init_cfg=None'
            )


def tensor_problems(
    model: nn.Module,
    parts: Mapping[str, nn.Module],
    path: str,
    arch: str | None,
    tensors: Mapping[str, Tensor],
    load: LoadReport,
) -> Iterator[str]:
    """Tensors of a file that did not arrive in the parts that load it."""
    skipped = set(load.expected_missing)
    wanted = {
        f'{prefix_of(module)}{name}': tensor
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
        if f'{part}.{name}' not in skipped
    }
    if mismatches := shape_mismatches(wanted, tensors):
        problem = (
            f'the file is of {arch} and does not fit '
            f'{describe_backbone(parts["backbone"])["arch"]}:\n{mismatches}'
        )
        if place := module_accepting(model, load.unexpected, parts):
            problem += (
                f'\n  model.{place} has a place for these tensors: set its '
                f"init_cfg = dict(type='Pretrained', checkpoint={path!r})"
            )
        new = modules_of(load.missing)
        # More of them are a deeper network, of which nothing is on purpose.
        if 0 < len(new) <= 8 and not load.unexpected:
            problem += (
                '\n  if they are new on purpose: --expected-missing '
                f'{" ".join(new)} '
                'of sce verify, and expected_missing=(...) of '
                'the hook'
            )
        yield problem
    elif load.mismatched:
        yield (
            f'{len(load.mismatched)} of {len(tensors)} tensors are '
            f'not those of the file ({listed(load.mismatched)}): '
            'something initialised or loaded over them, or the config names '
            'another file'
        )


def setting_problems(
    meta: Mapping[str, Any], here: Mapping[str, Any], allow_unknown: bool
) -> Iterator[str]:
    """Settings that are not those of the pretraining, or not known."""
    for name in here:
        if meta[name] is None and not allow_unknown:
            yield (
                f'the file does not say its {name}: export it again with '
                f'--{name.replace("_", "-")} of {EXTRACT}, or accept it: '
                'allow_unknown=True in the hook, --allow-unknown of sce verify'
            )
    yield from setting_differences(meta, here).values()


def frozen_problems(
    frozen: tuple[str, ...], norms: Mapping[str, int]
) -> Iterator[str]:
    """Pretrained parameters and norms that would not be trained."""
    if frozen:
        yield (
            f'{len(frozen)} pretrained parameters are frozen '
            f'({listed(frozen)}): set frozen_stages=-1 and '
            f'norm_cfg.requires_grad=True, or {_FROZEN}'
        )
    if stored := sum(n for k, n in norms.items() if k.endswith(STORED)):
        yield (
            f'{stored} batch norm layers would run on stored statistics: set '
            f'norm_eval=False (in a shared head too), or {_FROZEN}'
        )


def rate_problems(
    parts: Mapping[str, nn.Module], groups: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    """Pretrained parameters that no step of the optimiser, if any, changes."""
    # A warm-up may begin at zero.
    rates = {
        parameter: group.get('initial_lr', group['lr'])
        for group in groups
        for parameter in group['params']
    }
    still = [
        f'{part}.{name}'
        for part, module in parts.items()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and not rates.get(parameter)
    ]
    if rates and still:
        yield (
            f'{len(still)} pretrained parameters have a learning rate of zero '
            f'({listed(still)}): take lr_mult=0 out of '
            'optim_wrapper.paramwise_cfg'
        )
