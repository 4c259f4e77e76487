"""Stop a training whose pretrained weights did not arrive."""

import logging

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS

from ...transfer import Backbone
from ...transfer.verify.problems import (
    pretrained_path,
    read_backbone_file,
    require_pyramid,
)
from ...transfer.verify.verify import (
    EXPECTED_MISSING,
    VerifyOptions,
    verify_transfer,
)
from ...utils.distributed import unwrapped

# What mmengine writes before the names of tensors that a part has no place
# for; names that are missing would follow in another line.
_LEFT_OVER = 'unexpected key in source state_dict: '


@HOOKS.register_module()
class VerifyTransferHook(Hook):
    """Stop a training whose backbone is not the one that was pretrained.

    The weights are loaded the usual way, by ``init_cfg=dict(type='Pretrained',
    checkpoint=...)`` of the backbone, which skips whatever does not fit. An
    initialiser of our own would not do instead: mmpretrain's ResNet starts
    its residual branches at zero after any other type. So this hook reads the
    same file and compares before the first iteration: every tensor of the
    backbone, and of a shared head or a neck that loads the same file, equals
    that of the file, the pixels arrive with the channel order, mean and std of
    the pretraining and are normalised once, strides are where they were,
    nothing is frozen or has a learning rate of zero.

    What else the model loads from elsewhere is named in the log. A resumed
    training takes its weights from its own checkpoint and is let
    through. Known to mmpretrain, and to mmdet and mmseg after
    ``custom_imports = dict(imports=['sce_mm.detection'])``, or
    ``'sce_mm.segmentation'``.

    Args:
        allow_frozen: Accept frozen stages or batch norm in evaluation mode,
            as a linear evaluation has them, and a learning rate of zero.
            Detectors do worse with them.
        allow_unknown: Accept a file that does not say what pixels it expects.
        expected_missing: Prefixes of names in the model of tensors that are
            new beside the pretrained ones; ``*`` stands for anything.

    Raises:
        RuntimeError: The transfer has a problem; raised before the first
            iteration.
    """

    priority = 'VERY_HIGH'

    def __init__(
        self,
        allow_frozen: bool = False,
        allow_unknown: bool = False,
        expected_missing: tuple[str, ...] = EXPECTED_MISSING,
    ) -> None:
        self.options = VerifyOptions(
            allow_frozen, allow_unknown, tuple(expected_missing)
        )
        self._backbone: Backbone | None = None

    def before_run(self, runner: Runner) -> None:
        """Read the file with our reader before mmengine unpickles it."""
        # Testing a trained model needs no file; the loop is built only for
        # training.
        if isinstance(runner._train_loop, BaseLoop) and not runner._resume:
            self._read(runner)
            runner.logger.addFilter(self._is_news)

    def before_train(self, runner: Runner) -> None:
        """Compare the model with the file."""
        runner.logger.removeFilter(self._is_news)
        # Resuming is often asked for when there is nothing to resume yet.
        if runner.iter > 0:
            print_log(
                'transfer not verified: the training is resumed, its weights '
                'come from its own checkpoint',
                logger='current',
            )
            return
        backbone = self._read(runner)
        groups = runner.optim_wrapper.param_groups
        if isinstance(groups, dict):
            # Several optimisers, by name.
            groups = [g for several in groups.values() for g in several]
        model = unwrapped(runner.model)
        result = verify_transfer(
            model, backbone, runner.cfg, groups, self.options
        )
        if result.problems:
            lines = ''.join(f'\n  - {problem}' for problem in result.problems)
            raise RuntimeError(f'transfer refused:{lines}')
        total, meta = result.total, backbone.meta
        epochs = meta['epochs']
        print_log(
            f'transfer verified: {total}/{total} tensors, '
            f'sha256 {meta["sha256"][:16]}, {meta["arch"]} of '
            f'{meta["method"] or meta["source"]}'
            + ('' if epochs is None else f', {epochs} epochs'),
            logger='current',
        )
        for note in result.notes:
            print_log(note, logger='current', level=logging.WARNING)

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Whether a line is not mmengine's on what a part does not take.

        Of a file with a pyramid or for a shared head each part takes its own
        tensors, and all of them are compared afterwards.
        """
        assert self._backbone is not None
        _, found, names = record.getMessage().partition(_LEFT_OVER)
        of_the_file = {*names.strip().split(', ')} <= {*self._backbone.tensors}
        return not (found and of_the_file)

    def _read(self, runner: Runner) -> Backbone:
        if self._backbone is None:
            try:
                model = unwrapped(runner.model)
                path = pretrained_path(model)
                self._backbone = read_backbone_file(path)
                require_pyramid(model, path)
            except (ValueError, FileNotFoundError) as error:
                raise RuntimeError(f'transfer refused: {error}') from error
        return self._backbone
