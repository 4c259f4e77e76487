"""The whole data side under mmengine's loader, with worker processes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from image_files import encode, photo
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from sce_mm.datasets import build_cache
from sce_mm.datasets.images.file_lists import find_images
from sce_mm.datasets.images.shard_writing import pack_shards
from sce_mm.utils.errors import UserError

pytestmark = pytest.mark.integration

GOOD, BROKEN = 21, 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(GOOD):
        image = photo().rotate(5 * number)
        (tmp_path / f'{number:02}.jpg').write_bytes(encode(image, 'JPEG'))
    for number in range(BROKEN):
        (tmp_path / f'broken{number}.jpg').write_bytes(b'no image')
    return tmp_path


def loader(
    folder: Path,
    workers: int,
    repeats: int = 1,
    kind: str = 'files',
    **options: Any,
) -> DataLoader:
    """With more than one repeat, of regions of 24 to 40 pixels."""
    init_default_scope('mmpretrain')
    load = dict(type='LoadImage')
    root = folder
    if kind == 'shards':
        root = folder.with_name(f'{folder.name}_shards')
        if not root.exists():
            paths = find_images([str(folder)])
            packed = pack_shards(paths, str(folder), root, 10_000)
            assert len(packed.shards) > 2
    if kind == 'cache':
        cache = folder.with_name(f'{folder.name}_cache')
        if not cache.exists():
            build_cache(folder, cache, short_side=1000)
        load = dict(type='LoadCachedImage', cache=str(cache))
    cut = [dict(type='CutRegion', size=[24, 40])] if repeats > 1 else []
    views = [
        dict(augmentation='strong_alpha', size=32),
        dict(augmentation='strong_beta', size=32),
        dict(augmentation='strong_gamma', size=16),
    ]
    config = dict(
        batch_size=6,
        num_workers=workers,
        sampler=dict(type='SeededSampler', shuffle=True),
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='UnlabelledImages',
            data_root=str(root),
            pipeline=[
                load,
                *cut,
                dict(type='SCEViews', views=views),
                dict(type='PackInputs'),
            ],
        ),
    )
    if repeats > 1:
        config['dataset'] = dict(
            type='RepeatDataset', times=repeats, dataset=config['dataset']
        )
    return Runner.build_dataloader({**config, **options}, seed=11)


def epoch(data: DataLoader, number: int) -> list[torch.Tensor]:
    """All views of an epoch, one tensor a view."""
    data.sampler.set_epoch(number)
    batches = [batch['inputs'] for batch in data]
    return [torch.cat(views) for views in zip(*batches, strict=True)]


@pytest.mark.parametrize(
    ('repeats', 'kind'),
    [(1, 'files'), (3, 'files'), (3, 'cache'), (1, 'shards')],
)
def test_views_depend_neither_on_workers_nor_on_where_a_run_began(
    folder: Path, repeats: int, kind: str
) -> None:
    plain = loader(folder, 0, repeats)
    expected = [epoch(plain, number) for number in range(3)]
    shapes = [tuple(views.shape) for views in expected[0]]
    count = (GOOD + BROKEN) * repeats
    assert shapes == [(count, 3, 32, 32)] * 2 + [(count, 3, 16, 16)]
    assert not torch.equal(expected[0][0], expected[1][0])
    assert not torch.equal(expected[0][0], expected[0][1])
    for workers, persistent in ((1, False), (2, True)):
        options = {'persistent_workers': persistent}
        data = loader(folder, workers, repeats, kind, **options)
        # Epoch 0 is skipped, as in a run that was resumed.
        for number in (1, 2):
            views = epoch(data, number)
            for ours, theirs in zip(views, expected[number], strict=True):
                assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ('repeats', 'kind'), [(1, 'files'), (3, 'files'), (1, 'shards')]
)
def test_batches_of_two_processes_are_those_of_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, repeats: int, kind: str
) -> None:
    whole = epoch(loader(folder, 0, repeats), 1)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(
            'mmengine.dataset.sampler.get_dist_info',
            lambda rank=rank: (rank, 2),
        )
        share = loader(folder, 0, repeats, kind, batch_size=3)
        shares.append(epoch(share, 1))
    for one, first, second in zip(whole, *shares, strict=True):
        assert torch.equal(torch.stack([first, second], 1).flatten(0, 1), one)


def test_a_broken_file_is_reported_once_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = folder / 'log.txt'

    def note(message: str) -> None:
        with log.open('a') as lines:
            lines.write(message + '\n')

    monkeypatch.setattr('sce_mm.datasets.images.loading.warn', note)
    # Workers are forked again each epoch.
    data = loader(folder, 2)
    epoch(data, 0)
    reports = log.read_text().splitlines()
    for number in range(BROKEN):
        lines = [line for line in reports if f'broken{number}.jpg' in line]
        # Both workers may come upon it at the same moment.
        assert len(lines) in (1, 2)
    for number in (1, 2):
        epoch(data, number)
    assert log.read_text().splitlines() == reports


def test_batches_hold_no_image_twice_no_label_and_all_draws(
    folder: Path,
) -> None:
    data = loader(folder, 2, collate_fn=dict(type='pseudo_collate'))
    for number in range(4):
        data.sampler.set_epoch(number)
        for batch in data:
            samples = batch['data_samples']
            paths = [sample.img_path for sample in samples]
            assert len(set(paths)) == len(paths)
            assert not any('broken' in path for path in paths)
            assert not any('gt_label' in sample for sample in samples)
            index = samples[0].sample_idx
            assert (index.epoch, index.seed) == (number, 11)


def test_a_folder_of_broken_files_ends_a_run_with_workers(
    folder: Path,
) -> None:
    for path in folder.glob('[0-9]*.jpg'):
        path.write_bytes(b'no image')
    with pytest.raises(UserError, match=r'none of .* tried can be read'):
        epoch(loader(folder, 1), 0)
