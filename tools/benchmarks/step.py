"""Seconds of a training step against what it cannot do without.

    python tools/benchmarks/step.py --json step.json
    python tools/benchmarks/step.py --setting resnet50-224 --json step.json

``bare network`` is the forward and backward pass of the online network over
two views and the forward pass of the target over both, in the same precision
and memory layout: no loss, no optimiser, no average, no queue. A whole step of
SCE (symmetric, queue of 65 536 keys, optimiser, average, enqueue) is put
beside it, with the same step as the official code takes it (dense loss with a
copy of the queue, average one parameter after the other), and with the steps
of mmpretrain's MoCo v3 (no queue) and MoCo v2 (one view a branch: half of the
work). Inputs lie in memory.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import torch
from loss import official
from measuring import interleaved, machine
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from sce_mm.models.losses.softmax import at_least_float32

QUEUE, WIDTH = 65536, 256
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
Views = Sequence[Tensor]


def main() -> None:
    """Measure and print."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    init_default_scope('mmpretrain')
    setting = SETTINGS[args.setting]
    batch = args.batch or setting['batch']
    generator = torch.Generator().manual_seed(0)
    size = (batch, 3, setting['pixels'], setting['pixels'])
    views = [torch.randn(*size, generator=generator) for _ in range(2)]
    if args.channels_last:
        views = [
            x.contiguous(memory_format=torch.channels_last) for x in views
        ]
    autocast = partial(
        torch.autocast,
        'cpu',
        torch.bfloat16,
        enabled=args.precision == 'bfloat16',
    )
    candidates = {
        name: partial(make(setting, args.channels_last), views, autocast)
        for name, make in CANDIDATES.items()
        if name not in args.without
    }
    report = {
        'setting': args.setting,
        'batch': batch,
        'precision': args.precision,
        'channels_last': args.channels_last,
        'machine': machine(),
    }
    seconds = interleaved(candidates, args.repeats)
    bare = seconds['bare network']
    report['seconds'] = seconds
    report['times_the_bare_network'] = {
        name: value / bare for name, value in seconds.items()
    }
    for name, value in seconds.items():
        print(f'{name:22s} {value:7.3f} s  {value / bare:5.2f} x the network')
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--setting', choices=SETTINGS, default='resnet18-32')
    parser.add_argument('--batch', type=int, help="instead of the setting's")
    parser.add_argument(
        '--precision', choices=['float32', 'bfloat16'], default='float32'
    )
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument(
        '--without',
        nargs='*',
        default=[],
        choices=sorted(set(CANDIDATES) - {'bare network'}),
        help='candidates to leave out',
    )
    parser.add_argument('--json', type=Path, help='write the figures here')
    return parser.parse_args()


Step = Callable[[Views, Callable[[], AbstractContextManager]], None]


def neck(setting: dict) -> dict:
    """Projector of the ImageNet recipe, narrowed to the backbone."""
    return dict(
        type='NonLinearNeck',
        in_channels=setting['features'],
        hid_channels=setting['features'],
        out_channels=WIDTH,
        num_layers=3,
        with_last_bn_affine=False,
        norm_cfg=dict(type='BN1d'),
    )


def predictor(setting: dict) -> dict:
    """Predictor of the ImageNet recipe, narrowed to the backbone."""
    return dict(
        type='NonLinearNeck',
        in_channels=WIDTH,
        hid_channels=setting['features'],
        out_channels=WIDTH,
        with_last_bn=False,
        with_avg_pool=False,
        norm_cfg=dict(type='BN1d'),
    )


def sce(setting: dict) -> nn.Module:
    """The whole algorithm, symmetric."""
    return MODELS.build(
        dict(
            type='SCE',
            backbone=setting['backbone'],
            neck=neck(setting),
            head=dict(
                type='SCEHead',
                loss=dict(type='SCELoss', official_zero_logit=True),
                predictor=predictor(setting),
            ),
            queue=dict(length=QUEUE),
        )
    )


def moco_v3(setting: dict) -> nn.Module:
    """mmpretrain's MoCo v3 with the same networks."""
    MessageHub.get_current_instance().update_info('max_iters', 1000)
    return MODELS.build(
        dict(
            type='MoCoV3',
            backbone=setting['backbone'],
            neck=neck(setting),
            head=dict(
                type='MoCoV3Head',
                predictor=predictor(setting),
                loss=dict(type='CrossEntropyLoss', loss_weight=2.0),
            ),
        )
    )


def moco_v2(setting: dict) -> nn.Module:
    """mmpretrain's MoCo v2 with the same networks, except the predictor."""
    return MODELS.build(
        dict(
            type='MoCo',
            queue_len=QUEUE,
            feat_dim=WIDTH,
            backbone=setting['backbone'],
            neck=neck(setting),
            head=dict(
                type='ContrastiveHead', loss=dict(type='CrossEntropyLoss')
            ),
        )
    )


def laid_out(model: nn.Module, channels_last: bool) -> nn.Module:
    """In training mode and in the memory layout asked for."""
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    return model.train()


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    """The same optimiser for every candidate."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


def bare_network(setting: dict, channels_last: bool) -> Step:
    """Passes through the networks and nothing else."""
    model = laid_out(sce(setting), channels_last)

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
        torch.autograd.backward(outputs, [torch.ones_like(x) for x in outputs])

    return step


def sce_step(setting: dict, channels_last: bool) -> Step:
    """Ours."""
    model = laid_out(sce(setting), channels_last)
    optimizer = sgd(model)

    def step(views: Views, autocast: Callable) -> None:
        with autocast():
            loss = model(list(views), mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.after_optimizer_step(0.01)

    return step


def official_step(setting: dict, channels_last: bool) -> Step:
    """The same networks, with loss and average in the official form."""
    model = laid_out(sce(setting), channels_last)
    optimizer = sgd(model)

    def step(views: Views, autocast: Callable) -> None:
        with autocast():
            keys = [model.encode_target(x) for x in views]
            queries = [model.encode_online(x) for x in views]
        keys = [at_least_float32(k) for k in keys]
        loss = official(
            [at_least_float32(q) for q in queries],
            keys,
            [(0, 1), (1, 0)],
            model.queue.features,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        online = [*model.backbone.parameters(), *model.neck.parameters()]
        with torch.no_grad():
            for ours, theirs in zip(
                model.momentum_encoder.parameters(), online, strict=True
            ):
                ours.data = 0.99 * ours.data + 0.01 * theirs.data
        model.queue.enqueue(torch.cat(keys))

    return step


def peer_step(
    build: Callable[[dict], nn.Module], setting: dict, channels_last: bool
) -> Step:
    """An algorithm of mmpretrain, which averages by itself."""
    model = laid_out(build(setting), channels_last)
    optimizer = sgd(model)

    def step(views: Views, autocast: Callable) -> None:
        with autocast():
            loss = model.loss(list(views), None)['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


CANDIDATES: dict[str, Callable[[dict, bool], Step]] = {
    'bare network': bare_network,
    'sce_mm': sce_step,
    'SCE, official form': official_step,
    'mmpretrain MoCo v3': partial(peer_step, moco_v3),
    'mmpretrain MoCo v2': partial(peer_step, moco_v2),
}


if __name__ == '__main__':
    main()
