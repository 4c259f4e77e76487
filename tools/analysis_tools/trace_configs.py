"""Our configs for what a trace says was run."""

from mmpretrain.registry import MODELS
from torch import Tensor, nn
from trace_format import Trace, TraceError


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
    """Config of a neck with the layers that the trace has weights of."""
    prefix, layers = f'init.{mlp}.layers', trace.layers(mlp)
    linear = [
        n for n in layers if f'{prefix}.{n}.running_mean' not in trace.arrays
    ]
    norms = [n for n in layers if n not in linear]
    shapes = [trace.arrays[f'{prefix}.{n}.weight'].shape for n in linear]
    if len({shape[0] for shape in shapes[:-1]}) != 1:
        raise TraceError(f'{mlp}: hidden widths differ: {shapes}')
    widths = dict(
        in_channels=shapes[0][1],
        hid_channels=shapes[0][0],
        out_channels=shapes[-1][0],
        with_avg_pool=False,
    )
    if not norms and len(linear) == 2:
        return dict(type='MoCoV2Neck', **widths)
    last_norm = bool(norms) and norms[-1] > linear[-1]
    if len(norms) != len(linear) - (not last_norm):
        raise TraceError(f'{mlp}: a hidden layer without norm')
    return dict(
        type='NonLinearNeck',
        **widths,
        num_layers=len(linear),
        with_bias=f'{prefix}.{linear[0]}.bias' in trace.arrays,
        with_last_bias=f'{prefix}.{linear[-1]}.bias' in trace.arrays,
        with_last_bn=last_norm,
        with_last_bn_affine=f'{prefix}.{norms[-1]}.weight' in trace.arrays,
        norm_cfg=dict(type='BN1d'),
    )


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
    momentum = {
        'constant': dict(kind='constant', value=start),
        'cosine': dict(kind='cosine', start=start, end=0.0),
    }.get(trace.model['scheduler_momentum'])
    if momentum is None:
        raise TraceError(
            f'unknown schedule {trace.model["scheduler_momentum"]!r}'
        )
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
    if kind is None:
        return dict(kind='constant', value=start)
    if kind not in ('linear', 'cosine'):
        raise TraceError(f'unknown schedule {kind!r}')
    if kind == 'linear' and end > start:
        start, end = end, start
    return dict(kind=kind, start=start, end=end)
