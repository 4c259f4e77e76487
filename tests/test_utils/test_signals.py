"""Workers of a loader outlive one signal that is not of their training."""

import subprocess
import time

import pytest
from torch.utils.data import DataLoader

from sce_mm.utils.signals import ShieldedWorker

pytestmark = pytest.mark.integration


@pytest.fixture
def batches():
    loader = DataLoader(
        range(1000),
        batch_size=10,
        num_workers=1,
        worker_init_fn=ShieldedWorker(None),
    )
    iterator = iter(loader)
    next(iterator)
    return iterator


def end(worker, number='TERM'):
    """Signal a worker as another program does."""
    subprocess.run(['kill', f'-{number}', str(worker.pid)], check=True)


def test_one_signal_of_a_stranger_is_survived_and_no_second(batches):
    (worker,) = batches._workers
    end(worker)
    # Ctrl-C goes to all processes of a terminal.
    end(worker, 'INT')
    end(worker, 'INT')
    time.sleep(1)
    assert next(batches) is not None
    assert worker.is_alive()
    end(worker)
    worker.join(10)
    assert not worker.is_alive()


def test_the_training_ends_its_workers_at_once(batches):
    (worker,) = batches._workers
    worker.terminate()
    worker.join(10)
    assert not worker.is_alive()
