"""A config is read, by its path or its name; what is wrong is explained."""

import gc
import os
import warnings

import pytest
from mmengine.config import Config

from sce_mm.config import read_config
from sce_mm.config.overrides import override
from sce_mm.utils.errors import UserError

RECIPE = 'sce_resnet18_1xb64-coslr-200e_folder'


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('a.py', 'model = dict(\n', 'cannot be read: SyntaxError'),
        ('a.py', "_base_ = 'none.py'\n", r'cannot be read: .*none\.py'),
        ('a.py', f"_base_ = 'sce_mm::{RECIPE}'", f"'sce_mm::sce/{RECIPE}.py'"),
        (
            'a.py',
            "_base_ = 'mmdet::cascade-rcnn_r50_fpn.py'",
            '::_base_/models',
        ),
        ('a.json', '{"model": ', 'cannot be read: JSONDecodeError'),
        ('a.txt', 'model', 'ends in none of .py .yml'),
        (
            'a.py',
            "custom_imports = dict(imports=['needs_more'])",
            "custom_imports: .*No module named 'not_there'",
        ),
        ('a.py', 'custom_imports = dict(import_=[])', 'must be dict'),
    ],
)
def test_a_broken_file(tmp_path, monkeypatch, name, text, message):
    (tmp_path / 'needs_more.py').write_text('import not_there\n')
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_config(path)
    assert error.match(message)
    # mmengine leaves its copy of such a file open.
    del error
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ResourceWarning)
        gc.collect()


def test_modules_are_imported(tmp_path, monkeypatch):
    (tmp_path / 'mine.py').write_text('import os; os.environ["MINE"] = "1"\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv('MINE', raising=False)
    path = tmp_path / 'config.py'
    path.write_text("custom_imports = dict(imports=['mine'])\nx = 3\n")
    assert read_config(path).x == 3
    assert os.environ['MINE'] == '1'


def test_a_recipe_is_read_by_its_name_and_inherited_from_any_folder(
    root, tmp_path, monkeypatch
):
    expected = read_config(root / 'configs' / 'sce' / f'{RECIPE}.py')
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / 'mine.py'
    mine.write_text(f"_base_ = 'sce_mm::sce/{RECIPE}.py'\n")
    for name in (RECIPE, f'{RECIPE}.py', f'sce_mm::sce/{RECIPE}.py', mine):
        assert read_config(name).to_dict() == expected.to_dict()
    # A file that is there comes before a recipe of the package.
    (tmp_path / f'{RECIPE}.py').write_text('found = 1\n')
    assert read_config(f'{RECIPE}.py').found == 1


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        (
            f'{RECIPE}er',
            f"did you mean '{RECIPE}'.*sce recipes",
        ),
        (f'configs/{RECIPE}.py', f'without a folder, {RECIPE} names it'),
        ('sce_mm::sce/none.py', 'no config at sce_mm::sce/none.py'),
    ],
)
def test_a_name_that_is_none(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=message):
        read_config(name)


@pytest.mark.parametrize(
    ('word', 'message'),
    [
        ('model.queue.length.x=1', 'queue.length is 4096, which has nothing'),
        ('train_dataloader.dataset.pipeline.9.x=1', "a list of 3, .*got '9'"),
        ('train_dataloader.dataset.pipeline.x=1', "a list of 3, .*got 'x'"),
        ('train_dataloader.dataset.pipeline.1=3', 'expected a key below'),
        ('model.queue.length', 'takes key=value, got model.queue.length'),
        ('modle.queue.length=1', "did you mean 'model'"),
        ('train_dataloader.sampler.shuffle=no', "True or False, got 'no'"),
        ('env_cfg.cudnn_benchmark=yes', "True or False, got 'yes'"),
        ('model.queue.length=(1,2', 'Imbalanced brackets'),
    ],
)
def test_a_key_that_has_no_place_is_named(word, message):
    with pytest.raises(UserError, match=f'^--cfg-options.*{message}'):
        override(read_config(RECIPE), [word])


def test_paths_are_taken_as_they_are():
    cfg, key = read_config(RECIPE), 'train_dataloader.dataset'
    paths = {'data_root': '/tmp/a,b', 'ann_file': '/tmp/my out/u.json'}
    override(cfg, [f'{key}.{name}={path}' for name, path in paths.items()])
    dataset = cfg.train_dataloader.dataset
    assert {name: dataset[name] for name in paths} == paths


