"""Initialise a model from the weights of another run, all or nothing."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from ..checkpoints.errors import CheckpointError
from ..checkpoints.reading import META_KEY, meta_of, read_checkpoint
from ..checkpoints.state_dicts import (
    WRAPPER,
    in_float32,
    shape_mismatches,
    state_dict_of,
)
from ..models import SCE
from ..models.utils.memory_queue import QUEUES
from .backbone import Backbone, extract_backbone, load_backbone
from .formats import below, is_whole_pretraining
from .metadata import (
    FORMAT,
    metadata_of,
    require_settings,
    setting_differences,
    settings_of,
)
from .named_weights import is_pretrained
from .networks.families import is_whole


class Source(NamedTuple):
    """A file that gives weights to a part of a model.

    Attributes:
        spelling: Where the user said so: ``'--init-from'``, ``'load_from'``,
            ``'model.neck.init_cfg'``.
        path: File, or an address that mmengine can read.
        part: Name of the module that takes the weights; empty for the model.
        prefix: Only tensors whose names begin with it are taken.
    """

    spelling: str
    path: str
    part: str = ''
    prefix: str = ''


def find_sources(
    model: nn.Module, load_from: str | None, init_from: str | None
) -> list[Source]:
    """Every file that is to give weights to a model before it is trained.

    In pretraining these include the files of mmengine's spellings. mmengine
    would drop what does not fit, so ``init_cfg`` of type ``Pretrained`` are
    taken out of the model. Old spellings, as ``pretrained=`` of mmdet's
    backbones, have become an ``init_cfg`` when the model is built.

    Args:
        model: Model that is not initialised yet; its other initialisers stay.
        load_from: File that the config names; None if the run is resumed.
        init_from: File of ``--init-from``.

    Raises:
        CheckpointError: Two files are to fill the same part, or one is not
            named.
    """
    sources = [Source('--init-from', init_from)] if init_from else []
    if isinstance(model, SCE):
        if load_from:
            sources.append(Source('load_from', load_from))
        for name, module in model.named_modules():
            # The momentum branch is a copy, which gives nothing.
            if name.split('.')[0] != 'momentum_encoder':
                sources += _take_files(name, module)
    for one, other in itertools.combinations(sources, 2):
        outer, inner = sorted((one.part, other.part), key=len)
        if not outer or f'{inner}.'.startswith(f'{outer}.'):
            raise CheckpointError(
                f'{one.spelling} ({one.path}) and {other.spelling} '
                f'({other.path}) give weights to the same part of the model: '
                'keep one of them'
            )
    return sources


def _take_files(name: str, module: nn.Module) -> list[Source]:
    """Take what names a file out of the ``init_cfg`` of a module."""
    init_cfg = getattr(module, 'init_cfg', None) or []
    several = [init_cfg] if isinstance(init_cfg, Mapping) else init_cfg
    spelling = '.'.join(filter(None, ['model', name, 'init_cfg']))
    sources, others = [], []
    for init in several:
        if is_pretrained(init):
            if not init.get('checkpoint'):
                raise CheckpointError(f'{spelling}: names no checkpoint')
            path, prefix = init['checkpoint'], init.get('prefix') or ''
            sources.append(Source(spelling, path, name, prefix))
        elif 'Pretrained' in str(init.get('override')):
            raise CheckpointError(
                f'{spelling}: an override cannot load a file; give its module '
                'an init_cfg of its own'
            )
        else:
            others.append(init)
    if sources:
        module.init_cfg = others or None  # type: ignore[assignment]
    return sources


def load_weights(model: nn.Module, source: Source) -> str:
    """Load everything that a source says, or nothing.

    Returns:
        Text that says what was loaded.

    Raises:
        CheckpointError: There is no such file, it cannot be read, or a tensor
            is missing, unexpected or of another shape. The message begins
            with the spelling.
    """
    try:
        if '://' in source.path:
            content = CheckpointLoader.load_checkpoint(source.path, 'cpu')
        else:
            content = read_checkpoint(Path(source.path).expanduser())
        if source.prefix:
            content = {**content, 'state_dict': _below(content, source)}
        if not source.part:
            return load_initial_weights(model, content, source.path)
        return _load_part(model, content, source)
    except (CheckpointError, FileNotFoundError) as error:
        name = '' if source.path in str(error) else f' {source.path}:'
        raise CheckpointError(f'{source.spelling}:{name} {error}') from error


def _below(content: Mapping[str, Any], source: Source) -> dict[str, Tensor]:
    """Tensors whose names begin with the prefix, without it."""
    tensors = state_dict_of(content)
    # mmengine adds the dot too; wrappers are off the names by now.
    prefix = source.prefix.removesuffix('.').removeprefix(WRAPPER) + '.'
    found = below(tensors, prefix)
    if not found:
        seen = sorted({f'{name.split(".")[0]}.' for name in tensors})
        raise CheckpointError(
            f'no tensor of {source.path} begins with prefix='
            f'{source.prefix!r}; they begin with {", ".join(seen[:8])}'
        )
    return found


def _load_part(
    model: nn.Module, content: Mapping[str, Any], source: Source
) -> str:
    """Load a file of one part alone, or of a model that has the part."""
    part, path = source.part, source.path
    module = model.get_submodule(part)
    tensors, wanted = state_dict_of(content), module.state_dict()
    inside = below(tensors, f'{part}.')
    fitting = [t for t in (tensors, inside) if not shape_mismatches(wanted, t)]
    if fitting:
        weights = in_float32(fitting[0], False)
    elif part == 'backbone':
        network = _unless_known(module)
        weights = extract_backbone(content, network=network).weights
    else:
        weights = inside or tensors
    trained, other = {}, ''
    if part == 'backbone':
        trained = _metadata_in(content)
        other = _compare_input(model, trained, path)
    load_backbone(module, Backbone(weights, {**trained, 'source': path}))
    if isinstance(model, SCE):
        model.momentum_encoder.copy_from(model.averaged_parts)
    return f'{part} initialised from {path}: {len(weights)} tensors{other}'


def _metadata_in(content: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata that a checkpoint has, of a training or of a backbone file."""
    meta = meta_of(content)
    exported = meta.get('format') == FORMAT
    return metadata_of(meta if exported else meta.get(META_KEY))


