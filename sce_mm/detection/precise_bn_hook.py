"""Recompute batch norm statistics before an evaluation (precise BN)."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..utils.distributed import unwrapped
from ..utils.errors import UserError


@HOOKS.register_module()
class DetPreciseBNHook(Hook):
    """Recompute the stored statistics of batch norm before they are used.

    While a network is trained they are an average over weights that have been
    left behind. Here the weights stand still, and mean and variance are the
    plain averages of those of a number of training batches: Wu and Johnson,
    "Rethinking 'Batch' in BatchNorm", 2021, section 3. The recipes of MoCo for
    C4 detectors do this before each evaluation.

    Batches go through the losses, so that heads see the regions that they are
    trained on. Layers that are not trained keep their statistics. Where the
    norm is synchronised, all processes end with the same numbers. The hook
    runs before the checkpoint is written.

    Args:
        interval: Epochs, or iterations where the training counts those,
            between two calls; the last one always has a call.
        batches: Number of batches to average over.

    Raises:
        UserError: A number is below one, or nothing is there to recompute.
    """

    def __init__(self, interval: int = 1, batches: int = 200) -> None:
        if interval < 1 or batches < 1:
            raise UserError(
                'interval and batches must be at least 1, got '
                f'{interval} and {batches}'
            )
        self.interval = interval
        self.batches = batches

    def before_train(self, runner: Runner) -> None:
        """Check that there is something to do."""
        if not trained_norms(unwrapped(runner.model).train()):
            raise UserError(
                'DetPreciseBNHook finds no batch norm that is trained: set '
                'norm_eval=False, or remove the hook'
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Recompute, where epochs are counted."""
        due = self.every_n_epochs(runner, self.interval)
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and (
            due or self.is_last_train_epoch(runner)
        ):
            self._recompute(runner, runner.train_dataloader)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any
    ) -> None:
        """Recompute, where iterations are counted."""
        due = self.every_n_train_iters(runner, self.interval)
        if isinstance(runner.train_loop, IterBasedTrainLoop) and (
            due or self.is_last_train_iter(runner)
        ):
            # Its own iterator: a second one would take the workers away.
            self._recompute(runner, runner.train_loop.dataloader_iterator)

    def _recompute(self, runner: Runner, batches: Iterable[Any]) -> None:
        model = unwrapped(runner.model)
        count, norms = 0, trained_norms(model)
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            # PyTorch's way to say: each batch with the same weight.
            norm.momentum = None
        with torch.no_grad(), runner.optim_wrapper.optim_context(model):
            for data in islice(batches, self.batches):
                model(**model.data_preprocessor(data, True), mode='loss')
                count += 1
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        text = f'batch norm recomputed from {count} batches'
        print_log(text, logger='current')


def trained_norms(model: nn.Module) -> list[_BatchNorm]:
    """Layers that use the statistics of the batch and store some."""
    return [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm)
        and module.training
        and module.track_running_stats
    ]
