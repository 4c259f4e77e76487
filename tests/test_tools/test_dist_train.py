"""tools/dist_train.sh with a real torchrun: one machine, two, accidents."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch

pytestmark = pytest.mark.integration

# 16 images, 2 processes x 4: two steps an epoch.
EPOCHS, STEPS = 4, 8
OPTIONS = [
    'train_dataloader.batch_size=4',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.pipeline.1.views.0.size=32',
    'train_dataloader.dataset.pipeline.1.views.1.size=32',
    'model.queue.length=32',
    'model.backbone.base_channels=8',
    'model.backbone.stem_channels=8',
    'model.neck.in_channels=64',
    f'train_cfg.max_epochs={EPOCHS}',
    'param_scheduler.warmup_epochs=1',
    'default_hooks.logger.interval=1',
    'default_hooks.checkpoint.by_epoch=False',
    'default_hooks.checkpoint.interval=2',
]


class Launcher:
    """Starts tools/dist_train.sh on images of its own."""

    def __init__(self, root, folder):
        self.root = root
        self.folder = folder
        (folder / 'images').mkdir()
        random = np.random.default_rng(0)
        for index in range(16):
            image = random.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f'images/{index}.png'), image)

    def config(self, name, **fault):
        """The folder config, with a hook that makes the fault if any."""
        base = (
            self.root / 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
        )
        lines = [f'_base_ = {str(base)!r}']
        if fault:
            fault = {'type': 'FaultHook'} | fault
            lines += [
                "custom_imports = dict(imports=['sce_mm', 'faults'])",
                f'custom_hooks = [{fault!r}]',
            ]
        path = self.folder / f'{name}.py'
        path.write_text('\n'.join(lines))
        return path

    def start(self, config, work_dir, processes, *options, **environment):
        """Start one machine; what it says goes to a file."""
        words = ['--data', self.folder / 'images', '--work-dir', work_dir]
        words += ['--auto-scale-lr', *options, '--cfg-options', *OPTIONS]
        script = self.root / 'tools/dist_train.sh'
        said = self.folder / f'said_{len(list(self.folder.iterdir()))}.txt'
        with said.open('w') as output:
            process = subprocess.Popen(
                ['bash', script, config, str(processes), *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ
                | {
                    'PYTHON': sys.executable,
                    'PYTHONPATH': str(self.root / 'tests' / 'helpers'),
                    'OMP_NUM_THREADS': '1',
                }
                | environment,
            )
        process.said = said
        return process

    def start_two(self, config, work_dir, *options, **environment):
        """Start two machines of one process each."""
        together = {'NNODES': '2', 'PORT': free_port(), **environment}
        return [
            self.start(
                config, work_dir, 1, *options, NODE_RANK=str(rank), **together
            )
            for rank in range(2)
        ]


def free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return str(free.getsockname()[1])


def codes(*machines):
    """Exit codes; ends those that do not end by themselves."""
    try:
        return [machine.wait(480) for machine in machines]
    finally:
        for machine in machines:
            print(machine.said.read_text()[-5000:])
            if machine.poll() is None:
                machine.terminate()
                machine.wait(60)


def end_of(work_dir):
    content = torch.load(work_dir / f'iter_{STEPS}.pth', weights_only=False)
    assert content['meta']['iter'] == STEPS
    return content


@pytest.fixture(scope='module')
def launcher(root, tmp_path_factory):
    return Launcher(root, tmp_path_factory.mktemp('launcher'))


@pytest.fixture(scope='module')
def undisturbed(launcher):
    """Two processes of one machine: work dir and what was said."""
    work_dir = launcher.folder / 'undisturbed'
    machine = launcher.start(
        launcher.config('plain'), work_dir, 2, PORT=free_port()
    )
    assert codes(machine) == [0]
    return work_dir, machine.said.read_text()


def test_two_processes_train_a_folder(undisturbed):
    work_dir, said = undisturbed
    # 0.03 belongs to 64 images.
    rates = 'learning rate 0.03 -> 0.00375, in proportion, as the batch is 8'
    assert rates in said
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(x) for x in log.read_text().splitlines()]
    assert [line['step'] for line in lines] == list(range(1, STEPS + 1))


def test_two_machines_are_stopped_and_killed_and_come_to_the_same_end(
    undisturbed, launcher
):
    """The cluster takes one machine away, then a worker of two dies."""
    work_dir, reached = launcher.folder / 'two', launcher.folder / 'reached'
    config = launcher.config('stopped', at=3, once=str(reached))
    machines = launcher.start_two(config, work_dir, MAX_RESTARTS='1')
    # If one ends before that, its code tells.
    while not reached.exists() and all(m.poll() is None for m in machines):
        time.sleep(0.05)
    machines[1].send_signal(signal.SIGTERM)
    # Both save, and both say that they want to be started again.
    assert codes(*machines) == [75, 75]
    (stopped,) = work_dir.glob('stopped_at_iter_*.pth')

    killed = launcher.folder / 'killed'
    config = launcher.config('killed', at=6, once=str(killed), kill_rank=1)
    machines = launcher.start_two(
        config, work_dir, '--resume', MAX_RESTARTS='1'
    )
    assert codes(*machines) == [0, 0]
    assert killed.exists()
    assert f'{stopped.name}' in machines[0].said.read_text()
    torch.testing.assert_close(
        end_of(work_dir)['state_dict'],
        end_of(undisturbed[0])['state_dict'],
        rtol=0,
        atol=0,
    )
