"""Files of other networks reach detectors, whole and by every way."""

import pytest
import torch
from mmdet.models.backbones import SwinTransformer as DetSwin
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS
from mmpretrain.models import SwinTransformer
from networks import (
    CONVNEXT,
    NEW,
    SWIN,
    VIT,
    network_file,
    parameters_that_move,
    trained_network,
)
from transfer_files import pretraining, run_tool

from sce_mm.cli.runner import build_runner
from sce_mm.detection.adapt import adapt
from sce_mm.downstream import AdaptError, make_config, start_at_random
from sce_mm.transfer.export.export import export, snippet
from sce_mm.transfer.verify.verify import parameter_groups

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures('mmdet_modules'),
    pytest.mark.filterwarnings('ignore:torch.meshgrid'),
]

REST = """
    rpn_head=dict(in_channels=32, feat_channels=32),
    train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=50)),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        mask_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, fc_out_channels=32, num_classes=2),
        mask_head=dict(in_channels=32, conv_out_channels=32, num_classes=2)))
optim_wrapper = dict(type='OptimWrapper')
"""
# Config of a detector, how it is made small, new tensors.
NETWORKS = {
    'swin': (
        "'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'",
        f"""
model = dict(
    backbone=dict({', '.join(f'{k}={v}' for k, v in SWIN.items())}),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=32),""",
        6,
    ),
    'convnext': (
        "'mmdet::convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco"
        ".py'",
        f"""
model = dict(
    backbone=dict(arch=dict(_delete_=True, **{CONVNEXT})),
    neck=dict(in_channels=[8, 16, 24, 32], out_channels=32),""",
        6,
    ),
    'vit': (
        "'{root}/configs/_base_/detection/mask-rcnn_vit-small-p16_1x_coco.py'",
        # Its own number of heads, not that of the file.
        f"""
model = dict(
    backbone=dict(arch=dict({VIT}, num_heads=2, _delete_=True), patch_size=8),
    neck=dict(in_channels=16, out_channels=32),""",
        0,
    ),
}
# Whose file no command knows by its tensors; with what has to be undone.
UNKNOWN = {
    'mobilenet': (
        "'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'",
        """
model = dict(
    backbone=dict(
        _delete_=True, type='mmpretrain.MobileNetV2', widen_factor=0.25,
        out_indices=(1, 2, 4, 6), frozen_stages=2, norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=False)),
    neck=dict(in_channels=[8, 8, 24, 80], out_channels=32),""",
        0,
    ),
}


@pytest.fixture
def source(root, tmp_path, tiny_data):
    """``source(name)``: path of a small config of the user."""

    def call(name, extra=''):
        base, small, _ = (NETWORKS | UNKNOWN)[name]
        path = tmp_path / f'{name}.py'
        text = f'_base_ = {base}\n'.replace('{root}', str(root))
        path.write_text(f'{text}{small}{REST}{tiny_data}{extra}')
        return path

    return call


@pytest.mark.parametrize('name', NETWORKS | UNKNOWN)
def test_a_pretraining_reaches_a_detector_by_the_commands(
    name, root, source, tmp_path, capsys, monkeypatch
):
    model = trained_network(name)
    checkpoint, out = tmp_path / 'epoch_3.pth', tmp_path / 'made.py'
    heads = 4 if name == 'vit' else None
    metadata = dict(arch=type(model).__name__, style=None, num_heads=heads)
    torch.save(pretraining(model.state_dict(), **metadata), checkpoint)

    def run(tool, *words):
        path = root / 'tools' / f'{tool}.py'
        return run_tool(path, capsys, monkeypatch, *words)

    code, text = run('make_detection_config', source(name), checkpoint, out)
    assert code == 0, text
    assert 'style' not in text
    code, text = run('verify_transfer', out, checkpoint)
    assert code == 0, text
    count = len(model.state_dict())
    new = (NETWORKS | UNKNOWN)[name][2]
    assert f'VERIFIED: {count}/{count} tensors' in text
    assert f'expected missing {new:>4}' in text
    assert (NEW in text) == (new > 0)
    # Without the hook that names them they are missing, until one says so.
    plain = tmp_path / 'plain.py'
    plain.write_text(
        f"_base_ = '{out}'\ndefault_hooks = dict(verify_transfer=None)\n"
    )
    code, text = run('verify_transfer', plain, checkpoint)
    assert (code == 0) == (new == 0)
    if new:
        words = NEW.replace(',', '')
        assert f'--expected-missing {words}' in text
        code, text = run(
            'verify_transfer',
            plain,
            checkpoint,
            '--expected-missing',
            *words.split(),
        )
        assert code == 0, text

    cfg = Config.fromfile(out)
    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    cfg.experiment_name = cfg.visualizer.name = tmp_path.name
    if 'drop_path_rate' in cfg.model.backbone:
        # A block that is left out by chance in both steps does not move.
        cfg.model.backbone.drop_path_rate = 0.0
    runner = build_runner(cfg)
    runner.train()
    assert runner.iter == 2
    before, after = model.state_dict(), runner.model.backbone.state_dict()
    for tensor in parameters_that_move(model, before):
        assert not torch.equal(after[tensor], before[tensor]), tensor


