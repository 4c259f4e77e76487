"""What a verification finds in a model, without any mmdet."""

import pytest
import torch
from mmengine.model import BaseModule
from mmpretrain.models import ResNet
from torch import nn
from transfer_files import METADATA, trained
from verified_model import INIT, loaded_model

from sce_mm.transfer import Backbone, extract_backbone
from sce_mm.transfer.metadata import stride_style
from sce_mm.transfer.verify.verify import VerifyOptions, verify_transfer


@pytest.fixture
def backbone():
    weights, meta, _ = extract_backbone(trained(width=8))
    return Backbone(weights, meta | METADATA)


@pytest.fixture
def model(backbone):
    return loaded_model(backbone)


def verified(model, backbone, **options):
    return verify_transfer(model, backbone, {}, [], VerifyOptions(**options))


def test_each_tensor_of_a_right_model_is_counted_once(model, backbone):
    result = verified(model, backbone)
    assert result.problems == ()
    assert sum(result.norms.values()) == 21
    load = result.load
    assert len(load.loaded) == 120
    assert {n.rsplit('.', 1)[0] for n in load.expected_missing} == {
        'roi_head.shared_head.norm'
    }
    assert load.mismatched == load.missing == load.unexpected == ()


def test_one_bit_and_another_type_are_seen(model, backbone):
    with torch.no_grad():
        model.backbone.bn1.bias[0] += 1e-7
    model.backbone.conv1.double()
    result = verified(model, backbone)
    assert result.load.mismatched == (
        'backbone.conv1.weight',
        'backbone.bn1.bias',
    )
    (problem,) = result.problems
    assert '2 of 120 tensors are not those of the file' in problem


def test_missing_and_unexpected_tensors_are_seen(model, backbone):
    backbone.weights['new'] = torch.ones(1)
    result = verified(model, backbone, expected_missing=())
    assert len(result.load.missing) == 5
    assert result.load.unexpected == ('new',)
    (problem,) = result.problems
    assert '5 missing in the file: norm.weight' in problem
    assert 'that the model has no place for: new' in problem


def test_a_head_that_loads_another_file_leaves_its_stage_over(model, backbone):
    model.roi_head.shared_head.init_cfg = {**INIT, 'checkpoint': 'x'}
    result = verified(model, backbone)
    assert len(result.load.unexpected) == 30
    (problem,) = result.problems
    assert 'model.roi_head.shared_head has a place for these ten' in problem


class Neck(BaseModule):
    """What a pyramid is made of."""

    def __init__(self, init_cfg):
        super().__init__(init_cfg)
        self.lateral = nn.Conv2d(8, 4, 1)
        self.norm = nn.BatchNorm2d(4)


# mmengine takes both spellings.
@pytest.mark.parametrize('prefix', ['pyramid.', 'pyramid'])
def test_a_pyramid_is_compared_as_the_backbone_is(model, backbone, prefix):
    model.neck = Neck({**INIT, 'prefix': prefix})
    backbone = backbone._replace(
        pyramid={k: v.clone() for k, v in model.neck.state_dict().items()}
    )
    result = verified(model, backbone)
    assert result.problems == result.notes == ()
    assert result.total == len(result.load.loaded) == 120 + 7
    assert sum(result.norms.values()) == 22
    model.neck.norm.weight.requires_grad = False
    with torch.no_grad():
        model.neck.lateral.bias[0] += 1e-7
    mismatched, frozen = verified(model, backbone).problems
    assert '1 of 127 tensors are not those of the file' in mismatched
    assert '(neck.lateral.bias)' in mismatched
    assert '(neck.norm.weight)' in frozen
    del backbone.pyramid['norm.bias']
    missing = verified(model, backbone).problems[0]
    assert '1 missing in the file: pyramid.norm.bias' in missing


def test_a_pyramid_that_nothing_loads_is_named(model, backbone):
    backbone = backbone._replace(pyramid={'lateral.weight': torch.ones(1)})
    result = verified(model, backbone)
    assert (result.problems, result.total) == ((), 120)
    (note,) = result.notes
    assert "prefix='pyramid.'" in note


@pytest.mark.parametrize(
    ('part', 'prefix'), [('backbone', 'pyramid.'), ('neck', 'neck.')]
)
def test_other_prefixes_are_refused(model, backbone, part, prefix):
    model.neck = Neck(INIT)
    getattr(model, part).init_cfg = {**INIT, 'prefix': prefix}
    with pytest.raises(ValueError, match=f'model.{part}.init_cfg has prefix'):
        verified(model, backbone)


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
    assert stride_style({'backbone': shallow}) is None


def test_models_without_a_backbone_are_refused(backbone):
    with pytest.raises(ValueError, match=r'Linear has no model\.backbone'):
        verified(nn.Linear(2, 2), backbone)
