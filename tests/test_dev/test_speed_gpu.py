"""The command for a GPU, up to the GPU: its figures are taken there."""

import json
import shutil
import sys
import weakref
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

RECIPE = 'sce_resnet18_1xb64-coslr-200e_folder'
SMALL = dict(
    loss_batch=8,
    queue=512,
    setting=dict(
        backbone=dict(
            type='ResNet', depth=18, base_channels=8, stem_channels=8
        ),
        features=64,
        batch=4,
        pixels=32,
    ),
    batches=(4,),
    loader_batch=2,
    workers=0,
    view_size=32,
    recipes=(RECIPE,),
    bank=300,
    queries=128,
    width=16,
)


def candidates(*milliseconds):
    """Made-up figures; None is a candidate that failed."""
    names = ('first', 'second', 'third')[: len(milliseconds)]
    return {
        name: {'failed': 'out of memory'}
        if value is None
        else {
            'milliseconds': value,
            'milliseconds_ratio': value / milliseconds[0],
            'peak_megabytes': 10 * value,
            'peak_megabytes_ratio': value / milliseconds[0],
            'rounds': 3,
        }
        for name, value in zip(names, milliseconds, strict=True)
    }


@pytest.fixture
def recorded():
    """A report of no machine that there is."""
    machine = dict.fromkeys(
        ('device', 'cores', 'torch', 'cuda', 'mmpretrain', 'python'), 'made-up'
    )
    search = {'queries_measured': 7, 'peak_megabytes': 8.0}
    sections = {
        'loss': {'one pair': candidates(2.0, 3.0, 5.0)},
        'step': {
            'batch 256': candidates(100.0, 104.0, None),
            'batch 512': candidates(200.0, 206.0, 300.0),
        },
        'loader': {'workers': 16, 'step': 900.0, 'views on the device': 1.0},
        'memory of recipes': {
            'sce_a': {
                'batch': 64,
                'gigabytes': 11.0,
                'estimated_gigabytes': 10.0,
                'ratio': 1.1,
            },
            'sce_b': {'failed': 'no time left'},
            'left out': 'the rest',
        },
        'kNN of ImageNet': {
            'sce_mm': {
                'seconds_for_all': 20.0,
                'seconds_for_all_ratio': 1.0,
                **search,
            }
        },
        'compiled step': {
            'batch 256, eager': candidates(70.0, 80.0),
            'failed': 'RuntimeError: no C compiler',
        },
    }
    for section in sections.values():
        section['seconds'] = 12.0
    return {'machine': machine, 'budget_seconds': 99, 'sections': sections}


def test_a_recorded_report_is_shown_and_drawn(
    tool, recorded, tmp_path, capsys, monkeypatch
):
    gpu = tool('gpu')
    assert set(recorded['sections']) == set(gpu.SECTIONS)
    file, picture = tmp_path / 'gpu.json', tmp_path / 'gpu.png'
    gpu.write(file, recorded)
    words = ['gpu.py', '--read', str(file), '--plot', str(picture)]
    monkeypatch.setattr(sys, 'argv', words)
    with pytest.raises(SystemExit, match='could not be measured: compiled'):
        gpu.main()
    shown = capsys.readouterr().out
    for row in (
        '| one pair | third | 5.00 | 2.50 | 50 | 2.50 |',
        '| batch 256 | second | 104.00 | 1.04 | 1040 | 1.04 |',
        '| batch 256 | third | out of memory | | | |',
        '| step | 900 |',
        '| sce_a | 64 | 11.00 | 10.00 | 1.10 |',
        '| sce_b | no time left | | | |',
        '| sce_mm | 20.0 | 1.00 | 7 | 8 |',
        '| batch 256, eager | second | 80.00 | 1.14 | 800 | 1.14 |',
        'failed: RuntimeError: no C compiler',
        'left out: the rest',
    ):
        assert row in shown.splitlines()
    assert picture.stat().st_size > 1000


