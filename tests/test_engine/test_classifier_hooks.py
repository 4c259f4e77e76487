"""What training a classifier on pretrained weights adds, in a Runner."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from evaluation_toys import ToyImages, build_model
from mmengine.hooks import Hook
from mmengine.runner import Runner

from sce_mm.engine.hooks.pretrained_backbone_hook import PretrainedBackboneHook

pytestmark = pytest.mark.integration

# Each Runner needs a name of its own.
COUNT = itertools.count()


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretraining checkpoint of the toy model."""
    path = tmp_path_factory.mktemp('pretraining') / 'epoch_1.pth'
    metadata = dict(channel_order='rgb', mean=[123.675, 116.28, 103.53])
    state = build_model(8).state_dict()
    torch.save({'state_dict': state, 'meta': {'sce_mm': metadata}}, path)
    return path


def loader(size: int, offset: int = 0, shuffle: bool = False) -> dict:
    dataset = dict(type='ToyImages', size=size, offset=offset)
    return dict(
        batch_size=6,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
        dataset=dataset,
    )


def build_runner(
    work_dir: Path,
    hooks: list[Hook | dict],
    epochs: int = 2,
    backbone: dict | None = None,
    **options: Any,
) -> Runner:
    """A linear classifier on the frozen toy backbone."""
    model = dict(
        type='ImageClassifier',
        data_preprocessor=dict(
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            to_rgb=True,
        ),
        backbone=dict(
            type='ResNet',
            depth=18,
            stem_channels=8,
            base_channels=8,
            frozen_stages=4,
            norm_eval=True,
        )
        | (backbone or {}),
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
    """State before and after training, and modes in it."""

    def before_train(self, runner: Runner) -> None:
        self.initial = self._copy(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=0):
        norms = [
            m
            for m in runner.model.backbone.modules()
            if isinstance(m, torch.nn.BatchNorm2d)
        ]
        self.modes = {m.training for m in norms}
        self.last = self._copy(runner)

    @staticmethod
    def _copy(runner: Runner) -> dict[str, torch.Tensor]:
        state = runner.model.state_dict()
        return {name: tensor.clone() for name, tensor in state.items()}


def test_a_linear_classifier_trains_on_an_unmoved_backbone(
    tmp_path, checkpoint
):
    watch = Watch()
    load = PretrainedBackboneHook(str(checkpoint), frozen=True)
    report = dict(type='BestAndLastHook')

    build_runner(tmp_path, [load, watch, report], epochs=3).train()

    expected = build_model(8).backbone.state_dict()
    assert len(expected) == 120
    for name, tensor in expected.items():
        assert watch.initial[f'backbone.{name}'].equal(tensor), name
        # Batch norm statistics are among them.
        assert watch.last[f'backbone.{name}'].equal(tensor), name
    assert watch.modes == {False}
    assert watch.initial['head.fc.bias'].eq(0).all()
    weight = watch.initial['head.fc.weight']
    assert 0.005 < weight.std() < 0.015
    assert not watch.last['head.fc.weight'].equal(weight)
    summary = json.loads((tmp_path / 'best_and_last.json').read_text())
    values = summary['accuracy/top1']
    assert [epoch for epoch, _ in values['history']] == [1, 2, 3]
    assert values['last'] == values['history'][-1][1]
    assert values['best'] == max(value for _, value in values['history'])
    # Three patterns under noise are easy even for random features.
    assert values['best'] > 60


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda content: content['state_dict'].pop(
                'backbone.layer4.1.bn2.running_mean'
            ),
            'missing in the file: layer4.1.bn2.running_mean',
        ),
        (
            lambda content: content['meta']['sce_mm'].update(
                channel_order='bgr'
            ),
            'channel_order = bgr',
        ),
    ],
)
def test_weights_that_do_not_fit_stop_the_run_before_it_starts(
    tmp_path, checkpoint, change, message
):
    content = torch.load(checkpoint, weights_only=True)
    change(content)
    wrong = tmp_path / 'wrong.pth'
    torch.save(content, wrong)
    watch = Watch()
    runner = build_runner(tmp_path, [PretrainedBackboneHook(wrong), watch])

    with pytest.raises(ValueError, match=message):
        runner.train()

    assert not hasattr(watch, 'initial')


def test_a_backbone_that_would_learn_is_refused(tmp_path, checkpoint):
    hook = PretrainedBackboneHook(str(checkpoint), frozen=True)
    runner = build_runner(tmp_path, [hook], backbone=dict(frozen_stages=3))
    with pytest.raises(RuntimeError, match=r'parameters would learn .*layer4'):
        runner.train()


def test_a_backbone_that_moves_all_the_same_stops_the_run(
    tmp_path, checkpoint
):
    class Meddle(Hook):
        def after_train_iter(self, runner, *_, **__):
            runner.model.backbone.bn1.running_mean += 1

    hook = PretrainedBackboneHook(str(checkpoint), frozen=True)
    with pytest.raises(RuntimeError, match=r'1 of 120 tensors .*running_mean'):
        build_runner(tmp_path, [hook, Meddle()]).train()


def test_a_resumed_run_goes_on_from_its_own_weights_and_history(
    tmp_path, checkpoint
):
    free = dict(frozen_stages=-1, norm_eval=False)
    report = dict(type='BestAndLastHook')
    first = Watch()
    load = PretrainedBackboneHook(str(checkpoint))
    build_runner(tmp_path, [load, first, report], 1, free).train()

    # The pretraining checkpoint need not be there any more.
    load, second = PretrainedBackboneHook('gone.pth'), Watch()
    build_runner(
        tmp_path, [load, second, report], 2, free, resume=True
    ).train()

    assert not first.initial['backbone.conv1.weight'].equal(
        first.last['backbone.conv1.weight']
    )
    for name, tensor in first.last.items():
        assert second.initial[name].equal(tensor), name
    summary = json.loads((tmp_path / 'best_and_last.json').read_text())
    history = summary['accuracy/top1']['history']
    assert [epoch for epoch, _ in history] == [1, 2]


def test_an_evaluator_without_the_metric_is_explained(tmp_path, checkpoint):
    report = dict(type='BestAndLastHook', metrics=('accuracy/top5',))
    hook = PretrainedBackboneHook(str(checkpoint))
    with pytest.raises(ValueError, match="no 'accuracy/top5', but accuracy/"):
        build_runner(tmp_path, [hook, report], 1).train()
