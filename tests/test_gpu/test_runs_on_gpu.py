"""Whole runs on a GPU: in float16, resumed, stopped, and one that learns."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from resumable import run
from tiny import sce_config
from tiny_runner import Record, TinyImages
from tiny_runner import build_runner as tiny_runner
from torch.utils.data import DataLoader

from sce_mm.checkpoints.mmengine_loading import read_resumable
from sce_mm.cli.commands.replay import replay
from sce_mm.cli.runner import build_runner
from sce_mm.engine.hooks.numerical_guard_hook import NonFiniteError
from sce_mm.evaluation.images import crop_pipeline
from sce_mm.evaluation.knn import evaluate_knn

RECIPE = 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'


class Scales(Record):
    """Scale of the loss, and a weight, after every iteration."""

    def __init__(self) -> None:
        super().__init__()
        self.scales, self.weights = [], []

    def before_train(self, runner):
        self.keep(runner)

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.keep(runner)

    def keep(self, runner):
        self.scales.append(runner.optim_wrapper.loss_scaler.get_scale())
        self.weights.append(runner.model.neck.fc.weight.detach().clone())


@pytest.mark.usefixtures('float16')
def test_float16_goes_on_after_skipped_steps_and_resumes(tmp_path):
    options = {
        'model': {'batch_norm': True, 'queue_length': 48},
        'optim_wrapper': {
            'type': 'AmpOptimWrapper',
            # Too much for the first steps.
            'loss_scale': {'init_scale': 2.0**24},
            'optimizer': {'type': 'SGD', 'lr': 0.3, 'momentum': 0.9},
        },
    }
    scales, again = Scales(), Scales()
    whole, record = run(tmp_path / 'whole', more=(scales,), **options)
    skipped = [b < a for a, b in pairwise(scales.scales)]
    # From a file that was written while steps were skipped.
    assert all(skipped[:2])
    assert not all(skipped)
    kept = [torch.equal(a, b) for a, b in pairwise(scales.weights)]
    assert kept == skipped
    file = tmp_path / 'whole' / 'iter_2.pth'
    saved = read_resumable(file)['optimizer']['loss_scaler']['scale']
    assert saved == scales.scales[2]
    resumed, rest = run(
        tmp_path / 'resumed', file, more=(again,), seed=1, **options
    )
    assert again.scales == scales.scales[2:]
    torch.testing.assert_close(rest.losses, record.losses[2:])
    torch.testing.assert_close(
        resumed.model.state_dict(), whole.model.state_dict()
    )


def test_a_step_that_is_not_finite_is_not_made(tmp_path):
    images = TinyImages(8)
    images.views[1][6] = torch.nan
    model = sce_config(batch_norm=True)
    runner, _ = tiny_runner(
        tmp_path,
        train_dataloader=DataLoader(images, batch_size=4),
        hooks=(
            {'type': 'MomentumUpdateHook', 'momentum': 0.1},
            {'type': 'NumericalGuardHook'},
        ),
        model={'batch_norm': True},
        cfg={'model': model},
    )
    with pytest.raises(NonFiniteError) as error:
        runner.train()
    where = 'the images of batch 0 of the step are not finite'
    assert where in str(error.value)
    weights = runner.model.backbone.state_dict().items()
    # Statistics of the batch are those of the pass, which was made.
    assert all(v.isfinite().all() for k, v in weights if 'running' not in k)
    # On the CPU, as a rule of somebody else.
    (saved,) = (tmp_path / 'not_finite').iterdir()
    assert replay(saved) == where


def write_places(folder: Path, each: int) -> None:
    """Crops of six squares of each of two photographs, one class a square.

    Their colours are changed, so that they do not give the class away.
    """
    draw = np.random.default_rng(0)
    # A machine with a GPU may not have it.
    load = pytest.importorskip('sklearn.datasets').load_sample_images
    photos = [photo[..., ::-1] for photo in load().images]
    for number in range(12):
        row, column = divmod(number % 6, 3)
        square = photos[number // 6][213 * row :, 213 * column :][:213, :213]
        for index in range(each):
            side = draw.integers(90, 150)
            top, left = draw.integers(0, 213 - side, 2)
            crop = square[top : top + side, left : left + side]
            crop = cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA)
            crop = crop * draw.uniform(0.5, 1.5, 3) * draw.uniform(0.7, 1.3)
            part = 'bank' if index % 4 else 'query'
            path = folder / part / str(number) / f'{index}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), crop.clip(0, 255).astype(np.uint8))


def test_the_recipe_for_a_folder_learns(root, tmp_path):
    write_places(tmp_path, each=80)
    cfg = Config.fromfile(root / RECIPE)
    size, width, epochs = 32, 16, 40
    cfg.merge_from_dict(
        {
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.dataset.data_root': str(tmp_path / 'bank'),
            'train_dataloader.dataset.pipeline.1.views.0.size': size,
            'train_dataloader.dataset.pipeline.1.views.1.size': size,
            'model.queue.length': 512,
            'model.backbone.base_channels': width,
            'model.backbone.stem_channels': width,
            'model.neck.in_channels': 8 * width,
            'train_cfg.max_epochs': epochs,
            'param_scheduler.warmup_epochs': 1,
            'default_hooks.checkpoint.interval': epochs,
            'default_hooks.collapse_monitor.interval': 100,
            'visualizer.vis_backends': [{'type': 'LocalVisBackend'}],
            'work_dir': str(tmp_path / 'work'),
            'log_level': 'ERROR',
            'launcher': 'none',
        }
    )
    runner = build_runner(cfg)
    loaders = [
        Runner.build_dataloader(
            {
                'batch_size': 256,
                'num_workers': 0,
                'sampler': {'type': 'DefaultSampler', 'shuffle': False},
                'dataset': {
                    'type': 'LabelledImages',
                    'test_mode': True,
                    'data_root': str(tmp_path / part),
                    'pipeline': crop_pipeline(size, size),
                },
            }
        )
        for part in ('bank', 'query')
    ]
    runner.model.init_weights()
    before = evaluate_knn(runner.model, *loaders)[20]
    runner.train()
    after = evaluate_knn(runner.model, *loaders)[20]
    # On a CPU five seeds gain 11 to 22 points.
    assert after > before + 5, (before, after)
    # Looked at on the device, too.
    assert runner.message_hub.get_scalar('train/effective_rank').current() > 1
