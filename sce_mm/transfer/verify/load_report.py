"""Load report: which tensors of a file are in a model, bit by bit."""

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from torch import Tensor, nn

from ...utils.errors import UserError
from ..named_weights import is_pretrained


class LoadReport(NamedTuple):
    """Every tensor of a file and of the parts of a model that load it.

    Names are those of the model, ``backbone.conv1.weight``, except for
    ``unexpected``, which are the file's.

    Attributes:
        loaded: Tensors that equal the file, to the last bit.
        mismatched: Tensors with another type or other values than in the file.
        missing: Tensors that are not in the file and still as initialised.
        expected_missing: Tensors that are not in the file and were named as
            such.
        unexpected: Tensors of the file that no part of the model has.
    """

    loaded: tuple[str, ...]
    mismatched: tuple[str, ...]
    missing: tuple[str, ...]
    expected_missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def parts_that_load(model: nn.Module, path: str) -> dict[str, nn.Module]:
    """The backbone, and what else is initialised from the same file, by names.

    The shared head of a C4 detector takes its fifth stage from there, a
    second backbone all of it, a neck the pyramid.
    """
    parts = {'backbone': model.get_submodule('backbone')}
    for name, module in model.named_modules():
        outside = name.split('.')[0] not in ('backbone', '')
        if outside and is_same_file(
            path, pretrained_init(module).get('checkpoint')
        ):
            parts[name] = module
    return parts


def is_same_file(path: str, other: Any) -> bool:
    """Whether a config names this file, however it writes the path."""
    if not isinstance(other, str):
        return False
    return other == path or os.path.realpath(other) == os.path.realpath(path)


def pretrained_init(module: nn.Module) -> Mapping[str, Any]:
    """The ``init_cfg`` of a module if it loads a file, else nothing."""
    init_cfg = getattr(module, 'init_cfg', None)
    if is_pretrained(init_cfg):
        return init_cfg
    # Some backbones keep it in the old spelling, whatever the config says.
    path = getattr(module, 'pretrained', None)
    return {'checkpoint': path} if isinstance(path, str) else {}


def prefix_of(module: nn.Module) -> str:
    """What stands before the names of a module in the file that it loads."""
    prefix = pretrained_init(module).get('prefix')
    # mmengine takes it with or without the dot.
    return f'{prefix.removesuffix(".")}.' if prefix else ''


def compare_with_file(
    parts: Mapping[str, nn.Module],
    weights: Mapping[str, Tensor],
    expected_missing: tuple[str, ...],
) -> LoadReport:
    """Compare each tensor of the parts with the file.

    Args:
        parts: Returned by :func:`parts_that_load`.
        weights: Tensors of the file that the parts should have.
        expected_missing: Prefixes of names in the model of tensors that no
            file has; ``*`` stands for anything.
    """
    report: dict[str, list[str]] = {kind: [] for kind in LoadReport._fields}
    taken = set()
    for part, module in parts.items():
        prefix = prefix_of(module)
        for name, tensor in module.state_dict().items():
            full, in_file = f'{part}.{name}', f'{prefix}{name}'
            taken.add(in_file)
            if in_file in weights:
                expected, here = weights[in_file], tensor.cpu()
                equal = here.dtype == expected.dtype and here.equal(expected)
                kind = 'loaded' if equal else 'mismatched'
            elif is_expected(full, expected_missing):
                kind = 'expected_missing'
            else:
                kind = 'missing'
            report[kind].append(full)
    report['unexpected'] = [name for name in weights if name not in taken]
    return LoadReport(**{kind: tuple(x) for kind, x in report.items()})


def as_prefixes(value: Any) -> tuple[str, ...]:
    """The ``expected_missing`` of a ``VerifyTransferHook``, checked.

    Raises:
        UserError: It is no list of texts. A text alone would be as many
            prefixes as it has letters.
    """
    if not isinstance(value, list | tuple) or not all(
        isinstance(prefix, str) for prefix in value
    ):
        raise UserError(
            'expected_missing of a VerifyTransferHook is a list of beginnings '
            f"of names, such as ['backbone.adapter.'], got {value!r}"
        )
    return tuple(value)


def expected_missing_of(hook: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Prefixes that the ``VerifyTransferHook`` of a config adds.

    Args:
        hook: The hook as the config has it; None if it has none.

    Raises:
        UserError: They are no list of texts.
    """
    return as_prefixes((hook or {}).get('expected_missing', ()))


def is_expected(name: str, expected_missing: Iterable[str]) -> bool:
    """Whether a tensor of the model may be missing in the file.

    >>> is_expected('backbone.norm0.bias', ['*.norm0.'])
    True
    """
    return any(fnmatchcase(name, f'{x}*') for x in expected_missing)


def modules_of(names: Iterable[str]) -> list[str]:
    """Modules that tensors belong to, each once, with a dot at the end.

    >>> modules_of(['backbone.norm0.weight', 'backbone.norm0.bias'])
    ['backbone.norm0.']
    """
    return list(dict.fromkeys(f'{n.rpartition(".")[0]}.' for n in names))


def module_accepting(
    model: nn.Module, names: tuple[str, ...], parts: Mapping[str, nn.Module]
) -> str | None:
    """Outermost part of a model that has all these tensors but loads none."""
    inner = tuple(f'{part}.' for part in parts)
    for name, module in model.named_modules():
        other = (
            name and names and name not in parts and not name.startswith(inner)
        )
        if other and set(names) <= {*module.state_dict()}:
            return name
    return None
