"""Which recipes --data gives a folder of images to."""

import numpy as np
import pytest
from image_files import write_noise
from mmpretrain.registry import DATASETS

from sce_mm.cli.image_options import set_data, use_cache
from sce_mm.config.reading import read_config
from sce_mm.datasets import UnlabelledImages, build_cache
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


def test_a_cache_takes_the_place_of_the_files(recipe, photos, tmp_path):
    cfg = recipe('sce_resnet18_1xb64-coslr-200e_folder')
    set_data(cfg, [photos])
    dataset = cfg.train_dataloader.dataset
    # Views are random; what they are made from is not.
    dataset.pipeline = dataset.pipeline[:1]
    images = [DATASETS.build(dataset)]
    cache = tmp_path / 'cache'
    build_cache(photos, cache, None, stretch=(0, 4095))
    use_cache(cfg, str(cache))
    assert dataset.pipeline[0].stretch == (0, 4095)
    images.append(DATASETS.build(dataset))
    files, cached = ([data['img'] for data in part] for part in images)
    assert len(files) == len(cached) == 6
    assert all(map(np.array_equal, files, cached))


def test_caches_that_cannot_be_read_name_their_option(recipe, tmp_path):
    with pytest.raises((UserError, OSError), match='--cache'):
        use_cache(
            recipe('sce_resnet18_1xb64-coslr-200e_folder'), str(tmp_path)
        )
    write_noise(tmp_path, 1)
    build_cache(str(tmp_path), tmp_path / 'cache', None)
    turned = recipe('sce_resnet18_1xb64-coslr-200e_folder')
    turned.train_dataloader.dataset.pipeline[0].apply_orientation = False
    with pytest.raises(UserError, match="'apply_orientation': False"):
        use_cache(turned, str(tmp_path / 'cache'))
    with pytest.raises(UserError, match='--cache is for'):
        use_cache(
            recipe('sce_resnet18_1xb256-amp-coslr-200e_cifar10'),
            str(tmp_path / 'cache'),
        )
