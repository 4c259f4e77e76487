"""Workers use one core each and outlive one signal of a stranger."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_runner import build_runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sce_mm.evaluation import extract_features
from sce_mm.utils.workers import ShieldedWorker


class Threads(Dataset):
    """An image whose channels are the numbers of threads where it is made."""

    metainfo = None

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        counts = [cv2.getNumThreads(), torch.get_num_threads()]
        return {'inputs': torch.tensor(counts).float()[:, None, None]}


class Struck(Threads):
    """Images in whose making the signal comes that ends a command."""

    parent = os.getpid()

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index == 0 and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)
        return super().__getitem__(index)


class Model(nn.Module):
    """As little of a model as extraction needs."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Identity()
        self.data_preprocessor = Preprocessor()


class Preprocessor(nn.Module):
    def forward(self, data: dict, training: bool) -> dict:
        return data


@pytest.fixture(autouse=True)
def several_threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


def test_workers_of_a_training_run(tmp_path: Path, root: Path) -> None:
    build_runner(tmp_path)
    loader = Runner.build_dataloader(
        dict(
            dataset=Threads(),
            batch_size=2,
            num_workers=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        seed=0,
    )
    (batch,) = loader
    assert batch['inputs'].flatten().tolist() == [1, 1, 1, 1]
    runtime = Config.fromfile(root / 'configs/_base_/default_runtime.py')
    assert runtime.env_cfg.mp_cfg.opencv_num_threads == 0


def test_workers_of_an_evaluation() -> None:
    loader = DataLoader(Threads(), batch_size=2, num_workers=1)
    counts, _ = extract_features(Model(), loader)
    assert counts.tolist() == [[1, 1], [1, 1]]
    assert cv2.getNumThreads() == 2


def test_workers_of_an_evaluation_leave_the_end_to_it() -> None:
    loader = DataLoader(Struck(), batch_size=2, num_workers=1)
    counts, _ = extract_features(Model(), loader)
    assert len(counts) == 2


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


@pytest.mark.integration
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


@pytest.mark.integration
def test_the_training_ends_its_workers_at_once(batches):
    (worker,) = batches._workers
    worker.terminate()
    worker.join(10)
    assert not worker.is_alive()
