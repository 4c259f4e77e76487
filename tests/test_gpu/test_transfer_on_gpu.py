"""Weights that were trained on a GPU become files, and arrive there."""

import pytest
import torch
from transfer_files import METADATA, pretraining, trained
from verified_model import loaded_model

from sce_mm.transfer import Backbone, extract_backbone, read_checkpoint
from sce_mm.transfer.export.export import export
from sce_mm.transfer.verify.verify import VerifyOptions, verify_transfer


def test_a_checkpoint_of_it_is_exported(device, tmp_path):
    weights = trained()
    there = {name: x.to(device) for name, x in weights.items()}
    torch.save(pretraining(there), tmp_path / 'epoch_3.pth')
    backbone = extract_backbone(read_checkpoint(tmp_path / 'epoch_3.pth'))
    for target in ('torchvision', 'mmpretrain'):
        path = tmp_path / f'{target}.pth'
        assert export(target, path, backbone) <= 1e-6
        # Whoever loads it may have no GPU.
        again = extract_backbone(read_checkpoint(path)).weights
        assert all(x.device.type == 'cpu' for x in again.values())
        assert all(torch.equal(again[k], weights[k]) for k in weights)


@pytest.mark.usefixtures('no_tf32')
def test_a_model_on_it_is_verified_to_the_last_bit(device):
    weights, meta, _ = extract_backbone(trained(width=8))
    backbone = Backbone(weights, meta | METADATA)
    here, model = loaded_model(backbone), loaded_model(backbone).to(device)

    def verified():
        return verify_transfer(model, backbone, {}, [], VerifyOptions())

    result = verified()
    assert result.problems == ()
    assert len(result.load.loaded) == 120
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        (expected,) = here.eval().backbone(images)
        (features,) = model.eval().backbone(images.to(device))
        apart = (features.cpu() - expected).norm() / expected.norm()
        assert apart < 1e-4
        model.backbone.bn1.bias[0] += 1e-7
    assert verified().load.mismatched == ('backbone.bn1.bias',)
