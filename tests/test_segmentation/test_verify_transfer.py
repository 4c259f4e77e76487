"""Hook and command refuse the configs that mmseg's users write by hand."""

import pytest
from mmengine.config import Config
from transfer_files import run_tool

from sce_mm.cli.runner import build_runner
from sce_mm.config import ConfigError
from sce_mm.utils.errors import UserError

pytestmark = pytest.mark.integration

BASE = """
_base_ = 'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py'
custom_imports = dict(imports=['sce_mm.segmentation'])
{data}model.update(
    backbone=dict(depth=18, base_channels=16, stem_channels=16),
    decode_head=dict(in_channels=128, channels=8, num_classes=3),
    auxiliary_head=dict(in_channels=64, channels=8, num_classes=3))
default_hooks.update(verify_transfer=dict(type='VerifyTransferHook'))
"""
# The two ways in which mmseg's documents load a backbone.
NAIVE = {
    'pretrained': 'model.update(pretrained={file!r})\n',
    'init_cfg': "model.update(pretrained=None)\nmodel['backbone'].update("
    "init_cfg=dict(type='Pretrained', checkpoint={file!r}))\n",
}


@pytest.fixture
def write(tmp_path, tiny_data, backbone_file):
    """``write(text)`` -> path of a config, with the file in the text."""

    def call(text):
        path = tmp_path / 'segmentor.py'
        text = text.format(file=str(backbone_file()))
        path.write_text(BASE.format(data=tiny_data) + text)
        return path

    return call


@pytest.mark.parametrize('way', NAIVE)
def test_a_stock_stem_is_refused_and_its_tensors_are_named(
    way, write, root, tmp_path, backbone_file, capsys, monkeypatch
):
    config = write(NAIVE[way])
    code, text = run_tool(
        root / 'tools' / 'verify_transfer.py',
        capsys, monkeypatch, config, backbone_file(),
    )  # fmt: skip
    assert code == 1
    assert 'NOT VERIFIED' in text
    # Missing in the file, left over in it, and what to take.
    for name in ('stem.0.weight', 'conv1.weight', 'bn1.', "type='ResNet'"):
        assert name in text
    cfg = Config.fromfile(config)
    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    cfg.experiment_name = cfg.visualizer.name = tmp_path.name
    runner = build_runner(cfg)
    with pytest.raises(UserError, match=r'transfer refused:(.|\n)*stem\.'):
        runner.train()
    assert runner.iter == 0


def test_the_made_config_is_verified_by_the_command(
    write, root, tmp_path, backbone_file, capsys, monkeypatch
):
    config = write('auto_scale_lr = dict(base_batch_size=16)\n')
    made = tmp_path / 'made.py'
    tool = root / 'tools' / 'make_segmentation_config.py'
    code, text = run_tool(
        tool, capsys, monkeypatch, config, backbone_file(), made
    )
    assert code == 0, text
    assert "- model.backbone.type = 'ResNetV1c'" in text
    assert f'python {root / "tools" / "train.py"}' in text
    code, text = run_tool(
        root / 'tools' / 'verify_transfer.py',
        capsys, monkeypatch, made, backbone_file(),
    )  # fmt: skip
    assert code == 0, text
    assert 'VERIFIED: 120/120 tensors' in text


def test_a_head_of_other_classes_stops_before_the_training(write, tmp_path):
    cfg = Config.fromfile(write("model['decode_head'].update(num_classes=5)"))
    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    with pytest.raises(
        ConfigError, match=r'decode_head\.num_classes: 5, but train_dataloader'
    ):
        build_runner(cfg)
