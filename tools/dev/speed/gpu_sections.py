"""What is measured on a GPU: loss, step, loader, memory of recipes, kNN.

Each section gets a plan, which holds the sizes, and a clock, and returns
figures. All sizes are arguments, so that a CPU can run every line.
"""

import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import cv2
import loss
import step
import torch
import torch_compiler
import views
from measuring import (
    Clock,
    Run,
    add_ratios,
    free_memory,
    milliseconds,
    on_device,
    ran_out,
)
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from torch import Tensor
from torch.nn.functional import normalize

from sce_mm.analysis.memory import batch_multiple, count_memory
from sce_mm.analysis.probe import train
from sce_mm.evaluation.neighbours import nearest

ROOT = Path(__file__).parents[3]
# Width and height of the photographs that are loaded.
PHOTO = (500, 375)
Figures = dict[str, Any]


@dataclass
class Plan:
    """Device and sizes of all sections; the defaults are those of an H100.

    Attributes:
        device: The device.
        loss_batch: Images of a step of the loss.
        queue: Rows of the queue.
        setting: Networks and pixels of the step, as in step.py.
        batches: Images of a step, in the order of worth.
        loader_batch: Images of a batch of the loader.
        workers: Processes of the loader.
        view_size: Pixels of a view of the loader.
        recipes: Configs whose memory is measured.
        bank: Images of the bank of the kNN.
        queries: Images to classify.
        width: Width of their features.
        eaten: Images a second of the step, once it was measured.
    """

    device: torch.device
    loss_batch: int = 512
    queue: int = loss.QUEUE
    setting: dict = field(
        default_factory=lambda: step.SETTINGS['resnet50-224']
    )
    batches: Sequence[int] = (256, 128, 512)
    loader_batch: int = 128
    workers: int = min(16, len(os.sched_getaffinity(0)))
    view_size: int = 224
    recipes: Sequence[str] = (
        'sce_resnet50_8xb512-amp-coslr-200e_in1k',
        'sce_resnet50_16xb256-amp-mcrop-coslr-200e_in1k',
        'sce_resnet50_8xb64-amp-asym-coslr-200e_in1k',
        'sce_vit-small-p16_8xb128-amp-coslr-300e_in1k',
        'sce_swin-tiny_8xb128-amp-coslr-300e_in1k',
        'sce_convnext-tiny_8xb128-amp-coslr-300e_in1k',
    )
    bank: int = 1_281_167
    queries: int = 50_000
    width: int = 2048
    eaten: float | None = None


def measure_loss(plan: Plan, clock: Clock) -> Figures:
    """Forward and backward pass of the loss in its three forms, float32."""
    batch = plan.loss_batch
    cases = {
        f'one pair, batch {batch}': loss.CASES['one pair, batch 256'][1],
        f'2 + 4 crops, batch {batch}': loss.CASES['2 + 4 crops, batch 64'][1],
    }
    found = {}
    for number, (name, pairs) in enumerate(cases.items()):
        queries, keys, _, queue = loss.inputs(batch, plan.queue, pairs)
        arguments = (
            [x.detach().to(plan.device).requires_grad_() for x in queries],
            [x.to(plan.device) for x in keys],
            pairs,
            queue.to(plan.device),
        )
        share = Clock(clock.left() / (len(cases) - number))
        found[name] = on_device(
            {
                candidate: partial(partial, loss.step, form, arguments)
                for candidate, form in loss.CANDIDATES.items()
            },
            plan.device,
            share,
        )
    return found


def measure_step(plan: Plan, clock: Clock) -> Figures:
    """Whole steps in bfloat16 and channels last, against the bare passes."""
    makers = {
        'bare passes': partial(step.bare_network, updates=True),
        'sce_mm': step.sce_step,
        'mmpretrain MoCo v3': step.CANDIDATES['mmpretrain MoCo v3'],
        'SCE, official form': step.CANDIDATES['SCE, official form'],
    }
    init_default_scope('mmpretrain')
    found = {}
    for number, batch in enumerate(plan.batches):
        share = clock.left() / (len(plan.batches) - number)
        given = pixels(plan, batch), autocast(plan)
        found[f'batch {batch}'] = figures = on_device(
            {
                name: partial(_prepared, make, plan.setting, given)
                for name, make in makers.items()
            },
            plan.device,
            Clock(share),
        )
        if spent := figures['sce_mm'].get('milliseconds'):
            plan.eaten = max(plan.eaten or 0, 1e3 * batch / spent)
    return found


