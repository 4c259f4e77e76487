"""What each process of tests/test_engine/test_resume_distributed.py does.

A module of its own, as started processes have to import it by name.
"""

import os
import signal

import resumable
import torch
import torch.distributed as dist
from mmengine.hooks import Hook

import sce_mm.cli.runner  # noqa: F401  (registers the wrapper for CPUs)


class SignalHook(Hook):
    """Sends this process a signal within an iteration."""

    def __init__(self, at, number=signal.SIGTERM):
        self.at, self.number = at, number

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            os.kill(os.getpid(), self.number)


def train(folder, dataset, checkpoint=None, signal_at=None, **options):
    """Losses of this process, and a number that it draws afterwards.

    Without a data set, views are fixed.
    """
    pixels = {'data_preprocessor': resumable.PIXELS} if dataset else {}
    _, record = resumable.run(
        folder,
        checkpoint,
        data={'batch': 2, 'dataset': dataset},
        more=({'type': 'PreemptionHook'}, SignalHook(signal_at)),
        model={'batch_norm': True, **pixels},
        launcher='pytorch',
        cfg={'model_wrapper_cfg': {'type': 'CPUDistributedDataParallel'}},
        **options,
    )
    return torch.stack(record.losses), float(torch.rand(()))


def worker(rank, port, folder, dataset, results):
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE='2')
    # mmengine warns when it has to set them itself.
    os.environ.update(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    dist.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    torch.set_num_threads(1)
    results['whole', rank] = train(folder / 'whole', dataset)
    middle = folder / 'whole' / 'iter_8.pth'
    results['resumed', rank] = train(
        folder / 'resumed', dataset, middle, seed=1
    )
    # One of the two gets a signal; both stop, after the same step.
    try:
        train(folder / 'stopped', dataset, None, 5 if rank == 1 else None)
    except SystemExit as end:
        results['code', rank] = end.code
    results['stopped', rank] = train(folder / 'stopped', dataset, 'auto')
    dist.destroy_process_group()
