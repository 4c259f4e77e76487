"""A trace of the official implementation, as it lies on disk."""

import json
from pathlib import Path

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
        for name, value in self.spec['model'].items():
            if name not in MODEL_DEFAULTS and FIXED.get(name) != value:
                raise TraceError(
                    f'no such option of the model here: {name}={value!r}'
                )
        self.model = MODEL_DEFAULTS | self.spec['model']
        self.steps_per_epoch = self.spec['steps_per_epoch']
        self.num_steps = self.spec['epochs'] * self.steps_per_epoch

    def samples(self) -> list[dict[str, list[Tensor]]]:
        """The inputs image by image, in the order of the steps."""
        views = [
            torch.from_numpy(self.arrays[f'view{v}']).double().flatten(0, 1)
            for v in range(len(self.spec['sizes']))
        ]
        return [{'inputs': list(image)} for image in zip(*views, strict=True)]

    def step(self, name: str, index: int) -> Tensor:
        """Recorded value of one step, float64."""
        return torch.as_tensor(
            self.arrays[f'step.{name}'][index], dtype=torch.float64
        )

    def layers(self, mlp: str) -> list[int]:
        """Indices of the layers of a recorded MLP that have a state."""
        prefix = f'init.{mlp}.layers.'
        keys = (k.removeprefix(prefix) for k in self.arrays if prefix in k)
        return sorted({int(key.split('.')[0]) for key in keys})
