"""The benchmarks compare equals; their figures are taken elsewhere."""

import importlib
import json
import sys

import pytest
import torch


@pytest.fixture
def tool(root, monkeypatch):
    """``tool(name)``: a module of tools/benchmarks, fresh."""
    monkeypatch.syspath_prepend(str(root / 'tools' / 'benchmarks'))

    def load(name):
        for each in ('loss', 'measuring', 'step', 'tables', 'plots'):
            monkeypatch.delitem(sys.modules, each, raising=False)
        return importlib.import_module(name)

    return load


def run(module, monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', [module.__file__, *arguments])
    threads = torch.get_num_threads()
    try:
        module.main()
    finally:
        torch.set_num_threads(threads)


def test_losses_agree_and_the_report_is_drawn(tool, monkeypatch, tmp_path):
    loss = tool('loss')
    cases = {name: (8, pairs) for name, (_, pairs) in loss.CASES.items()}
    monkeypatch.setattr(loss, 'CASES', cases)
    monkeypatch.setattr(loss, 'QUEUE', 20_000)
    curves = {'batch': [(8, 999)], 'queue': [(8, 64)]}
    monkeypatch.setattr(loss, 'CURVES', curves)
    file = tmp_path / 'loss.json'
    arguments = ['--repeats', '1', '--threads', '1', '--json', str(file)]
    run(loss, monkeypatch, *arguments)
    report = json.loads(file.read_text())
    for name in loss.CASES:
        case = report['cases'][name]
        for kind in ('loss', 'gradient'):
            differences = case[f'relative_difference_of_{kind}']
            assert set(differences) == set(loss.CANDIDATES)
            assert max(differences.values()) < 1e-5
        extra = case['extra_megabytes']
        # Two matrices of 8 x 20 000 floats, at the very least.
        assert extra['official form'] > 1.2
        assert extra['sce_mm'] < extra['official form']
    plots = tool('plots')
    picture = tmp_path / 'memory.png'
    plots.draw_memory(report, picture)
    assert picture.stat().st_size > 1000
    table = plots.loss_tables(report).splitlines()
    assert len(table) == 4 + len(loss.CASES) * len(loss.CANDIDATES)


def test_no_figure_of_the_page_was_written_by_hand(tool, root):
    plots = tool('plots')
    reports = plots.read(root / 'docs' / 'benchmarks')
    page = (root / 'docs' / 'benchmarks.md').read_text()
    assert plots.write_tables(page, *reports) == page


def test_a_page_without_the_place_is_refused(tool):
    with pytest.raises(ValueError, match='no block "<!-- loss -->"'):
        tool('tables').fill('# Benchmarks', 'loss', 'table')


def test_official_and_own_step_are_the_same_training(tool, monkeypatch):
    step = tool('step')
    monkeypatch.setattr(step, 'QUEUE', 512)
    setting = dict(
        backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=4),
        features=32,
    )
    views = [torch.randn(4, 3, 8, 8).double() for _ in range(2)]
    models = []
    original = step.sce
    for make in (step.sce_step, step.official_step):

        def seeded(setting):
            torch.manual_seed(0)
            models.append(original(setting).double())
            return models[-1]

        monkeypatch.setattr(step, 'sce', seeded)
        take = make(setting, channels_last=False)
        for _ in range(2):
            take(views, _float32)
    ours, official = (model.state_dict() for model in models)
    for name, value in ours.items():
        torch.testing.assert_close(value, official[name], msg=name)


def _float32():
    return torch.autocast('cpu', enabled=False)
