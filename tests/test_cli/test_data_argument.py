"""Which recipes --data gives a folder of images to."""

import pytest
from image_files import write_noise

from sce_mm.cli.config_edits import set_data
from sce_mm.config.reading import read_config
from sce_mm.datasets import UnlabelledImages
from sce_mm.utils.errors import UserError


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    write_noise(folder, 6)
    return str(folder)


@pytest.fixture
def recipe(root):
    return lambda name: read_config(root / 'configs' / 'sce' / f'{name}.py')


def test_a_recipe_for_imagenet_takes_a_folder(recipe, photos):
    cfg = recipe('sce_swin-tiny_8xb128-amp-coslr-300e_in1k')
    dataset = cfg.train_dataloader.dataset
    pipeline = dataset.pipeline
    set_data(cfg, [photos])
    assert dataset.pop('type') == 'UnlabelledImages'
    assert dataset.pipeline == pipeline
    assert len(UnlabelledImages(**dataset)) == 6


@pytest.mark.parametrize(
    'name',
    [
        'sce_resnet18_1xb256-amp-coslr-200e_cifar10',
        'benchmarks/resnet50_sce-pre_8xb64-linear-steplr-100e_in1k',
    ],
)
def test_arrays_and_classes_are_not_in_a_folder(recipe, photos, name):
    with pytest.raises(UserError, match='--data takes a folder'):
        set_data(recipe(name), [photos])
