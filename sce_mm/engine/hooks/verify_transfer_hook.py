"""Stop a training whose pretrained weights did not arrive."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...transfer import Backbone
from ...transfer.metadata import BEGAN_FROM
from ...transfer.verify.load_report import as_prefixes
from ...transfer.verify.pipelines import (
    images_of,
    level_notes,
    level_problems,
)
from ...transfer.verify.problems import (
    pretrained_path,
    read_backbone_file,
    require_pyramid,
)
from ...transfer.verify.verify import (
    VerificationResult,
    VerifyOptions,
    verify_transfer,
)
from ...utils.distributed import unwrapped
from ...utils.errors import UserError
from ...utils.progress import warn
from ...utils.text import counted, listed
from ..runner.training import is_training
from .first_step import FirstStepHook

# What mmengine writes before the names of tensors that a part has no place
# for; names that are missing would follow in another line.
_LEFT_OVER = 'unexpected key in source state_dict: '
# Times the batches of a step: the optimiser is expected to have made one.
_MOST_STEPS = 100


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
    nothing is frozen or has a learning rate of zero, and the neck takes the
    channels that the backbone gives. After all other hooks,
    when the first batch is there, it compares again, so that none of them can
    initialise or freeze anything unseen, and looks at the levels of the
    images. A warning names parameters of the backbone that the first step of
    the optimiser leaves as they are.

    What else the model or a hook loads is named in the log. A resumed training
    takes its weights from its own checkpoint and is let through; there is a
    warning if it began from another file than the one that is there now, or
    if pixels, strides, frozen layers or norms are not as they were.
    Known to mmpretrain, and to mmdet and mmseg after
    ``custom_imports = dict(imports=['sce_mm.detection'])``, or
    ``'sce_mm.segmentation'``.

    Args:
        allow_frozen: Accept frozen stages or batch norm in evaluation mode,
            as a linear evaluation has them, and a learning rate of zero.
            Detectors do worse with them.
        allow_unknown: Accept a file that does not say what pixels it expects.
        expected_missing: Prefixes of names in the model of tensors that are
            new beside the pretrained ones, in addition to those that always
            are, as the norm of a shared head; ``*`` stands for anything.

    Raises:
        UserError: The transfer has a problem; raised before the first
            iteration. Or ``expected_missing`` is no list.
    """

    priority = 'VERY_HIGH'

    def __init__(
        self,
        allow_frozen: bool = False,
        allow_unknown: bool = False,
        expected_missing: Sequence[str] = (),
    ) -> None:
        self.options = VerifyOptions(
            allow_frozen,
            allow_unknown,
            as_prefixes(expected_missing),
        )
        self._backbone: Backbone | None = None
        self._began_from: str | None = None
        self._versions: dict[str, int] = {}

    def before_run(self, runner: Runner) -> None:
        """Read the file with our reader before mmengine unpickles it."""
        # Testing a trained model needs no file.
        if is_training(runner) and not runner._resume:
            self._read(runner)
            runner.logger.addFilter(self._is_news)

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Note what a run that is resumed began from."""
        if runner._resume:
            meta = checkpoint.get('meta') or {}
            self._began_from = meta.get(BEGAN_FROM)

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Say in a checkpoint what its run began from."""
        if self._began_from:
            checkpoint['meta'][BEGAN_FROM] = self._began_from

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
            self._compare_with_beginning(runner)
            return
        backbone = self._read(runner)
        result = self._verify(runner)
        if result.problems:
            raise UserError(f'transfer refused:{_lines(result.problems)}')
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
            warn(note)
        self._began_from = meta['sha256']
        runner.register_hook(
            FirstStepHook(self._compare_again, self._look_at_step)
        )

    def _compare_again(self, runner: Runner, batch: Any) -> None:
        """Compare again what the first step is made with.

        Args:
            runner: Runner, after all hooks but the last.
            batch: First batch of the data loader.

        Raises:
            UserError: Something has changed since, or the images of the
                batch are not as the data preprocessor expects them.
        """
        images = images_of(batch)
        problems = [
            *self._verify(runner, in_training=True).problems,
            *level_problems(images),
        ]
        if problems:
            raise UserError(
                'transfer refused: what was verified before the training is '
                'otherwise at its first step, so a hook or a transform of the '
                f'config has done it:{_lines(problems)}'
            )
        for note in level_notes(images):
            warn(note)
        self._versions = dict(_versions(runner))

    def _look_at_step(self, runner: Runner, steps: int) -> bool:
        """Look which pretrained parameters the optimiser has changed.

        Args:
            runner: Runner, after a step.
            steps: Steps so far. Several make one of the optimiser if it
                accumulates gradients, and mixed precision skips some.

        Returns:
            Whether that is known.
        """
        wrapper = runner.optim_wrapper
        most = _MOST_STEPS * getattr(wrapper, '_accumulative_counts', 1)
        still = {n for n, v in _versions(runner) if v == self._versions[n]}
        known = len(still) < len(self._versions) or (
            steps == min(most, runner.max_iters)
        )
        if known and not self.options.allow_frozen:
            weights = self._read(runner).weights
            backbone = unwrapped(runner.model).backbone
            # An optimiser that writes past the counters changes the values.
            names = [
                name
                for name, parameter in backbone.named_parameters()
                if name in still
                and name in weights
                and parameter.detach().cpu().equal(weights[name])
            ]
            if names:
                warn(
                    f'{len(names)} of {len(self._versions)} parameters of the '
                    f'backbone ({listed(names)}) are still those of the file '
                    f'after {counted(steps, "step")}: no gradient reaches '
                    'them, or the features that they make are not used'
                )
        if known:
            self._backbone = None
        return known

    def _verify(
        self,
        runner: Runner,
        in_training: bool = False,
        settings_only: bool = False,
    ) -> VerificationResult:
        groups = runner.optim_wrapper.param_groups
        if isinstance(groups, dict):
            # Several optimisers, by name.
            groups = [g for several in groups.values() for g in several]
        return verify_transfer(
            unwrapped(runner.model),
            self._read(runner),
            runner.cfg,
            groups,
            self.options._replace(settings_only=settings_only),
            in_training,
        )

    def _compare_with_beginning(self, runner: Runner) -> None:
        """Warn of what is otherwise than when a resumed run began."""
        try:
            now = self._read(runner).meta['sha256']
        except UserError:
            return  # a run that has begun needs no file
        if self._began_from in (None, now):
            problems = self._verify(runner, settings_only=True).problems
        else:
            problems = (
                f'it began from other weights (sha256 '
                f'{str(self._began_from)[:16]}) than those that the config '
                f'names now ({now[:16]}): its results are not those of this '
                'file. To begin from it take another --work-dir, without '
                '--resume',
            )
        if problems:
            warn(f'of the run that is resumed:{_lines(problems)}')
        self._backbone = None

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
                raise UserError(f'transfer refused: {error}') from error
        return self._backbone


def _versions(runner: Runner) -> Iterator[tuple[str, int]]:
    """Names of parameters of the backbone, and how often each was written."""
    backbone = unwrapped(runner.model).backbone
    for name, parameter in backbone.named_parameters():
        yield name, parameter._version


def _lines(problems: Iterable[str]) -> str:
    return ''.join(f'\n  - {problem}' for problem in problems)
