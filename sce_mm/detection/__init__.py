"""What detection needs, in the registries of mmdet.

Config of a detector: ``custom_imports = dict(imports=['sce_mm.detection'])``.
"""

from ..doctor.version_gate import require_mmdet

require_mmdet()

from mmdet.registry import HOOKS  # noqa: E402

from ..engine.hooks import VerifyTransferHook  # noqa: E402
from .fast_coco_metric import FastCocoMetric  # noqa: E402
from .precise_bn_hook import DetPreciseBNHook  # noqa: E402
from .res_layer import ResLayerExtraNorm  # noqa: E402

HOOKS.register_module(module=VerifyTransferHook)

__all__ = [
    'DetPreciseBNHook',
    'FastCocoMetric',
    'ResLayerExtraNorm',
    'VerifyTransferHook',
]
