"""Build parts of a config, and find arguments that their classes refuse.

For the checks, the parts that need no runner are built and thrown away. A
model takes the longest, so all checks look at the same one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import (
    DATASETS,
    HOOKS,
    MODELS,
    OPTIMIZERS,
    TRANSFORMS,
)
from torch import Tensor, nn

from ..models import SCE
from ..utils.errors import UserError
from ..utils.progress import errors_alone, warn
from .errors import ConfigError
from .parts import Part, parts, view_sizes, view_transforms
from .reading import walk
from .types import is_ours

# Arguments by which backbones load weights themselves.
OWN_WEIGHTS = ('pretrained', 'checkpoint_path')


def build_backbone(cfg: Config) -> nn.Module:
    """The backbone of a config, with random weights; nothing is loaded.

    Raises:
        ConfigError: There is none, or it cannot be built.
    """
    model: Any = cfg.get('model')
    part = model.get('backbone') if isinstance(model, Mapping) else None
    if not isinstance(part, Mapping) or 'type' not in part:
        raise ConfigError(f'{cfg.filename} has no model.backbone')
    # Networks of timm would load theirs, which may lie on another machine.
    part = {**part, 'init_cfg': None}
    part = {k: v for k, v in part.items() if k not in OWN_WEIGHTS}
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        try:
            return MODELS.build(part)
        # Whatever a class raises is for the user's eyes.
        except Exception as error:
            raise ConfigError(
                f'{cfg.filename}: model.backbone: {error}'
            ) from error


def build_dataset(key: str, dataset: Any) -> Any:
    """Build a data set of the config without its transforms.

    The log says nothing of what is left out.

    Raises:
        UserError: There are no such images.
    """
    # The training builds it again, and says then what is left out.
    with errors_alone(), DefaultScope.overwrite_default_scope('mmpretrain'):
        try:
            return DATASETS.build({**dataset, 'pipeline': []})
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(f'{key}: {error}') from error


def refused_arguments(
    cfg: Config, known: Iterable[str], models: list[SCE]
) -> Iterator[str]:
    """One line a part that cannot be built, beginning with its key.

    Parts with a key in ``known``, where something wrong was found before, are
    left out. The model is added to ``models`` if it can be built.
    """
    for part in parts(cfg):
        if any(f'{key}.'.startswith(f'{part.key}.') for key in known):
            continue
        if part.key == 'model':
            yield from _in_model(part, models)
        # Some of mmengine's hooks need a runner to be built.
        elif part.registry is TRANSFORMS or (
            part.registry is HOOKS
            and (is_ours(part) or part.node['type'] == 'LoggerHook')
        ):
            yield from _build(part)[1]
        elif part.registry is OPTIMIZERS:
            yield from _build(part, params=[nn.Linear(1, 1).weight])[1]


def shapes(cfg: Config, model: SCE) -> Iterator[str]:
    """Parts of the model that do not take what the part before gives.

    One black image goes through the network, of the size of the first view.
    A map with fewer cells than places is a warning in the log. The model is
    in evaluation mode afterwards.
    """
    _, transform = next(view_transforms(cfg), ('', None))
    if transform is None:
        return
    model.eval()
    size = view_sizes(transform)[0]
    image = torch.zeros(1, 3, size, size)
    problem, maps = _through('backbone', model.backbone, image)
    if problem:
        yield problem
        return
    several = not isinstance(maps, Tensor)
    chains = [('neck', 'head', maps[-1:] if several else maps)]
    if model.dense_head is not None:
        cells = maps[model.dense_head.level] if several else maps
        wrong = ''
        if model.pyramid is not None:
            wrong, levels = _through('pyramid', model.pyramid, maps)
            # The largest one.
            cells = cells if wrong else levels[0]
        wrong = wrong or _few_cells(cfg, model, cells, image)
        if wrong:
            yield wrong
        else:
            rows = cells.flatten(2)[0].T
            chains.append(('dense_neck', 'dense_head', (rows,)))
    for neck, head, value in chains:
        predictor = getattr(getattr(model, head), 'predictor', None)
        stages = {neck: getattr(model, neck), f'{head}.predictor': predictor}
        for name, stage in stages.items():
            if stage is not None:
                problem, value = _through(name, stage, value)
            if problem:
                yield problem
                return


def _few_cells(cfg: Config, model: SCE, cells: Tensor, image: Tensor) -> str:
    """Refuse a map of one cell; one with few is a warning in the log."""
    assert model.dense_head is not None
    (height, width), grid = cells.shape[2:], model.dense_head.grid
    if min(height, width) >= grid:
        return ''
    where, other = 'pyramid', ''
    if model.pyramid is None:
        stage = _earlier_stage(cfg.model.backbone, image, grid)
        where, other = 'dense_head.level', f', or an earlier stage, {stage}'
    note = (
        f'model.{where}: views of {image.shape[-1]} pixels have a map of '
        f'{height} x {width} cells there for {grid} x {grid} places: use '
        f'larger views{other}'
    )
    if height * width == 1:
        return f'{note} (in one cell all places are alike)'
    warn(note)
    return ''


@torch.no_grad()
def _earlier_stage(backbone: dict, image: Tensor, grid: int) -> str:
    """Options that take the last map with ``grid`` cells along each side."""
    try:
        last = MODELS.build(backbone).out_indices[-1]
        stages = tuple(range(last + 1))
        built = MODELS.build({**backbone, 'out_indices': stages})
        # eval() of some backbones returns None: it is not chained.
        built.eval()
        stage, cells = [
            (stage, cells)
            for stage, cells in zip(stages, built(image), strict=True)
            if min(cells.shape[2:]) >= grid
        ][-1]
    # Stages of a custom backbone may have no numbers, or none is large enough.
    except Exception:
        return (
            'with model.backbone.out_indices, model.dense_head.level and '
            'model.dense_neck.in_channels'
        )
    return (
        f"'model.backbone.out_indices=({stage},{last})' "
        'model.dense_head.level=0 '
        f'model.dense_neck.in_channels={cells.shape[1]}'
    )


@torch.no_grad()
def _through(name: str, stage: nn.Module, value: Any) -> tuple[str, Any]:
    """What is wrong with a part of the model, or else what it gives."""
    given = value[-1] if isinstance(value, tuple | list) else value
    try:
        return '', stage(value)
    # Whatever a layer raises is for the user's eyes.
    except Exception as error:
        reason = _pooling(name, stage, given) or error
        return (
            f'model.{name}: does not take what comes before it, '
            f'{list(given.shape)} of one image: {reason}',
            None,
        )


def _pooling(name: str, stage: nn.Module, given: Tensor) -> str:
    """What to set where a neck averages what is no map, or does not."""
    pools = getattr(stage, 'with_avg_pool', None)
    if pools is None:
        return ''
    if given.ndim == 3:
        return (
            'these are tokens, of which a neck takes one vector: set '
            "model.backbone.out_type='cls_token' and "
            f'model.{name}.with_avg_pool=False, or '
            "model.backbone.out_type='featmap' and "
            f'model.{name}.with_avg_pool=True'
        )
    if pools == (given.ndim == 4):
        return ''
    kind = 'a vector, which has no places' if pools else 'a map of places'
    return (
        f'this is {kind} to average: set model.{name}.with_avg_pool='
        f'{not pools}'
    )


def _in_model(part: Part, models: list[SCE]) -> Iterable[str]:
    """The smallest parts of the model that cannot be built."""
    model, whole = _build(part)
    if not whole:
        models.append(model)
        return []
    found: dict[str, list[str]] = {}
    # From the inside outwards.
    for path, node in reversed([*walk(part.node, part.key)]):
        if (
            isinstance(node, dict)
            and 'type' in node
            # norm_cfg and conv_cfg name no module that stands alone.
            and '_cfg' not in path
            and not any(key.startswith(f'{path}.') for key in found)
            and (refusal := _build(Part(path, MODELS, node))[1])
        ):
            found[path] = refusal
    return [line for [line] in reversed(found.values())] or whole


def _build(part: Part, **more: Any) -> tuple[Any, list[str]]:
    """A part, or None and what its class says to the arguments."""
    options = {k: v for k, v in part.node.items() if k != 'priority'}
    try:
        return part.registry.build({**options, **more}), []
    # Whatever a class raises is for the user's eyes.
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        if isinstance(error, ValueError):
            reason = str(error)
        elif isinstance(error, KeyError) and error.args:
            # Its text has quotes around it.
            reason = str(error.args[0])
        given = {k: v for k, v in options.items() if k[0] != '_'}
        given.pop('type', None)
        # mmengine does not say what it got.
        if (name := reason.partition(' ')[0]) in given and 'got' not in reason:
            reason += f', got {given[name]!r}'
        # Errors from deep inside do not say which argument it was.
        if '__init__()' not in reason and not any(k in reason for k in given):
            shown = ', '.join(f'{k}={repr(given[k])[:60]}' for k in given)
            reason = reason.partition('\n')[0]
            reason += f' (of {part.node["type"]} with {shown})'
        return None, [f'{part.key}: {reason}']
