"""Libraries that a backbone is exported to: write, run, and how to load.

To add one, add an entry to :data:`TARGETS`, and its name to the ``TARGETS`` of
``sce export``, which lists them without importing torch. Each ``write_...``
takes a path and a backbone; each file but ONNX is read again by
:func:`sce_mm.transfer.read_checkpoint`. Each ``run_...`` takes the path, the
backbone that the file was made of and images ``[N, 3, h, w]``, builds the
network in the way that the printed snippet does, and returns its last feature
map.
"""

import json
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from ...checkpoints.errors import CheckpointError
from ...checkpoints.reading import META_KEY, read_checkpoint
from ...utils.errors import import_optional
from ...utils.progress import errors_alone
from ..backbone import Backbone, extract_backbone, save_backbone
from ..networks.families import last_features
from ..networks.resnet import ResNetArchitecture, to_detectron2
from ..verify.load_report import modules_of

_OTHERS = 'export to mmdet, mmpretrain, safetensors or onnx'


def write_flat(path: Path, backbone: Backbone) -> None:
    """A flat state dict, as torchvision and timm load it.

    The meta block takes the place where PyTorch keeps the versions of
    modules, so that no name is added and loading stays strict.
    """
    content = OrderedDict((k, v.clone()) for k, v in backbone.weights.items())
    content._metadata = OrderedDict({META_KEY: dict(backbone.meta)})  # type: ignore[attr-defined]
    torch.save(content, path)


def run_torchvision(path: Path, backbone: Backbone, images: Tensor) -> Tensor:
    """Compute features in torchvision, with the classifier taken out."""
    found = _standard_resnet(backbone, 'torchvision')
    models = import_optional('torchvision.models', 'torchvision')
    model = models.get_model(f'resnet{found.depth}', weights=None)
    model.fc = nn.Identity()
    model.load_state_dict(torch.load(path, weights_only=True))
    # The last children are the pooling and the classifier.
    return nn.Sequential(*model.eval().children())[:-2](images)


def run_timm(path: Path, backbone: Backbone, images: Tensor) -> Tensor:
    """Compute features in timm, without a classifier."""
    found = _standard_resnet(backbone, 'timm')
    timm = import_optional('timm', 'timm')
    model = timm.create_model(
        f'resnet{found.depth}',
        num_classes=0,
        checkpoint_path=str(path),
    )
    return model.eval().forward_features(images)


def run_mmpretrain(path: Path, backbone: Backbone, images: Tensor) -> Tensor:
    """Compute features in mmpretrain, loaded through ``init_cfg``."""
    return _run_registered(mmpretrain_config(backbone), path, images)


def run_mmdet(path: Path, backbone: Backbone, images: Tensor) -> Tensor:
    """Compute features in mmdet; only its ResNet is not mmpretrain's."""
    from ...doctor.version_gate import require_mmdet

    require_mmdet()
    return _run_registered(mmdet_config(backbone), path, images)


def mmpretrain_config(backbone: Backbone) -> dict[str, Any]:
    """Config of the network in mmpretrain."""
    return backbone.architecture.config(backbone.meta)


def mmdet_config(backbone: Backbone) -> dict[str, Any]:
    """Config of the network in mmdet, with all its maps, all of it trained.

    The stem for small images and whatever is no ResNet are those of
    mmpretrain there.
    """
    config = backbone.architecture.dense_config(backbone.meta)
    if not isinstance(backbone.architecture, ResNetArchitecture):
        return config
    if config['type'] == 'mmpretrain.ResNet':
        config['type'] = 'mmdet.ResNet'
        # Its default. A detector that takes other maps of it says so.
        del config['out_indices']
    norm = {'type': 'SyncBN', 'requires_grad': True}
    return {
        **config,
        'frozen_stages': -1,
        'norm_eval': False,
        'norm_cfg': norm,
    }


def new_in_mmdet(backbone: Backbone) -> list[str]:
    """Modules of the network in mmdet for which the file has no weights."""
    model = MODELS.build(mmdet_config(backbone))
    return modules_of(
        f'backbone.{name}'
        for name in model.state_dict()
        if name not in backbone.weights
    )


