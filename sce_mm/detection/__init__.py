"""What detection needs, in the registries of mmdet.

Config of a detector: ``custom_imports = dict(imports=['sce_mm.detection'])``.
"""

from ..compat import require_mmdet

require_mmdet()

from .verify_transfer_hook import VerifyTransferHook  # noqa: E402

__all__ = ['VerifyTransferHook']