def test_a_transformer_of_another_width_is_refused(source, tmp_path, capsys):
    # Its neck, which takes maps of that width, would not fit any more.
    wide = "\nmodel['backbone']['arch']['embed_dims'] = 32\n"
    file, out = network_file('vit', tmp_path).path, tmp_path / 'made.py'
    with pytest.raises(
        AdaptError, match=r'do not fit model.backbone .*: take'
    ):
        make_config(str(source('vit', wide)), file, out, adapt)
    assert not out.exists()


def test_optimisers_are_built_in_silence(source, capfd):
    cfg = Config.fromfile(source('vit'))
    cfg.optim_wrapper.paramwise_cfg = dict(norm_decay_mult=0.0)
    model = MODELS.build(cfg.model.backbone)
    MMLogger.get_current_instance()
    assert len(parameter_groups(model, cfg.optim_wrapper)) > 3
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('name', NETWORKS)
def test_the_snippet_of_an_export_gives_all_maps_and_is_verified(
    name, root, source, tmp_path, capsys, monkeypatch
):
    backbone = network_file(name, tmp_path).backbone
    path, config = tmp_path / 'exported.pth', tmp_path / 'by_hand.py'
    assert export('mmdet', path, backbone) <= 1e-5
    # Not a line for each tensor that is loaded, and none for new norms.
    assert capsys.readouterr() == ('', '')
    text = snippet('mmdet', path, backbone)
    config.write_text(f"_base_ = '{source(name)}'\n{text}\n")
    tool = root / 'tools' / 'verify_transfer.py'
    code, text = run_tool(tool, capsys, monkeypatch, config, path)
    assert code == 0, text
    cfg = Config.fromfile(config)
    model = MODELS.build(cfg.model.backbone)
    model.eval()
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, 64, 96))
    assert len(maps) == (1 if name == 'vit' else 4)


def test_the_swin_of_mmdet_becomes_one_that_computes_the_same(
    source, tmp_path
):
    file = network_file('swin', tmp_path)
    cfg = Config.fromfile(source('swin'))
    edits, _ = adapt(cfg, file)
    made = edits.cfg.model.backbone
    assert made.type == 'mmpretrain.SwinTransformer'
    assert made.drop_path_rate == cfg.model.backbone.drop_path_rate
    ours = SwinTransformer(**{k: v for k, v in made.items() if k != 'type'})
    ours.init_weights()
    old = cfg.model.backbone
    old.pop('type')
    old.update(init_cfg=None, convert_weights=False)
    theirs = DetSwin(**old)
    theirs.load_state_dict(ours.state_dict())
    # Neither a multiple of the windows nor as large as one at the end.
    images = torch.randn(1, 3, 75, 110)
    ours.eval()
    theirs.eval()  # which returns None in some backbones of OpenMMLab
    with torch.no_grad():
        pairs = zip(ours(images), theirs(images), strict=True)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


@pytest.mark.parametrize('convert', [True, False])
def test_the_swin_of_mmdet_is_refused_by_name(
    convert, root, source, tmp_path, capsys, monkeypatch
):
    file = network_file('swin', tmp_path)
    config = source(
        'swin',
        f"""
custom_imports = dict(imports=['sce_mm.detection'])
model['backbone'].update(
    init_cfg=dict(type='Pretrained', checkpoint='{file.path}'),
    convert_weights={convert})
""",
    )
    tool = root / 'tools' / 'verify_transfer.py'
    code, text = run_tool(tool, capsys, monkeypatch, config, file.path)
    assert code == 1
    assert 'is the SwinTransformer of mmdet, which renames' in text
    assert "type='mmpretrain.SwinTransformer'" in text


@pytest.mark.parametrize(
    ('name', 'other', 'message'),
    [
        ('swin', 'convnext', 'is a SwinTransformer, and the weights are of a'),
        ('convnext', 'swin', 'is a ConvNeXt, and the weights are of a Swin'),
        ('vit', 'swin', 'config of the same model with mmpretrain.SwinTr'),
    ],
)
def test_another_network_is_refused(name, other, message, source, tmp_path):
    with pytest.raises(AdaptError, match=message):
        adapt(Config.fromfile(source(name)), network_file(other, tmp_path))


def test_options_that_the_other_swin_lacks_are_refused(source, tmp_path):
    cfg = Config.fromfile(source('swin'))
    cfg.model.backbone.attn_drop_rate = 0.1
    with pytest.raises(AdaptError, match=r'backbone\.attn_drop_rate is 0\.1'):
        adapt(cfg, network_file('swin', tmp_path))


def test_nothing_is_frozen_and_rates_by_layers_stay(source, tmp_path):
    cfg = Config.fromfile(source('convnext'))
    cfg.model.backbone.frozen_stages = 2
    edits, _ = adapt(cfg, network_file('convnext', tmp_path))
    assert edits.cfg.model.backbone.frozen_stages == 0
    assert edits.cfg.optim_wrapper.paramwise_cfg.decay_type == 'layer_wise'
    # Without weights it starts as its class does, not as PyTorch would.
    start_at_random(edits)
    kinds = [init['type'] for init in edits.cfg.model.backbone.init_cfg]
    assert kinds == ['TruncNormal', 'Constant']
