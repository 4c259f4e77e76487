"""Which tensors of a file are in a model, and which are not."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

# The norm that the C4 protocol adds behind the fifth stage is new, and so is
# where the second backbone of a recursive pyramid takes in the features.
EXPECTED_MISSING = (
    'roi_head.shared_head.norm.',
    'neck.rfp_modules.*.rfp_conv.',
)


class Arrival(NamedTuple):
    """Every tensor of a file and of the parts of a model that load it.

    Names are those of the model, ``backbone.conv1.weight``, except for
    ``left_over``, which are the file's.

    Attributes:
        loaded: Equal to the file, to the last bit.
        wrong: In the file, but of another shape or with other values.
        untouched: Not in the file: still as they were initialised.
        expected_missing: The same, and named as such beforehand.
        left_over: In the file, but no part of the model has such a tensor.
    """

    loaded: tuple[str, ...]
    wrong: tuple[str, ...]
    untouched: tuple[str, ...]
    expected_missing: tuple[str, ...]
    left_over: tuple[str, ...]


def parts_that_load(model: nn.Module, path: str) -> dict[str, nn.Module]:
    """The backbone, and whatever else is initialised from the same file.

    The shared head of a C4 detector takes its fifth stage from there, a
    second backbone all of it.

    Args:
        model: Detector or classifier with a ``backbone``.
        path: Checkpoint that the backbone is told to load.

    Returns:
        Parts by their name in the model.
    """
    parts = {'backbone': model.get_submodule('backbone')}
    for name, module in model.named_modules():
        init_cfg = pretrained_init(module)
        if init_cfg.get('checkpoint') == path and name.split('.')[0] not in (
            'backbone',
            '',
        ):
            parts[name] = module
    return parts


def pretrained_init(module: nn.Module) -> Mapping[str, Any]:
    """The ``init_cfg`` of a module if it loads a file, else nothing."""
    init_cfg = getattr(module, 'init_cfg', None)
    if isinstance(init_cfg, Mapping) and init_cfg.get('type') == 'Pretrained':
        return init_cfg
    # Some backbones keep it in the old spelling, whatever the config says.
    path = getattr(module, 'pretrained', None)
    return {'checkpoint': path} if isinstance(path, str) else {}


def is_expected(name: str, beginnings: tuple[str, ...]) -> bool:
    """Whether a tensor is named as new; ``*`` stands for anything."""
    return any(fnmatchcase(name, f'{start}*') for start in beginnings)


def tensors_to_load(
    parts: Mapping[str, nn.Module],
    expected_missing: tuple[str, ...] = EXPECTED_MISSING,
) -> dict[str, Tensor]:
    """What the file has to hold, under the names of the file.

    Args:
        parts: Of :func:`parts_that_load`.
        expected_missing: Beginnings of names in the model that it need not;
            ``*`` stands for anything.
    """
    return {
        name: tensor
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
        if not is_expected(f'{part}.{name}', expected_missing)
    }


def take_stock(
    parts: Mapping[str, nn.Module],
    weights: Mapping[str, Tensor],
    expected_missing: tuple[str, ...] = EXPECTED_MISSING,
) -> Arrival:
    """Compare each tensor of the parts with the file.

    Args:
        parts: Of :func:`parts_that_load`, initialised.
        weights: Of the file, under bare names.
        expected_missing: Beginnings of names in the model that are new.
    """
    stock: dict[str, list[str]] = {name: [] for name in Arrival._fields}
    taken = set()
    for part, module in parts.items():
        for name, tensor in module.state_dict().items():
            full = f'{part}.{name}'
            if name in weights:
                taken.add(name)
                same = equal(tensor, weights[name])
                stock['loaded' if same else 'wrong'].append(full)
            elif is_expected(full, expected_missing):
                stock['expected_missing'].append(full)
            else:
                stock['untouched'].append(full)
    stock['left_over'] = [name for name in weights if name not in taken]
    return Arrival(**{name: tuple(names) for name, names in stock.items()})


def equal(tensor: Tensor, expected: Tensor) -> bool:
    """Same shape, type and bits, wherever the tensors are."""
    tensor = tensor.cpu()
    return tensor.dtype == expected.dtype and torch.equal(tensor, expected)


def who_could_take(
    model: nn.Module, names: tuple[str, ...], parts: Mapping[str, nn.Module]
) -> str | None:
    """Outermost part of a model that has all these tensors but loads none."""
    inner = tuple(f'{part}.' for part in parts)
    for name, module in model.named_modules():
        if not name or name in parts or name.startswith(inner):
            continue
        if set(names) <= {*module.state_dict()}:
            return name
    return None