def _run_registered(
    config: dict[str, Any], path: Path, images: Tensor
) -> Tensor:
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(path)}
    model = MODELS.build({**config, 'init_cfg': init_cfg})
    # It would name each tensor, and the new norms as if they were missing.
    with errors_alone():
        model.init_weights()
    return last_features(model, images)


def write_detectron2(path: Path, backbone: Backbone) -> None:
    """A pickle of arrays; detectron2 fits it to the model by its names."""
    found = _resnet(backbone, 'detectron2')
    if found.kernel != 7:
        raise CheckpointError(
            f'{found.name} has a stem for small images, which detectron2 '
            f'cannot express: {_OTHERS}'
        )
    weights = backbone.weights.items()
    content = {
        'model': {to_detectron2(k): v.numpy() for k, v in weights},
        '__author__': 'sce_mm',
        'matching_heuristics': True,
        'meta': dict(backbone.meta),
    }
    with path.open('wb') as file:
        pickle.dump(content, file)


def write_safetensors(path: Path, backbone: Backbone) -> None:
    """Safetensors; the meta block is JSON in the header."""
    safetensors = import_optional('safetensors.torch', 'safetensors')
    tensors = {k: v.clone().contiguous() for k, v in backbone.weights.items()}
    texts = {'format': 'pt', META_KEY: json.dumps(backbone.meta)}
    safetensors.save_file(tensors, path, texts)


def run_here(path: Path, backbone: Backbone, images: Tensor) -> Tensor:
    """Read again by this project, for libraries that are not at hand."""
    again = extract_backbone(read_checkpoint(path))
    return last_features(again.network(), images)


class _Features(nn.Module):
    """Last feature map of a backbone, and its mean over the pixels."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        (features,) = self.backbone(images)
        return features, features.mean((2, 3))


def write_onnx(path: Path, backbone: Backbone) -> None:
    """A graph from normalised images to the last feature map and its mean.

    Batch, height and width are free.
    """
    # Sizes of windows and positions would be fixed by the traced image.
    _resnet(backbone, 'onnx')
    onnx = import_optional('onnx', 'onnx')
    sides = {0: 'batch', 2: 'height', 3: 'width'}
    axes = {'images': sides, 'features': sides, 'pooled': {0: 'batch'}}
    with warnings.catch_warnings():
        # The tracing exporter is an old one; the new one needs onnxscript.
        warnings.simplefilter('ignore')
        from torch.onnx.utils import export

        export(
            _Features(backbone.network()).eval(),
            (torch.zeros(1, 3, 64, 64),),
            str(path),
            input_names=['images'],
            output_names=['features', 'pooled'],
            dynamic_axes=axes,
            opset_version=17,
        )
    graph = onnx.load(path)
    graph.metadata_props.add(key=META_KEY, value=json.dumps(backbone.meta))
    onnx.save(graph, path)


def run_onnx(path: Path, backbone: Backbone, images: Tensor) -> Tensor:
    """Compute features in onnxruntime, on the CPU."""
    onnxruntime = import_optional('onnxruntime', 'onnxruntime')
    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider']
    )
    (features,) = session.run(['features'], {'images': images.numpy()})
    return torch.from_numpy(features)


def _resnet(backbone: Backbone, library: str) -> ResNetArchitecture:
    """The architecture, if it is a ResNet."""
    found = backbone.architecture
    if not isinstance(found, ResNetArchitecture):
        raise CheckpointError(
            f'to {library} only ResNets can be exported, and this is a '
            f'{found.name}: export to mmdet, mmpretrain or safetensors'
        )
    return found


def _standard_resnet(backbone: Backbone, library: str) -> ResNetArchitecture:
    """The architecture, if a library has it under one of its names."""
    found, style = _resnet(backbone, library), backbone.meta['style']
    widths = (found.stem, found.width)
    caffe = found.bottleneck and style != 'pytorch'
    if found.kernel != 7 or widths != (64, 64) or caffe:
        raise CheckpointError(
            f'{library} has no {found.name} with a {found.kernel} x '
            f'{found.kernel} stem, {widths[0]} stem and {widths[1]} base '
            f'channels and style {style}, only those with 7 x 7, 64, 64 and '
            f'style pytorch: {_OTHERS}'
        )
    return found


class Target(NamedTuple):
    """One library.

    Attributes:
        suffixes: Suffixes of its files, by which it tells formats.
        write: Writes the file.
        run: Loads the file in the library and returns its last feature map.
        snippet: How to load it, with ``{path}``, ``{depth}`` and others
            of :func:`sce_mm.transfer.export.export.snippet` to be filled in.
    """

    suffixes: tuple[str, ...]
    write: Callable[[Path, Backbone], None]
    run: Callable[[Path, Backbone, Tensor], Tensor]
    snippet: str


PTH = ('.pth', '.pt')

# What the weights expect of images, as a comment.
_PIXELS = """
# images: float32 [N, 3, h, w], {order} order, (pixels - mean) / std of pixels
# from 0 to 255, with mean {mean} and std {std}"""

