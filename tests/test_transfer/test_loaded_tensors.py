"""Where each tensor of a file stands in a model, without any mmdet."""

import pytest
import torch
from mmengine.model import BaseModel, BaseModule
from mmpretrain.models import ResNet
from torch import nn
from transfer_files import FACTS, trained

from sce_mm.transfer import extract_backbone
from sce_mm.transfer.describe import stride_style
from sce_mm.transfer.verify.loaded_tensors import parts_that_load, take_stock
from sce_mm.transfer.verify.verify import Rules, path_of, verify

FILE = 'backbone.pth'
INIT = {'type': 'Pretrained', 'checkpoint': FILE}


class Head(BaseModule):
    """A head that wants the last stage, and a new norm."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.layer4 = ResNet(18, base_channels=8, stem_channels=8).layer4
        self.norm = nn.BatchNorm2d(64)


class Model(BaseModel):
    """A detector of the C4 kind, as far as weights are concerned."""

    def __init__(self, head_init=INIT):
        preprocessor = {
            'type': 'ImgDataPreprocessor',
            'mean': FACTS['mean'],
            'std': FACTS['std'],
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


@pytest.fixture
def weights():
    return extract_backbone(trained(width=8))


def filled(model, tensors):
    for part in (model.backbone, model.roi_head.shared_head):
        part.load_state_dict(tensors, strict=False)
    return model


def test_each_tensor_is_counted_once(weights):
    model = filled(Model(), weights[0])
    parts = parts_that_load(model, FILE)
    assert list(parts) == ['backbone', 'roi_head.shared_head']
    stock = take_stock(parts, weights[0])
    assert len(stock.loaded) == 120
    assert {n.rsplit('.', 1)[0] for n in stock.expected_missing} == {
        'roi_head.shared_head.norm'
    }
    assert stock.wrong == stock.untouched == stock.left_over == ()

    with torch.no_grad():
        model.backbone.bn1.bias[0] += 1e-7
    stock = take_stock(parts, weights[0] | {'new': torch.ones(1)}, ())
    assert stock.wrong == ('backbone.bn1.bias',)
    assert stock.left_over == ('new',)
    assert len(stock.untouched) == 5


def test_another_type_of_the_same_numbers_is_wrong(weights):
    model = filled(Model(), weights[0])
    model.backbone.conv1.double()
    stock = take_stock(parts_that_load(model, FILE), weights[0])
    assert stock.wrong == ('backbone.conv1.weight',)


def test_a_right_model_has_no_problems(weights):
    model = filled(Model(), weights[0])
    tensors, meta = weights
    assert path_of(model) == FILE
    verdict = verify(model, FILE, tensors, meta | FACTS, Rules())
    assert verdict.problems == ()
    assert sum(verdict.norms.values()) == 21


def test_a_head_that_loads_another_file_leaves_its_stage_over(weights):
    model = filled(
        Model({'type': 'Pretrained', 'checkpoint': 'x'}), weights[0]
    )
    verdict = verify(model, FILE, weights[0], weights[1] | FACTS, Rules())
    (problem,) = verdict.problems
    assert problem.startswith('30 tensors of the file went nowhere (layer4.')


@pytest.mark.parametrize('style', ['pytorch', 'caffe'])
def test_strides_are_looked_up_in_the_blocks(style):
    def deep(style):
        return ResNet(50, base_channels=8, stem_channels=8, style=style)

    net = deep(style)
    net.style = 'neither'
    assert stride_style({'backbone': net}) == style
    parts = {'backbone': net, 'head': deep('pytorch')}
    mixed = 'pytorch' if style == 'pytorch' else 'mixed'
    assert stride_style(parts) == mixed
    shallow = ResNet(18, base_channels=8, stem_channels=8, style=style)
    assert stride_style({'backbone': shallow}) == style


def test_models_without_a_backbone_are_refused():
    with pytest.raises(ValueError, match=r'Linear has no model\.backbone'):
        path_of(nn.Linear(2, 2))
