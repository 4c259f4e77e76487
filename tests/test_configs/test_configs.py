"""Every config loads, and its name, its head and the documents are true."""

import re
from pathlib import Path

import pytest
import yaml
from mmpretrain.registry import MODELS, TRANSFORMS

from sce_mm.config.check import check_config
from sce_mm.config.overrides import override
from tests.helpers.recipes import (
    CONFIGS,
    FILES,
    PRETRAINING,
    RECIPES,
    header,
    load,
    processes_and_batch,
    table_row,
    views,
)

# The last field of a name, and the data set and split that it stands for.
DATA = {
    'folder': ('UnlabelledImages', None),
    'filelist': ('UnlabelledImages', None),
    'coco': ('UnlabelledImages', None),
    'in1k': ('ImageNet1k', 'train'),
    'in100': ('ImageNet100', 'train'),
    'cifar10': ('CIFAR10BGR', 'train'),
    'cifar100': ('CIFAR100BGR', 'train'),
    'stl10': ('STL10', 'unlabeled'),
    'tinyimagenet': ('UnlabelledImages', None),
}
METHODS = {(1.0, None, None): 'moco', (0.0, 1.0, 0.0): 'ressl'}


def test_nothing_is_left_out():
    assert len(FILES) > len(PRETRAINING) > len(RECIPES) >= 24
    assert len({Path(f).name for f in FILES}) == len(FILES), 'names repeat'


@pytest.mark.parametrize('name', FILES)
def test_loads_and_names_nothing_unknown(name):
    check_config(load(name), training=False)
    assert header(name), 'a config opens with what it is for'


@pytest.mark.parametrize('name', PRETRAINING)
def test_pretraining_has_its_hooks_and_views(name):
    cfg = load(name)
    assert cfg.default_scope == 'mmpretrain'
    hooks = [hook.type for hook in cfg.default_hooks.values()]
    for hook in ('MomentumUpdateHook', 'TransferMetaHook'):
        assert hooks.count(hook) == 1
    loader = cfg.train_dataloader
    for transform in loader.dataset.pipeline:
        TRANSFORMS.build(transform)
    MODELS.build(cfg.model.head)
    # A rest of another size, or the order of the disk, would be a mistake.
    assert loader.drop_last
    assert loader.sampler == dict(type='SeededSampler', shuffle=True)
    assert cfg.randomness.seed == 42


@pytest.mark.parametrize('name', RECIPES)
def test_name_is_a_contract(name):
    cfg, stem = load(name), Path(name).stem
    method, module, *_, data = stem.split('_')
    processes, size = processes_and_batch(name)
    loader, model, loss = cfg.train_dataloader, cfg.model, cfg.model.head.loss
    assert loader.batch_size == size
    assert cfg.auto_scale_lr.base_batch_size == processes * size
    assert (loader.dataset.type, loader.dataset.get('split')) == DATA[data]
    assert f'-{cfg.train_cfg.max_epochs}e_' in stem
    # The schedule takes its length from the run.
    assert cfg.param_scheduler.type == 'WarmupCosineLR'
    assert cfg.param_scheduler.convert_to_iter_based
    assert 'end' not in cfg.param_scheduler
    amp = cfg.optim_wrapper.get('type') == 'AmpOptimWrapper'
    assert amp == ('-amp-' in stem)
    network, backbone = module.split('-')[0], model.backbone
    if network.startswith('resnet'):
        assert network == f'resnet{backbone.depth}'
        small = re.search('cifar|stl10|tinyimagenet', data) is not None
        assert backbone.type == ('ResNet_CIFAR' if small else 'ResNet')
    else:
        kinds = {
            'vit': 'MoCoV3ViT',
            'swin': 'SwinTransformer',
            'convnext': 'ConvNeXt',
        }
        assert backbone.type == kinds[network]
    assert len(views(cfg)) == (6 if '-mcrop-' in stem else 2)
    # Small networks are trained with the asymmetric loss only.
    asymmetric = '-asym-' in stem or module == 'resnet18'
    assert model.num_target_views == (1 if asymmetric else 2)
    assert (views(cfg)[0]['augmentation'] == 'weak') == asymmetric
    # One step fits into the queue several times.
    keys = processes * size * model.num_target_views
    assert model.queue.length >= 4 * keys
    assert ('pyramid' in model) == ('-pyramid-' in stem)
    dense = re.search('-dense-|-pyramid-', stem) is not None
    assert ('dense_head' in model) == dense
    if 'dense_head' in model:
        places = MODELS.build(model.dense_head).keys_per_image
        assert model.dense_queue.length >= 4 * keys * places
    ceiling = loss.get('ceiling_weight')
    kind = (loss.coeff, loss.get('relation_weight'), ceiling)
    assert method == METHODS.get(kind, 'sce')
    ours = method == 'sce'
    assert ('-coeff0-' in stem) == (ours and loss.coeff == 0)
    assert ('-noceil-' in stem) == (ours and ceiling == 0)


