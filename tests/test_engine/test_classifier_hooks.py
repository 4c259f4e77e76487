"""What training a classifier on pretrained weights adds, in a Runner."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from evaluation_toys import ToyImages, build_model, model_config
from evaluation_toys import save_checkpoint as save_toy
from mmengine.hooks import Hook
from mmengine.runner import Runner

from sce_mm.engine.hooks.pretrained_backbone_hook import PretrainedBackboneHook
from sce_mm.utils.errors import UserError

pytestmark = pytest.mark.integration

# Each Runner needs a name of its own.
COUNT = itertools.count()
PIXELS = dict(channel_order='rgb', mean=[123.675, 116.28, 103.53])
REPORT = dict(type='BestAndLastHook')
FREE = dict(frozen_stages=-1, norm_eval=False)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretraining checkpoint of the toy model."""
    return save_toy(tmp_path_factory.mktemp('x') / 'epoch_1.pth', **PIXELS)


def loader(size: int, offset: int = 0, shuffle: bool = False) -> dict:
    return dict(
        batch_size=6,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
        dataset=dict(type='ToyImages', size=size, offset=offset),
    )


def build_runner(
    work_dir: Path,
    hooks: list[Hook | dict],
    epochs: int = 2,
    backbone: dict | None = None,
    pixels: dict | None = None,
    **options: Any,
) -> Runner:
    """A linear classifier on the frozen toy backbone."""
    toy = model_config()
    preprocessor = dict(toy['data_preprocessor'])
    del preprocessor['type']
    frozen = dict(frozen_stages=4, norm_eval=True)
    model = dict(
        type='ImageClassifier',
        data_preprocessor=preprocessor if pixels is None else pixels,
        backbone=toy['backbone'] | frozen | (backbone or {}),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead',
            in_channels=64,
            num_classes=ToyImages.NUM_CLASSES,
            init_cfg=dict(type='Normal', layer='Linear', std=0.01),
        ),
    )
    optimizer = dict(type='SGD', lr=1.0, momentum=0.9, weight_decay=0.0)
    return Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=loader(12, shuffle=True),
        val_dataloader=loader(7, offset=500),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        val_cfg=dict(),
        val_evaluator=dict(type='Accuracy', topk=1),
        optim_wrapper=dict(optimizer=optimizer),
        custom_hooks=hooks,
        default_hooks=dict(logger=None),
        default_scope='mmpretrain',
        log_level='ERROR',
        randomness=dict(seed=0),
        experiment_name=f'classifier-{next(COUNT)}',
        **options,
    )


class Watch(Hook):
    """State before training and after its last iteration."""

    initial = None

    def before_train(self, runner: Runner) -> None:
        self.initial = self._copy(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=0):
        self.last = self._copy(runner)

    @staticmethod
    def _copy(runner: Runner) -> dict[str, torch.Tensor]:
        state = runner.model.state_dict()
        return {name: tensor.clone() for name, tensor in state.items()}


def history(work_dir: Path) -> dict[str, Any]:
    summary = json.loads((work_dir / 'best_and_last.json').read_text())
    return summary['accuracy/top1']


def test_a_linear_classifier_trains_on_an_unmoved_backbone(
    tmp_path, checkpoint
):
    watch = Watch()
    load = PretrainedBackboneHook(str(checkpoint), frozen=True)
    build_runner(tmp_path, [load, watch, REPORT], epochs=3).train()
    # Batch norm statistics are among them.
    for name, tensor in build_model(8).backbone.state_dict().items():
        assert watch.initial[f'backbone.{name}'].equal(tensor), name
        assert watch.last[f'backbone.{name}'].equal(tensor), name
    weight = watch.initial['head.fc.weight']
    assert 0.005 < weight.std() < 0.015
    assert not watch.last['head.fc.weight'].equal(weight)
    values = history(tmp_path)
    assert [epoch for epoch, _ in values['history']] == [1, 2, 3]
    assert values['last'] == values['history'][-1][1]
    assert values['best'] == max(value for _, value in values['history'])
    # Three patterns under noise are easy even for random features.
    assert values['best'] > 60


def test_a_checkpoint_of_the_official_code_is_taken(tmp_path, checkpoint):
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    prefix = 'momentum_encoder.backbone.'
    renamed = {
        name.replace(prefix, 'momentum_trunk.').replace(
            'backbone.', 'trunk.'
        ): (tensor + 1 if prefix in name else tensor)
        for name, tensor in state.items()
        if 'backbone.' in name
    }
    path = tmp_path / 'official.ckpt'
    torch.save({'state_dict': renamed}, path)
    watch = Watch()
    hook = PretrainedBackboneHook(str(path), branch='momentum')
    build_runner(tmp_path, [hook, watch], 1).train()
    expected = state[f'{prefix}conv1.weight'] + 1
    assert watch.initial['backbone.conv1.weight'].equal(expected)


