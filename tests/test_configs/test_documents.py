"""Metafile and documents name every recipe, and what they say of it holds."""

import re
from pathlib import Path

import pytest
import yaml
from mmengine.config import DictAction
from mmpretrain.registry import MODELS, TRANSFORMS

from sce_mm.config.check import check_config
from tests.helpers.recipes import CONFIGS, RECIPES, header, load


def test_metafile_and_recipes_name_each_other():
    index = yaml.safe_load((CONFIGS.parent / 'model-index.yml').read_text())
    models = {}
    for path in index['Import']:
        file = yaml.safe_load((CONFIGS.parent / path).read_text())
        models |= {m['Name']: m for m in file['Models']}
    recipes = {Path(f).stem: f for f in RECIPES}
    assert set(models) >= set(recipes)
    for name, model in models.items():
        assert Path(model['Config']).stem == name
        assert (CONFIGS.parent / model['Config']).is_file()
    for name, path in recipes.items():
        model = models[name]
        assert model['Config'] == f'configs/{path}'
        cfg = load(path)
        assert model['Metadata']['Epochs'] == cfg.train_cfg.max_epochs
        batch = cfg.auto_scale_lr.base_batch_size
        assert model['Metadata']['Batch Size'] == batch
        assert model['Results'] is None, 'nobody has measured it here'


@pytest.mark.parametrize(
    ('document', 'row'),
    [
        ('configs/sce/README.md', '| [{stem}]({stem}.py) |'),
        ('docs/reproduce.md', ' configs/sce/{stem}.py '),
    ],
)
def test_every_recipe_has_its_row(document, row):
    text = (CONFIGS.parent / document).read_text().replace('`', ' ')
    stems = [Path(f).stem for f in RECIPES]
    assert not [s for s in stems if row.format(stem=s) not in text]


@pytest.mark.parametrize('name', RECIPES)
def test_header_and_table_expect_the_same_figure(name):
    text = (CONFIGS.parent / 'docs/reproduce.md').read_text()
    (row,) = [r for r in text.splitlines() if f'configs/{name}' in r]
    *_, expected, measured, _ = (cell.strip() for cell in row.split('|'))
    figures = re.findall(r'(\d\d\.\d+) % linear top-1', header(name))
    assert re.findall(r'^\d\d\.\d+', expected) == figures[:1]
    doubtful = 'not be verified' in header(name).replace('\n', ' ')
    assert ('unverified' in expected) == (doubtful and bool(figures))
    assert measured == 'not run here'


def test_documented_ablations_change_what_they_name():
    text = (CONFIGS / 'sce/README.md').read_text()
    lines = re.findall(r'^--cfg-options (.+)$', text, flags=re.MULTILINE)
    assert len(lines) > 5
    base = 'sce/sce_resnet50_8xb64-amp-asym-coslr-200e_in100.py'
    for line in lines:
        options = dict(option.split('=') for option in line.split())
        parse = DictAction._parse_iterable
        cfg, plain = load(base), load(base)
        cfg.merge_from_dict({k: parse(v) for k, v in options.items()})
        check_config(cfg, training=False)
        for transform in cfg.train_dataloader.dataset.pipeline:
            TRANSFORMS.build(transform)
        MODELS.build(cfg.model.head)
        assert cfg.to_dict() != plain.to_dict(), line
