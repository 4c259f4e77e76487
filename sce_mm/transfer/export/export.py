"""Export a backbone: write the file, load it in its library, compare.

The file gets its name only after the library has loaded it and computed the
same features.
"""

import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...checkpoints.errors import CheckpointError
from ...utils.durable_files import write_durably
from ..backbone import Backbone
from ..networks.families import last_features
from ..networks.resnet import ResNetArchitecture
from .targets import (
    TARGETS,
    mmdet_config,
    mmpretrain_config,
    new_in_mmdet,
)

# As a share of the largest feature. The same operations in the same order
# give 0; onnxruntime merges batch norm into convolutions.
TOLERANCE = 1e-4


def export(name: str, path: Path, backbone: Backbone) -> float:
    """Write a backbone for one of ``TARGETS``, and compare its features there.

    Returns:
        Largest deviation of the last feature map of a random image from this
        project's, in parts of the largest feature.

    Raises:
        CheckpointError: The target cannot express the network, or computes
            something else. There is no file then.
        MissingPackageError: The library is not installed.
    """
    target = TARGETS[name]
    if path.suffix not in target.suffixes:
        raise CheckpointError(
            f'{path.name} has to end in {" or ".join(target.suffixes)}: '
            f'{name} tells formats by it'
        )
    # Larger than in a pretraining: on a map of one window, a Swin that pads
    # small maps, as detectors need it, is another network.
    size = backbone.architecture.image_size * 3 // 2
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, 3, size, size, generator=generator)
    expected = last_features(backbone.network(), images)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        draft = Path(folder) / path.name
        target.write(draft, backbone)
        features = target.run(draft, backbone, images)
        deviation = float('inf')
        if features.shape == expected.shape:
            gap = (features - expected).abs().max() / expected.abs().max()
            deviation = float(gap)
        if not deviation <= TOLERANCE:
            raise CheckpointError(
                f'{name} computes other features from the file (they differ '
                f'by {deviation:.1e} of the largest): nothing was written'
            )
        write_durably(path, draft.read_bytes())
    return deviation


def snippet(name: str, path: Path, backbone: Backbone) -> str:
    """How to load the file in the target library."""
    found, meta = backbone.architecture, backbone.meta
    values: dict[str, Any] = {
        'path': str(path),
        'mmpretrain': _as_text(mmpretrain_config(backbone)),
        'order': (meta['channel_order'] or 'unknown').upper(),
        'mean': meta['mean'],
        'std': meta['std'],
    }
    if name == 'mmdet':
        values |= _mmdet_values(backbone)
    values['names'] = 'mmpretrain'
    if isinstance(found, ResNetArchitecture):
        res2 = found.width * (4 if found.bottleneck else 1)
        values |= {
            'names': 'torchvision',
            'depth': found.depth,
            'features': res2 * 8,
            'stem': found.stem,
            'res2': res2,
            'in_1x1': meta['style'] == 'caffe',
        }
    return TARGETS[name].snippet.format(**values)


def _mmdet_values(backbone: Backbone) -> dict[str, str]:
    """The network in a config of mmdet, and what the hook has to expect."""
    config = mmdet_config(backbone)
    if config['type'] != 'mmdet.ResNet':
        # The options of the other backbone would stay beside these.
        config = {'_delete_': True, **config}
    new = new_in_mmdet(backbone)
    expected = f',\n    expected_missing={new!r}' if new else ''
    return {'mmdet': _as_text(config), 'expected': expected}


def _as_text(config: Mapping[str, Any]) -> str:
    """The arguments of ``dict(...)``, in lines of a config."""
    text = ', '.join(f'{key}={value!r}' for key, value in config.items())
    return textwrap.fill(text, 74, subsequent_indent=' ' * 4)
