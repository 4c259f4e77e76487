"""A stock config of mmdet is made right, or refused with its reason."""

import re
import runpy
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.integration,
    # Those of mmdet itself.
    pytest.mark.filterwarnings('ignore:DeprecationWarning'),
]

# What the tool says of all, here for one of each kind: the beginning of the
# sentence, nothing if it is made.
OUTCOMES = {
    'centernet/centernet_r18_8xb16-crop512-140e_coco.py': '',
    'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py': '',
    'dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py': '',
    'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py': '',
    'detr/detr_r50_8xb2-150e_coco.py': '',
    'empirical_attention/faster-rcnn_r50-attn0010_fpn_1x_coco.py': '',
    'gcnet/mask-rcnn_r50-gcb-r16-c3-c5_fpn_1x_coco.py': '',
    'htc/htc_r50_fpn_1x_coco.py': '',
    'mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py': '',
    'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py': '',
    'reppoints/reppoints-moment_r50_fpn_1x_coco.py': '',
    'sabl/sabl-cascade-rcnn_r50_fpn_1x_coco.py': '',
    'solov2/solov2-light_r18_fpn_ms-3x_coco.py': '',
    'tridentnet/tridentnet_r50-caffe_1x_coco.py': '',
    'yolof/yolof_r50-c5_8xb8-1x_coco.py': '',
    'bytetrack/bytetrack_yolox_x_8xb4-80e_crowdhuman-mot17halftrain_'
    'test-mot17halfval.py': 'the detector is inside of a ByteTrack',
    'centernet/centernet_tta.py': 'the config has no model',
    'clrnet/clrnet.py': 'model.data_preprocessor is of type LineDet',
    'detectors/cascade-rcnn_r50-sac_1x_coco.py': 'model.backbone has conv_cfg',
    'ld/ld_r50-gflv1-r101_fpn_1x_coco.py': 'a KnowledgeDistillationSingleSt',
    'mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2019.py': (
        'the config does not say for what batch'
    ),
    'regnet/retinanet_regnetx-800MF_fpn_1x_coco.py': (
        'model.backbone is a RegNet'
    ),
    'rtmdet/rtmdet_x_p6_4xb8-300e_coco.py': 'model.backbone is a CSPNeXt',
    'ssd/ssd300_coco.py': 'model.backbone is a SSDVGG',
}


@pytest.fixture(scope='module')
def walk(root, tmp_path_factory):
    tool = runpy.run_path(str(root / 'tools' / 'dev' / 'stock_configs.py'))
    tool['register']()
    return tool['Walk']('mmdet', tmp_path_factory.mktemp('walk'))


def test_one_config_of_each_kind(walk):
    found = {name: walk.outcome(f'mmdet::{name}') for name in OUTCOMES}
    assert not {name: o.failed for name, o in found.items() if o.failed}
    wrong = {
        name: outcome.refused
        for name, outcome in found.items()
        if bool(outcome.refused) != bool(OUTCOMES[name])
        or not outcome.refused.startswith(OUTCOMES[name])
    }
    assert not wrong


def test_the_page_has_all_configs(walk, root):
    page = (root / 'docs' / 'stock_configs.md').read_text()
    named, folder = set(), ''
    for line in page.splitlines():
        if line.startswith('- **'):
            folder = line.strip('- *')
        elif line.startswith('    - '):
            names = re.findall(r'`([^`]+)`', line)
            named |= {f'{folder}/{name}.py' for name in names}
    assert named >= set(walk.configs())


@pytest.mark.evidence
def test_all_configs_come_out_as_the_page_says(root, tmp_path):
    page = tmp_path / 'page.md'
    tool = root / 'tools' / 'dev' / 'stock_configs.py'
    subprocess.run([sys.executable, str(tool), str(page)], check=True)
    expected = (root / 'docs' / 'stock_configs.md').read_text()
    assert page.read_text() == expected
