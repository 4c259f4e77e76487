"""Names of a ResNet in detectron2, and back.

conv1, bn1          stem.conv1, stem.conv1.norm
layerK.B.convN      res{K+1}.B.convN
layerK.B.bnN        res{K+1}.B.convN.norm
layerK.B.downsample.0, .1    res{K+1}.B.shortcut, .shortcut.norm
"""

import re

_TO = (
    (r'^(?!layer)', 'stem.'),
    (r'^layer(\d)', lambda match: f'res{int(match[1]) + 1}'),
    (r'\bbn(\d)\b', r'conv\1.norm'),
    (r'\bdownsample\.0\b', 'shortcut'),
    (r'\bdownsample\.1\b', 'shortcut.norm'),
)
_FROM = (
    (r'^stem\.', ''),
    (r'^res(\d)', lambda match: f'layer{int(match[1]) - 1}'),
    (r'\bconv(\d)\.norm\b', r'bn\1'),
    (r'\bshortcut\.norm\b', 'downsample.1'),
    (r'\bshortcut\b', 'downsample.0'),
)


def to_detectron2(name: str) -> str:
    """``layer1.0.bn1.weight`` to ``res2.0.conv1.norm.weight``."""
    return _apply(_TO, name)


def from_detectron2(name: str) -> str:
    """``res2.0.conv1.norm.weight`` to ``layer1.0.bn1.weight``."""
    return _apply(_FROM, name)


def _apply(rules: tuple, name: str) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
