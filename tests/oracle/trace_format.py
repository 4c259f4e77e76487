"""Read a trace of the official implementation and check its options."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Options of the official model class that a trace may set, with its defaults.
MODEL_DEFAULTS = {
    'coeff': 0.5,
    'temp': 0.1,
    'temp_m': 0.05,
    'initial_momentum': 0.999,
    'scheduler_momentum': 'constant',
    'sym': False,
    'use_keys': False,
    'num_local_crops': 0,
    'warmup_epoch_temp_m': 0,
    'start_warmup_temp_m': 0.05,
    'warmup_scheduler_temp_m': 'cosine',
    'warmup_epoch_coeff': 0,
    'start_warmup_coeff': 1.0,
    'warmup_scheduler_coeff': 'linear',
    'scheduler_coeff': None,
    'final_scheduler_coeff': 0.0,
}
# Options that we only have with this value.
FIXED = {
    'normalize_outputs': True,
    'num_global_crops': 2,
    'num_splits': 0,
    'mutual_pass': False,
    'shuffle_bn': False,
}
# Options of those above; while they are off, any value will do.
WITHOUT_EFFECT = {
    'num_devices',
    'simulate_n_devices',
    'num_splits_per_combination',
}
SPEC = {'sizes', 'batch', 'epochs', 'model', 'queue', 'optim'}
SPEC |= {'steps_per_epoch', 'projector', 'predictor'}
# What the run is called and how its inputs were drawn: they are recorded.
NOTES = {'case', 'seed'}
STATES = ('init', 'final')
FIXED_HEAD = {'activation_layer': 'relu', 'dropout': 0}
STEP = ('loss', 'lr', 'coeff', 'temp_m')


class TraceError(ValueError):
    """The file is not a trace, or asks for what we do not have."""


class Trace:
    """One recorded run.

    Args:
        path: ``.npz`` file.

    Attributes:
        arrays: Everything that was recorded, by its name in the file.
        spec: What was run.
        model: Options of the official model class, defaults filled in.

    Raises:
        TraceError: It is not a trace, or has options that we do not know.
    """

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as file:
                self.arrays = dict(file)
            self.spec = json.loads(str(self.arrays['spec']))
        except (OSError, ValueError, KeyError) as error:
            raise TraceError(f'not a trace: {error!r}') from error
        self._check_names()
        self.model = MODEL_DEFAULTS | self.spec['model']
        self.steps_per_epoch = self.spec['steps_per_epoch']
        self.num_steps = self.spec['epochs'] * self.steps_per_epoch
        self._check_counts()

    def _check_names(self) -> None:
        """Refuse what would be left out of the replay without a word."""
        spec = self.spec
        _check_keys('the spec', spec, SPEC, NOTES)
        options = {*MODEL_DEFAULTS, *WITHOUT_EFFECT}
        _check_keys('the model', spec['model'], (), options, FIXED)
        # What else the heads are shows in the recorded state.
        for name in ('projector', 'predictor'):
            head = spec[name] or {}
            fixed = {key: head[key] for key in FIXED_HEAD if key in head}
            _check_keys(name, fixed, (), (), FIXED_HEAD)
        views = {f'view{v}' for v in range(len(spec['sizes']))}
        steps = {f'step.{name}' for name in STEP}
        if spec['queue'] is not None:
            steps |= {'step.queue', 'step.ptr'}
        arrays = {
            name: list(array.shape)
            for name, array in self.arrays.items()
            if name.split('.')[0] not in STATES
        }
        _check_keys('the file', arrays, {'spec', *views}, steps)

    def _check_counts(self) -> None:
        views = len(self.spec['sizes'])
        crops = FIXED['num_global_crops'] + self.model['num_local_crops']
        if crops != views:
            raise TraceError(
                f'sizes are of {views} views, but the model has {crops} crops '
                f'(num_local_crops={self.model["num_local_crops"]})'
            )
        for name, array in self.arrays.items():
            if name.startswith('step.') and len(array) != self.num_steps:
                raise TraceError(
                    f'{name} has {len(array)} steps, but the spec '
                    f'{self.num_steps}'
                )

    def samples(self) -> list[dict[str, list[Tensor]]]:
        """The inputs image by image, in the order of the steps."""
        views = [
            torch.from_numpy(self.arrays[f'view{v}']).double().flatten(0, 1)
            for v in range(len(self.spec['sizes']))
        ]
        return [{'inputs': list(image)} for image in zip(*views, strict=True)]

    def step(self, name: str, index: int) -> Tensor:
        """Recorded value of one step, float64."""
        if f'step.{name}' not in self.arrays:
            raise TraceError(f'the trace lacks step.{name}')
        return torch.as_tensor(
            self.arrays[f'step.{name}'][index], dtype=torch.float64
        )


def _check_keys(
    where: str,
    given: dict[str, Any],
    needed: Collection[str],
    known: Collection[str] = (),
    fixed: dict[str, Any] | None = None,
) -> None:
    """Check that nothing is missing and nothing would be left out.

    Raises:
        TraceError: A key is missing or not known, or not of its fixed value.
    """
    missing = sorted(set(needed) - set(given))
    if missing:
        raise TraceError(f'{where} lacks {", ".join(missing)}')
    fixed = fixed or {}
    for name, value in given.items():
        if name in fixed and value != fixed[name]:
            raise TraceError(
                f'{where} has {name}={value!r}; here it is {fixed[name]!r}'
            )
        if name not in {*needed, *known, *fixed}:
            raise TraceError(
                f'{where} has {name}={value!r}, which is not known here'
            )
