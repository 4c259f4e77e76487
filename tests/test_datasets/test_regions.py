"""Regions of scenes: where they lie, and on what that depends."""

import numpy as np
import pytest
from mmengine.dataset import RepeatDataset
from PIL import Image

from sce_mm.datasets import SeededSampler, UnlabelledImages
from sce_mm.datasets.images.regions import (
    CutRegion,
    count_distinct,
    region_box,
    regions_of,
)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """Five scenes whose colours say (column, row, scene) of each pixel."""
    folder = tmp_path_factory.mktemp('scenes')
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    for number in range(5):
        pixels = np.stack([x, y, np.full_like(x, number)], -1)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f'{number}.png')
    return folder


def epoch_of(scenes, epoch, repeats, size=(32, 40), seed=3):
    """(scene, left, top, right, bottom) of an epoch's regions, in turn."""
    pipeline = [{'type': 'LoadImage'}, {'type': 'CutRegion', 'size': size}]
    dataset = UnlabelledImages(str(scenes), pipeline=pipeline)
    repeated = RepeatDataset(dataset, repeats)
    sampler = SeededSampler(repeated, seed=seed)
    sampler.set_epoch(epoch)
    regions = []
    for index in sampler:
        image = repeated[index]['img']
        first, last = image[0, 0], image[-1, -1]
        regions.append(tuple(map(int, (*first, *last[1:]))))
    return regions


def overlap(a, b):
    (scene, top, left, bottom, right) = a
    return (
        scene == b[0]
        and top <= b[3]
        and b[1] <= bottom
        and left <= b[4]
        and b[2] <= right
    )


def test_an_epoch_has_so_many_disjoint_regions_of_each_scene(scenes):
    regions = epoch_of(scenes, epoch=0, repeats=12)
    assert np.bincount([scene for scene, *_ in regions]).tolist() == [12] * 5
    for place, region in enumerate(regions):
        assert not any(overlap(region, other) for other in regions[:place])
    # A scene comes again when all others have had their turn.
    for start in range(0, 60, 5):
        assert {scene for scene, *_ in regions[start : start + 5]} == set(
            range(5)
        )


def joined(scenes, first, second, outer, size=(32, 40)):
    """Repetition of a joined pair of the same five scenes, each repeated."""
    pipeline = [{'type': 'LoadImage'}, {'type': 'CutRegion', 'size': size}]
    parts = [
        dict(
            type='RepeatDataset',
            times=times,
            dataset=UnlabelledImages(str(scenes), pipeline=pipeline),
        )
        for times in (first, second)
    ]
    return RepeatDataset(dict(type='ConcatDataset', datasets=parts), outer)


@pytest.mark.parametrize('times', [(1, 1, 4), (3, 1, 2), (1, 3, 2), (4, 2, 1)])
def test_parts_of_a_joined_data_set_have_regions_of_their_own(scenes, times):
    dataset = joined(scenes, *times)
    assert count_distinct(dataset) == len(dataset)
    sampler = SeededSampler(dataset, seed=3)
    samples = [dataset[index] for index in sampler]
    # The same files in both: no part repeats what the other shows.
    regions = {(sample['img_path'], sample['region']) for sample in samples}
    assert len(regions) == len(samples) == len(dataset)


def test_only_regions_count_as_different_samples(scenes):
    plain = UnlabelledImages(str(scenes), pipeline=[{'type': 'LoadImage'}])
    assert count_distinct(RepeatDataset(plain, 4)) == 5
    cut = UnlabelledImages(
        str(scenes), pipeline=[{'type': 'LoadImage'}, CutRegion(32)]
    )
    both = dict(type='ConcatDataset', datasets=[plain, cut])
    assert count_distinct(RepeatDataset(both, 4)) == 5 + 4 * 5


def test_more_regions_than_fit_come_from_other_grids(scenes):
    regions = epoch_of(scenes, epoch=0, repeats=60)
    assert len(set(regions)) > 0.95 * len(regions)


def test_epochs_and_seeds_differ_and_come_again(scenes):
    first, again, epoch, seed = (
        epoch_of(scenes, *arguments)
        for arguments in ((1, 4), (1, 4), (2, 4), (1, 4, (32, 40), 4))
    )
    assert first == again
    assert not set(first) & set(epoch)
    assert not set(first) & set(seed)


def box(height, width, sides, number, seed):
    rng = np.random.default_rng
    return region_box(height, width, sides, number, lambda grid: rng(seed))


@pytest.mark.parametrize('sides', [(32, 32), (32, 60), (128, 160)])
def test_a_late_region_costs_no_more_than_an_early_one(sides):
    grids = set()
    for number in (0, 1, 70, 24335, 10**6):
        drawn = []

        def generator_of(grid, drawn=drawn):
            drawn.append(grid)
            return np.random.default_rng(grid)

        region_box(70, 90, sides, number, generator_of)
        assert len(drawn) <= 65
        grids.add(drawn[-1])
    assert len(grids) >= 4


def test_no_two_numbers_have_the_same_region():
    rng = np.random.default_rng
    boxes = {region_box(640, 800, (200, 300), n, rng) for n in range(900)}
    assert len(boxes) > 0.99 * 900


def test_every_pixel_has_its_turn():
    counts = np.zeros((70, 90))
    for seed in range(1500):
        for number in range(4):
            top, left, h, w = box(70, 90, (32, 32), number, seed)
            counts[top : top + h, left : left + w] += 1
    assert counts.min() > 0
    assert counts[16:-16, 32:-32].min() > 1200


@pytest.mark.parametrize(
    ('shape', 'expected'),
    [((20, 30), (0, 0, 20, 30)), ((20, 64), (0, None, 20, 32))],
)
def test_small_images_give_what_there_is(shape, expected):
    found = CutRegion(32)({'img': np.zeros((*shape, 3), np.uint8)})['region']
    pairs = zip(found, expected, strict=True)
    assert all(want is None or got == want for got, want in pairs)


def test_sides_are_of_the_range_and_uniform_in_the_logarithm():
    sides = [box(900, 900, (50, 200), 0, seed)[2] for seed in range(400)]
    assert min(sides) >= 50
    assert max(sides) <= 200
    assert np.mean(np.array(sides) < 100) == pytest.approx(0.5, abs=0.1)


def test_how_many_regions_fit():
    assert regions_of(480, 640, (128, 128)) == 3 * 5
    assert regions_of(480, 640, (64, 256)) == 3 * 5
    assert regions_of(20, 30, (128, 128)) == 1


@pytest.mark.parametrize('size', [4, (64, 32), (32, 48, 64), 0])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match='side of a region'):
        CutRegion(size)
