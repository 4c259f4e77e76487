"""Configs of our model, optimiser and hooks for what a trace says was run."""

import trace_maker
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from trace_format import Trace, TraceError


@MODELS.register_module(force=True)
class TraceTrunk(nn.Sequential):
    """The small network that the traces were recorded with."""

    def __init__(self) -> None:
        super().__init__(*trace_maker.trunk())

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (super().forward(images),)


@MODELS.register_module(force=True)
class TraceMLP(trace_maker.MLP):
    """A neck with the recorded layers.

    Args:
        layers: Of the head, as the spec of the trace describes it.
        out_channels: Width of the last layer.
    """

    def __init__(self, layers: dict, out_channels: int) -> None:
        super().__init__(layers)

    def forward(self, features: tuple[Tensor]) -> tuple[Tensor]:
        return (super().forward(features[0]),)


def model_config(trace: Trace) -> dict:
    """Config of our SCE."""
    options, queue = trace.model, trace.spec['queue']
    return dict(
        type='SCE',
        backbone=dict(type='TraceTrunk'),
        neck=mlp_config(trace, 'projector'),
        head=dict(
            type='SCEHead',
            loss=dict(
                type='SCELoss',
                temperature=options['temp'],
                target_temperature=options['temp_m'],
                coeff=options['coeff'],
                official_zero_logit=(
                    queue is not None and not options['use_keys']
                ),
            ),
            predictor=(
                mlp_config(trace, 'predictor')
                if trace.spec['predictor']
                else None
            ),
            in_batch_keys=options['use_keys'],
        ),
        queue=None if queue is None else dict(length=queue),
        num_target_views=2 if options['sym'] else 1,
        data_preprocessor=dict(type='BaseDataPreprocessor'),
    )


def mlp_config(trace: Trace, mlp: str) -> dict:
    """Config of a neck; its recorded weights have to fit it."""
    spec = trace.spec[mlp]
    return dict(type='TraceMLP', layers=spec, out_channels=spec['output_dim'])


def optimizer_config(trace: Trace) -> dict:
    """Config of the optimiser; its rate is not scheduled."""
    types = {'sgd': 'SGD', 'lars': 'LARSMoCoV3'}
    optim = trace.spec['optim']
    if optim['name'] not in types:
        raise TraceError(f'unknown optimiser {optim["name"]!r}')
    return dict(
        type=types[optim['name']], lr=optim['initial_lr'], **optim['params']
    )


def hook_configs(trace: Trace) -> list[dict]:
    """Momentum update and the schedules of lambda and temperature."""
    start = 1 - trace.model['initial_momentum']
    momentum = official_phase(trace.model['scheduler_momentum'], start, 0.0)
    hooks = [dict(type='MomentumUpdateHook', momentum=momentum)]
    for theirs, ours in (('temp_m', 'target_temperature'), ('coeff',) * 2):
        phases = schedule_phases(trace, theirs)
        if phases:
            hooks.append(
                dict(
                    type='ScheduledValueHook',
                    attribute=f'head.loss_module.{ours}',
                    schedule=phases,
                )
            )
    return hooks


def schedule_phases(trace: Trace, name: str) -> list[dict]:
    """Warm-up to the value of the spec, then its decay, if any."""
    options = trace.model
    phases = []
    warmup = options[f'warmup_epoch_{name}']
    if warmup:
        phase = official_phase(
            options[f'warmup_scheduler_{name}'],
            options[f'start_warmup_{name}'],
            options[name],
        )
        phases.append(dict(phase, steps=warmup * trace.steps_per_epoch))
    kind = options.get(f'scheduler_{name}')
    if kind:
        end = options[f'final_scheduler_{name}']
        phases.append(official_phase(kind, options[name], end))
    elif phases:
        phases.append(dict(kind='constant', value=options[name]))
    return phases


def official_phase(kind: str | None, start: float, end: float) -> dict:
    """A phase as their code runs it.

    Their linear schedule always falls: asked to rise, it starts at the end
    and comes back to the start.
    """
    if kind in (None, 'constant'):
        return dict(kind='constant', value=start)
    if kind not in ('linear', 'cosine'):
        raise TraceError(f'unknown schedule {kind!r}')
    if kind == 'linear' and end > start:
        start, end = end, start
    return dict(kind=kind, start=start, end=end)