def measure_compiled_step(plan: Plan, clock: Clock) -> Figures:
    """The same with compiled backbones, which both candidates share.

    What was measured without is kept if it cannot be compiled.
    """
    batch = plan.batches[0]
    init_default_scope('mmpretrain')
    with plan.device:
        model = step.laid_out(step.sce(plan.setting), channels_last=True)
    optimizer = step.sgd(model)
    given = pixels(plan, batch), autocast(plan)

    candidates = {
        name: partial(partial, run, *given)
        for name, run in (
            ('bare passes', step.bare_step(model, optimizer)),
            ('sce_mm', step.whole_step(model, optimizer)),
        )
    }
    eager = on_device(candidates, plan.device, Clock(clock.left() / 4), 5)
    found: Figures = {f'batch {batch}, eager': eager}
    if plan.device.type == 'cuda' and (lack := torch_compiler.what_lacks()):
        return found | {'left out': f'the compiler of torch: {lack}'}
    start = time.perf_counter()
    try:
        # Not the method of a module: keys of the state stay as they are.
        for module in (model.backbone, model.momentum_encoder.backbone):
            module.forward = torch.compile(module.forward)
        compiled = on_device(candidates, plan.device, clock, 10)
    except Exception as error:
        return found | {'failed': f'{type(error).__name__}: {error}'[:500]}
    found[f'batch {batch}, compiled'] = compiled
    found['seconds_with_compiling'] = time.perf_counter() - start
    return found


def _prepared(make: step.Maker, setting: dict, given: tuple) -> Run:
    return partial(make(setting, channels_last=True), *given)


def pixels(plan: Plan, batch: int) -> list[Tensor]:
    """Two views of random pixels, channels last."""
    size = plan.setting['pixels']
    return [
        torch.randn(batch, 3, size, size, device=plan.device).to(
            memory_format=torch.channels_last
        )
        for _ in range(2)
    ]


def autocast(plan: Plan) -> Callable[[], torch.autocast]:
    """The context of the forward passes."""
    return partial(torch.autocast, plan.device.type, torch.bfloat16)


def measure_loader(plan: Plan, clock: Clock) -> Figures:
    """Images a second: views of workers, views of the device, the step.

    ``bound`` is what a run would reach, were there nothing else: of the
    loader and the step the slower one; with views on the device, these take
    their time from the step.
    """
    if find_spec('sklearn') is None:
        return {'left out': 'the photographs are those of scikit-learn'}
    init_default_scope('mmpretrain')
    # As in a training: each worker has one core.
    cv2.setNumThreads(0)
    seconds = clock.left() / 3
    plan = replace(plan, workers=fitting_workers(plan))
    found: Figures = {'workers': plan.workers, 'step': plan.eaten}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = views.photographs(folder, *PHOTO)
        # Links of one file would be one image to the data set.
        for number in range(8 * plan.loader_batch):
            file = files[number % len(files)]
            shutil.copyfile(file, folder / f'copy_{number}.jpg')
        for kind, deferred in (('workers', False), ('device', True)):
            loader = build_loader(plan, folder, deferred)
            found[f'loader for views of {kind}'] = rate(loader, seconds)
        batch = next(iter(loader))
    preprocessor = MODELS.build(
        dict(
            type='ViewPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            to_rgb=True,
        )
    ).to(plan.device)
    images, params = batch['inputs']
    there = {
        'inputs': [[x.to(plan.device) for x in images], params],
        'data_samples': None,
    }

    def make() -> None:
        preprocessor(dict(there), True)

    make()
    spent = min(milliseconds(make, plan.device) for _ in range(5))
    found['views on the device'] = made = 1e3 * len(images) / spent
    if plan.eaten:
        both = 1 / (1 / plan.eaten + 1 / made)
        loaders = [found[f'loader for views of {k}'] for k in WHERE]
        found['bound, views of workers'] = min(loaders[0], plan.eaten)
        found['bound, views of device'] = min(loaders[1], both)
    return found


WHERE = ('workers', 'device')


