"""Start a classifier from a pretrained backbone (``--pretrained``)."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from ...transfer import (
    Backbone,
    extract_backbone,
    load_backbone,
    read_checkpoint,
)
from ...transfer.metadata import require_settings, settings_of
from ...transfer.verify.pipelines import (
    images_of,
    level_problems,
    pipeline_problems,
)
from ...utils.distributed import require_equal, unwrapped
from ...utils.errors import UserError
from ...utils.text import listed
from ..runner.training import is_training
from .first_step import FirstStepHook

_FREEZE = (
    'set model.backbone.frozen_stages to the number of stages and '
    'norm_eval=True'
)


@HOOKS.register_module()
class PretrainedBackboneHook(Hook):
    """Load the backbone of any checkpoint that the transfer reader knows.

    Every tensor on both sides has to match, and the images must come with the
    channel order, mean and std of the pretraining and be normalised once, or
    the run stops before its first iteration. The weights are loaded last,
    after everything that initialises, and compared once more when all other
    hooks have run and the first batch is there::

        dict(type='PretrainedBackboneHook', checkpoint='epoch_200.pth')

    A resumed run takes its weights from its own checkpoint.

    Args:
        checkpoint: File of a pretraining, or of a backbone alone.
        frozen: The backbone must stay as it is: no parameter of it may learn,
            none of its modules may be in training mode, and after every epoch
            all tensors, batch norm statistics included, must equal those of
            the file.
        branch: ``'online'``, or ``'momentum'`` for the momentum encoder.

    Raises:
        UserError: No checkpoint is named.
        CheckpointError: The weights do not fit; raised before the first
            iteration.
        UserError: A frozen backbone is not frozen.
    """

    priority = 'VERY_HIGH'

    def __init__(
        self, checkpoint: str, frozen: bool = False, branch: str = 'online'
    ) -> None:
        if not checkpoint:
            raise UserError(
                'PretrainedBackboneHook: name the checkpoint, with '
                '--pretrained of sce train or in the config'
            )
        self.checkpoint = checkpoint
        self.frozen = frozen
        self.branch = branch
        self._backbone: Backbone | None = None

    def before_run(self, runner: Runner) -> None:
        """Read the file and compare, before anything is initialised."""
        # Testing a trained classifier needs no file.
        if is_training(runner) and not runner._resume:
            load_backbone(unwrapped(runner.model).backbone, self._read(runner))

    def before_train(self, runner: Runner) -> None:
        """Load, or compare if the run is resumed."""
        module = unwrapped(runner.model).backbone
        # Resuming is often asked for when there is nothing to resume yet.
        if runner.iter == 0:
            backbone = self._read(runner)
            load_backbone(module, backbone)
            require_equal(backbone.meta['sha256'], self.checkpoint)
            print_log(
                f'backbone loaded from {self.checkpoint}: '
                f'{len(backbone.weights)} tensors, sha256 '
                f'{backbone.meta["sha256"][:16]}, {backbone.meta["source"]}',
                logger='current',
            )
            runner.register_hook(FirstStepHook(self._compare_again))
        if self.frozen:
            require_frozen(module)
            self._require_unchanged(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Check that a frozen backbone has not moved."""
        if self.frozen:
            self._require_unchanged(runner)

    def _read(self, runner: Runner) -> Backbone:
        if self._backbone is None:
            checkpoint = read_checkpoint(self.checkpoint)
            self._backbone = extract_backbone(checkpoint, self.branch)
            pixels = settings_of({}, unwrapped(runner.model).data_preprocessor)
            require_settings(self._backbone.meta, pixels, self.checkpoint)
            if problems := list(pipeline_problems(runner.cfg)):
                raise UserError('\n'.join(problems))
        return self._backbone

    def _compare_again(self, runner: Runner, batch: Any) -> None:
        """Compare what the first step is made with."""
        if moved := self._moved(runner):
            raise UserError(
                f'{len(moved)} tensors of the backbone ({listed(moved)}) are '
                f'not those of {self.checkpoint} before the first step: '
                'another hook initialises or loads over them'
            )
        if problems := list(level_problems(images_of(batch))):
            raise UserError('\n'.join(problems))

    def _moved(self, runner: Runner) -> list[str]:
        """Tensors that are not those of the file."""
        weights = self._read(runner).weights
        ours = unwrapped(runner.model).backbone.state_dict()
        return [n for n in ours if not torch.equal(ours[n].cpu(), weights[n])]

    def _require_unchanged(self, runner: Runner) -> None:
        weights = self._read(runner).weights
        if moved := self._moved(runner):
            raise UserError(
                f'{len(moved)} of {len(weights)} tensors of the frozen '
                f'backbone are not those of {self.checkpoint} '
                f'({", ".join(moved[:3])}, ...): {_FREEZE}'
            )


def require_frozen(backbone: nn.Module) -> None:
    """Refuse a backbone of which something would change in training."""
    learning = [n for n, p in backbone.named_parameters() if p.requires_grad]
    backbone.train()
    active = [
        name
        for name, module in backbone.named_modules()
        if module.training
        and (
            list(module.buffers(recurse=False))
            or isinstance(module, _DropoutNd)
        )
    ]
    if learning or active:
        names = ', '.join([*learning, *active][:3])
        raise UserError(
            f'the backbone is to be frozen, but {len(learning)} parameters '
            f'would learn and {len(active)} modules are in training mode '
            f'({names}, ...): {_FREEZE}'
        )
