"""How do segmentors train from these weights?

``segmentor.adapt`` makes a segmentor's config right, ``comparison`` says how
segmentors are compared. Importing this package registers in mmseg what their
configs name:
``custom_imports = dict(imports=['sce_mm.segmentation'])``.
"""

from ..doctor.version_gate import require_mmseg

require_mmseg()

from mmseg.registry import HOOKS  # noqa: E402

from ..engine import VerifyTransferHook  # noqa: E402
from .class_iou_metric import ClassIoUMetric  # noqa: E402

HOOKS.register_module(module=VerifyTransferHook)

__all__ = ['ClassIoUMetric', 'VerifyTransferHook']