def test_without_a_gpu_it_says_so_in_a_line(tool, capsys, monkeypatch):
    gpu = tool('gpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(sys, 'argv', ['gpu.py'])
    with pytest.raises(SystemExit) as stop:
        gpu.main()
    assert stop.value.code == gpu.NO_GPU == 69
    said = capsys.readouterr()
    assert said.out == ''
    assert len(said.err.splitlines()) == 1


@pytest.mark.integration
def test_what_is_measured_is_kept_when_a_section_fails(
    tool, tmp_path, monkeypatch
):
    gpu, sections = tool('gpu'), tool('gpu_sections')
    monkeypatch.setattr(tool('step'), 'QUEUE', 512)
    # That of a processor takes minutes.
    monkeypatch.setattr(torch, 'compile', lambda function: function)
    read = Config.fromfile

    def recipe(file):
        # Of 4 channels oneDNN crashes at AVX2, see tests/test_config.
        cfg, width = read(file), 8
        cfg.merge_from_dict(
            {
                'train_dataloader.batch_size': 4,
                'train_dataloader.dataset.pipeline.1.views.0.size': 32,
                'train_dataloader.dataset.pipeline.1.views.1.size': 32,
                'model.queue.length': 24,
                'model.backbone.base_channels': width,
                'model.backbone.stem_channels': width,
                'model.neck.in_channels': 8 * width,
            }
        )
        return cfg

    def fail(*_):
        raise RuntimeError('on purpose')

    def fail_again():
        # As a device does after some errors.
        if len(freed) < len(gpu.SECTIONS):
            freed.append(1)
            fail()

    freed = []
    monkeypatch.setattr(sections.Config, 'fromfile', recipe)
    monkeypatch.setattr(tool('measuring'), 'free_memory', fail_again)
    monkeypatch.setattr(sections, 'measure_loss', fail)
    plan = sections.Plan(torch.device('cpu'), **SMALL)
    file = tmp_path / 'made' / 'gpu.json'
    report = gpu.run_sections(plan, 0.1, file)
    # As text: no NaN equals another one.
    assert json.dumps(json.loads(file.read_text())) == json.dumps(report)
    found = report['sections']
    assert set(found) == set(gpu.SECTIONS)
    assert found['loss']['failed'] == 'RuntimeError: on purpose'
    failed = [name for name, value in found.items() if 'failed' in value]
    assert failed == ['loss'], found
    assert len(freed) == len(gpu.SECTIONS)
    assert found['memory of recipes'][RECIPE]['estimated_gigabytes'] > 0
    ratio = found['step']['batch 4']['sce_mm']['milliseconds_ratio']
    assert ratio > 0
    assert found['loader']['bound, views of device'] > 0
    assert found['kNN of ImageNet']['sce_mm']['queries_measured'] >= 64
    assert '| batch 4, compiled | sce_mm |' in gpu.text(report)


def test_what_cannot_be_compiled_was_measured_before(tool, monkeypatch):
    gpu, sections = tool('gpu'), tool('gpu_sections')
    monkeypatch.setattr(tool('step'), 'QUEUE', 512)

    def fail(_):
        raise RuntimeError('no C compiler')

    monkeypatch.setattr(torch, 'compile', fail)
    plan = sections.Plan(torch.device('cpu'), **SMALL)
    clock = tool('measuring').Clock(0.1)
    found = sections.measure_compiled_step(plan, clock)
    assert found['failed'] == 'RuntimeError: no C compiler'
    # The bare passes train the same model, which stays a model.
    assert found['batch 4, eager']['sce_mm']['milliseconds'] > 0
    assert tool('torch_compiler').what_lacks() == 'no C compiler'
    assert gpu.candidate_rows(found)


def test_a_recipe_that_fails_leaves_the_others(tool, monkeypatch):
    gpu, sections = tool('gpu'), tool('gpu_sections')

    def train(cfg, *_, **__):
        raise errors.pop()

    errors = [
        AssertionError('wrong'),
        RuntimeError('CUDA error: out of memory'),
    ]
    memory = SimpleNamespace(total=lambda batch: 1e9)
    monkeypatch.setattr(sections, 'count_memory', lambda _: memory)
    monkeypatch.setattr(sections, 'train', train)
    names = (RECIPE, 'sce_resnet50_8xb512-amp-coslr-200e_in1k')
    plan = sections.Plan(torch.device('cpu'), **SMALL | {'recipes': names})
    found = sections.measure_memory(plan, tool('measuring').Clock(60))
    assert [found[name]['failed'] for name in names] == [
        'out of memory',
        'AssertionError: wrong',
    ]
    # What is no want of memory fails the section.
    assert found['failed'] == f'{names[1]}: AssertionError: wrong'
    assert len(gpu.memory_rows(found)) == 2


def test_weights_of_the_bare_passes_stay_finite(tool, monkeypatch):
    step = tool('step')
    monkeypatch.setattr(step, 'QUEUE', 512)
    torch.manual_seed(0)
    model = step.sce(SMALL['setting'])
    run = step.bare_step(model, step.sgd(model))
    inputs = [torch.randn(8, 3, 32, 32) for _ in range(2)]
    for _ in range(20):
        run(inputs, partial(torch.autocast, 'cpu', enabled=False))
    for name, value in model.named_parameters():
        assert value.abs().max() < 100, name


def test_workers_fit_into_the_shared_memory(tool, monkeypatch):
    sections = tool('gpu_sections')
    plan = sections.Plan(torch.device('cpu'), workers=16)
    for free, workers in ((2**26, 0), (2**30, 4), (2**40, 16)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(shutil, 'disk_usage', lambda _, u=usage: u)
        assert sections.fitting_workers(plan) == workers


@pytest.mark.parametrize(
    'error',
    [
        torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate'),
        RuntimeError('cuDNN error: CUDNN_STATUS_ALLOC_FAILED'),
        RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling'),
        RuntimeError('CUDA error: out of memory\nCompile with TORCH_USE_CUDA'),
    ],
)
@pytest.mark.parametrize('fails_at', [1, 2, 3, 4])
def test_a_candidate_without_memory_leaves_the_others(
    tool, monkeypatch, error, fails_at
):
    measuring = tool('measuring')
    calls, made = [], []

    def large():
        tensor = torch.zeros(10)
        made.append(weakref.ref(tensor))
        calls.append(1)
        if len(calls) == fails_at:
            raise error

    free, freed = measuring.free_memory, []

    def free_memory():
        free()
        freed.append([ref() for ref in made] == [None] * fails_at)

    monkeypatch.setattr(measuring, 'free_memory', free_memory)

    figures = measuring.on_device(
        {'small': lambda: lambda: None, 'large': lambda: large},
        torch.device('cpu'),
        measuring.Clock(60),
        repeats=3,
    )
    assert figures['large'] == {'failed': 'out of memory'}
    assert freed == [True]
    assert figures['small']['rounds'] == 3
    assert figures['small']['milliseconds_ratio'] == 1


def test_other_errors_of_a_candidate_are_not_hidden(tool):
    measuring = tool('measuring')

    def wrong():
        raise RuntimeError('mat1 and mat2 shapes cannot be multiplied')

    with pytest.raises(RuntimeError, match='mat1'):
        measuring.on_device(
            {'wrong': lambda: wrong},
            torch.device('cpu'),
            measuring.Clock(60),
        )
