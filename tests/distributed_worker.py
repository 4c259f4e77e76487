"""What each process of tests/test_models/test_distributed.py does.

A module of its own, as started processes have to import it by name.
"""

import os

import torch
import torch.distributed as dist
from tiny import build, views
from tiny_runner import TinyImages, build_runner
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset

import sce_mm.launch  # noqa: F401  (registers the wrapper of processes on CPU)

CASES = {
    'asymmetric': {'num_target_views': 1},
    'symmetric': {'num_target_views': 2},
    'multi-crop': {'num_target_views': 2},
    'in-batch keys': {'num_target_views': 2, 'in_batch_keys': True},
    'in-batch keys alone': {'in_batch_keys': True, 'queue_length': None},
    'in-batch keys, multi-crop': {'in_batch_keys': True},
    'in-batch keys, asymmetric': {
        'num_target_views': 1,
        'in_batch_keys': True,
    },
}
COUNTS = {'multi-crop': 4, 'in-batch keys, multi-crop': 3}
# The last batch of the epoch is smaller.
BATCHES = (6, 6, 4)


def run_steps(model, batches):
    """Losses, and state and gradients of the model after the steps."""
    inner = getattr(model, 'module', model)
    optimizer = torch.optim.SGD(inner.parameters(), lr=0.3, momentum=0.9)
    losses = []
    for inputs in batches:
        loss = model(inputs, None, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        inner.after_optimizer_step(0.1)
        losses.append(loss.detach())
    state = {k: v.clone() for k, v in inner.state_dict().items()}
    state |= {
        f'gradient of {name}': parameter.grad.clone()
        for name, parameter in inner.named_parameters()
        if parameter.grad is not None
    }
    return torch.stack(losses), state


def build_case(case):
    options = dict(CASES[case])
    in_batch = options.pop('in_batch_keys', False)
    model = build(**options).double()
    model.head.in_batch_keys = in_batch
    return model


def batches_of(case):
    count = COUNTS.get(case, 2)
    return [
        [view.double() for view in views(size, count, seed=size + 7 * i)]
        for i, size in enumerate(BATCHES)
    ]


def build_shuffling():
    """A model whose keys depend on the batch that they are encoded in."""
    return build(
        backbone={'type': 'TinyConvNet'}, shuffle_bn={'simulated_devices': 2}
    ).double()


def shuffled_keys(rank):
    """Keys of two views, and the images that this process encoded."""
    model = build_shuffling()
    seen = []
    model.momentum_encoder.backbone.register_forward_pre_hook(
        lambda _, args: seen.append(args[0].clone())
    )
    halves = [view.chunk(2)[rank] for view in batches_of('symmetric')[0]]
    keys = [model.encode_target(half) for half in halves]
    # A run resumed before the second shuffle draws the same one.
    model.momentum_encoder.shuffle_count = 1
    keys.append(model.encode_target(halves[1]))
    # Without batch statistics nothing needs to be shuffled.
    model.eval()
    model.encode_target(halves[0])
    return torch.stack(keys), torch.stack(seen[:3]), seen[3]


def run_runner(work_dir, rank=None):
    """Losses and state of a Runner with everything that goes by steps.

    20 images an epoch, 8 a batch, the last one of 4, three batches a step.
    A process takes its half of each batch; ``rank=None`` takes all of it.
    """
    images, batch, options = TinyImages(20), 8, {}
    if rank is not None:
        batch = 4
        halves = torch.arange(20).split(8)
        indices = torch.cat([half.chunk(2)[rank] for half in halves])
        images = Subset(images, indices.tolist())
        options = {
            'launcher': 'pytorch',
            'cfg': {
                'model_wrapper_cfg': {'type': 'CPUDistributedDataParallel'}
            },
        }
    runner, record = build_runner(
        work_dir,
        train_dataloader=DataLoader(images, batch_size=batch),
        accumulate=3,
        epochs=4,
        hooks=(
            {
                'type': 'MomentumUpdateHook',
                'momentum': {'kind': 'cosine', 'start': 0.2, 'end': 0.0},
            },
            {
                'type': 'ScheduledValueHook',
                'attribute': 'head.loss_module.coeff',
                'schedule': {'kind': 'linear', 'start': 1.0, 'end': 0.5},
            },
        ),
        param_scheduler={
            'type': 'WarmupCosineLR',
            'warmup_epochs': 1,
            'convert_to_iter_based': True,
        },
        optim_wrapper={
            'type': 'OptimWrapper',
            'optimizer': {'type': 'LARSMoCoV3', 'lr': 1.0},
            'accumulative_counts': 3,
        },
        model={'queue_length': 60},
        **options,
    )
    runner.train()
    model = getattr(runner.model, 'module', runner.model)
    return torch.stack(record.losses), model.state_dict()


def worker(rank, port, work_dir, results):
    dist.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    torch.set_num_threads(1)
    # What torchrun would say.
    os.environ['LOCAL_RANK'] = str(rank)
    for case in CASES:
        halves = [
            [view.chunk(2)[rank] for view in batch]
            for batch in batches_of(case)
        ]
        model = DistributedDataParallel(
            build_case(case), broadcast_buffers=False
        )
        losses, state = run_steps(model, halves)
        dist.all_reduce(losses)
        results[case, rank] = losses / 2, state
    results['shuffle', rank] = shuffled_keys(rank)
    losses, state = run_runner(f'{work_dir}/{rank}', rank)
    dist.all_reduce(losses)
    results['runner', rank] = losses / 2, state
    dist.destroy_process_group()
