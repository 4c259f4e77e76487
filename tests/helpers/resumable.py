"""Runs that are interrupted and go on, over the tiny SCE."""

from image_files import write_noise
from mmengine.dataset import default_collate
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from tiny import samples, views
from tiny_runner import TinyImages, build_runner
from torch.utils.data import DataLoader

from sce_mm.datasets import SeededSampler, build_cache
from sce_mm.datasets.images.file_lists import find_images
from sce_mm.datasets.images.shard_writing import pack_shards

COSINE = {'kind': 'cosine', 'start': 0.1, 'end': 0.0}


# For batches that are not normalised yet, as those of files.
PIXELS = {
    'type': 'SelfSupDataPreprocessor',
    'mean': [127.5] * 3,
    'std': [64.0] * 3,
}


def regions(folder, kind='files'):
    """Data set of 20 regions of five images, in files, shards or a cache."""
    files = folder / 'images'
    if not files.exists():
        files.mkdir()
        write_noise(files, 5)
    load = {'type': 'LoadImage'}
    if kind == 'shards':
        shards = folder / 'shards'
        if not shards.exists():
            # Two images a tar.
            pack_shards(find_images([str(files)]), files, shards, 13_000)
        files = shards
    if kind == 'cache':
        cache = folder / 'cache'
        if not cache.exists():
            build_cache(files, cache, short_side=30)
        load = {'type': 'LoadCachedImage', 'cache': str(cache)}
    strong = {'augmentation': 'strong', 'size': 8}
    pipeline = [
        load,
        {'type': 'CutRegion', 'size': (12, 20)},
        {'type': 'SCEViews', 'views': [strong, strong]},
        {'type': 'PackInputs'},
    ]
    images = {'type': 'UnlabelledImages', 'data_root': str(files)}
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DATASETS.build({
            'type': 'RepeatDataset',
            'times': 4,
            'dataset': {**images, 'pipeline': pipeline},
        })  # fmt: skip


def loader(images=20, batch=4, count=2, dataset=None, boxes=False, **options):
    if dataset is None:
        dataset = TinyImages(images)
        dataset.views = views(images, count, seed=3)
        if boxes:
            dataset.samples = samples(images, count, seed=3)
            options['collate_fn'] = default_collate
    else:
        options['collate_fn'] = default_collate
    sampler = SeededSampler(dataset, seed=5)
    options.setdefault('drop_last', True)
    return DataLoader(dataset, batch, sampler=sampler, **options)


def run(folder, checkpoint=None, data=None, epochs=3, more=(), **options):
    """A run of 15 iterations that saves every second one, finished.

    Args:
        folder: Work dir.
        checkpoint: To resume from, or ``'auto'``.
        data: Options of :func:`loader`.
        epochs: Of five iterations each.
        more: Further hooks.
        **options: ``hook`` of the checkpoint hook, the rest of the runner.
    """
    loop = {'type': 'ResumableTrainLoop', 'max_epochs': epochs}
    schedule = {
        'type': 'WarmupCosineLR',
        'warmup_epochs': 1,
        'convert_to_iter_based': True,
    }
    hook = {
        'type': 'DurableCheckpointHook',
        'by_epoch': False,
        'interval': 2,
        **options.pop('hook', {}),
    }
    hooks = ({'type': 'MomentumUpdateHook', 'momentum': COSINE},)
    runner, record = build_runner(
        folder,
        epochs=epochs,
        hooks=(*hooks, *more),
        train_dataloader=loader(**(data or {})),
        train_cfg=options.pop('train_cfg', loop),
        default_hooks=options.pop(
            'default_hooks', {'logger': None, 'checkpoint': hook}
        ),
        param_scheduler=options.pop('param_scheduler', schedule),
        resume=checkpoint is not None,
        load_from=None if checkpoint in (None, 'auto') else str(checkpoint),
        **options,
    )
    runner.train()
    return runner, record
