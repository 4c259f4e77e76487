"""Runs that are interrupted and go on, over the tiny SCE."""

from mmengine.dataset import default_collate
from tiny import samples, views
from tiny_runner import TinyImages, build_runner
from torch.utils.data import DataLoader

from sce_mm.datasets import SeededSampler

COSINE = {'kind': 'cosine', 'start': 0.1, 'end': 0.0}


def loader(images=20, batch=4, count=2, boxes=False, **options):
    dataset = TinyImages(images)
    dataset.views = views(images, count, seed=3)
    if boxes:
        dataset.samples = samples(images, count, seed=3)
        options['collate_fn'] = default_collate
    sampler = SeededSampler(dataset, seed=5)
    return DataLoader(
        dataset, batch, sampler=sampler, drop_last=True, **options
    )


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
