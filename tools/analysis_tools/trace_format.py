"""Format of the traces of the official implementation.

Everything that is theirs and not ours is here: key names, layouts, argument
names, and how their schedules behave.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

# Their name -> ours, of modules whose state is recorded.
PARTS = {
    'trunk': 'backbone',
    'projector': 'neck',
    'predictor': 'head.predictor',
    'momentum_trunk': 'momentum_encoder.backbone',
    'momentum_projector': 'momentum_encoder.neck',
}

# Defaults of the official model class.
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


class TraceError(ValueError):
    """The file is not a trace, or asks for what we do not have."""


@MODELS.register_module(force=True)
class TraceTrunk(nn.Sequential):
    """The small network that the traces were recorded with."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (super().forward(images),)


class Trace:
    """One recorded run, translated into our terms.

    Args:
        path: ``.npz`` file.

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
        unknown = set(self.spec['model']) - set(MODEL_DEFAULTS)
        if unknown:
            raise TraceError(f'unknown options of the model: {unknown}')
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

    def model_config(self) -> dict:
        """Config of our SCE."""
        has_queue = self.spec['queue'] is not None
        zero_logit = has_queue and not self.model['use_keys']
        neck = self._mlp_config('projector')
        return dict(
            type='SCE',
            backbone=dict(type='TraceTrunk'),
            neck=neck,
            head=dict(
                type='SCEHead',
                loss=dict(
                    type='SCELoss',
                    temperature=self.model['temp'],
                    target_temperature=self.model['temp_m'],
                    coeff=self.model['coeff'],
                    official_zero_logit=zero_logit,
                ),
                predictor=(
                    self.spec['predictor'] and self._mlp_config('predictor')
                ),
                in_batch_keys=self.model['use_keys'],
            ),
            queue=dict(length=self.spec['queue']) if has_queue else None,
            num_target_views=2 if self.model['sym'] else 1,
            data_preprocessor=dict(type='BaseDataPreprocessor'),
        )

    def optimizer_config(self) -> dict:
        """Config of the optimiser; the rate is not scheduled."""
        types = {'sgd': 'SGD', 'lars': 'LARSMoCoV3'}
        optim = self.spec['optim']
        if optim['name'] not in types:
            raise TraceError(f'unknown optimiser {optim["name"]!r}')
        return dict(
            type=types[optim['name']],
            lr=optim['initial_lr'],
            **optim['params'],
        )

    def hook_configs(self) -> list[dict]:
        """Momentum update and the schedules of lambda and temperature."""
        start = 1 - self.model['initial_momentum']
        momentum = {
            'constant': dict(kind='constant', value=start),
            'cosine': dict(kind='cosine', start=start, end=0.0),
        }.get(self.model['scheduler_momentum'])
        if momentum is None:
            raise TraceError(
                f'unknown schedule {self.model["scheduler_momentum"]!r}'
            )
        hooks = [dict(type='MomentumUpdateHook', momentum=momentum)]
        for theirs, ours in (
            ('temp_m', 'target_temperature'),
            ('coeff', 'coeff'),
        ):
            phases = self._phases(theirs)
            if phases:
                hooks.append(
                    dict(
                        type='ScheduledValueHook',
                        attribute=f'head.loss_module.{ours}',
                        schedule=phases,
                    )
                )
        return hooks

    def _phases(self, name: str) -> list[dict]:
        """Warm-up to the value of the spec, then its decay, if any."""
        value = self.model[name]
        warmup = self.model[f'warmup_epoch_{name}']
        phases = []
        if warmup:
            kind = self.model[f'warmup_scheduler_{name}']
            start = self.model[f'start_warmup_{name}']
            phases.append(
                dict(
                    _official_phase(kind, start, value),
                    steps=warmup * self.steps_per_epoch,
                )
            )
        kind = self.model.get(f'scheduler_{name}')
        if kind:
            end = self.model[f'final_scheduler_{name}']
            phases.append(_official_phase(kind, value, end))
        elif phases:
            phases.append(dict(kind='constant', value=value))
        return phases

    def _mlp_config(self, part: str) -> dict:
        """Config of a neck with the layers that the trace has weights of."""
        layers = sorted(
            {
                int(key.split('.')[3])
                for key in self.arrays
                if key.startswith(f'init.{part}.layers.')
            }
        )
        prefix = f'init.{part}.layers'
        linear = [
            n
            for n in layers
            if self.arrays.get(f'{prefix}.{n}.weight') is not None
            and self.arrays[f'{prefix}.{n}.weight'].ndim == 2
        ]
        norms = [n for n in layers if n not in linear]
        shapes = [self.arrays[f'{prefix}.{n}.weight'].shape for n in linear]
        hidden = {shape[0] for shape in shapes[:-1]}
        if len(hidden) != 1:
            raise TraceError(f'{part}: hidden widths differ: {shapes}')
        widths = dict(
            in_channels=shapes[0][1],
            hid_channels=hidden.pop(),
            out_channels=shapes[-1][0],
            with_avg_pool=False,
        )
        if not norms and len(linear) == 2:
            return dict(type='MoCoV2Neck', **widths)
        last_norm = norms[-1] > linear[-1]
        if len(norms) != len(linear) - (not last_norm):
            raise TraceError(f'{part}: a hidden layer without norm')
        return dict(
            type='NonLinearNeck',
            **widths,
            num_layers=len(linear),
            with_bias=f'{prefix}.{linear[0]}.bias' in self.arrays,
            with_last_bias=f'{prefix}.{linear[-1]}.bias' in self.arrays,
            with_last_bn=last_norm,
            with_last_bn_affine=f'{prefix}.{norms[-1]}.weight' in self.arrays,
            norm_cfg=dict(type='BN1d'),
        )

    def pairs(
        self, when: str, model: nn.Module
    ) -> Iterator[tuple[str, str, Tensor, Tensor | None]]:
        """Our state beside the recorded one.

        Yields:
            Part of the model, recorded key, our tensor, recorded tensor.
        """
        for theirs, ours in PARTS.items():
            if theirs == 'predictor' and not self.spec['predictor']:
                continue
            module = model.get_submodule(ours)
            names = self._module_names(theirs, module)
            for name, tensor in module.state_dict().items():
                owner, _, leaf = name.rpartition('.')
                key = f'{when}.{theirs}.{names[owner]}.{leaf}'
                part = f'{theirs} {_kind(leaf)}'
                yield part, key, tensor, self._tensor(key)
        if self.spec['queue'] is not None:
            queue = model.get_submodule('queue')
            yield 'queue', 'queue', queue.features, self._queue(when)

    def load_state(self, when: str, model: nn.Module) -> None:
        """Give the model the recorded state.

        Raises:
            TraceError: A tensor is missing, left over, or of another shape.
        """
        used = set()
        for _, key, ours, theirs in self.pairs(when, model):
            if theirs is None or theirs.shape != ours.shape:
                got = None if theirs is None else tuple(theirs.shape)
                raise TraceError(
                    f'{key}: expected {tuple(ours.shape)}, got {got}'
                )
            ours.copy_(theirs)
            used.add(key)
        left = {
            key
            for key in self.arrays
            if key.startswith(f'{when}.')
            and key not in used
            and not key.startswith(f'{when}.queue')
        }
        if left:
            raise TraceError(f'the model has no place for {sorted(left)}')
        if self.spec['queue'] is not None:
            pointer = self.arrays[f'{when}.queue_ptr'].item()
            model.get_submodule('queue').pointer.fill_(pointer)

    def _module_names(self, part: str, module: nn.Module) -> dict[str, str]:
        """Our name -> theirs, of the layers of one part."""
        layers = [
            name
            for name, layer in module.named_modules()
            if isinstance(layer, nn.Linear | nn.BatchNorm1d)
        ]
        if part.endswith('trunk'):
            return {name: name for name, _ in module.named_modules()}
        indices = sorted(
            {
                int(key.split('.')[3])
                for key in self.arrays
                if key.startswith(f'init.{part}.layers.')
            }
        )
        theirs = [f'layers.{index}' for index in indices]
        return dict(zip(layers, theirs, strict=True))

    def _tensor(self, key: str) -> Tensor | None:
        array: Any = self.arrays.get(key)
        return None if array is None else torch.as_tensor(array)

    def _queue(self, when: str) -> Tensor:
        # Theirs has a key in each column.
        return torch.from_numpy(self.arrays[f'{when}.queue'].T.copy())


def _kind(leaf: str) -> str:
    return 'parameters' if leaf in ('weight', 'bias') else 'statistics'


def _official_phase(kind: str, start: float, end: float) -> dict:
    """A phase as their code runs it.

    Their linear schedule always falls: asked to rise, it starts at the end
    and comes back to the start.
    """
    if kind not in ('linear', 'cosine'):
        raise TraceError(f'unknown schedule {kind!r}')
    if kind == 'linear' and end > start:
        start, end = end, start
    return dict(kind=kind, start=start, end=end)
