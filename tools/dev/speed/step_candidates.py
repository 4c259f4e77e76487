"""The steps that tools/dev/speed/step.py and memory.py compare.

Each candidate is made from a setting and the memory layout, and takes the
views of a batch, targets first, with a context that sets the precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial

import torch
from loss import Loss, official
from step_models import moco_v2, moco_v3, sce
from torch import Tensor, nn

from sce_mm.models.losses.softmax import at_least_float32

Views = Sequence[Tensor]
Step = Callable[[Views, Callable[[], AbstractContextManager]], None]


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


def explicit_step(loss: Loss, setting: dict, channels_last: bool) -> Step:
    """The same networks with another loss, and the official average.

    Args:
        loss: Loss as a function of queries, keys, pairs and queue.
        setting: See ``SETTINGS``.
        channels_last: Memory layout.
    """
    model = laid_out(sce(setting), channels_last)
    optimizer = sgd(model)

    def step(views: Views, autocast: Callable) -> None:
        targets = range(model.num_target_views)
        pairs = [(i, j) for j in targets for i in range(len(views)) if i != j]
        with autocast():
            keys = [model.encode_target(views[j]) for j in targets]
            queries = [model.encode_online(x) for x in views]
        keys = [at_least_float32(k) for k in keys]
        value = loss(
            [at_least_float32(q) for q in queries],
            keys,
            pairs,
            model.queue.features,
        )
        optimizer.zero_grad()
        value.backward()
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
    'SCE, official form': partial(explicit_step, official),
    'mmpretrain MoCo v3': partial(peer_step, moco_v3),
    'mmpretrain MoCo v2': partial(peer_step, moco_v2),
}
