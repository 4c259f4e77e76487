"""The state of our model beside the one that a trace recorded."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from trace_format import Trace, TraceError

from sce_mm.models import SCE

# Their name -> ours, of modules whose state is recorded.
PARTS = {
    'trunk': 'backbone',
    'projector': 'neck',
    'predictor': 'head.predictor',
    'momentum_trunk': 'momentum_encoder.backbone',
    'momentum_projector': 'momentum_encoder.neck',
}


def pairs(
    trace: Trace, when: str, model: SCE
) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Our tensors beside the recorded ones.

    Args:
        trace: The recorded run.
        when: ``'init'`` or ``'final'``.
        model: Our model.

    Yields:
        Part of the model, recorded key, our tensor, recorded tensor.

    Raises:
        TraceError: A tensor is missing, left over, or of another shape.
    """
    used = set()
    for theirs, ours in PARTS.items():
        if theirs == 'predictor' and not trace.spec['predictor']:
            continue
        module = model.get_submodule(ours)
        names = module_names(trace, theirs, module)
        for name, tensor in module.state_dict().items():
            owner, _, leaf = name.rpartition('.')
            key = f'{when}.{theirs}.{names[owner]}.{leaf}'
            kind = 'parameters' if leaf in ('weight', 'bias') else 'statistics'
            used.add(key)
            yield f'{theirs} {kind}', key, tensor, recorded(trace, key, tensor)
    if model.queue is not None:
        queue, pointer = f'{when}.queue', f'{when}.queue_ptr'
        used |= {queue, pointer}
        # Theirs has a key in each column.
        ours = model.queue.features
        yield 'queue', queue, ours, recorded(trace, queue, ours.T).T
        ours = model.queue.pointer
        yield 'ptr', pointer, ours, recorded(trace, pointer, ours[None])[0]
    left = {k for k in trace.arrays if k.startswith(f'{when}.')} - used
    if left:
        raise TraceError(f'the model has no place for {sorted(left)}')


def load_state(trace: Trace, when: str, model: SCE) -> None:
    """Give our model the recorded state."""
    for _, _, ours, theirs in pairs(trace, when, model):
        ours.copy_(theirs)


def recorded(trace: Trace, key: str, like: Tensor) -> Tensor:
    """A recorded tensor, which must have the shape of ours."""
    if key not in trace.arrays:
        raise TraceError(f'the trace lacks {key}')
    tensor = torch.as_tensor(trace.arrays[key])
    if tensor.shape != like.shape:
        raise TraceError(
            f'{key}: we have shape {tuple(like.shape)}, the trace '
            f'{tuple(tensor.shape)}'
        )
    return tensor


def module_names(trace: Trace, part: str, module: nn.Module) -> dict[str, str]:
    """Our name -> theirs, of the layers of one part."""
    if part.endswith('trunk'):
        return {name: name for name, _ in module.named_modules()}
    ours = [
        name
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.BatchNorm1d)
    ]
    theirs = [f'layers.{index}' for index in trace.layers(part)]
    return dict(zip(ours, theirs, strict=True))
