"""A detector of the C4 kind without mmdet, as far as weights go."""

from mmengine.model import BaseModel, BaseModule
from mmpretrain.models import ResNet
from torch import nn
from transfer_files import METADATA

from sce_mm.transfer import Backbone

FILE = 'backbone.pth'
INIT = {'type': 'Pretrained', 'checkpoint': FILE}


class Head(BaseModule):
    """A head that wants the last stage, and a new norm."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.layer4 = ResNet(18, base_channels=8, stem_channels=8).layer4
        self.norm = nn.BatchNorm2d(64)


class Model(BaseModel):
    """The backbone, and a head that holds its last stage."""

    def __init__(self, head_init=INIT):
        preprocessor = {
            'type': 'ImgDataPreprocessor',
            'mean': METADATA['mean'],
            'std': METADATA['std'],
            'bgr_to_rgb': True,
        }
        super().__init__(preprocessor)
        self.backbone = ResNet(
            18,
            base_channels=8,
            stem_channels=8,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
            init_cfg=INIT,
        )
        self.roi_head = nn.Module()
        self.roi_head.shared_head = Head(head_init)

    def forward(self, inputs):
        return inputs


def loaded_model(backbone: Backbone) -> Model:
    """The model with the weights of this backbone."""
    model = Model()
    for part in (model.backbone, model.roi_head.shared_head):
        part.load_state_dict(backbone.weights, strict=False)
    return model
