"""A network that is used as it is, made of a backbone file alone."""

from mmpretrain.registry import MODELS
from torch import nn

from ..checkpoints.errors import EXTRACT, CheckpointError
from ..transfer import Backbone, load_backbone
from ..transfer.metadata import PIXELS


class FrozenBackbone(nn.Module):
    """Backbone with the pixels that it was trained on.

    The architecture follows from the tensors, the rest from the metadata.

    Args:
        weights: Backbone of any checkpoint.
        network: Takes the weights, of whatever architecture it is.

    Attributes:
        backbone: Network of mmpretrain, with feature maps as outputs.
        data_preprocessor: Normalises pixels from 0 to 255, in the order of
            OpenCV.
        image_size: Side of the images that the network is made for.

    Raises:
        CheckpointError: The network is none that is known, is not the one
            that is given, or the file does not say what it needs.
    """

    def __init__(
        self, weights: Backbone, network: nn.Module | None = None
    ) -> None:
        super().__init__()
        if unknown := [k for k in PIXELS if weights.meta.get(k) is None]:
            raise CheckpointError(
                f'the file does not say {", ".join(unknown)} of the pixels '
                f'that its network takes: to {EXTRACT} add --imagenet, or '
                '--channel-order, --mean and --std'
            )
        if network is None:
            self.image_size = weights.architecture.image_size
            self.backbone = weights.network()
        else:
            self.image_size = 224
            load_backbone(network, weights)
            self.backbone = network
        self.data_preprocessor = MODELS.build(
            dict(
                type='mmpretrain.ClsDataPreprocessor',
                mean=weights.meta['mean'],
                std=weights.meta['std'],
                to_rgb=weights.meta['channel_order'] == 'rgb',
            )
        )
