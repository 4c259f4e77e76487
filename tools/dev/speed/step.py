"""Seconds of a training step against what it cannot do without.

    python tools/dev/speed/step.py --json step.json

``bare network`` is the forward and backward pass of the online network over
two views and the forward pass of the target over both, in the same precision
and memory layout: no loss, no optimiser, no average, no queue. A whole step of
SCE (symmetric, queue of 65 536 keys, optimiser, average, enqueue) is put
beside it, with the same step as the official code takes it (dense loss with a
copy of the queue, average one parameter after the other), and with the steps
of mmpretrain's MoCo v3 (no queue) and MoCo v2 (one view a branch: half of the
work), and with lightly's MoCo v2 where lightly is installed. Inputs lie in
memory.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from importlib.util import find_spec

import torch
from loss import QUEUE, WIDTH, Loss, official
from measuring import command, interleaved, machine, table_text
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import Tensor, nn

import sce_mm  # noqa: F401  (registers the model)
from sce_mm.cli.exit import run_main
from sce_mm.models.losses.softmax import at_least_float32

Views = Sequence[Tensor]
Step = Callable[[Views, Callable[[], AbstractContextManager]], None]
# Makes a step from a setting and the memory layout. A step takes the views of
# a batch, targets first, with a context that sets the precision.
Maker = Callable[[dict, bool], Step]
SETTINGS = {
    'resnet18-32': dict(
        backbone=dict(type='ResNet_CIFAR', depth=18),
        features=512,
        batch=128,
        pixels=32,
    ),
    'resnet50-224': dict(
        backbone=dict(type='ResNet', depth=50, zero_init_residual=False),
        features=2048,
        batch=8,
        pixels=224,
    ),
}
# Setting, precision, and whether channels are last.
RUNS = [
    ('resnet18-32', 'float32', False),
    ('resnet18-32', 'float32', True),
    ('resnet18-32', 'bfloat16', True),
    ('resnet50-224', 'float32', True),
]


def measure(repeats: int, threads: int) -> list[dict]:
    """Figures of all runs on the CPU."""
    torch.set_num_threads(threads)
    return [speed(*run, repeats) for run in RUNS]


def speed(
    name: str, precision: str, channels_last: bool, repeats: int
) -> dict:
    """Seconds of each candidate's step in a setting of that name."""
    init_default_scope('mmpretrain')
    setting = SETTINGS[name]
    size = (setting['batch'], 3, setting['pixels'], setting['pixels'])
    layout = torch.channels_last if channels_last else torch.contiguous_format
    generator = torch.Generator().manual_seed(0)
    views = [
        torch.randn(*size, generator=generator).to(memory_format=layout)
        for _ in range(2)
    ]
    half = precision == 'bfloat16'
    autocast = partial(torch.autocast, 'cpu', torch.bfloat16, enabled=half)
    steps = {
        candidate: partial(make(setting, channels_last), views, autocast)
        for candidate, make in present().items()
    }
    return {
        'setting': name,
        'batch': setting['batch'],
        'precision': precision,
        'channels_last': channels_last,
        'machine': machine(),
        'seconds': interleaved(steps, repeats),
    }


def title(report: dict) -> str:
    """Precision and memory layout in words."""
    return report['precision'] + ', channels last' * report['channels_last']


def table(reports: list[dict]) -> str:
    """Seconds of each step, and as multiples of the bare network's."""
    rows = [
        f'| {report["setting"]} | {report["batch"]} | {title(report)} '
        f'| {name} | {seconds:.2f} '
        f'| {seconds / report["seconds"]["bare network"]:.2f} |'
        for report in reports
        for name, seconds in report['seconds'].items()
    ]
    header = (
        '| setting | batch | precision | step | seconds | / bare network |'
    )
    return table_text(reports[0]['machine'], header, rows)


def algorithm(
    kind: str, setting: dict, head: dict, **options: object
) -> nn.Module:
    """An algorithm with the backbone and the projector of a setting."""
    width = setting['features']
    neck = mlp(width, width, num_layers=3, with_last_bn_affine=False)
    parts = dict(backbone=setting['backbone'], neck=neck, head=head)
    return MODELS.build(dict(type=kind, **parts, **options))


def mlp(inputs: int, hidden: int, **options: object) -> dict:
    """A projector or predictor, narrowed to the backbone."""
    widths = dict(in_channels=inputs, hid_channels=hidden, out_channels=WIDTH)
    norm = dict(type='BN1d')
    return dict(type='NonLinearNeck', norm_cfg=norm, **widths, **options)


def predictor(setting: dict) -> dict:
    """Predictor of the ImageNet recipe."""
    options = dict(with_last_bn=False, with_avg_pool=False)
    return mlp(WIDTH, setting['features'], **options)


def sce(setting: dict) -> nn.Module:
    """The whole algorithm, symmetric."""
    head = dict(
        type='SCEHead',
        loss=dict(type='SCELoss', official_zero_logit=True),
        predictor=predictor(setting),
    )
    return algorithm('SCE', setting, head, queue=dict(length=QUEUE))