def test_a_list_in_place_of_a_tuple_is_one():
    # The Resize of mmdet takes no list.
    resize = {'scale': (1333, 800), 'scales': [(1333, 640)], 'ratios': [1]}
    cfg = Config({'train_pipeline': [resize]})
    keys = 'scale=[256,192]', 'scales=[[256,192],[128,96]]', 'ratios=[1,2]'
    override(cfg, [f'train_pipeline.0.{key}' for key in keys])
    assert cfg.train_pipeline[0] == {
        'scale': (256, 192),
        'scales': [(256, 192), (128, 96)],
        'ratios': [1, 2],
    }


def test_without_processes_that_load_none_persist():
    cfg = read_config(RECIPE)
    override(cfg, ['train_dataloader.num_workers=3'])
    assert cfg.train_dataloader.persistent_workers
    override(cfg, ['train_dataloader.num_workers=0'])
    assert not cfg.train_dataloader.persistent_workers


def test_one_value_may_stand_for_several():
    cfg = read_config(RECIPE)
    cfg.default_hooks.momentum_update.momentum = {'kind': 'cosine'}
    override(cfg, ['default_hooks.momentum_update.momentum=0.01'])
    assert cfg.default_hooks.momentum_update.momentum == 0.01
    with pytest.raises(UserError, match=r'model\.queue: expected a key below'):
        override(cfg, ['model.queue=8'])


def test_a_value_may_be_of_another_kind_where_that_is_meant():
    cfg = read_config(RECIPE)
    momentum = 'default_hooks.momentum_update.momentum'
    views = 'train_dataloader.dataset.pipeline.1.views'
    for word in (
        f'{momentum}=[0.1,0.2]',
        f'{views}.0.size=[32,48]',
        'model.backbone.out_indices=2,3',
        'train_dataloader.dataset.data_root=a,b',
        'optim_wrapper.clip_grad=None',
        'compile=True',
        'default_hooks.online_knn=None',
    ):
        override(cfg, [word])
    assert cfg.default_hooks.momentum_update.momentum == [0.1, 0.2]
    assert cfg.model.backbone.out_indices == [2, 3]


CLASSES = {
    'scope': "model = dict(type='mmpretrain.SCE')\n",
    'module': "model = dict(type='sce_mm.models.algorithms.sce.SCE')\n",
    'class': (
        'from sce_mm.models import SCE\n\n'
        'with read_base():\n    from .empty import x\n\n'
        'model = dict(type=SCE)\n'
    ),
}


@pytest.mark.parametrize('way', CLASSES)
def test_a_class_has_its_name_however_a_config_gives_it(tmp_path, way):
    text = CLASSES[way]
    if way == 'class':
        (tmp_path / 'empty.py').write_text('x = 1\n')
        text = f'from mmengine.config import read_base\n{text}'
    path = tmp_path / 'config.py'
    path.write_text(f"{text}default_scope = 'mmpretrain'\n")
    cfg = read_config(path)
    assert cfg.model.type == 'SCE'
    override(cfg, ['model.type=mmpretrain.SCE'])
    assert cfg.model.type == 'SCE'
    # Where other classes are looked up, the scope is needed.
    path.write_text("model = dict(type='mmpretrain.SCE')\n")
    assert read_config(path).model.type == 'mmpretrain.SCE'


def test_the_two_styles_of_configs_do_not_mix(tmp_path):
    text, pure = tmp_path / 'text.py', tmp_path / 'pure.py'
    start = 'from mmengine.config import read_base\nwith read_base():\n'
    (tmp_path / 'other.py').write_text('x = 1\n')
    text.write_text("_base_ = 'other.py'\n")
    for name in ('.text', 'sce_mm.sce.sce_resnet18'):
        pure.write_text(f'{start}    from {name} import *\n')
        with pytest.raises(UserError, match=r'sce_mm::sce/NAME\.py'):
            read_config(pure)
    pure.write_text(f'{start}    pass\ny = 2\n')
    text.write_text("_base_ = 'pure.py'\n")
    with pytest.raises(UserError, match='which text cannot inherit'):
        read_config(text)
