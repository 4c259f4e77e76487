"""Every config loads, and its name and its header say the truth."""

import re
from pathlib import Path

import pytest
from mmpretrain.registry import TRANSFORMS

from sce_mm.config.check import check_config
from tests.helpers.recipes import (
    FILES,
    FULL,
    PRETRAINING,
    RECIPES,
    VARIANTS,
    body,
    header,
    load,
    processes_and_batch,
    views,
)

# The last field of a name, and the data set that it stands for.
DATA = {
    'folder': 'UnlabelledImages',
    'filelist': 'UnlabelledImages',
    'coco': 'UnlabelledImages',
    'in1k': 'ImageNet1k',
    'in100': 'ImageNet100',
    'cifar10': 'CIFAR10BGR',
    'cifar100': 'CIFAR100BGR',
    'stl10': 'STL10',
    'tinyimagenet': 'UnlabelledImages',
}
# What no run config of the authors holds says so.
UNVERIFIED = ('asym', 'in100', 'cifar100', 'stl10', 'tinyimagenet')
OURS = ('folder', 'filelist', 'coco', 'vit-small', 'swin-tiny')


def test_nothing_is_left_out():
    assert len(FILES) >= len(PRETRAINING) > len(RECIPES) >= 20
    assert len({Path(f).name for f in FILES}) == len(FILES), 'names repeat'
    assert len(FULL) > len(VARIANTS) > 5


@pytest.mark.parametrize('name', FILES)
def test_loads_and_names_nothing_unknown(name):
    check_config(load(name), training=False)
    assert header(name), 'a config opens with what it is for'


@pytest.mark.parametrize('name', PRETRAINING)
def test_pretraining_has_its_hooks_and_views(name):
    cfg = load(name)
    assert cfg.default_scope == 'mmpretrain'
    assert cfg.model.type == 'SCE'
    hooks = [hook.type for hook in cfg.default_hooks.values()]
    assert hooks.count('MomentumUpdateHook') == 1
    assert hooks.count('TransferMetaHook') == 1
    loader = cfg.train_dataloader
    for transform in loader.dataset.pipeline:
        TRANSFORMS.build(transform)
    # A rest of another size, or the order of the disk, would be a mistake.
    assert loader.drop_last
    assert loader.sampler == dict(type='SeededSampler', shuffle=True)
    assert cfg.randomness.seed == 42


@pytest.mark.parametrize('name', RECIPES)
def test_name_is_a_contract(name):
    cfg, stem = load(name), Path(name).stem
    processes, size = processes_and_batch(name)
    assert cfg.train_dataloader.batch_size == size
    assert cfg.auto_scale_lr.base_batch_size == processes * size
    epochs = int(re.search(r'-(\d+)e_', stem)[1])
    assert cfg.train_cfg.max_epochs == epochs
    # The schedule takes its length from the run.
    assert cfg.param_scheduler.type == 'WarmupCosineLR'
    assert cfg.param_scheduler.convert_to_iter_based
    assert 'end' not in cfg.param_scheduler
    amp = cfg.optim_wrapper.get('type') == 'AmpOptimWrapper'
    assert amp == ('-amp-' in stem)
    assert cfg.train_dataloader.dataset.type == DATA[stem.rsplit('_', 1)[1]]
    # One step fits into the queue several times.
    keys = processes * size * cfg.model.num_target_views
    assert cfg.model.queue.length >= 4 * keys


@pytest.mark.parametrize('name', RECIPES)
def test_name_says_backbone_views_and_method(name):
    cfg, stem = load(name), Path(name).stem
    backbone = cfg.model.backbone
    module = stem.split('_')[1]
    if module.startswith('resnet'):
        assert backbone.depth == int(module.removeprefix('resnet'))
        small = re.search('cifar|stl10|tinyimagenet', stem) is not None
        assert backbone.type == ('ResNet_CIFAR' if small else 'ResNet')
    else:
        kind, arch = {
            'vit-small-p16': ('MoCoV3ViT', 'deit-small'),
            'swin-tiny': ('SwinTransformer', 'tiny'),
        }[module]
        assert (backbone.type, backbone.arch) == (kind, arch)
    assert len(views(cfg)) == (6 if '-mcrop-' in stem else 2)
    # Small networks are trained with the asymmetric loss only.
    asymmetric = '-asym-' in stem or module == 'resnet18'
    assert cfg.model.num_target_views == (1 if asymmetric else 2)
    weak = views(cfg)[0]['augmentation'] == 'weak'
    assert weak == asymmetric
    loss = cfg.model.head.loss
    method = {
        (1.0, None, None): 'moco',
        (0.0, 1.0, 0.0): 'ressl',
    }.get(
        (loss.coeff, loss.get('relation_weight'), loss.get('ceiling_weight')),
        'sce',
    )
    assert stem.startswith(f'{method}_')
    assert ('-coeff0-' in stem) == (method == 'sce' and loss.coeff == 0)
    assert ('-noceil-' in stem) == (
        method == 'sce' and loss.get('ceiling_weight') == 0
    )


@pytest.mark.parametrize('name', FULL)
def test_header_of_a_full_recipe(name):
    text, stem = header(name), Path(name).stem
    processes, size = processes_and_batch(name)
    command = re.search(
        r'^    (\S+ tools/train.py|tools/dist_train.sh|GPUS=\d+ \S+ \S+ \S+) '
        r'\\\n        configs/(\S+)((?: \d+)?)',
        text,
        flags=re.MULTILINE,
    )
    assert command, 'no command'
    assert command[2] == name, 'the command runs another config'
    launched = re.search(r'\d+', command[1] + command[3]) or ['1']
    assert int(launched[0]) == processes
    facts = dict(re.findall(r'^(\w+): (.*)$', text, flags=re.MULTILINE))
    assert facts['Memory']
    assert facts['Status'].startswith('not run here')
    assert f'batch {processes * size}' in facts['Hardware']
    ours = any(word in stem for word in OURS)
    assert ('ours' in text.lower()) == ours
    assert facts['Reproduces'].startswith('nothing') == ours
    published = stem.startswith('ressl_')
    if any(word in stem for word in UNVERIFIED) and not published:
        assert re.search('^(Unverified|Inferred)[:,]|Unverified, ', text, re.M)


@pytest.mark.parametrize('name', VARIANTS)
def test_variant_says_only_what_differs(name):
    code = body(name)
    assert code[0].startswith("_base_ = './")
    assert len(code) <= 11, 'more than ten lines: make it a recipe'