def moco_v3(setting: dict) -> nn.Module:
    """mmpretrain's MoCo v3 with the same networks."""
    MessageHub.get_current_instance().update_info('max_iters', 1000)
    loss = dict(type='CrossEntropyLoss', loss_weight=2.0)
    head = dict(type='MoCoV3Head', predictor=predictor(setting), loss=loss)
    return algorithm('MoCoV3', setting, head)


def moco_v2(setting: dict) -> nn.Module:
    """mmpretrain's MoCo v2 with the same networks, except the predictor."""
    head = dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'))
    return algorithm('MoCo', setting, head, queue_len=QUEUE, feat_dim=WIDTH)


def laid_out(model: nn.Module, channels_last: bool) -> nn.Module:
    """In training mode and in the memory layout asked for."""
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    return model.train()


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    """The same optimiser for every candidate."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


def bare_network(
    setting: dict, channels_last: bool, updates: bool = False
) -> Step:
    """Passes through the networks and, if asked, optimiser and average."""
    model = laid_out(sce(setting), channels_last)
    return bare_step(model, sgd(model) if updates else None)


def bare_step(
    model: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> Step:
    """Passes through the networks of a model, without loss and queue."""

    def step(views: Views, autocast: Callable) -> None:
        model.zero_grad()
        with autocast():
            with torch.no_grad():
                for view in views:
                    model.momentum_encoder(view)
            outputs = [
                model.head.predictor(model.neck(model.backbone(view)))[0]
                for view in views
            ]
        # Of the means: those of sums lead weights that are updated to NaN in
        # fifteen steps, which a GPU computes at another speed.
        gradients = [torch.full_like(x, 1 / x.numel()) for x in outputs]
        torch.autograd.backward(outputs, gradients)
        if optimizer is not None:
            optimizer.step()
            model.momentum_encoder.update(model.averaged_parts, 0.01)

    return step


def sce_step(setting: dict, channels_last: bool) -> Step:
    return algorithm_step(sce, setting, channels_last)


def algorithm_step(
    build: Callable[[dict], nn.Module], setting: dict, channels_last: bool
) -> Step:
    """An algorithm's step; those of mmpretrain average within the loss."""
    model = laid_out(build(setting), channels_last)
    return whole_step(model, sgd(model))


def whole_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    """The step of a model, with optimiser and whatever it does after it."""
    after = getattr(model, 'after_optimizer_step', None)

    def step(views: Views, autocast: Callable) -> None:
        with autocast():
            loss = model.loss(list(views), None)['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after is not None:
            after(0.01)

    return step


def explicit_step(loss: Loss, setting: dict, channels_last: bool) -> Step:
    """The same networks with another loss, and the official average."""
    model = laid_out(sce(setting), channels_last)
    optimizer = sgd(model)

    def step(views: Views, autocast: Callable) -> None:
        targets = range(model.num_target_views)
        pairs = [(i, j) for j in targets for i in range(len(views)) if i != j]
        with autocast():
            keys = [model.encode_target(views[j])[0] for j in targets]
            queries = [model.encode_online(x)[0] for x in views]
        keys = [at_least_float32(k) for k in keys]
        queries = [at_least_float32(q) for q in queries]
        value = loss(queries, keys, pairs, model.queue.features)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        online = [*model.backbone.parameters(), *model.neck.parameters()]
        with torch.no_grad():
            target = model.momentum_encoder.parameters()
            for ours, theirs in zip(target, online, strict=True):
                ours.data = 0.99 * ours.data + 0.01 * theirs.data
        model.queue.enqueue(torch.cat(keys))

    return step


def lightly_step(setting: dict, channels_last: bool) -> Step:
    """MoCo v2 of lightly's parts on the same backbone, one view a branch."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import MoCoProjectionHead
    from lightly.models.utils import deactivate_requires_grad, update_momentum

    width = setting['features']
    options = dict(num_layers=3, batch_norm=True)
    head = MoCoProjectionHead(width, width, WIDTH, **options)
    backbone = Pooled(MODELS.build(setting['backbone']))
    online = laid_out(nn.Sequential(backbone, head), channels_last)
    target = copy.deepcopy(online)
    deactivate_requires_grad(target)
    criterion = NTXentLoss(temperature=0.2, memory_bank_size=(QUEUE, WIDTH))
    optimizer = sgd(online)

    def step(views: Views, autocast: Callable) -> None:
        update_momentum(online, target, m=0.99)
        with autocast():
            loss = criterion(online(views[0]), target(views[1]).detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


class Pooled(nn.Module):
    """A backbone and the average over its last map."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(images)[-1].mean(dim=(2, 3))


CANDIDATES: dict[str, Maker] = {
    'bare network': bare_network,
    'sce_mm': sce_step,
    'SCE, official form': partial(explicit_step, official),
    'mmpretrain MoCo v3': partial(algorithm_step, moco_v3),
    'mmpretrain MoCo v2': partial(algorithm_step, moco_v2),
}


def present() -> dict[str, Maker]:
    """The candidates, with lightly's where it is installed."""
    if find_spec('lightly') is None:
        print('lightly is not among the peers, for it is not installed')
        return CANDIDATES
    return CANDIDATES | {'lightly MoCo v2': lightly_step}


if __name__ == '__main__':
    numbers = dict(repeats=5, threads=torch.get_num_threads())
    run_main(partial(command, __doc__, measure, table, **numbers))
