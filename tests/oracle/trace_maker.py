"""Traces in the format of the recorded ones, from the equations alone.

Float64 torch, one image after the other, nothing of the package: a second
implementation of the whole run (two branches, pairs of views, loss, queue,
schedules, optimiser, momentum average). It reproduces the recorded runs of the
official implementation and then makes runs with other settings, which
``tests/oracle/replay_trace.py`` must reproduce in turn.
"""

import json
import math
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

BRANCHES = {'trunk': 'momentum_trunk', 'projector': 'momentum_projector'}


def trunk():
    return nn.Sequential(
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


class MLP(nn.Module):
    """Linear, norm, ReLU, ...; the last layer without ReLU."""

    def __init__(self, spec):
        super().__init__()
        widths = [spec['input_dim'], *spec['hidden_dims'], spec['output_dim']]
        layers = []
        for i in range(len(widths) - 1):
            last = i == len(widths) - 2
            norm = spec['last_norm'] if last else spec['norm_layer']
            bias = spec['last_bias'] if last else spec['bias'] and not norm
            layers.append(nn.Linear(widths[i], widths[i + 1], bias=bias))
            if norm:
                affine = spec['last_affine'] if last else True
                layers.append(nn.BatchNorm1d(widths[i + 1], affine=affine))
            if not last:
                layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


def make_trace(spec, seed):
    """Arrays of a run with random weights, inputs and queue."""
    torch.manual_seed(seed)
    nets = build(spec)
    arrays = {'spec': np.array(json.dumps(spec))}
    steps = spec['epochs'] * spec['steps_per_epoch']
    for v, size in enumerate(spec['sizes']):
        view = torch.randn(steps, spec['batch'], 3, size, size)
        arrays[f'view{v}'] = view.numpy()
    save_state(arrays, 'init', nets)
    if spec['queue']:
        dim = spec['projector']['output_dim']
        rows = torch.randn(dim, spec['queue'], dtype=torch.float64)
        arrays['init.queue'] = normalize(rows, dim=0).numpy()
        arrays['init.queue_ptr'] = np.zeros(1, dtype=np.int64)
    return arrays | run(spec, arrays)


def run(spec, arrays):
    """What a trace records after its start: ``step.*`` and ``final.*``."""
    options = {'sym': False, 'use_keys': False, **spec['model']}
    nets = build(spec)
    load_state(arrays, 'init', nets)
    online = [p for n in ('trunk', 'projector', 'predictor') if n in nets
              for p in nets[n].parameters()]  # fmt: skip
    optimizer = make_optimizer(online, spec['optim'])
    queue, pointer = None, 0
    if spec['queue']:
        queue = torch.from_numpy(arrays['init.queue'].copy())
        pointer = int(arrays['init.queue_ptr'][0])
    recorded = {}
    total = spec['epochs'] * spec['steps_per_epoch']
    for step in range(total):
        coeff = scheduled(spec, 'coeff', step)
        temp_m = scheduled(spec, 'temp_m', step)
        views = [
            torch.from_numpy(arrays[f'view{v}']).double()
            for v in range(len(spec['sizes']))
        ]
        views = [view[step % len(view)] for view in views]
        targets = 2 if options['sym'] else 1
        keys = [target_keys(nets, view) for view in views[:targets]]
        first = 0 if options['sym'] else 1
        queries = {
            v: online_queries(nets, views[v]) for v in range(first, len(views))
        }
        terms = [
            pair_loss(query, keys[t], queue, options, coeff, temp_m)
            for t in range(targets)
            for v, query in queries.items()
            if v != t
        ]
        loss = sum(terms) / len(terms)
        for parameter in online:
            parameter.grad = None
        loss.backward()
        optimizer.step()
        average(nets, decay(options, step, total))
        row = {
            'loss': loss.item(),
            'lr': spec['optim']['initial_lr'],
            'coeff': coeff,
            'temp_m': temp_m,
        }
        if queue is not None:
            for key in torch.cat(keys):
                queue[:, pointer] = key
                pointer = (pointer + 1) % queue.shape[1]
            row |= {'queue': queue.numpy().copy(), 'ptr': pointer}
        for name, value in row.items():
            recorded.setdefault(f'step.{name}', []).append(value)
    recorded = {name: np.array(rows) for name, rows in recorded.items()}
    save_state(recorded, 'final', nets)
    if queue is not None:
        recorded['final.queue'] = queue.numpy()
        recorded['final.queue_ptr'] = np.array([pointer])
    return recorded


def build(spec):
    nets = {'trunk': trunk(), 'projector': MLP(spec['projector'])}
    if spec['predictor']:
        nets['predictor'] = MLP(spec['predictor'])
    for online, target in BRANCHES.items():
        nets[target] = deepcopy(nets[online])
    return {name: net.double() for name, net in nets.items()}


def online_queries(nets, images):
    embedding = nets['projector'](nets['trunk'](images))
    if 'predictor' in nets:
        embedding = nets['predictor'](embedding)
    return normalize(embedding, dim=1)


@torch.no_grad()
def target_keys(nets, images):
    features = nets['momentum_trunk'](images)
    return normalize(nets['momentum_projector'](features), dim=1)


def pair_loss(queries, keys, queue, options, coeff, temp_m):
    """Mean over the batch of ``- sum w log p``, column by column as in 1.4."""
    losses = []
    for i, (query, key) in enumerate(zip(queries, keys, strict=True)):
        if options['use_keys']:
            columns, positive = list(keys), i
            relation = [key @ c for c in columns]
            relation[i] = torch.tensor(-math.inf, dtype=torch.float64)
        else:
            columns, positive = [key], 0
            relation = [torch.tensor(0.0, dtype=torch.float64)]
        if queue is not None:
            columns += list(queue.T)
            relation += list(queue.T @ key)
        target = (1 - coeff) * (torch.stack(relation) / temp_m).softmax(0)
        target[positive] += coeff
        logits = torch.stack(columns) @ query / options['temp']
        losses.append(-(target * logits.log_softmax(0)).sum())
    return torch.stack(losses).mean()


def scheduled(spec, name, step):
    """Lambda or the target's temperature at a step."""
    options = spec['model']
    value = options[name]
    warmup = options.get(f'warmup_epoch_{name}', 0) * spec['steps_per_epoch']
    if step < warmup:
        default = {'temp_m': 'cosine', 'coeff': 'linear'}[name]
        kind = options.get(f'warmup_scheduler_{name}', default)
        start = options[f'start_warmup_{name}']
        return between(kind, start, value, step, warmup)
    kind = options.get(f'scheduler_{name}')
    if kind is None:
        return value
    left = spec['epochs'] * spec['steps_per_epoch'] - warmup
    end = options.get(f'final_scheduler_{name}', 0.0)
    return between(kind, value, end, step - warmup, left)


def between(kind, start, end, step, steps):
    """Their linear schedule always falls, whichever end is given first."""
    way = step / (steps - 1)
    if kind == 'linear':
        high, low = max(start, end), min(start, end)
        return high - (high - low) * way
    return end + (start - end) * (1 + math.cos(math.pi * way)) / 2


def decay(options, step, total):
    """Weight of the old target in the average."""
    start = options['initial_momentum']
    if options['scheduler_momentum'] == 'constant':
        return start
    way = step / (total - 1)
    return 1 - (1 - start) * (math.cos(math.pi * way) + 1) / 2


@torch.no_grad()
def average(nets, old):
    for online, target in BRANCHES.items():
        pairs = zip(
            nets[online].parameters(), nets[target].parameters(), strict=True
        )
        for theirs, ours in pairs:
            ours.copy_(old * ours + (1 - old) * theirs)


class Lars:
    """The rule of MoCo v3."""

    def __init__(self, parameters, lr, momentum, weight_decay,
                 trust_coefficient):  # fmt: skip
        self.parameters = parameters
        self.numbers = lr, momentum, weight_decay, trust_coefficient
        self.buffers = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self):
        lr, momentum, weight_decay, trust_coefficient = self.numbers
        pairs = zip(self.parameters, self.buffers, strict=True)
        for parameter, buffer in pairs:
            direction = parameter.grad
            if parameter.ndim > 1:
                direction = direction + weight_decay * parameter
                sizes = float(parameter.norm()), float(direction.norm())
                if min(sizes) > 0:
                    ratio = trust_coefficient * sizes[0] / sizes[1]
                    direction = direction * ratio
            buffer.copy_(momentum * buffer + direction)
            parameter.sub_(lr * buffer)


def make_optimizer(parameters, spec):
    kind = {'sgd': torch.optim.SGD, 'lars': Lars}[spec['name']]
    return kind(parameters, lr=spec['initial_lr'], **spec['params'])


def save_state(arrays, when, nets):
    for part, net in nets.items():
        for name, value in net.state_dict().items():
            arrays[f'{when}.{part}.{name}'] = value.numpy().copy()


def load_state(arrays, when, nets):
    for part, net in nets.items():
        net.load_state_dict(
            {
                name: torch.as_tensor(arrays[f'{when}.{part}.{name}'])
                for name in net.state_dict()
            }
        )
