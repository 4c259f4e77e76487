"""Proof, before the first iteration, that pretrained weights arrived."""

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS
from torch import Tensor

from ...checkpoints.errors import CheckpointError
from ...checkpoints.reading import meta_of, read_checkpoint
from ...transfer.backbone import FORMAT, extract_backbone
from ...transfer.verify.loaded_tensors import EXPECTED_MISSING, parts_that_load
from ...transfer.verify.problems import (
    other_weights,
    pipeline_problems,
    rate_problems,
)
from ...transfer.verify.verify import Rules, misfits, path_of, verify
from ...utils.distributed import unwrapped


@HOOKS.register_module()
class VerifyTransferHook(Hook):
    """Stop a training whose backbone is not the one that was pretrained.

    The weights are loaded the usual way, by ``init_cfg=dict(type='Pretrained',
    checkpoint=...)`` of the backbone, which skips whatever does not fit. An
    initialiser of our own would not do instead: mmpretrain's ResNet starts
    its residual branches at zero after any other type. So this hook reads the
    same file and compares:

    - before the model is initialised: the file is a backbone file, and its
      tensors are those that the backbone has, by name and shape;
    - before the first iteration: every tensor of the backbone, and of a
      shared head that loads the same file, equals that of the file, the
      pixels arrive with the channel order, mean and std of the pretraining
      and are normalised once, strides are where they were, nothing is frozen
      or has a learning rate of zero.

    What else the model loads from elsewhere is named in the log. A resumed
    training takes its weights from its own checkpoint and is let
    through. Known to mmpretrain, and to mmdet after
    ``custom_imports = dict(imports=['sce_mm.detection'])``.

    Args:
        allow_frozen: Accept frozen stages or batch norm in evaluation mode,
            as a linear evaluation has them. Detectors do worse with them.
        allow_unknown: Accept a file that does not say what pixels it expects.
        expected_missing: Beginnings of names in the model of tensors that are
            new beside the pretrained ones; ``*`` stands for anything.

    Raises:
        RuntimeError: Before the first iteration, if any of it does not hold.
    """

    priority = 'VERY_HIGH'

    def __init__(
        self,
        allow_frozen: bool = False,
        allow_unknown: bool = False,
        expected_missing: tuple[str, ...] = EXPECTED_MISSING,
    ) -> None:
        self.rules = Rules(
            allow_frozen, allow_unknown, tuple(expected_missing)
        )
        self._path = ''
        self._weights: dict[str, Tensor] = {}
        self._meta: dict[str, Any] = {}

    def before_run(self, runner: Runner) -> None:
        """Read the file and compare names and shapes."""
        # Testing a trained model needs no file; the loop is built only for
        # training.
        if isinstance(runner._train_loop, BaseLoop) and not runner._resume:
            self._read(unwrapped(runner.model))

    def before_train(self, runner: Runner) -> None:
        """Compare values and settings."""
        # Resuming is often asked for when there is nothing to resume yet.
        if runner.iter > 0:
            print_log(
                'transfer not verified: the training is resumed, its weights '
                'come from its own checkpoint',
                logger='current',
            )
            return
        model = unwrapped(runner.model)
        if not self._weights:
            self._read(model)
        verdict = verify(
            model,
            self._path,
            self._weights,
            self._meta,
            self.rules,
        )
        problems = list(verdict.problems)
        problems += pipeline_problems(runner.cfg)
        if not self.rules.allow_frozen:
            parts = parts_that_load(model, self._path)
            problems += rate_problems(parts, _groups(runner))
        if problems and runner._load_from:
            problems.append(
                f'load_from={runner._load_from!r} is read after the backbone '
                'file and replaces it: remove one of them'
            )
        if problems:
            lines = ''.join(f'\n  - {problem}' for problem in problems)
            raise RuntimeError(f'transfer refused:{lines}')
        total, meta = len(self._weights), self._meta
        epochs = meta['epochs']
        print_log(
            f'transfer verified: {total}/{total} tensors, '
            f'sha256 {meta["sha256"][:16]}, {meta["arch"]} of '
            f'{meta["method"] or meta["source"]}'
            + ('' if epochs is None else f', {epochs} epochs'),
            logger='current',
        )
        for line in other_weights(runner.cfg, self._path):
            print_log(line, logger='current', level=logging.WARNING)

    def _read(self, model: Any) -> None:
        try:
            self._path = path_of(model)
            checkpoint = read_checkpoint(self._path)
            if meta_of(checkpoint).get('format') != FORMAT:
                raise CheckpointError(
                    f'{self._path} is not a backbone file: make one with '
                    'tools/model_converters/extract_backbone.py CKPT OUT and '
                    'name OUT in the config'
                )
            self._weights, self._meta = extract_backbone(checkpoint)
        except (ValueError, FileNotFoundError) as error:
            raise RuntimeError(f'transfer refused: {error}') from error
        difference = misfits(
            model, self._path, self._weights, self._meta, self.rules
        )
        if difference:
            raise RuntimeError(f'transfer refused: {difference}')


def _groups(runner: Runner) -> list[dict[str, Any]]:
    """Groups of parameters of the optimiser, or of each of several."""
    groups = runner.optim_wrapper.param_groups
    if isinstance(groups, dict):
        return [group for several in groups.values() for group in several]
    return groups