# Of the command at the top of a recipe: what starts it, and the recipe.
COMMAND = re.compile(
    r'^    (?:sce train (?P<name>\S+)'
    r'|(?P<processes>tools/dist_train.sh|GPUS=\d+ \S+ \S+ \S+) \\\n'
    r'        configs/(?P<path>\S+)(?P<count>(?: \d+)?))',
    flags=re.MULTILINE,
)


@pytest.mark.parametrize(
    'name',
    [name for name in RECIPES if re.search('^    ', header(name), re.M)],
)
def test_command_in_the_head_runs_the_recipe_on_its_processes(name):
    command = COMMAND.search(header(name))
    assert command, 'no command'
    named = command['name'] or command['path']
    assert named in (Path(name).stem, name), 'the command runs another config'
    if command['name']:
        launched = ['1']
    else:
        launched = re.search(r'\d+', command['processes'] + command['count'])
    assert int(launched[0]) == processes_and_batch(name)[0]


@pytest.mark.parametrize('name', RECIPES)
def test_the_table_and_the_head_agree_on_where_a_recipe_comes_from(name):
    text, row = header(name), table_row(Path(name).stem)
    ours = row['data, views, weights'].startswith('ours')
    figure = row['linear top-1, %']
    assert (figure == 'none') == ours
    assert re.match(r'\d\d\.\d+( \(|$)|none$|not known$', figure)
    assert re.fullmatch(r'\d+(\.\d)? GB', row['memory per GPU'])
    if 'No run config' in text:
        assert 'inferred' in row['hardware of the authors']
        assert re.search('Unverified|Inferred', text)


def test_metafile_and_configs_name_each_other():
    index = yaml.safe_load((CONFIGS.parent / 'model-index.yml').read_text())
    models = {}
    for path in index['Import']:
        file = yaml.safe_load((CONFIGS.parent / path).read_text())
        models |= {m['Name']: m for m in file['Models']}
    benchmarks = {
        path.relative_to(CONFIGS).as_posix()
        for path in (CONFIGS / 'sce' / 'benchmarks').rglob('*.py')
    }
    configs = {Path(path).stem: path for path in {*RECIPES, *benchmarks}}
    assert set(models) == set(configs)
    for name, path in configs.items():
        model = models[name]
        assert model['Config'] == f'configs/{path}'
        assert model['Results'] is None, 'nobody has measured it here'
        # Those of detectors inherit from mmdet, which may be missing.
        if path in FILES:
            cfg = load(path)
            assert model['Metadata']['Epochs'] == cfg.train_cfg.max_epochs
            batch = cfg.auto_scale_lr.base_batch_size
            assert model['Metadata']['Batch Size'] == batch
    # What is trained from a pretraining stands with it.
    downstream = [models[Path(f).stem].get('Downstream', []) for f in RECIPES]
    named = {name for names in downstream for name in names}
    assert named == {Path(path).stem for path in benchmarks}


def test_documented_ablations_change_what_they_name():
    text = (CONFIGS / 'sce/README.md').read_text()
    lines = re.findall(r'^--cfg-options (.+)$', text, flags=re.MULTILINE)
    assert len(lines) > 5
    base = 'sce/sce_resnet50_8xb64-amp-asym-coslr-200e_in100.py'
    plain = load(base).to_dict()
    for line in lines:
        cfg = load(base)
        override(cfg, line.split())
        check_config(cfg, training=False)
        TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[1])
        MODELS.build(cfg.model.head)
        assert cfg.to_dict() != plain, line
