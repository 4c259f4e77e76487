"""What is listed for somebody who looks for a command or a recipe."""

import re
from importlib.util import find_spec

import pytest

from sce_mm.__main__ import command_files, overview
from sce_mm.cli.commands import recipes
from sce_mm.utils.errors import UserError
from sce_mm.utils.recipes import find_config, find_source
from sce_mm.utils.recipes import recipes as known


def test_each_command_is_listed_once():
    listed = re.findall(r'^  (\S+)', overview(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(command_files())


def test_each_recipe_is_listed_once_and_those_for_own_images_first(capsys):
    recipes.main([])
    printed = capsys.readouterr().out
    listed = re.findall(r'^  (\w\S+)$', printed, flags=re.MULTILINE)
    assert sorted(listed) == sorted(known())
    own = [name for name in listed if name.endswith('_folder')]
    assert set(own) < set(listed[: len(own) + 1])


def test_words_leave_the_recipes_that_have_them_all(capsys):
    recipes.main(['ResNet18', 'DENSE'])
    listed = re.findall(r'^  (\w\S+)$', capsys.readouterr().out, re.MULTILINE)
    assert listed == ['sce_resnet18_1xb64-dense-coslr-200e_folder']
    with pytest.raises(UserError, match='resnet19 and dense'):
        recipes.main(['resnet19', 'dense'])


@pytest.mark.skipif(find_spec('mmdet') is None, reason='it has no configs')
@pytest.mark.parametrize(
    'typed',
    [
        'faster-rcnn_r50_fpn_1x_coco',
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        'configs/faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    ],
)
def test_a_stock_config_is_found_by_its_name(typed):
    found = find_source(typed)
    assert found == 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
    with pytest.raises(UserError, match='sce detector'):
        find_config(typed)
    with pytest.raises(FileNotFoundError, match=found):
        find_source('faster-rcnn_r50_fpn_1x_cocoo')