TARGETS = {
    'torchvision': Target(
        PTH,
        write_flat,
        run_torchvision,
        """\
import torch, torchvision
model = torchvision.models.resnet{depth}(weights=None)
weights = torch.load({path!r}, weights_only=True)
# The file has no classifier. Load strictly into a model without one:
model.fc = torch.nn.Identity()
model.load_state_dict(weights, strict=True)
# then, for classes: model.fc = torch.nn.Linear({features}, classes)"""
        + _PIXELS,
    ),
    'timm': Target(
        PTH,
        write_flat,
        run_timm,
        """\
import timm
# num_classes=0, as the file has no classifier; timm loads strictly.
model = timm.create_model('resnet{depth}', num_classes=0,
                          checkpoint_path={path!r})
# then, for classes: model.reset_classifier(classes)"""
        + _PIXELS,
    ),
    'mmpretrain': Target(
        PTH,
        save_backbone,
        run_mmpretrain,
        """\
model = dict(backbone=dict(
    {mmpretrain},
    init_cfg=dict(type='Pretrained', checkpoint={path!r})))
custom_imports = dict(imports=['sce_mm'], allow_failed_imports=False)
default_hooks = dict(
    verify_transfer=dict(type='VerifyTransferHook', allow_frozen=True))""",
    ),
    'mmdet': Target(
        PTH,
        save_backbone,
        run_mmdet,
        """\
# sce detector CONFIG {path} OUT
# writes a config with this and what else such weights need. By hand:
model = dict(backbone=dict(
    {mmdet},
    init_cfg=dict(type='Pretrained', checkpoint={path!r})))
custom_imports = dict(imports=['sce_mm.detection'],
                      allow_failed_imports=False)
default_hooks = dict(verify_transfer=dict(
    type='VerifyTransferHook'{expected}))""",
    ),
    'detectron2': Target(
        ('.pkl',),
        write_detectron2,
        run_here,
        """\
from detectron2.config import get_cfg
cfg = get_cfg()  # then merge the config of the detector
cfg.MODEL.WEIGHTS = {path!r}
cfg.MODEL.RESNETS.DEPTH = {depth}
cfg.MODEL.RESNETS.STEM_OUT_CHANNELS = {stem}
cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = {res2}
cfg.MODEL.RESNETS.STRIDE_IN_1X1 = {in_1x1}
cfg.MODEL.RESNETS.NORM = 'SyncBN'  # trained, not frozen
cfg.MODEL.BACKBONE.FREEZE_AT = 0
cfg.INPUT.FORMAT = '{order}'
cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = {mean}, {std}""",
    ),
    'safetensors': Target(
        ('.safetensors',),
        write_safetensors,
        run_here,
        """\
from safetensors.torch import load_file
weights = load_file({path!r})
# names of {names}, no classifier: load with strict=True"""
        + _PIXELS,
    ),
    'onnx': Target(
        ('.onnx',),
        write_onnx,
        run_onnx,
        """\
import onnxruntime
session = onnxruntime.InferenceSession({path!r})
features, pooled = session.run(['features', 'pooled'], dict(images=images))"""
        + _PIXELS,
    ),
}
