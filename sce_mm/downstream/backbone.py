"""Load a backbone file into a ResNet of a config, and train all of it."""

import re
from pathlib import Path
from typing import NamedTuple

from mmpretrain.models import ResNet as PretrainResNet

from ..checkpoints.state_dicts import shape_mismatches
from ..config.parts import find_hook, type_name
from ..transfer import Backbone
from ..transfer.verify.load_report import expected_missing_of, is_expected
from ..transfer.verify.verify import EXPECTED_MISSING
from .edits import AdaptError, ConfigEdits, build
from .norms import SYNC_BN
from .part_classes import class_of

BACKBONE = 'model.backbone'
# Which command takes the configs of a package.
_MAKERS = {'mmdet': 'sce detector', 'mmseg': 'sce segmentor'}
# Prefixes of all tensors of a ResNet; the empty one is for those of its stem.
RESNET_STAGES = ('', 'layer1.', 'layer2.', 'layer3.', 'layer4.')


class BackboneFile(NamedTuple):
    """A backbone and the absolute path of its file."""

    path: Path
    backbone: Backbone

    @property
    def init_cfg(self) -> dict[str, str]:
        """With which mmengine loads the file into a part of a model."""
        return {'type': 'Pretrained', 'checkpoint': str(self.path)}


def require_metadata(file: BackboneFile) -> None:
    """Check that a file says what its weights expect.

    Raises:
        AdaptError: It does not.
    """
    if unknown := file.backbone.unknown:
        raise AdaptError(
            f'the weights do not say their {", ".join(unknown)}: extract them '
            f'with sce extract and {file.backbone.unknown_options}'
        )


def require_scope(edits: ConfigEdits, scope: str) -> None:
    """Check that a config is not one of another package.

    Raises:
        AdaptError: It is.
    """
    found = edits.get('default_scope')
    if found == scope or found not in ('mmpretrain', *_MAKERS):
        return
    kind = type_name(edits.get('model') or {})
    other = f'; {_MAKERS[found]} takes this one' if found in _MAKERS else ''
    raise AdaptError(
        f'the config is one of {found} (its model is a {kind}), expected one '
        f'of {scope}{other}'
    )


def load_into_resnet(
    edits: ConfigEdits, where: str, file: BackboneFile
) -> None:
    """Load the file into a ResNet; nothing of it is frozen.

    Raises:
        AdaptError: It is no ResNet, or one of other convolutions.
    """
    if not is_resnet(edits, where):
        raise AdaptError(
            f'{where} is a {type_name(edits.get(where))}, and the weights '
            'are of a ResNet: take a config of the same model with a ResNet'
        )
    load_and_train(edits, where, file)
    edits.set(
        f'{where}.frozen_stages',
        -1,
        'freeze nothing (0 would still freeze the stem): the early layers of '
        'self-supervised weights have to be trained too',
    )


def load_and_train(edits: ConfigEdits, where: str, file: BackboneFile) -> None:
    """Load the file into a ResNet or some of its stages, with trained norms.

    Raises:
        AdaptError: The convolutions are not plain ones.
    """
    conv = edits.get(f'{where}.conv_cfg')
    if conv and type_name(conv) not in ('Conv', 'Conv2d'):
        raise AdaptError(
            f'{where} has conv_cfg={conv}: the weights are for plain '
            'convolutions. Take it out, or take a config without it'
        )
    edits.set(f'{where}.pretrained', None, 'old spelling of init_cfg')
    edits.set(f'{where}.init_cfg', file.init_cfg, 'these weights')
    # Group norms are in the config as they are in the file, or do not fit.
    if any(name.endswith('running_mean') for name in file.backbone.weights):
        _train_batch_norms(edits, where)
    # Blocks without bottlenecks have but one place for a stride.
    if style := file.backbone.meta['style']:
        reason = 'strides where they were in the pretraining'
        edits.set(f'{where}.style', style, reason)


def _train_batch_norms(edits: ConfigEdits, where: str) -> None:
    # The eps becomes that of all ResNets, which the pretraining had.
    momentum = (edits.get(f'{where}.norm_cfg') or {}).get('momentum')
    edits.set(
        f'{where}.norm_cfg',
        SYNC_BN if momentum is None else {**SYNC_BN, 'momentum': momentum},
        'train batch norm, over all GPUs (plain BN on a single one): frozen, '
        'it suits supervised weights only',
    )
    use_batch_statistics(edits, where)


def use_batch_statistics(edits: ConfigEdits, where: str) -> None:
    """Let the batch norms of a network keep up with its features."""
    edits.set(
        f'{where}.norm_eval',
        False,
        'normalise with the statistics of the batch: the stored ones are of '
        'the pretraining images, and the features move away from them',
    )


def stages_of(edits: ConfigEdits, where: str) -> tuple[str, ...]:
    """Prefixes of the tensors of a ResNet with the stages that it has."""
    stages = edits.get(f'{where}.num_stages') or 4
    return RESNET_STAGES[: stages + 1]


def is_resnet(edits: ConfigEdits, where: str) -> bool:
    """Whether a part is a ResNet of the default scope or of mmpretrain."""
    cls, own = class_of(edits.get(where)), class_of({'type': 'ResNet'})
    resnets = [c for c in (own, PretrainResNet) if c]
    return cls is not None and issubclass(cls, tuple(resnets))


def check_fit(
    edits: ConfigEdits,
    where: str,
    file: BackboneFile,
    prefixes: tuple[str, ...],
) -> None:
    """Build a part and compare its tensors with those of the file.

    The prefixes are those of its stages; an empty one is for other tensors.

    Raises:
        AdaptError: Tensors are missing on either side or have other shapes.
    """
    found = {
        name: tensor
        for name, tensor in file.backbone.weights.items()
        if (re.match(r'layer\d\.', name) or [''])[0] in prefixes
    }
    part = where.removeprefix('model.')
    hook = find_hook(edits.cfg, 'VerifyTransferHook')
    new = *EXPECTED_MISSING, *expected_missing_of(hook)
    expected = {
        name: tensor
        for name, tensor in build(edits, where).state_dict().items()
        if not is_expected(f'{part}.{name}', new)
    }
    if difference := shape_mismatches(expected, found):
        source = file.backbone.meta['arch'] or 'of a kind that is not named'
        raise AdaptError(
            f'the weights ({source}) do not fit {where} '
            f'({type_name(edits.get(where))}-{edits.get(f"{where}.depth")}):\n'
            f'{difference}'
        )
