"""Stop before an optimiser step that would ruin the weights."""

import io
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor, nn

from ...checkpoints.durable_files import WriteError, write_durably
from ...utils.distributed import unwrapped
from ...utils.random_state import get_random_state
from ..non_finite import NonFiniteError, all_finite, first_non_finite


@HOOKS.register_module()
class NumericalGuardHook(Hook):
    """See that loss and gradients are finite before each optimiser step.

    If they are not, the weights stay as they are, the batches and the state
    are saved for ``tools/analysis_tools/replay_batch.py``, the first tensor
    that went wrong is named (on several processes by that tool), and the run
    stops. No checkpoint is written, so ``--resume`` goes on before it.

    With AMP, PyTorch's scaler skips such steps itself, which is normal while
    it looks for its scale; the run stops after ``max_skipped`` in a row, or
    if the loss itself is not finite.

    The check is one pass over the gradients and one number for the host per
    optimiser step; that wait is the price of stopping before the step.

    Args:
        max_skipped: Steps that a scaler may skip in a row.

    Raises:
        ValueError: ``max_skipped`` is below one.
        NonFiniteError: In training, before the step.
    """

    # Before the keys of a bad step are enqueued or a checkpoint is written.
    priority = 'VERY_HIGH'

    def __init__(self, max_skipped: int = 20) -> None:
        if max_skipped < 1:
            raise ValueError(
                f'max_skipped must be at least 1, got {max_skipped}: a scaler '
                'always skips a few steps at the beginning'
            )
        self.max_skipped = max_skipped
        self._skipped = 0
        self._stepped = False
        self._losses: list[Tensor] = []
        self._batches: list[Any] = []
        self._handles: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Watch the losses as they are computed, and each step."""
        optimizer = runner.optim_wrapper.optimizer
        self._handles = [
            runner.model.register_forward_hook(self._keep_losses),
            optimizer.register_step_pre_hook(
                lambda *_: self._before_step(runner)
            ),
        ]

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Keep the batches of the step that is being computed."""
        self._batches.append(data_batch)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Count what a scaler skipped; begin with the next step."""
        if not runner.optim_wrapper.should_update():
            return
        self._skipped = 0 if self._stepped else self._skipped + 1
        if not self._stepped and not bool(all_finite(self._losses)):
            self._stop(runner, 'the loss is not finite')
        if self._skipped >= self.max_skipped:
            self._stop(
                runner,
                f'the gradients were not finite in {self._skipped} steps in a '
                'row, at whatever scale',
            )
        self._stepped = False
        self._losses.clear()
        self._batches.clear()

    def after_train(self, runner: Runner) -> None:
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()

    def _before_step(self, runner: Runner) -> None:
        groups = runner.optim_wrapper.optimizer.param_groups
        gradients = [
            p.grad for g in groups for p in g['params'] if p.grad is not None
        ]
        self._stepped = True
        if not bool(all_finite([*gradients, *self._losses])):
            self._stop(runner, 'loss or gradients are not finite')

    def _keep_losses(
        self, model: nn.Module, inputs: Any, outputs: dict[str, Tensor]
    ) -> None:
        self._losses += [
            value.detach().float()
            for name, value in outputs.items()
            if 'loss' in name and isinstance(value, Tensor)
        ]

    def _stop(self, runner: Runner, what: str) -> None:
        model = unwrapped(runner.model)
        try:
            path = self._save(runner, model)
            look = (
                'Look at it with python '
                f'tools/analysis_tools/replay_batch.py {path}'
            )
        except WriteError as error:
            look = f'Batches and state could not be saved ({error})'
        where = 'the first tensor that went wrong is named by the replay'
        if runner.world_size == 1:
            where = first_non_finite(model, self._batches)
        raise NonFiniteError(
            f'iteration {runner.iter + 1}: {what}: {where}. The optimiser '
            f'step was not made and no checkpoint written. {look}; a lower '
            'learning rate, a longer warm-up or gradient clipping are what '
            'helps most often, then --resume'
        )

    def _save(self, runner: Runner, model: nn.Module) -> Path:
        buffer = io.BytesIO()
        torch.save(
            {
                'iteration': runner.iter,
                'state_dict': model.state_dict(),
                'batches': [_plain(batch) for batch in self._batches],
                'images': [_paths(batch) for batch in self._batches],
                'random': get_random_state(),
            },
            buffer,
        )
        name = f'iter_{runner.iter + 1}_rank_{runner.rank}.pth'
        path = Path(runner.work_dir) / 'not_finite' / name
        write_durably(path, buffer.getvalue())
        return path


def _plain(batch: Any) -> dict[str, Any]:
    """The images of a batch, without objects that a reader must trust."""
    return {'inputs': batch['inputs'], 'data_samples': None}


def _paths(batch: Any) -> list[str]:
    samples = batch.get('data_samples')
    if not isinstance(samples, list | tuple):
        return []
    return [str(getattr(sample, 'img_path', '')) for sample in samples]
