"""Find the state dict in a checkpoint, and compare it with a model's."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .errors import EXTRACT, CheckpointError

CONTAINERS = ('state_dict', 'model')
# Where timm and torchvision keep averaged weights beside the others.
AVERAGES = ('state_dict_ema', 'model_ema')
# Two networks side by side, as DINO and iBOT keep them.
BRANCHES = ('student', 'teacher')
# Put before every name by DistributedDataParallel and averaged models.
WRAPPER = 'module.'
# Put anywhere by torch.compile, sharding and activation checkpointing.
INNER_WRAPPERS = re.compile(
    r'\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.'
)
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
COUNTER = 'num_batches_tracked'


def state_dict_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors under the names of the model, without those of wrappers.

    Of two networks side by side, those of ``student`` have names that begin
    with ``student/``, and those of ``teacher`` with ``teacher/``.

    Raises:
        CheckpointError: There are none, some are not finite, or two have the
            same name without wrappers.
    """
    inner = [checkpoint.get(key) for key in CONTAINERS]
    inner = [content for content in inner if isinstance(content, Mapping)]
    content: Any = inner[0] if inner else checkpoint
    tensors = _named_tensors(content)
    pair = (
        [] if tensors else [_named_tensors(content.get(k)) for k in BRANCHES]
    )
    if pair and all(pair):
        return {
            f'{branch}/{name}': tensor
            for branch, inside in zip(BRANCHES, pair, strict=True)
            for name, tensor in _checked(inside).items()
        }
    if not tensors:
        # Any key will do, if it is the only one that holds a network.
        inside = [t for v in content.values() if (t := _named_tensors(v))]
        if len(inside) != 1:
            raise CheckpointError(
                'no tensors in the checkpoint: expected them under '
                'state_dict, under model, or at the top; it has '
                f'{sorted(map(str, content))[:8]}'
            )
        (tensors,) = inside
    return _checked(tensors)


