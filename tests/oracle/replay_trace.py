"""Replay recorded runs of the official implementation with our modules.

A trace is an ``.npz`` file that holds a short float64 training run: weights
before and after, inputs, and the loss, schedules and queue of every step.
This tool builds the same model from our registries, trains it on the same
inputs with mmengine's Runner, optimiser wrapper and our hooks, and prints by
how much any number differs from the recorded one.

    python tests/oracle/replay_trace.py tests/oracle/traces/*.npz

Exit status 1 if a deviation is above the tolerance.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader
from trace_configs import hook_configs, model_config, optimizer_config
from trace_format import Trace, TraceError

from sce_mm.models import SCE

# Their name -> ours, of modules whose state is recorded.
PARTS = {
    'trunk': 'backbone',
    'projector': 'neck',
    'predictor': 'head.predictor',
    'momentum_trunk': 'momentum_encoder.backbone',
    'momentum_projector': 'momentum_encoder.neck',
}


def pairs(
    trace: Trace, when: str, model: SCE
) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Our tensors beside the recorded ones.

    Args:
        trace: The recorded run.
        when: ``'init'`` or ``'final'``.
        model: Our model.

    Yields:
        Part of the model, recorded key, our tensor, recorded tensor.

    Raises:
        TraceError: A tensor is missing, left over, or of another shape.
    """
    used = set()
    for theirs, ours in PARTS.items():
        if theirs == 'predictor' and not trace.spec['predictor']:
            continue
        module = model.get_submodule(ours)
        for name, tensor in module.state_dict().items():
            key = f'{when}.{theirs}.{name}'
            is_weight = name.endswith(('.weight', '.bias'))
            kind = 'parameters' if is_weight else 'statistics'
            used.add(key)
            yield f'{theirs} {kind}', key, tensor, recorded(trace, key, tensor)
    if model.queue is not None:
        queue, pointer = f'{when}.queue', f'{when}.queue_ptr'
        used |= {queue, pointer}
        # Theirs has a key in each column.
        ours = model.queue.features
        yield 'queue', queue, ours, recorded(trace, queue, ours.T).T
        ours = model.queue.pointer
        yield 'ptr', pointer, ours, recorded(trace, pointer, ours[None])[0]
    left = {k for k in trace.arrays if k.startswith(f'{when}.')} - used
    if left:
        raise TraceError(f'the model has no place for {sorted(left)}')


def load_state(trace: Trace, when: str, model: SCE) -> None:
    """Give our model the recorded state."""
    for _, _, ours, theirs in pairs(trace, when, model):
        ours.copy_(theirs)


def recorded(trace: Trace, key: str, like: Tensor) -> Tensor:
    """A recorded tensor, which must have the shape of ours."""
    if key not in trace.arrays:
        raise TraceError(f'the trace lacks {key}')
    tensor = torch.as_tensor(trace.arrays[key])
    if tensor.shape != like.shape:
        raise TraceError(
            f'{key}: we have shape {tuple(like.shape)}, the trace '
            f'{tuple(tensor.shape)}'
        )
    return tensor


class Deviations(Hook):
    """Compare every step with the trace, after all other hooks."""

    priority = 'LOWEST'

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.largest: dict[str, float] = defaultdict(float)

    def before_train(self, runner: Runner) -> None:
        load_state(self.trace, 'init', runner.model)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        model: SCE = runner.model
        assert outputs is not None
        loss = model.head.loss_module
        seen = {
            'loss': outputs['loss'],
            'lr': runner.optim_wrapper.get_lr()['lr'][0],
            'coeff': loss.coeff,
            'temp_m': loss.target_temperature,
        }
        if model.queue is not None:
            seen['queue'] = model.queue.features.T
            seen['ptr'] = model.queue.pointer
        for name, value in seen.items():
            self._note(name, value, self.trace.step(name, runner.iter))

    def after_train(self, runner: Runner) -> None:
        for part, _, ours, theirs in pairs(self.trace, 'final', runner.model):
            self._note(part, ours, theirs)

    def _note(self, name: str, ours: Any, theirs: Tensor) -> None:
        ours = torch.as_tensor(ours, dtype=torch.float64)
        gap = (ours - theirs).abs().max().item()
        # A NaN would compare as smaller than anything.
        gap = float('inf') if gap != gap else gap
        self.largest[name] = max(self.largest[name], gap)


def replay(path: Path) -> dict[str, float]:
    """Largest absolute deviation of each kind of number over the run.

    Raises:
        TraceError: The file is not a trace, or asks for what we do not have.
    """
    trace = Trace(path)
    deviations = Deviations(trace)
    with tempfile.TemporaryDirectory() as work_dir:
        Runner(
            model=model_config(trace),
            work_dir=work_dir,
            train_dataloader=DataLoader(
                trace.samples(), batch_size=trace.spec['batch']
            ),
            train_cfg=dict(
                by_epoch=False, max_iters=trace.num_steps, val_interval=10**9
            ),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=optimizer_config(trace)
            ),
            custom_hooks=[*hook_configs(trace), deviations],
            default_hooks=dict(logger=None, checkpoint=None),
            default_scope='mmpretrain',
            log_level='ERROR',
            # Two replays in one second may not share their logger.
            experiment_name=f'replay-{Path(work_dir).name}',
        ).train()
    return dict(deviations.largest)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('traces', nargs='+', type=Path, metavar='TRACE')
    parser.add_argument('--tolerance', type=float, default=1e-9)
    args = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    failed = 0
    for path in args.traces:
        try:
            largest = replay(path)
        # An optimiser says TypeError to a parameter that it does not have.
        except (ValueError, TypeError) as error:
            print(f'{path}: cannot be replayed: {error}', file=sys.stderr)
            failed += 1
            continue
        worst = max(largest.values())
        result = 'ok' if worst <= args.tolerance else 'DIFFERS'
        failed += worst > args.tolerance
        print(f'{path}: {result}, largest deviation {worst:.2e}')
        for name, gap in largest.items():
            print(f'  {name:32s} {gap:.2e}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
