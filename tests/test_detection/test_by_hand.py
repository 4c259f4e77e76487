"""What a refusal says to do by hand is all that there is to do."""

import re

import pytest
from mmengine.config import Config

from sce_mm.cli.runner import build_runner
from sce_mm.detection.adapt import adapt
from sce_mm.downstream import AdaptError, make_config
from sce_mm.transfer import read_checkpoint

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures('mmdet_modules'),
    pytest.mark.filterwarnings('ignore:To copy construct from a tensor'),
    pytest.mark.filterwarnings('ignore:torch.meshgrid'),
]

# Configs of mmdet whose own network is no ResNet, made small.
CONFIGS = {
    'rtmdet/rtmdet_tiny_8xb32-300e_coco': """
model = dict(
    neck=dict(out_channels=32),
    bbox_head=dict(in_channels=32, feat_channels=32, num_classes=2))
""",
    # Its hooks ask the data set to end the mosaics.
    'yolox/yolox_tiny_8xb8-300e_coco': """
images = train_dataloader['dataset']
train_dataloader['dataset'] = dict(
    type='MultiImageMixDataset',
    dataset=dict(images, pipeline=images['pipeline'][:2]),
    pipeline=[
        dict(type='Mosaic', img_scale=(64, 64)),
        dict(type='MixUp', img_scale=(64, 64)),
        *images['pipeline'][2:]])
model = dict(
    data_preprocessor=dict(batch_augments=None),
    neck=dict(out_channels=32),
    bbox_head=dict(in_channels=32, feat_channels=32, num_classes=2))
""",
}


@pytest.mark.parametrize('name', CONFIGS)
def test_a_network_replaced_as_told_trains(
    name, backbone_file, tiny_data, tmp_path
):
    base, mine = tmp_path / 'base.py', tmp_path / 'mine.py'
    boxes = tiny_data.replace("'with_mask': True", "'with_mask': False")
    base.write_text(f"_base_ = 'mmdet::{name}.py'\n{boxes}{CONFIGS[name]}")
    out = tmp_path / 'made.py'
    with pytest.raises(AdaptError) as error:
        make_config(str(base), backbone_file(16), out, adapt)
    lines = re.findall(r'_base_\..+?(?= and _base_|$)', str(error.value))
    assert len(lines) == 2
    mine.write_text('\n'.join(["_base_ = 'base.py'", *lines]))
    make_config(str(mine), backbone_file(16), out, adapt)

    cfg = Config.fromfile(out)
    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    cfg.experiment_name = cfg.visualizer.name = tmp_path.name
    runner = build_runner(cfg)
    runner.train()
    assert runner.iter == 2
    (log,) = (tmp_path / 'work').glob('*/*.log')
    count = len(read_checkpoint(backbone_file(16))['state_dict'])
    assert f'transfer verified: {count}/{count} tensors' in log.read_text()
