"""The estimate against what can be counted by hand, and what is measured."""

import json
import mmap
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from image_files import write_noise
from mmengine.config import Config, ConfigDict
from recipes import TINY_FOLDER, recipe, table_row
from torch import nn

from sce_mm.analysis import memory, probe
from sce_mm.analysis.estimate import estimate, has_data
from sce_mm.config.machine import computes_in_bfloat16, set_precision
from sce_mm.utils.errors import UserError

CIFAR = 'sce_resnet18_1xb256-amp-coslr-200e_cifar10'
FOLDER = 'sce_resnet18_1xb64-coslr-200e_folder'
MCROP = 'sce_resnet50_16xb256-amp-mcrop-coslr-200e_in1k'
MB = 1e6


class TwoLayers(nn.Module):
    """What it keeps besides views and weights is what lies between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 5)
        self.second = nn.Linear(5, 4)

    def loss(self, views, data_samples=None):
        outputs = [self.second(self.first(v.flatten(1))) for v in views]
        return {'loss': sum(output.sum() for output in outputs)}


def test_kept_bytes_are_those_between_the_layers():
    count = memory.kept_bytes
    # Two views, 5 numbers of 4 bytes each.
    kept = count(TwoLayers(), [2, 2], batch=7, half=False)
    assert kept == 2 * 7 * 5 * 4
    # Under autocast half as wide, with copies of the views and of the second
    # weight, which the gradient of its input needs.
    kept = count(TwoLayers(), [2, 2], batch=7, half=True)
    assert kept == 2 * (7 * (12 + 5) * 2) + 5 * 4 * 2


@pytest.mark.parametrize(
    ('optimizer', 'moments'),
    [
        (dict(type='SGD', lr=1.0), 0),
        (dict(type='SGD', lr=1.0, momentum=0.9), 1),
        (dict(type='AdamW', lr=1.0), 2),
    ],
)
def test_state_by_part(optimizer, moments):
    model = TwoLayers()
    model.first.bias.requires_grad = False
    model.momentum_encoder = nn.Linear(3, 1).requires_grad_(False)
    model.queue = nn.Module()
    model.queue.register_buffer('features', torch.zeros(10))
    counted = memory.state_bytes(model, ConfigDict(optimizer))
    trained = 4 * (12 * 5 + 5 * 4 + 4)
    assert counted == {
        'weights': trained + 4 * 5,
        'gradients': trained,
        'optimiser state': moments * trained,
        'momentum encoder': 4 * 4,
        'queue': 4 * 10,
    }


def test_parts_add_up_and_the_largest_batch_fits():
    counted = memory.Memory({'weights': 100}, 0, 8, 2)
    assert counted.parts(4)['kept for backward'] == 32
    assert counted.total(4) == 140
    for available, multiple, batch in (
        (1009, 1, 90),
        (1010, 1, 91),
        (1010, 8, 88),
        (99, 1, 0),
    ):
        assert counted.largest_batch(available, multiple) == batch


def test_table_of_recipes_has_the_estimate():
    stated = table_row(CIFAR)['memory per GPU'].removesuffix(' GB')
    total = memory.count_memory(recipe(CIFAR)).total(256)
    assert float(stated) == pytest.approx(total / 2**30, abs=0.06)


def narrow(stem: str, batch: int) -> Config:
    """The recipe with an eighth or a quarter of the channels."""
    cfg = recipe(stem)
    backbone, neck = cfg.model.backbone, cfg.model.neck
    backbone.update(depth=18, base_channels=16, stem_channels=16)
    neck.update(in_channels=128, hid_channels=128)
    cfg.train_dataloader.batch_size = batch
    return cfg


@pytest.mark.integration
@pytest.mark.parametrize(
    ('stem', 'batch'), [(CIFAR, 128), (FOLDER, 48), (MCROP, 8)]
)
def test_memory_is_what_a_training_takes(monkeypatch, stem, batch):
    # Freed tensors go back to the system at once, so that the high-water
    # mark is that of what was alive.
    monkeypatch.setenv('MALLOC_MMAP_THRESHOLD_', '65536')
    cfg = narrow(stem, batch)
    if not computes_in_bfloat16():
        # Or there would be float32 copies of what is in bfloat16.
        set_precision(cfg, 'none')
    estimated = memory.count_memory(cfg).total(batch)
    measured = probe.probe(cfg, 'cpu', seconds=0, loading=False)
    # Kernels that libraries compile, and the chunks of the loss, are not in
    # the estimate: 30 MB.
    assert estimated > 90 * MB
    assert measured['peak_bytes'] > 0.95 * estimated
    assert measured['peak_bytes'] < 1.1 * estimated + 30 * MB


@pytest.mark.integration
def test_an_interrupt_leaves_no_process():
    def interrupt():
        while not multiprocessing.active_children():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    # Processes in the background ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            probe.probe(narrow(FOLDER, 4), 'cpu', seconds=600, loading=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not multiprocessing.active_children()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != 'linux', reason='needs prctl of Linux')
def test_processes_that_load_for_a_probe_end_with_it(tmp_path):
    program = (
        'import os\n'
        'import time\n'
        'import torch\n'
        'from sce_mm.utils.workers import EndsWithParent\n'
        'class Images(torch.utils.data.Dataset):\n'
        '    def __len__(self):\n'
        '        return 100\n'
        '    def __getitem__(self, index):\n'
        f"        open(f'{tmp_path}/{{os.getpid()}}', 'w').close()\n"
        '        return torch.ones(99999)\n'
        'loader = torch.utils.data.DataLoader(\n'
        '    Images(), 4, num_workers=2, worker_init_fn=EndsWithParent(None)\n'
        ')\n'
        'for _ in loader:\n'
        "    print('loaded', flush=True)\n"
        '    time.sleep(600)\n'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', program], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'loaded\n'
    process.kill()
    process.communicate(timeout=60)
    workers = [Path('/proc', path.name) for path in tmp_path.iterdir()]
    assert workers
    deadline = time.monotonic() + 60
    while any(map(_lives, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _lives(process: Path) -> bool:
    """Whether a process is there and not waiting to be reaped."""
    try:
        return ') Z ' not in (process / 'stat').read_text()
    except OSError:
        return False


@pytest.mark.integration
def test_what_an_estimate_prints(tmp_path):
    write_noise(tmp_path, 5)
    out = tmp_path / 'estimate.json'
    arguments = ['--data', str(tmp_path), '--probe-seconds', '0.01']
    arguments += ['--device', 'cpu', '--device-memory', '1']
    arguments += ['--json', str(out), '--cfg-options', *TINY_FOLDER]
    command = [Path(sys.executable).with_name('sce'), 'estimate', FOLDER]
    printed = subprocess.run(
        [*command, *arguments], check=True, capture_output=True, text=True
    ).stdout
    report = json.loads(out.read_text())
    assert report['images'] == 5
    assert report['loading']
    assert report['largest_batch'] == 5 < report['fitting_batch']
    rate = report['probe']['images_per_second']
    assert report['hours'] == pytest.approx(5 * 200 / rate / 3600)
    # Not with what a library says in the process of the probe.
    assert printed.startswith('memory of')
    for words in (
        'memory of a process at batch 4:',
        'kept for backward',
        'largest batch of a process: 5, for there are no more images; ',
        f'{report["fitting_batch"]} would fit, in 90% of 1.00 GB',
        'loading included',
        '200 epochs of 5 samples',
    ):
        assert words in printed
    # Small parts are no zeros.
    assert ' 0.00' not in printed


def test_what_cannot_be_estimated(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = recipe(FOLDER)
    with pytest.raises(ValueError, match='for example --images'):
        estimate(cfg)
    with pytest.raises(ValueError, match='--device cuda: there is no GPU'):
        estimate(cfg, 'cuda', images=10)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=9)
    with pytest.raises(ValueError, match=r'train_cfg\.max_epochs, which this'):
        estimate(cfg, images=10)
    cfg.train_dataloader.dataset.pipeline.pop(1)
    with pytest.raises(ValueError, match='this config has none'):
        memory.view_sizes_of_config(cfg)


def test_an_estimate_needs_one_batch_of_the_images_that_are_there(tmp_path):
    cfg = recipe(FOLDER)
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    with pytest.raises(UserError, match='no image'):
        estimate(cfg)
    write_noise(tmp_path, 5)
    with pytest.raises(ValueError, match=r'^5 images are .* --probe-batch 2$'):
        estimate(cfg)


def test_data_are_there_if_every_folder_is(tmp_path, monkeypatch):
    cfg = recipe(FOLDER)
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', dataset=inner)
    inner.data_root = str(tmp_path)
    assert has_data(cfg)
    monkeypatch.setenv('HOME', str(tmp_path.parent))
    inner.data_root = f'~/{tmp_path.name}'
    assert has_data(cfg)
    there, inner.data_root = dict(inner), [str(tmp_path), f'{tmp_path}/none']
    assert not has_data(cfg)
    for other, both in ((there, True), (inner, False)):
        cfg.train_dataloader.dataset = dict(
            type='ConcatDataset', datasets=[there, other]
        )
        assert has_data(cfg) is both


def test_a_probe_that_the_system_ends(monkeypatch):
    monkeypatch.setattr(probe, 'train', Ends())
    with pytest.raises(MemoryError, match='--probe-batch'):
        probe.probe(recipe(FOLDER), 'cpu', 0, loading=False)


class Ends:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_the_peak_of_memory_rises_and_can_be_set_back():
    before = probe.reset_peak()
    with mmap.mmap(-1, 50_000_000) as pages:
        pages.write(bytes(50_000_000))
    assert probe.peak_bytes() - before >= 49_000_000
    # The kernel adds up what threads touched only now and then.
    assert probe.reset_peak() - before < 25_000_000
