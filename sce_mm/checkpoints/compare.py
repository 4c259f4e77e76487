"""What two sets of weights have not in common, in words."""

from collections.abc import Mapping

from torch import Tensor


def compare(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> str:
    """Differences in names and shapes, and their likely cause.

    Args:
        expected: State of the module that is to take the weights.
        found: The weights.

    Returns:
        One line a difference; empty if every tensor has its counterpart.
    """
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
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
            ('that the model has no place for', extra),
            ('of another shape', shapes),
        )
        if names
    ]
    if not lines:
        return ''
    total = f'{len(expected)} expected, {len(found)} found'
    cause = likely_cause(expected, found)
    return '\n'.join([f'  tensors: {total}', *lines, f'  {cause}'])


def likely_cause(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> str:
    """The mistakes that are made most often, told apart."""
    if not set(expected) & set(found):
        ours, theirs = next(iter(expected)), next(iter(found), 'nothing')
        return (
            f'no name is common to both: {theirs!r} in the file, {ours!r} in '
            'the model. Another prefix or another architecture; '
            'tools/model_converters/extract_backbone.py writes bare names'
        )
    stem = 'conv1.weight'
    if stem in expected and stem in found:
        here, there = list(expected[stem].shape), list(found[stem].shape)
        if here[2:] != there[2:]:
            return (
                f'the stems differ: {there[2:]} in the file, {here[2:]} in '
                'the model (small images and large ones)'
            )
        if here[:1] != there[:1]:
            return 'the widths differ: compare base_channels, stem_channels'
    missing, extra = set(expected) - set(found), set(found) - set(expected)
    if missing and not extra and _blocks(missing) <= _blocks(set(found)):
        return 'every block is there, but not all of it: the file is not whole'
    tops = {name.split('.')[0] for name in extra}
    if (
        extra
        and not missing
        and not tops & {n.split('.')[0] for n in expected}
    ):
        return (
            f'the file holds more than this network: {", ".join(sorted(tops))}'
        )
    if missing or extra:
        return 'the depths differ, or the blocks are of another kind'
    return 'the widths differ'


def _blocks(names: set[str]) -> set[str]:
    """``layer4.1`` of ``layer4.1.bn2.weight``."""
    return {name.rpartition('.')[0].rpartition('.')[0] for name in names}
