"""How do detectors train from these weights, and do they gain?

``adapt`` makes a detector's config right, ``comparison`` says how detectors
are compared. Importing this package registers in mmdet what their configs
name: ``custom_imports = dict(imports=['sce_mm.detection'])``.
"""

import re
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from ..doctor.version_gate import require_mmdet

# mmdet of onedl prints what it did without, which is no news.
with redirect_stdout(StringIO()):
    require_mmdet()
    from mmdet.datasets.api_wrappers import coco_api, cocoeval_mp
    from mmdet.registry import HOOKS
    from pycocotools import coco, cocoeval

    from ..engine import VerifyTransferHook
    from .fast_coco_metric import FastCocoMetric
    from .precise_bn_hook import DetPreciseBNHook
    from .res_layer import ResLayerExtraNorm
    from .simple_feature_pyramid import SimpleFeaturePyramid

HOOKS.register_module(module=VerifyTransferHook)

# What pycocotools prints of each step with each file of labels.
_STEPS = re.compile(
    'loading annotations|creating index|index created|done|running per image|'
    'loading and preparing|evaluate annotation|accumulating',
    re.IGNORECASE,
)


def _print(*words: Any, **options: Any) -> None:
    """``print`` of pycocotools: tables of results, without the steps."""
    if not _STEPS.match(' '.join(map(str, words))):
        print(*words, **options)


for _module in (coco, cocoeval, coco_api, cocoeval_mp):
    vars(_module)['print'] = _print

__all__ = [
    'DetPreciseBNHook',
    'FastCocoMetric',
    'ResLayerExtraNorm',
    'SimpleFeaturePyramid',
    'VerifyTransferHook',
]
