"""A training loop that resumes within an epoch."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from mmengine.runner import EpochBasedTrainLoop
from mmpretrain.registry import LOOPS
from torch.utils.data import DataLoader

from ...utils.errors import UserError
from ...utils.random_state import seed_epoch


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """mmengine's ``EpochBasedTrainLoop`` that goes on within an epoch.

    Resumed from a checkpoint of the middle of an epoch, mmengine's loop
    begins that epoch again and hence makes too many iterations. This one takes
    the batches that are left, without loading those that were done::

        train_cfg = dict(type='ResumableTrainLoop', max_epochs=200)

    Each epoch begins with random generators that depend on seed, epoch and
    process alone, and the workers' seeds come from a generator of the loader.
    So nothing that is drawn between two epochs changes the next one.

    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dataloader.generator = torch.Generator()

    def run_epoch(self) -> None:
        """The batches of this epoch that are not done yet."""
        runner = self.runner
        runner.call_hook('before_train_epoch')
        runner.model.train()
        done = self.iter - self.epoch * len(self.dataloader)
        assert 0 <= done <= len(self.dataloader), 'resume moves the position'
        self.dataloader.generator.manual_seed(runner.seed + self._epoch)
        if done == 0:
            seed_epoch(runner.seed, self._epoch, runner.rank)
        with starting_at(self.dataloader, done):
            for index, batch in enumerate(self.dataloader, start=done):
                self.run_iter(index, batch)
        runner.call_hook('after_train_epoch')
        self._epoch += 1


@contextmanager
def starting_at(loader: DataLoader, batches: int) -> Iterator[None]:
    """Let the next pass over a loader leave out its first batches, unread."""
    if batches == 0:
        yield
        return
    batch_sampler = loader.batch_sampler
    if not isinstance(batch_sampler, torch.utils.data.BatchSampler):
        raise UserError(
            'an epoch can only be continued with a plain batch sampler, got '
            f'{type(batch_sampler).__name__}: resume from the checkpoint of '
            'the end of an epoch'
        )
    sampler = batch_sampler.sampler
    batch_sampler.sampler = _Rest(sampler, batches * batch_sampler.batch_size)
    try:
        yield
    finally:
        batch_sampler.sampler = sampler


class _Rest:
    """Indices of a sampler without the first ``start``."""

    def __init__(self, sampler: Any, start: int) -> None:
        self.sampler = sampler
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return islice(iter(self.sampler), self.start, None)

    def __len__(self) -> int:
        # The whole epoch: mmengine derives epochs from iterations by it.
        return len(self.sampler)
