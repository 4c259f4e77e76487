"""How do detectors train from these weights, and do they gain?

``adapt`` makes a detector's config right, ``comparison`` says how detectors
are compared. Importing this package registers in mmdet what their configs
name: ``custom_imports = dict(imports=['sce_mm.detection'])``.
"""

from contextlib import redirect_stdout
from io import StringIO

from ..doctor.version_gate import require_mmdet

# mmdet of onedl prints what it did without, which is no news.
with redirect_stdout(StringIO()):
    require_mmdet()
    from mmdet.registry import HOOKS

    from ..engine import VerifyTransferHook
    from .fast_coco_metric import FastCocoMetric
    from .precise_bn_hook import DetPreciseBNHook
    from .res_layer import ResLayerExtraNorm
    from .simple_feature_pyramid import SimpleFeaturePyramid

HOOKS.register_module(module=VerifyTransferHook)

__all__ = [
    'DetPreciseBNHook',
    'FastCocoMetric',
    'ResLayerExtraNorm',
    'SimpleFeaturePyramid',
    'VerifyTransferHook',
]
