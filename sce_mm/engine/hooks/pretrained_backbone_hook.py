"""A classifier starts from the pretrained backbone, or it does not start."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from ...transfer import (
    check_pixels,
    extract_backbone,
    load_backbone,
    read_checkpoint,
)
from ...utils.distributed import unwrapped


@HOOKS.register_module()
class PretrainedBackboneHook(Hook):
    """Load the backbone of any checkpoint that the transfer reader knows.

    Every tensor on both sides has to match, and the images must come with the
    channel order, mean and std of the pretraining, or the run stops before
    its first iteration. The weights are loaded last, after everything that
    initialises::

        dict(type='PretrainedBackboneHook', checkpoint='epoch_200.pth')

    A resumed run takes its weights from its own checkpoint.

    Args:
        checkpoint: File of a pretraining, or of a backbone alone.
        frozen: The backbone must stay as it is: no parameter of it may learn,
            none of its modules may be in training mode, and after every epoch
            all tensors, batch norm statistics included, must equal those of
            the file.
        branch: ``'online'``, or ``'momentum'`` for the momentum encoder.
        trust: Unpickle freely, as ``--trust`` on the command line says it
            for all files; see :func:`~sce_mm.transfer.read_checkpoint`.

    Raises:
        ValueError: No checkpoint is named.
        CheckpointError: Before the first iteration, if the weights do not
            fit.
        RuntimeError: A frozen backbone is not frozen.
    """

    priority = 'VERY_HIGH'

    def __init__(
        self,
        checkpoint: str,
        frozen: bool = False,
        branch: str = 'online',
        trust: bool = False,
    ) -> None:
        if not checkpoint:
            raise ValueError(
                'PretrainedBackboneHook: name the checkpoint, with '
                '--pretrained of tools/train.py or in the config'
            )
        self.checkpoint = checkpoint
        self.frozen = frozen
        self.branch = branch
        self.trust = trust
        self._weights: dict[str, Tensor] = {}
        self._meta: dict[str, Any] = {}

    def before_run(self, runner: Runner) -> None:
        """Read the file and compare, before anything is initialised."""
        # Testing a trained classifier needs no file; the loop is built only
        # for training.
        if isinstance(runner._train_loop, BaseLoop) and not runner._resume:
            self._read(runner)
            model = unwrapped(runner.model)
            load_backbone(model.backbone, self._weights, self._meta)

    def before_train(self, runner: Runner) -> None:
        """Load, or compare if the run is resumed."""
        backbone = unwrapped(runner.model).backbone
        # Resuming is often asked for when there is nothing to resume yet.
        started = runner.iter > 0
        if not self._weights and (self.frozen or not started):
            self._read(runner)
        if not started:
            load_backbone(backbone, self._weights, self._meta)
            print_log(
                f'backbone loaded from {self.checkpoint}: '
                f'{len(self._weights)}/{len(backbone.state_dict())} tensors, '
                f'sha256 {self._meta["sha256"][:16]}, {self._meta["source"]}',
                logger='current',
            )
        if self.frozen:
            require_frozen(backbone)
            self._require_unchanged(backbone)

    def after_train_epoch(self, runner: Runner) -> None:
        """See that a frozen backbone has not moved."""
        if self.frozen:
            self._require_unchanged(unwrapped(runner.model).backbone)

    def _read(self, runner: Runner) -> None:
        checkpoint = read_checkpoint(self.checkpoint, self.trust or None)
        self._weights, self._meta = extract_backbone(checkpoint, self.branch)
        preprocessor = unwrapped(runner.model).data_preprocessor
        check_pixels(self._meta, preprocessor, self.checkpoint)

    def _require_unchanged(self, backbone: nn.Module) -> None:
        moved = [
            name
            for name, tensor in backbone.state_dict().items()
            if not torch.equal(tensor.cpu(), self._weights[name])
        ]
        if moved:
            raise RuntimeError(
                f'{len(moved)} of {len(self._weights)} tensors of the frozen '
                f'backbone are not those of {self.checkpoint} '
                f'({", ".join(moved[:3])}, ...)'
            )


def require_frozen(backbone: nn.Module) -> None:
    """See that nothing of a backbone will change in training.

    Raises:
        RuntimeError: A parameter would learn, or a module for which that
            makes a difference is in training mode.
    """
    learning = [n for n, p in backbone.named_parameters() if p.requires_grad]
    backbone.train()
    active = [
        name
        for name, module in backbone.named_modules()
        if module.training and _adapts(module)
    ]
    if learning or active:
        raise RuntimeError(
            f'the backbone is to be frozen, but {len(learning)} parameters '
            f'would learn and {len(active)} modules are in training mode '
            f'({", ".join([*learning, *active][:3])}, ...): set '
            'model.backbone.frozen_stages to the number of stages and '
            'norm_eval=True'
        )


def _adapts(module: nn.Module) -> bool:
    """Whether training mode makes a difference: statistics, or dropout."""
    has_buffers = next(module.buffers(recurse=False), None) is not None
    return has_buffers or isinstance(module, _DropoutNd)
