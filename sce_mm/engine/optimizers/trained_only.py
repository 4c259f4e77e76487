"""Build an optimiser without the frozen parameters."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmpretrain.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainedOnlyConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, without a look at modules that are frozen.

    With a ``paramwise_cfg`` mmengine warns of every single parameter that it
    leaves out: hundreds of lines for a momentum encoder, none of which is
    news. The parameter groups are the same.
    """

    def add_params(
        self, params: list[dict], module: nn.Module, *args: Any, **kwargs: Any
    ) -> None:
        """Add the groups of a module, if any part of it is trained."""
        if any(p.requires_grad for p in module.parameters()):
            super().add_params(params, module, *args, **kwargs)
