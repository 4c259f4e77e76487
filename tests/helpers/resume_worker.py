"""What each process of tests/test_engine/test_resume_distributed.py does.

A module of its own, as started processes have to import it by name.
"""

import os
import signal

import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from tiny_runner import TinyImages, build_runner
from torch.utils.data import DataLoader

import sce_mm.cli.runner  # noqa: F401  (registers the wrapper for CPUs)
from sce_mm.datasets import SeededSampler

SHARED = {
    'epochs': 3,
    'model': {'batch_norm': True},
    'train_cfg': {'type': 'ResumableTrainLoop', 'max_epochs': 3},
    'default_hooks': {
        'logger': None,
        'checkpoint': {
            'type': 'DurableCheckpointHook',
            'by_epoch': False,
            'interval': 2,
        },
    },
    'param_scheduler': None,
    'launcher': 'pytorch',
    'cfg': {'model_wrapper_cfg': {'type': 'CPUDistributedDataParallel'}},
}


class SignalHook(Hook):
    """Sends this process SIGTERM within an iteration."""

    def __init__(self, at):
        self.at = at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


def train(folder, signal_at=None, **options):
    dataset = TinyImages(20)
    loader = DataLoader(
        dataset, 2, sampler=SeededSampler(dataset, seed=5), drop_last=True
    )
    runner, record = build_runner(
        folder,
        train_dataloader=loader,
        hooks=(
            {'type': 'MomentumUpdateHook', 'momentum': 0.1},
            {'type': 'PreemptionHook'},
            SignalHook(signal_at),
        ),
        **SHARED,
        **options,
    )
    runner.train()
    return torch.stack(record.losses), float(torch.rand(()))


def worker(rank, port, folder, results):
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE='2')
    # mmengine warns when it has to set them itself.
    os.environ.update(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    dist.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    torch.set_num_threads(1)
    results['whole', rank] = train(folder / 'whole')
    results['resumed', rank] = train(
        folder / 'resumed',
        seed=1,
        resume=True,
        load_from=str(folder / 'whole' / 'iter_8.pth'),
    )
    # One of the two gets a signal; both stop, after the same step.
    try:
        train(folder / 'stopped', signal_at=5 if rank == 1 else None)
    except SystemExit as end:
        results['code', rank] = end.code
    results['stopped', rank] = train(folder / 'stopped', resume=True)
    dist.destroy_process_group()
