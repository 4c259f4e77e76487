"""What each process of tests/test_models/test_distributed.py does.

A module of its own, as started processes have to import it by name.
"""

import os

import torch
import torch.distributed as dist
from mmengine.dist import all_reduce
from tiny import build, build_dense, pyramid_options, samples, views
from tiny_runner import TinyImages, build_runner
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset

import sce_mm.cli.runner  # noqa: F401  (registers the wrapper for CPUs)

CASES = {
    'asymmetric': {'num_target_views': 1},
    'symmetric': {'num_target_views': 2},
    'multi-crop': {'num_target_views': 2},
    'in-batch keys, asymmetric': {
        'num_target_views': 1,
        'in_batch_keys': True,
    },
    'in-batch keys alone': {'in_batch_keys': True, 'queue_length': None},
    'in-batch keys, multi-crop': {'in_batch_keys': True},
    # Of processes that get images in turn; no key leaves the queues, as it
    # would be another one first.
    'places, asymmetric': {
        'num_target_views': 1,
        'dense_queue': {'length': 150},
    },
    'places of a pyramid, in-batch keys': {
        **pyramid_options(dense_head={'in_batch_keys': True}),
        'queue_length': 80,
        'dense_queue': {'length': 300},
    },
}
COUNTS = {'multi-crop': 4, 'in-batch keys, multi-crop': 3}
# The last batch of the epoch is smaller.
BATCHES = (8, 8, 8, 8, 4)
WORLDS = (2, 4)
# Batches a step; with two of them the last step has one.
ACCUMULATIONS = (1, 2)
IMAGES, BATCH = 20, 8


def run_steps(model, batches, places, accumulated):
    """What the steps showed and left behind.

    Returns:
        The values for the log of each batch; rows of the queues after each
        step; state and gradients of the model after the last one.
    """
    inner = getattr(model, 'module', model)
    inner.micro_batches_per_step = accumulated
    optimizer = torch.optim.SGD(inner.parameters(), lr=0.3, momentum=0.9)
    log, queues = [], []
    for number, inputs in enumerate(batches, start=1):
        values = model(inputs, places[number - 1], mode='loss')
        (values['loss'] / accumulated).backward()
        log.append({name: x.detach() for name, x in values.items()})
        if number % accumulated and number < len(batches):
            continue
        optimizer.step()
        inner.after_optimizer_step(0.1)
        values = inner.state_dict().items()
        queues.append(
            {k: v.clone() for k, v in values if k.endswith('queue.features')}
        )
        if number < len(batches):
            optimizer.zero_grad()
    state = {k: v.clone() for k, v in inner.state_dict().items()}
    state |= {
        f'gradient of {name}': parameter.grad.clone()
        for name, parameter in inner.named_parameters()
        if parameter.grad is not None
    }
    return log, queues, state


def build_case(case):
    # Not a multiple of what a step brings.
    options = {'queue_length': 36} | CASES[case]
    make = build_dense if 'places' in case else build
    return make(**options).double()


def batches_of(case):
    count = COUNTS.get(case, 2)
    return [
        [view.double() for view in views(size, count, seed=size + 7 * i)]
        for i, size in enumerate(BATCHES)
    ]


def places_of(rank=0, world=1):
    """Data samples of each batch, or of those that a sampler gives a rank."""
    return [
        samples(size, 2, seed=size + 7 * i)[rank::world]
        for i, size in enumerate(BATCHES)
    ]


def part_of(case, view, rank, world):
    """Images of a process: in turn, as the sampler gives them, or chunks.

    Chunks keep the order of the keys in a queue.
    """
    if 'places' in case:
        return view[rank::world]
    return view.chunk(world)[rank]


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
    keys = [model.encode_target(half)[0] for half in halves]
    # A run resumed before the second shuffle draws the same one.
    model.momentum_encoder.shuffle_count = 1
    keys.append(model.encode_target(halves[1])[0])
    # Without batch statistics nothing needs to be shuffled.
    model.eval()
    model.encode_target(halves[0])[0]
    return torch.stack(keys), torch.stack(seen[:3]), seen[3]


def run_runner(work_dir, rank=0, world=None):
    """Logged values and state of a Runner with all that goes by steps.

    20 images an epoch, 8 a batch, the last one of 4, three batches a step.
    A process takes its part of each batch; ``world=None`` takes all of it.
    """
    images, batch, options = TinyImages(IMAGES), BATCH, {}
    if world is not None:
        batch //= world
        batches = torch.arange(IMAGES).split(BATCH)
        indices = torch.cat([x.chunk(world)[rank] for x in batches])
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
        default_hooks={
            'logger': None,
            'checkpoint': None,
            'runtime_info': {'type': 'DeferredRuntimeInfoHook'},
        },
        **options,
    )
    runner.train()
    model = getattr(runner.model, 'module', runner.model)
    return record.scalars, model.state_dict()


def mean_over_processes(log):
    """The values for the log, as DeferredRuntimeInfoHook averages them."""
    for values in log:
        for value in values.values():
            all_reduce(value, 'mean')
    return log


def work(rank, world, work_dir):
    """Results of this process among ``world`` of them."""
    results = {}
    for case in CASES:
        parts = [
            [part_of(case, view, rank, world) for view in batch]
            for batch in batches_of(case)
        ]
        for accumulated in ACCUMULATIONS:
            model = DistributedDataParallel(
                build_case(case), broadcast_buffers=False
            )
            log, queues, state = run_steps(
                model, parts, places_of(rank, world), accumulated
            )
            results[case, accumulated] = (
                mean_over_processes(log),
                queues,
                state,
            )
    results['runner'] = run_runner(f'{work_dir}/{world}_{rank}', rank, world)
    if world == 2:
        results['shuffle'] = shuffled_keys(rank)
    return results


def worker(rank, work_dir):
    """Be one process of four, and then maybe one of two."""
    torch.set_num_threads(1)
    # What torchrun would say.
    os.environ['LOCAL_RANK'] = str(rank)
    # mmengine warns when it has to set them itself.
    os.environ.update(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    for world in sorted(WORLDS, reverse=True):
        if rank >= world:
            break
        dist.init_process_group(
            'gloo',
            init_method=f'file://{work_dir}/meeting_of_{world}',
            rank=rank,
            world_size=world,
        )
        results = work(rank, world, work_dir)
        torch.save(results, f'{work_dir}/results_{world}_{rank}.pth')
        dist.destroy_process_group()
