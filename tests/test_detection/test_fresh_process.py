"""A detector that we saved is loaded by people who do not know us."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mmengine.config import Config

from sce_mm.cli.hand_over import RecordHook
from sce_mm.cli.runner import build_runner

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings('ignore:indexing with dtype torch.uint8'),
]

# mmdet alone: this package comes in through the config.
USE = """
    import sys, warnings
    warnings.simplefilter('ignore')
    from mmdet.apis import inference_detector, init_detector
    assert not [name for name in sys.modules if name.startswith('sce_mm')]
    config, checkpoint, image = sys.argv[1:]
    detector = init_detector(config, checkpoint, device='cpu')
    assert type(detector.roi_head.shared_head).__name__ == 'ResLayerExtraNorm'
    assert type(detector.roi_head.shared_head).__module__.startswith('sce_mm')
    found = inference_detector(detector, image).pred_instances
    print('masks', tuple(found.masks.shape[1:]))
    print('norm', detector.roi_head.shared_head.norm.running_mean.sum().item())
    print('classes', *detector.dataset_meta['classes'])
"""


def test_c4_detector_is_used_without_its_backbone_file(
    root, backbone_file, tiny_data, scenes, tmp_path
):
    published = 'mask-rcnn_r50-sce-pre_c4_ms-1x_coco.py'
    base = root / 'configs/sce/benchmarks/mmdet' / published
    weights = tmp_path / 'backbone.pth'
    weights.write_bytes(backbone_file(64).read_bytes())
    path = tmp_path / 'detector.py'
    loads = f'init_cfg=dict(checkpoint={str(weights)!r})'
    path.write_text(
        f'_base_ = {str(base)!r}\n'
        + f"""
model = dict(
    backbone=dict(depth=18, {loads}),
    rpn_head=dict(in_channels=256, feat_channels=32),
    train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=20),
                   rcnn=dict(sampler=dict(num=16))),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=10)),
    roi_head=dict(
        shared_head=dict(depth=18, {loads}),
        bbox_roi_extractor=dict(out_channels=256),
        bbox_head=dict(in_channels=512, num_classes=2),
        mask_head=dict(in_channels=512, conv_out_channels=32, num_classes=2)))
"""
        + tiny_data.replace('checkpoint=None', 'checkpoint=dict(interval=1)')
    )
    cfg = Config.fromfile(path)
    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    cfg.experiment_name = cfg.visualizer.name = tmp_path.name
    runner = build_runner(cfg)
    runner.register_hook(RecordHook(['detector.py']))
    runner.train()
    # What a run leaves behind: the config as a dump, and a checkpoint.
    dump = tmp_path / 'work' / 'detector.py'
    weights.unlink()
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            textwrap.dedent(USE),
            str(dump),
            str(tmp_path / 'work' / 'epoch_1.pth'),
            str(next(Path(scenes).glob('*.png'))),
        ],
        capture_output=True,
        text=True,
        cwd=elsewhere,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    norm = runner.model.roi_head.shared_head.norm.running_mean.sum().item()
    assert 'masks (64, 64)' in done.stdout
    assert f'norm {norm}' in done.stdout
    assert 'classes cup jar' in done.stdout
