"""The model inside a wrapper for several processes."""

from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> Any:
    """The model itself, whether it is wrapped (``runner.model``) or not."""
    return model.module if is_model_wrapper(model) else model