def lacking(content: dict) -> None:
    del content['state_dict']['backbone.layer4.1.bn2.running_mean']


def blue_first(content: dict) -> None:
    content['meta']['sce_mm']['channel_order'] = 'bgr'


@pytest.mark.parametrize(
    ('make', 'error', 'message'),
    [
        (lacking, ValueError, 'missing in the file: layer4.1.bn2.running_m'),
        (blue_first, ValueError, 'channel_order is rgb here and was bgr'),
        (dict.clear, ValueError, 'no tensors in the checkpoint'),
        (b'no checkpoint', ValueError, 'wrong.pth'),
        (None, FileNotFoundError, 'wrong.pth'),
    ],
)
def test_weights_that_do_not_fit_stop_the_run_before_it_starts(
    tmp_path, checkpoint, make, error, message
):
    wrong = tmp_path / 'wrong.pth'
    if isinstance(make, bytes):
        wrong.write_bytes(make)
    elif make is not None:
        content = torch.load(checkpoint, weights_only=True)
        make(content)
        torch.save(content, wrong)
    watch = Watch()
    hook = PretrainedBackboneHook(str(wrong))
    with pytest.raises(error, match=message):
        build_runner(tmp_path, [hook, watch]).train()
    assert watch.initial is None
    with pytest.raises(ValueError, match='name the checkpoint'):
        PretrainedBackboneHook('')


def test_pixels_that_nothing_normalises_stop_the_run(tmp_path, checkpoint):
    hook = PretrainedBackboneHook(str(checkpoint))
    runner = build_runner(tmp_path, [hook], pixels=dict(to_rgb=True))
    with pytest.raises(ValueError, match='mean is None here and was'):
        runner.train()


class Initialise(Hook):
    priority = 'LOWEST'

    def before_train_epoch(self, runner):
        runner.model.backbone.conv1.reset_parameters()


def test_no_hook_initialises_over_the_backbone(tmp_path, checkpoint):
    load, watch = PretrainedBackboneHook(str(checkpoint)), Watch()
    runner = build_runner(tmp_path, [load, watch, Initialise()], backbone=FREE)
    with pytest.raises(UserError, match=r'1 tensors .*conv1.weight\) are'):
        runner.train()
    assert not hasattr(watch, 'last')


class Meddle(Hook):
    def after_train_iter(self, runner, *_, **__):
        runner.model.backbone.bn1.running_mean += 1


@pytest.mark.parametrize(
    ('backbone', 'hooks', 'message'),
    [
        (dict(frozen_stages=3), [], r'parameters would learn .*layer4'),
        (FREE, [], r'would learn and [1-9]\d* modules are in training mode'),
        ({}, [Meddle()], r'1 of 120 tensors .*running_mean'),
    ],
)
def test_a_frozen_backbone_that_moves_stops_the_run(
    tmp_path, checkpoint, backbone, hooks, message
):
    hook = PretrainedBackboneHook(str(checkpoint), frozen=True)
    with pytest.raises(UserError, match=message):
        build_runner(tmp_path, [hook, *hooks], backbone=backbone).train()


def test_a_resumed_run_goes_on_from_its_own_weights_and_history(
    tmp_path, checkpoint
):
    first, second = Watch(), Watch()
    load = PretrainedBackboneHook(str(checkpoint))
    build_runner(tmp_path, [load, first, REPORT], 1, FREE).train()
    # The pretraining checkpoint need not be there any more.
    load = PretrainedBackboneHook('gone.pth')
    again = [load, second, REPORT]
    build_runner(tmp_path, again, 2, FREE, resume=True).train()
    name = 'backbone.conv1.weight'
    assert not first.initial[name].equal(first.last[name])
    for name, tensor in first.last.items():
        assert second.initial[name].equal(tensor), name
    assert [epoch for epoch, _ in history(tmp_path)['history']] == [1, 2]


def test_an_evaluator_without_the_metric_is_explained(tmp_path):
    report = dict(type='BestAndLastHook', metrics=('accuracy/top5',))
    with pytest.raises(ValueError, match="no 'accuracy/top5', but accuracy/"):
        build_runner(tmp_path, [report], 1).train()