def _checked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the names of wrappers, if all values are finite."""
    for name, tensor in tensors.items():
        _check_memory(name, tensor)
        if tensor.dtype in PRECISIONS and not torch.isfinite(tensor).all():
            raise CheckpointError(
                f'{name} has values that are not finite: the training had '
                'broken down before this checkpoint; take an earlier one'
            )
    return _unwrapped(tensors)


def averages_left_out(checkpoint: Mapping[str, Any]) -> str | None:
    """Where averaged weights are that :func:`state_dict_of` does not take."""
    if not any(_named_tensors(checkpoint.get(key)) for key in CONTAINERS):
        return None
    found = [key for key in AVERAGES if _named_tensors(checkpoint.get(key))]
    return found[0] if found else None


def _named_tensors(content: Any) -> dict[str, Tensor]:
    """Tensors of a mapping that have names; other content has none."""
    if not isinstance(content, Mapping):
        return {}
    return {
        k: v
        for k, v in content.items()
        if isinstance(v, Tensor) and isinstance(k, str)
    }


def in_float32(
    tensors: Mapping[str, Tensor], convert: bool
) -> dict[str, Tensor]:
    """The same tensors, floating point ones in single precision.

    Args:
        tensors: Tensors of a backbone.
        convert: Whether other precisions are converted, not refused.

    Raises:
        CheckpointError: Some have another precision and ``convert`` is False,
            or are no numbers that a network is trained with.
    """
    others: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dtype in PRECISIONS:
            wanted = torch.int64 if name.endswith(COUNTER) else torch.float32
            if tensor.dtype != wanted:
                others[name] = tensor.to(wanted)
        elif tensor.dtype not in (torch.int64, torch.bool):
            raise CheckpointError(
                f'{name} is {_dtype(tensor)}: expected float32. Quantised '
                'weights cannot be trained; name the checkpoint that they '
                'were made of'
            )
    if others and not convert:
        name = next(iter(others))
        raise CheckpointError(
            f'{len(others)} tensors are not in single precision ({name} is '
            f'{_dtype(tensors[name])}, expected {_dtype(others[name])}); half '
            'precision has lost digits that fine-tuning may miss. To accept '
            f'that, convert them: {EXTRACT} --float32'
        )
    return {**tensors, **others}


def shape_mismatches(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> str:
    """Differences in names and shapes, and their likely cause.

    Args:
        expected: State dict of the module that is to take the weights.
        found: The weights.

    Returns:
        One line a kind of difference; empty if every tensor has its
        counterpart.

    >>> wide, narrow = torch.ones(64, 3, 7, 7), torch.ones(32, 3, 7, 7)
    >>> print(shape_mismatches({'conv1.weight': wide},
    ...                        {'conv1.weight': narrow, 'fc.bias': narrow}))
      tensors: 1 expected, 2 found
      1 that the model has no place for: fc.bias
      1 of another shape: conv1.weight [32, 3, 7, 7] instead of [64, 3, 7, 7]
      the widths differ: compare base_channels, stem_channels
    """
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    shapes = [
        f'{name} {list(found[name].shape)} instead of {list(tensor.shape)}'
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    lines = [
        f'  {len(names)} {what}: {", ".join(names[:4])}'
        + (', ...' if len(names) > 4 else '')
        for what, names in (
            ('missing in the file', missing),
            ('that the model has no place for', unexpected),
            ('of another shape', shapes),
        )
        if names
    ]
    if not lines:
        return ''
    total = f'  tensors: {len(expected)} expected, {len(found)} found'
    return '\n'.join([total, *lines, f'  {_likely_cause(expected, found)}'])


def _likely_cause(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> str:
    if not expected.keys() & found.keys():
        ours, theirs = next(iter(expected)), next(iter(found), 'nothing')
        return (
            f'no name is common to both: {theirs!r} in the file, {ours!r} in '
            'the model. Another prefix or another architecture; '
            'sce extract writes bare names'
        )
    stem = 'conv1.weight'
    if 'stem.0.weight' in expected and _differ_by_stem(expected, found):
        return (
            'the model has a deep stem of several convolutions (ResNetV1c, '
            "ResNetV1d, deep_stem=True), the file one: take type='ResNet' "
            'without deep_stem, as sce segmentor does'
        )
    if stem in expected and stem in found:
        here, there = list(expected[stem].shape), list(found[stem].shape)
        if here[2:] != there[2:]:
            return (
                f'the stems differ: {there[2:]} in the file, {here[2:]} in '
                'the model (small images and large ones)'
            )
        if here[:1] != there[:1]:
            return 'the widths differ: compare base_channels, stem_channels'
    if expected.keys() < found.keys():
        return (
            'the depths or the kinds of blocks differ, or out_indices of the '
            'model ends before the last layers: sce extract CKPT OUT '
            '--network CONFIG leaves these out'
        )
    if expected.keys() != found.keys():
        return 'the depths or the kinds of blocks differ, or a part is missing'
    return 'the widths differ'


def _differ_by_stem(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> bool:
    """Whether the blocks are the same, with the shortcuts of ResNetV1d."""

    def blocks(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
        return {
            name: tensor.shape
            for name, tensor in state.items()
            if name.startswith('layer') and '.downsample.' not in name
        }

    return blocks(expected) == blocks(found)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix('torch.')


def _check_memory(name: str, tensor: Tensor) -> None:
    """Refuse tensors that are not all there, before anything is computed."""
    if tensor.device.type != 'cpu' or tensor.layout != torch.strided:
        raise CheckpointError(
            f'{name} is a {tensor.layout} tensor on {tensor.device}: expected '
            'a plain one with its values in the file'
        )
    memory = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > memory:
        raise CheckpointError(
            f'{name} has {tensor.numel()} values and the file only {memory} '
            'bytes for them: no training writes that'
        )


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    plain = {INNER_WRAPPERS.sub('', n): t for n, t in tensors.items()}
    if len(plain) < len(tensors):
        raise CheckpointError(
            'some tensors are there twice, with and without the wrapper of '
            'torch.compile or of sharding in their names: which of them count '
            'is not known'
        )
    # A name without a dot is a counter of the wrapper itself.
    inner = {name: tensor for name, tensor in plain.items() if '.' in name}
    if inner and all(name.startswith(WRAPPER) for name in inner):
        return _unwrapped(
            {n.removeprefix(WRAPPER): t for n, t in inner.items()}
        )
    return plain
