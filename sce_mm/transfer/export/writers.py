"""One backbone in the file formats of other libraries, with its meta block.

Each writer takes a path, tensors under bare names and the meta block of
:func:`sce_mm.transfer.extract_backbone`; each file but ONNX is read again by
:func:`sce_mm.transfer.read_checkpoint`.
"""

import json
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...checkpoints.reading import META_KEY
from ...utils.errors import import_optional
from ..detectron2_names import to_detectron2
from ..resnet import build, complete

Weights = Mapping[str, Tensor]
Meta = Mapping[str, Any]


def write_flat(path: Path, weights: Weights, meta: Meta) -> None:
    """A flat state dict, as torchvision and timm load it.

    The meta block takes the place where PyTorch keeps the versions of
    modules, so that no name is added and loading stays strict.
    """
    content = OrderedDict((k, v.clone()) for k, v in weights.items())
    content._metadata = OrderedDict({META_KEY: dict(meta)})  # type: ignore[attr-defined]
    torch.save(content, path)


def write_detectron2(path: Path, weights: Weights, meta: Meta) -> None:
    """A pickle of arrays; detectron2 fits it to the model by its names."""
    content = {
        'model': {to_detectron2(k): v.numpy() for k, v in weights.items()},
        '__author__': 'sce_mm',
        'matching_heuristics': True,
        'meta': dict(meta),
    }
    with path.open('wb') as file:
        pickle.dump(content, file)


def write_safetensors(path: Path, weights: Weights, meta: Meta) -> None:
    """Safetensors; the meta block is JSON in the header."""
    safetensors = import_optional('safetensors.torch', 'safetensors')
    tensors = {k: v.clone().contiguous() for k, v in weights.items()}
    texts = {'format': 'pt', META_KEY: json.dumps(dict(meta))}
    safetensors.save_file(tensors, path, texts)


class _Features(nn.Module):
    """Last feature map of a backbone, and its mean over the pixels."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        (features,) = self.backbone(images)
        return features, features.mean((2, 3))


def write_onnx(path: Path, weights: Weights, meta: Meta) -> None:
    """A graph from normalised images to the last feature map and its mean.

    Batch, height and width are free.
    """
    onnx = import_optional('onnx', 'onnx')
    tensors, found = complete(weights)
    backbone = build(found, meta['style'])
    backbone.load_state_dict(tensors)
    axes = {0: 'batch', 2: 'height', 3: 'width'}
    with warnings.catch_warnings():
        # The tracing exporter is an old one; the new one needs onnxscript.
        warnings.simplefilter('ignore')
        from torch.onnx.utils import export

        export(
            _Features(backbone).eval(),
            (torch.zeros(1, 3, 64, 64),),
            str(path),
            input_names=['images'],
            output_names=['features', 'pooled'],
            dynamic_axes={
                'images': axes,
                'features': axes,
                'pooled': {0: 'batch'},
            },
            opset_version=17,
        )
    graph = onnx.load(path)
    graph.metadata_props.add(key=META_KEY, value=json.dumps(dict(meta)))
    onnx.save(graph, path)