def load_initial_weights(
    model: nn.Module, checkpoint: Mapping[str, Any], name: str
) -> str:
    """Load a whole SCE, or a backbone of any format that we know.

    A pretraining checkpoint gives all weights of both branches to an SCE
    model, without the queue: its keys are those of another run. Anything else
    gives its backbone, to the momentum branch too.

    Args:
        model: Model with a ``backbone``.
        checkpoint: Returned by :func:`~sce_mm.transfer.read_checkpoint`.
        name: Name of the file, for messages.

    Returns:
        Text that says what was loaded.

    Raises:
        CheckpointError: A tensor is missing, unexpected or of another shape.
    """
    tensors = state_dict_of(checkpoint)
    if isinstance(model, SCE) and is_whole_pretraining(tensors):
        weights = in_float32(_without_queue(tensors), False)
        ours = _without_queue(model.state_dict())
        if mismatches := shape_mismatches(ours, weights):
            raise CheckpointError(
                f'{name} is a whole model and another one than this config '
                f'builds:\n{mismatches}\n  To take its backbone alone, export '
                'it first: sce extract'
            )
        other = _compare_input(model, _metadata_in(checkpoint), name)
        model.load_state_dict(weights, strict=False)
        return (
            f'initialised from {name}: {len(weights)} tensors of the whole '
            'model; the queue starts without keys, step and schedules at 0'
            + other
        )
    network = model.get_submodule('backbone')
    backbone = extract_backbone(checkpoint, network=_unless_known(network))
    meta = backbone.meta
    other = _compare_input(model, meta, name)
    named = backbone._replace(meta={**meta, 'source': name})
    parts = f'{len(backbone.weights)} tensors of the backbone'
    pyramid = getattr(model, 'pyramid', None) or nn.Identity()
    taken = backbone.pyramid if pyramid.state_dict() else {}
    if difference := taken and shape_mismatches(pyramid.state_dict(), taken):
        raise CheckpointError(
            f'the pyramid of {name} is not model.pyramid of this config:\n'
            f'{difference}'
        )
    load_backbone(network, named)
    if taken:
        pyramid.load_state_dict(taken)
        parts += f' and {len(taken)} of the pyramid'
    if isinstance(model, SCE):
        model.momentum_encoder.copy_from(model.averaged_parts)
    return (
        f'initialised from {name} ({meta["source"]}, {meta["branch"]} '
        f'branch): {parts}, of {len(tensors)} in the file; everything else '
        f'starts at random{other}'
    )


def _compare_input(model: Any, meta: Mapping[str, Any], name: str) -> str:
    """Compare what a network is given with what a file was trained on.

    Another mean or std may be meant, as those of other images.

    Args:
        model: Model that is going to be trained.
        meta: Metadata of the file; what it does not know is not compared.
        name: Name of the file.

    Returns:
        What of it may be meant, as the end of a sentence.

    Raises:
        CheckpointError: The channels have another order, the strides another
            place, or the attention heads are not as many.
    """
    preprocessor = getattr(model, 'data_preprocessor', None)
    here = settings_of({'backbone': model.backbone}, preprocessor)
    different = setting_differences(meta, here)
    if different.keys() - {'mean', 'std'}:
        require_settings(meta, here, name)
    return ''.join(f'; {x}, unless it is meant' for x in different.values())


def _unless_known(network: nn.Module) -> nn.Module | None:
    """The network, or None if the tensors of a file of it show what it is."""
    return None if is_whole(network.state_dict()) else network


def _without_queue(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in tensors.items()
        if name.partition('.')[0] not in QUEUES
    }
