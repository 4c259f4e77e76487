"""Libraries that a backbone is exported to: file, check, how to load it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ..backbone import Backbone, save_backbone
from .libraries import (
    run_here,
    run_mmdet,
    run_mmpretrain,
    run_onnx,
    run_timm,
    run_torchvision,
    write_detectron2,
    write_flat,
    write_onnx,
    write_safetensors,
)


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
# then, for classes: model.fc = torch.nn.Linear({features}, classes)""",
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
# then, for classes: model.reset_classifier(classes)""",
    ),
    'mmpretrain': Target(
        PTH,
        save_backbone,
        run_mmpretrain,
        """\
model = dict(backbone=dict(type='{cls}', depth={depth}{widths},
    style={style!r}, init_cfg=dict(type='Pretrained', checkpoint={path!r})))
custom_imports = dict(imports=['sce_mm'], allow_failed_imports=False)
default_hooks = dict(
    verify_transfer=dict(type='VerifyTransferHook', allow_frozen=True))""",
    ),
    'mmdet': Target(
        PTH,
        save_backbone,
        run_mmdet,
        """\
model = dict(backbone=dict(type='{det_cls}', depth={depth}{widths},
    style={style!r}, frozen_stages=-1, norm_eval=False,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    init_cfg=dict(type='Pretrained', checkpoint={path!r})))
custom_imports = dict(imports=['sce_mm.detection'],
                      allow_failed_imports=False)
default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))""",
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
# names of torchvision, no classifier: load with strict=True""",
    ),
    'onnx': Target(
        ('.onnx',),
        write_onnx,
        run_onnx,
        """\
import onnxruntime
session = onnxruntime.InferenceSession({path!r})
# images: float32 [N, 3, h, w], {order} order, (pixels - mean) / std with
# mean {mean} and std {std}
features, pooled = session.run(['features', 'pooled'], dict(images=images))""",
    ),
}
