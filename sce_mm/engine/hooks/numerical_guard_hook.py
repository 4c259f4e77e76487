"""Stop before an optimiser step with NaN or Inf, and find where they arose."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor, nn

from ...models import SCE
from ...utils.distributed import unwrapped
from ...utils.durable_files import WriteError, write_durably
from ...utils.errors import UserError
from ...utils.random_state import get_random_state


class NonFiniteError(UserError):
    """Loss or gradients are not finite; the optimiser step was not made."""


@HOOKS.register_module()
class NumericalGuardHook(Hook):
    """Check that loss and gradients are finite before each optimiser step.

    If they are not, the weights stay as they are, the batches and the state
    are saved for ``sce replay``, the first tensor
    that went wrong is named (on several processes by that tool), and the run
    stops with ``NonFiniteError``. No checkpoint is written, so ``--resume``
    goes on before it.

    With AMP, PyTorch's scaler skips such steps itself, which is normal while
    it looks for its scale; the run stops after ``max_skipped`` in a row, or
    if the loss itself is not finite.

    The check is one pass over the gradients and one number for the host per
    optimiser step; that wait is the price of stopping before the step.

    Args:
        max_skipped: Number of steps that a scaler may skip in a row.

    Raises:
        UserError: ``max_skipped`` is below one.
        NonFiniteError: Loss or gradients are not finite; the step is not made.
    """

    # Before the keys of a bad step are enqueued or a checkpoint is written.
    priority = 'VERY_HIGH'

    def __init__(self, max_skipped: int = 20) -> None:
        if max_skipped < 1:
            raise UserError(
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

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Count what a scaler skipped; begin with the next step."""
        if not runner.optim_wrapper.should_update():
            return
        self._skipped = 0 if self._stepped else self._skipped + 1
        if not self._stepped and not all_finite(self._losses):
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
        if not all_finite([*gradients, *self._losses]):
            self._stop(runner, 'loss or gradients are not finite')

    def _keep_losses(
        self, model: nn.Module, inputs: Any, outputs: Any
    ) -> None:
        # Predictions of a validation are a list.
        if not isinstance(outputs, dict):
            return
        self._losses += [
            value.detach().float()
            for name, value in outputs.items()
            if 'loss' in name and isinstance(value, Tensor)
        ]

    def _stop(self, runner: Runner, what: str) -> None:
        model = unwrapped(runner.model)
        try:
            look = f'Look at it with sce replay {self._save(runner, model)}'
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
        # Samples are objects that a reader would have to trust: paths alone.
        content = {
            'iteration': runner.iter,
            'state_dict': model.state_dict(),
            'batches': [
                {'inputs': batch['inputs'], 'data_samples': None}
                for batch in self._batches
            ],
            'images': [
                [str(getattr(s, 'img_path', '')) for s in samples]
                for samples in (b.get('data_samples') for b in self._batches)
                if isinstance(samples, list | tuple)
            ],
            'random': get_random_state(),
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        name = f'iter_{runner.iter + 1}_rank_{runner.rank}.pth'
        path = Path(runner.work_dir) / 'not_finite' / name
        write_durably(path, buffer.getvalue())
        return path


def all_finite(tensors: Sequence[Tensor]) -> Tensor:
    """Whether all are finite, one boolean on their device, in one pass."""
    norms = torch._foreach_norm(list(tensors))
    return torch.isfinite(torch.stack([n.float() for n in norms])).all()


def first_non_finite(model: BaseModel, batches: Iterable[dict]) -> str:
    """Name the first tensor that is not finite in the passes of a step.

    Looks at the images, the weights, every module's input and output in the
    order of computation, and the gradients from the loss backwards. The
    passes are made again, so buffers and gradients change.

    Args:
        model: The model in the state before the step, not wrapped.
        batches: The batches of the step, as the loader gives them.
    """
    batches = list(batches)
    for index, batch in enumerate(batches):
        if not _is_finite(batch.get('inputs')):
            return f'the images of batch {index} of the step are not finite'
    for name, tensor in model.state_dict().items():
        # The failed pass has written to running statistics, and training
        # does not read them.
        if 'running_' not in name and not _is_finite(tensor):
            return f'{name} (a weight or buffer) is not finite'
    if isinstance(model, SCE):
        # The failed step has left its keys behind.
        model.discard_keys()
    model.train()
    model.zero_grad()
    for batch in batches:
        if found := _first_in_pass(model, batch):
            return found
    for name, parameter in reversed(list(model.named_parameters())):
        if parameter.grad is not None and not _is_finite(parameter.grad):
            return (
                f'the gradient of {name} is not finite, all outputs are (the '
                'last parameter of the network whose gradient is not)'
            )
    return (
        'everything is finite when the step is made again: an overflow of '
        'lower precision, or a device that errs'
    )


def _first_in_pass(model: BaseModel, batch: dict) -> str | None:
    """Forward and backward pass; the first input or output that is wrong."""
    found: list[str] = []

    def note(value: Any, what: str) -> None:
        if not found and not _is_finite(value):
            found.append(f'{what} is not finite')

    handles = []
    for name, module in model.named_modules():
        label = f'{name or "the model"} ({type(module).__name__})'
        handles += [
            module.register_forward_pre_hook(
                lambda m, x, label=label: note(x, f'the input of {label}')
            ),
            module.register_forward_hook(
                lambda m, x, y, label=label: note(y, f'the output of {label}')
            ),
        ]
    try:
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    loss, _ = model.parse_losses(losses)
    loss.backward()
    return None


def _is_finite(value: Any) -> bool:
    """Whether all tensors in a nest of dicts, lists and tuples are finite."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return True
