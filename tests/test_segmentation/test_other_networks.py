"""Swin, ConvNeXt and ViT files reach UPerNet, whole and by the commands."""

import pytest
import torch
from mmengine.config import Config
from networks import (
    CONVNEXT,
    NEW,
    SWIN,
    network_file,
    parameters_that_move,
)
from transfer_files import run_tool

from sce_mm.cli.runner import build_runner

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings('ignore:torch.meshgrid'),
]

# Config of mmseg, what makes it small.
NETWORKS = {
    'swin': (
        'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-'
        '512x512',
        f"""backbone=dict({', '.join(f'{k}={v}' for k, v in SWIN.items())}),
    decode_head=dict(in_channels=[8, 16, 32, 64], channels=8, num_classes=3),
    auxiliary_head=dict(in_channels=32, channels=8, num_classes=3)""",
    ),
    'convnext': (
        'convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512',
        f"""backbone=dict(arch=dict(_delete_=True, **{CONVNEXT})),
    decode_head=dict(in_channels=[8, 16, 24, 32], channels=8, num_classes=3),
    auxiliary_head=dict(in_channels=24, channels=8, num_classes=3),
    test_cfg=dict(crop_size=(64, 64), stride=(43, 43))""",
    ),
    'vit': (
        'vit/vit_deit-s16_mln_upernet_8xb2-160k_ade20k-512x512',
        # Its own number of heads and size of images, not those of the file.
        """backbone=dict(embed_dims=16, num_layers=3, num_heads=2,
                  patch_size=8, out_indices=(0, 1, 2), img_size=(64, 64)),
    neck=dict(in_channels=[16] * 3, out_channels=16, scales=[4, 2, 1]),
    decode_head=dict(in_channels=[16] * 3, in_index=[0, 1, 2], channels=8,
                     num_classes=3),
    auxiliary_head=dict(in_channels=16, in_index=2, channels=8,
                        num_classes=3)""",
    ),
}


@pytest.mark.parametrize('name', NETWORKS)
def test_a_file_reaches_upernet_by_the_commands(
    name, root, tiny_data, tmp_path, capsys, monkeypatch
):
    source, small = NETWORKS[name]
    mine, out = tmp_path / 'my_8xb2-160k.py', tmp_path / 'made.py'
    # The wrapper of mixed precision wants a GPU, and a scale of its losses.
    plain = "optim_wrapper = dict(type='OptimWrapper')\n"
    if name == 'convnext':
        plain = (
            "_base_.optim_wrapper.pop('loss_scale')\n"
            "_base_.optim_wrapper.type = 'OptimWrapper'\n"
        )
    mine.write_text(
        f"_base_ = 'mmseg::{source}.py'\n{tiny_data}model.update({small})\n"
        f'{plain}'
    )
    file = network_file(name, tmp_path)

    def run(tool, *words):
        path = root / 'tools' / f'{tool}.py'
        return run_tool(path, capsys, monkeypatch, *words)

    code, text = run('make_segmentation_config', mine, file.path, out)
    assert code == 0, text
    code, text = run('verify_transfer', out, file.path)
    assert code == 0, text
    count = len(file.backbone.weights)
    assert f'VERIFIED: {count}/{count} tensors' in text
    assert (NEW in text) == (name != 'vit')

    cfg = Config.fromfile(out)
    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    cfg.experiment_name = cfg.visualizer.name = tmp_path.name
    runner = build_runner(cfg)
    runner.train()
    assert runner.iter == 2
    backbone = runner.model.backbone
    assert type(backbone).__module__.startswith('mmpretrain.')
    before, after = file.backbone.weights, backbone.state_dict()
    for tensor in parameters_that_move(backbone, before):
        assert not torch.equal(after[tensor], before[tensor]), tensor
