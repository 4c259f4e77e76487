"""Weights of another run to begin with, strictly."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ..models import SCE
from .backbone import extract_backbone, load_backbone
from .compare import compare
from .errors import CheckpointError
from .tensors import state_dict_of

_QUEUE = 'queue.'
_MOMENTUM = 'momentum_encoder.'


def load_initial_weights(
    model: nn.Module, checkpoint: Mapping[str, Any], name: str
) -> str:
    """Load a whole SCE, or a backbone of any format that we know.

    A pretraining checkpoint gives all weights of both branches to an SCE
    model, without the queue: its keys are those of another run. Anything else
    gives its backbone, to the momentum branch too.

    Args:
        model: With a ``backbone``.
        checkpoint: From :func:`~sce_mm.transfer.read_checkpoint`.
        name: Of the file, for messages.

    Returns:
        What was loaded, in words.

    Raises:
        CheckpointError: A tensor is missing, left over or of another shape.
    """
    tensors = state_dict_of(checkpoint)
    if isinstance(model, SCE) and any(
        k.startswith(_MOMENTUM) for k in tensors
    ):
        weights = {
            k: v for k, v in tensors.items() if not k.startswith(_QUEUE)
        }
        own = {
            k: v
            for k, v in model.state_dict().items()
            if not k.startswith(_QUEUE)
        }
        difference = compare(own, weights)
        if difference:
            raise CheckpointError(
                f'--init-from {name}: it is a whole model and another one '
                f'than this config builds:\n{difference}\n  To take its '
                'backbone alone, export it first: '
                'tools/model_converters/extract_backbone.py'
            )
        model.load_state_dict(weights, strict=False)
        return (
            f'initialised from {name}: {len(weights)} tensors of the whole '
            'model; the queue starts without keys, step and schedules at 0'
        )
    backbone, meta = extract_backbone(checkpoint)
    targets = [model.get_submodule('backbone')]
    if isinstance(model, SCE):
        targets.append(model.momentum_encoder.backbone)
    for target in targets:
        load_backbone(target, backbone, {**meta, 'source': name})
    return (
        f'initialised from {name} ({meta["source"]}, {meta["branch"]} '
        f'branch): {len(backbone)} tensors of the backbone; everything else '
        'starts at random'
    )
