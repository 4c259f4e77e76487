"""What the classes of a pretraining config say to their arguments.

Part of :func:`~sce_mm.config.check.check_sense`. The parts that need no runner
are built and thrown away.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmpretrain.registry import HOOKS, MODELS, OPTIMIZERS, TRANSFORMS
from torch import nn

from ..transfer import CheckpointError
from ..transfer.initial_weights import find_sources, load_source
from .parts import Part, parts, view_sizes, view_transforms
from .types import is_ours

# Of an argument in a message.
_SHOWN = 60


def refused_arguments(cfg: Config, known: Iterable[str]) -> Iterator[str]:
    """One line a part that cannot be built, beginning with its key.

    Args:
        cfg: Config.
        known: Keys in which something wrong was found before; parts with one
            of these are left out.
    """
    for part in parts(cfg):
        if any(f'{key}.'.startswith(f'{part.key}.') for key in known):
            continue
        if part.key == 'model':
            yield from _in_model(part)
        # Some of mmengine's hooks need a runner to be built.
        elif part.registry is TRANSFORMS or (
            part.registry is HOOKS and is_ours(part)
        ):
            yield from _refusal(part)
        elif part.registry is OPTIMIZERS:
            weight = nn.Parameter(nn.Linear(1, 1).weight)
            yield from _refusal(part, params=[weight])


def shapes(cfg: Config) -> Iterator[str]:
    """Parts of the model that do not take what the part before gives.

    One black image goes through the network, of the size of the first view.
    """
    _, transform = next(view_transforms(cfg), ('', None))
    if transform is None:
        return
    model = MODELS.build(cfg.model).eval()
    size = view_sizes(transform)[0]
    value: Any = torch.zeros(1, 3, size, size)
    stages = {'backbone': model.backbone, 'neck': model.neck}
    if getattr(model.head, 'predictor', None) is not None:
        stages['head.predictor'] = model.head.predictor
    for name, stage in stages.items():
        given = value[-1] if isinstance(value, tuple | list) else value
        try:
            with torch.no_grad():
                value = stage(value)
        # Whatever a layer raises is for the user's eyes.
        except Exception as error:
            yield (
                f'model.{name}: does not take what comes before it, '
                f'{list(given.shape)} of one image: {error}'
            )
            return


def weights(cfg: Config) -> Iterator[str]:
    """Files that are to give weights to the model and do not fit it.

    A run that is resumed has its weights in its own checkpoint; if there is
    none, the hook looks again.
    """
    if cfg.get('resume'):
        return
    model = MODELS.build(cfg.model)
    hooks = [
        *(cfg.get('default_hooks') or {}).values(),
        *(cfg.get('custom_hooks') or []),
    ]
    init_from = [
        hook.get('checkpoint')
        for hook in hooks
        if (hook or {}).get('type') == 'InitialWeightsHook'
    ]
    try:
        sources = find_sources(
            model,
            cfg.get('load_from'),
            next(filter(None, init_from), None),
        )
        for source in sources:
            load_source(model, source)
    except CheckpointError as error:
        yield str(error)


def _in_model(part: Part) -> Iterator[str]:
    """The smallest parts of the model that cannot be built."""
    refusal = list(_refusal(part))
    if not refusal:
        return
    inner = [
        line
        for name, value in part.node.items()
        # Those of norms and convolutions name no module that stands alone.
        if isinstance(value, dict) and 'type' in value
        if not name.endswith('_cfg')
        for line in _in_model(Part(f'{part.key}.{name}', MODELS, value))
    ]
    yield from inner or refusal


def _refusal(part: Part, **more: Any) -> Iterator[str]:
    options = {k: v for k, v in part.node.items() if k != 'priority'}
    try:
        part.registry.build({**options, **more})
    # Whatever a class raises is for the user's eyes.
    except Exception as error:
        told = f'{type(error).__name__}: {error}'
        given = {k: v for k, v in options.items() if k[0] != '_'}
        given.pop('type', None)
        # Errors from deep inside do not say which argument it was.
        named = '__init__()' in told or any(name in told for name in given)
        if given and not named:
            shown = ', '.join(f'{k}={_short(v)}' for k, v in given.items())
            told = (
                told.partition('\n')[0]
                + f' (of {part.node["type"]} with {shown})'
            )
        yield f'{part.key}: {told}'


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'