def fitting_workers(plan: Plan) -> int:
    """Workers whose batches fit into shared memory; containers have little."""
    pixels = max(math.prod(PHOTO), 2 * plan.view_size**2)
    # Two batches wait for each worker while it makes another one.
    needed = 3 * plan.loader_batch * 3 * pixels
    try:
        free = shutil.disk_usage('/dev/shm').free
    except OSError:
        return plan.workers
    return min(plan.workers, int(0.9 * free) // needed)


def build_loader(plan: Plan, folder: Path, deferred: bool) -> Any:
    """The loader of the ImageNet recipe over a folder of photographs."""
    made = [{**view, 'size': plan.view_size} for view in views.VIEWS[:2]]
    collate = 'pseudo_collate' if deferred else 'default_collate'
    return Runner.build_dataloader(
        dict(
            batch_size=plan.loader_batch,
            num_workers=plan.workers,
            persistent_workers=plan.workers > 0,
            pin_memory=plan.device.type == 'cuda',
            drop_last=True,
            sampler=dict(type='SeededSampler', shuffle=True),
            collate_fn=dict(type=collate),
            dataset=dict(
                type='RepeatDataset',
                times=64,
                dataset=dict(
                    type='UnlabelledImages',
                    data_root=str(folder),
                    pipeline=[
                        dict(type='LoadImage'),
                        dict(type='SCEViews', views=made, deferred=deferred),
                        dict(type='PackInputs'),
                    ],
                ),
            ),
        ),
        seed=0,
    )


def rate(loader: Any, seconds: float) -> float:
    """Images a second of a loader, the first batches left out.

    Batches come in bursts, as many as there are workers: so many count at
    least.
    """
    batches, burst = 0, max(1, loader.num_workers)
    start = time.perf_counter()
    clock = Clock(seconds)
    for number, _ in enumerate(chain.from_iterable(repeat(loader))):
        if number < 2 * burst:
            start = time.perf_counter()
            continue
        batches += 1
        if clock.left() <= 0 and batches >= burst:
            break
    return batches * loader.batch_size / (time.perf_counter() - start)


def measure_memory(plan: Plan, clock: Clock) -> Figures:
    """Memory of a process of each recipe, real and as ``sce estimate`` says.

    At the batch of the recipe, or at half of it, and so on, if nine tenths
    of what is free on the device would not hold it.
    """
    found: Figures = {}
    for name in plan.recipes:
        if found and clock.left() <= 0:
            found[name] = {'failed': 'no time left'}
            continue
        cfg = Config.fromfile(ROOT / 'configs' / 'sce' / f'{name}.py')
        memory = count_memory(cfg)
        batch = cfg.train_dataloader.batch_size
        largest = batch
        if plan.device.type == 'cuda':
            # Another process may have a part of the device.
            free, _ = torch.cuda.mem_get_info()
            largest = memory.largest_batch(0.9 * free, batch_multiple(cfg))
        while batch > max(2, largest):
            batch //= 2
        cfg.train_dataloader.batch_size = batch
        estimated = memory.total(batch) / 1e9
        try:
            measured = train(cfg, plan.device.type, 1.0, loading=False)
        except Exception as error:
            if ran_out(error):
                text = 'out of memory'
            else:
                # The other recipes are worth having still.
                text = f'{type(error).__name__}: {error}'[:200]
                found['failed'] = f'{name}: {text}'
            found[name] = {
                'batch': batch,
                'estimated_gigabytes': estimated,
                'failed': text,
            }
        else:
            peak = (measured['peak_bytes'] or float('nan')) / 1e9
            found[name] = {
                'batch': batch,
                'gigabytes': peak,
                'estimated_gigabytes': estimated,
                'ratio': peak / estimated,
                'images_per_second': measured['images_per_second'],
            }
        # What is left of a recipe would count as memory of the next one.
        free_memory()
    return found


def measure_knn(plan: Plan, clock: Clock) -> Figures:
    """Neighbours of queries in a bank, against plain float32 in chunks.

    Slices of queries until the time is up; seconds are continued to all.
    """
    generator = torch.Generator(plan.device).manual_seed(0)
    bank = torch.randn(
        plan.bank, plan.width, device=plan.device, generator=generator
    )
    queries = torch.randn(
        plan.queries, plan.width, device=plan.device, generator=generator
    )
    k, found = 20, Figures()
    candidates = {'sce_mm': nearest, 'plain float32': plain_neighbours}
    for number, (name, find) in enumerate(candidates.items()):
        share = Clock(clock.left() / (len(candidates) - number))
        find(bank, queries[:64], k)
        if plan.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        spent, done = 0.0, 0
        for rows in queries.split(max(64, plan.queries // 10)):
            spent += milliseconds(partial(find, bank, rows, k), plan.device)
            done += len(rows)
            if share.left() <= 0:
                break
        found[name] = {
            'seconds_for_all': spent / 1e3 * plan.queries / done,
            'queries_measured': done,
        }
        if plan.device.type == 'cuda':
            peak = torch.cuda.max_memory_allocated() - before
            found[name]['peak_megabytes'] = peak / 1e6
    add_ratios(found, 'seconds_for_all')
    return found


def plain_neighbours(bank: Tensor, queries: Tensor, k: int) -> None:
    """The shortest form: products of a chunk with the whole bank, topk."""
    bank = normalize(bank, dim=1)
    for rows in normalize(queries, dim=1).split(256):
        (rows @ bank.T).topk(k, dim=1)
