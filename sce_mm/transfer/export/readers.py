"""Exported files as their target libraries load and run them.

Each function takes the file, the architecture, the style of its strides and
images ``[N, 3, h, w]``, builds the network in the way that the printed snippet
does, and returns its last feature map.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...checkpoints.errors import CheckpointError
from ...checkpoints.reading import read_checkpoint
from ...utils.errors import import_optional
from ..architecture import Architecture
from ..backbone import extract_backbone
from ..resnet import build, last_features


def run_torchvision(
    path: Path, found: Architecture, style: str | None, images: Tensor
) -> Tensor:
    """In torchvision, with the classifier taken out."""
    require_standard(found, style, 'torchvision')
    models = import_optional('torchvision.models', 'torchvision')
    extraction = import_optional(
        'torchvision.models.feature_extraction', 'torchvision'
    )
    model = models.get_model(f'resnet{found.depth}', weights=None)
    model.fc = nn.Identity()
    model.load_state_dict(torch.load(path, weights_only=True))
    stages = extraction.create_feature_extractor(model.eval(), ['layer4'])
    return stages(images)['layer4']


def run_timm(
    path: Path, found: Architecture, style: str | None, images: Tensor
) -> Tensor:
    """In timm, without a classifier."""
    require_standard(found, style, 'timm')
    timm = import_optional('timm', 'timm')
    model = timm.create_model(
        f'resnet{found.depth}', num_classes=0, checkpoint_path=str(path)
    )
    return model.eval().forward_features(images)


def run_mmpretrain(
    path: Path, found: Architecture, style: str | None, images: Tensor
) -> Tensor:
    """In mmpretrain, through ``init_cfg``."""
    cls = 'ResNet' if found.kernel == 7 else 'ResNet_CIFAR'
    return _run_registered(f'mmpretrain.{cls}', path, found, style, images)


def run_mmdet(
    path: Path, found: Architecture, style: str | None, images: Tensor
) -> Tensor:
    """In mmdet; the stem for small images is mmpretrain's there too."""
    from ...doctor.version_gate import require_mmdet

    try:
        require_mmdet()
    except ImportError as error:
        raise CheckpointError(
            f'nothing to compare with: {error}. '
            'tools/model_converters/extract_backbone.py writes the same file '
            'without comparing'
        ) from error
    if found.kernel == 3:
        return run_mmpretrain(path, found, style, images)
    return _run_registered('mmdet.ResNet', path, found, style, images)


def _run_registered(
    cls: str,
    path: Path,
    found: Architecture,
    style: str | None,
    images: Tensor,
) -> Tensor:
    from mmengine.registry import MODELS

    config: dict[str, Any] = {
        'type': cls,
        'depth': found.depth,
        'stem_channels': found.stem,
        'base_channels': found.middle,
        'out_indices': (3,),
        'style': style or 'pytorch',
        'norm_cfg': {'type': 'BN'},
        'init_cfg': {'type': 'Pretrained', 'checkpoint': str(path)},
    }
    model = MODELS.build(config)
    model.init_weights()
    return last_features(model, images)


def run_bare(
    path: Path, found: Architecture, style: str | None, images: Tensor
) -> Tensor:
    """Read again by this project, for libraries that are not at hand."""
    if found.kernel != 7 and path.suffix == '.pkl':
        raise CheckpointError(
            f'{found.name} has a stem for small images, which detectron2 '
            'cannot express: export to mmdet, mmpretrain, safetensors or onnx'
        )
    weights, _ = extract_backbone(read_checkpoint(path))
    model = build(found, style)
    model.load_state_dict(weights)
    return last_features(model, images)


def run_onnx(
    path: Path, found: Architecture, style: str | None, images: Tensor
) -> Tensor:
    """In onnxruntime, on the CPU."""
    onnxruntime = import_optional('onnxruntime', 'onnxruntime')
    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider']
    )
    (features,) = session.run(['features'], {'images': images.numpy()})
    return torch.from_numpy(features)


def require_standard(
    found: Architecture, style: str | None, library: str
) -> None:
    """See that a library has this network under one of its names.

    Raises:
        CheckpointError: It has not.
    """
    others = 'export to mmdet, mmpretrain, safetensors or onnx'
    if found.kernel != 7:
        raise CheckpointError(
            f'{found.name} has a stem for small images, which {library} has '
            f'no model with: {others}'
        )
    if found.stem != 64 or found.middle != 64:
        raise CheckpointError(
            f'{found.name} with {found.stem} stem and {found.middle} base '
            f'channels: {library} has only 64 of each: {others}'
        )
    if found.bottleneck and style != 'pytorch':
        raise CheckpointError(
            f'{library} strides in the 3 x 3 convolution (style pytorch), '
            f'this network was trained with style {style}: {others}'
        )
