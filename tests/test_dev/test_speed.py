"""The benchmarks compare equals; their figures are taken elsewhere."""

import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

# mmcv says of its own pipeline what its jitter cannot do.
PEER_WARNS = pytest.mark.filterwarnings(
    "ignore:Only use 'alpha' for pillow backend:UserWarning"
)
MODULES = (
    'lightly_peer',
    'loss',
    'measuring',
    'memory',
    'multicrop',
    'plots',
    'step',
    'step_candidates',
    'step_models',
    'tables',
    'view_pipelines',
    'views',
)


@pytest.fixture
def tool(root, monkeypatch):
    """``tool(name)``: a module of tools/benchmarks, fresh."""
    monkeypatch.syspath_prepend(str(root / 'tools' / 'dev' / 'speed'))

    def load(name):
        for each in MODULES:
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


def run_alone(root, name, settings, *arguments):
    """The same in a process of its own.

    A fork of this one would have its free memory, and threads that stand
    still.
    """
    folder = root / 'tools' / 'dev' / 'speed'
    lines = [
        'import sys',
        f'sys.path.insert(0, {str(folder)!r})',
        f'import {name}',
        settings,
        f'sys.argv = {[name, *arguments]!r}',
        f'{name}.main()',
    ]
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', '\n'.join(lines)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_losses_agree_and_the_report_is_drawn(root, tool, tmp_path):
    settings = """
loss.CASES = {name: (64, pairs) for name, (_, pairs) in loss.CASES.items()}
loss.QUEUE = 50_000
loss.CURVES = {'batch': [(8, 999)], 'queue': [(8, 64)]}
"""
    file = tmp_path / 'loss.json'
    arguments = ['--repeats', '1', '--threads', '1', '--json', str(file)]
    run_alone(root, 'loss', settings, *arguments)
    report = json.loads(file.read_text())
    loss = tool('loss')
    for name in loss.CASES:
        case = report['cases'][name]
        for kind in ('loss', 'gradient'):
            differences = case[f'relative_difference_of_{kind}']
            assert set(differences) == set(loss.CANDIDATES)
            assert max(differences.values()) < 1e-5
        extra = case['extra_megabytes']
        # One matrix of 64 x 50 000 floats, at the very least, which no
        # memory that was freed before can hold.
        assert extra['official form'] > 12
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
    assert plots.write_tables(page, reports) == page


def test_a_page_without_the_place_is_refused(tool):
    with pytest.raises(ValueError, match='no block "<!-- loss -->"'):
        tool('tables').fill('# Benchmarks', 'loss', 'table')


def test_official_and_own_step_are_the_same_training(tool, monkeypatch):
    step = tool('step_candidates')
    monkeypatch.setattr(sys.modules['step_models'], 'QUEUE', 512)
    setting = dict(
        backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=4),
        features=32,
    )
    views = [torch.randn(4, 3, 8, 8).double() for _ in range(2)]
    models = []
    original = step.sce
    official = step.CANDIDATES['SCE, official form']
    for make in (step.sce_step, official):

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


def test_memory_of_a_process_with_either_loss(root, tool, tmp_path):
    file = tmp_path / 'memory.json'
    small = ['--batch', '32', '--channels', '4', '--threads', '1']
    small += ['--json', str(file)]
    run_alone(root, 'memory', 'memory.SIZES = [16] * 6', *small)
    report = json.loads(file.read_text())
    taken = report['megabytes']
    # At least one matrix of 32 x 65 536 floats for each of the ten pairs.
    assert taken['official form'] > taken['without loss'] + 10 * 8.4
    assert taken['sce_mm'] < taken['without loss'] + 40
    assert report['share_of_the_loss']['without loss'] == 0
    table = tool('tables').memory_tables(report)
    assert f'| official form | {taken["official form"]:.0f} |' in table


def test_peers_without_lightly(tool, monkeypatch, capsys):
    def without(name):
        loaded = tool(name)
        peer = sys.modules['lightly_peer']
        monkeypatch.setattr(peer, 'find_spec', lambda name: None)
        return loaded

    step = without('step')
    assert step.present() == step.CANDIDATES
    assert 'pip install --no-deps lightly' in capsys.readouterr().out
    pipelines = without('view_pipelines')
    assert 'lightly' not in pipelines.pipelines(six_views(tool))


def _float32():
    return torch.autocast('cpu', enabled=False)


@PEER_WARNS
def test_all_pipelines_make_the_same_list_of_views(tool, tmp_path):
    pipelines = tool('view_pipelines')
    (path, _) = pipelines.photographs(tmp_path, 60, 45)
    views = [
        {**view, 'size': 20 + i} for i, view in enumerate(six_views(tool))
    ]
    np.random.seed(0)
    torch.manual_seed(0)
    means = {}
    for name, pipeline in pipelines.pipelines(views).items():
        batches = [images_of(pipeline(path)) for _ in range(150)]
        for images in batches:
            shapes = [(x.dtype, *x.shape) for x in images]
            expected = [(torch.uint8, 3, 20 + i, 20 + i) for i in range(6)]
            assert shapes == expected, name
        means[name] = np.mean([[x.float().mean() for x in b] for b in batches])
    # A view's mean is 30 levels from that of the next; 900 are averaged.
    assert max(means.values()) - min(means.values()) < 8, means


def images_of(made):
    return made['inputs'] if isinstance(made, dict) else made


def test_the_peer_is_the_recipe_of_mmpretrain(tool):
    pipelines = tool('view_pipelines')
    numbers = [pipelines.build_augmentation(**v) for v in six_views(tool)[:2]]
    folder = pipelines.Path(pipelines.mmpretrain.__file__).parent
    recipe = pipelines.Config.fromfile(folder / pipelines._RECIPE).to_dict()
    assert pipelines.mmpretrain_config(numbers) == recipe['train_pipeline']


def test_the_views_measured_are_those_of_the_recipe(tool, root):
    pipelines = tool('view_pipelines')
    path = root / 'configs/_base_/datasets/imagenet_sce_mcrop.py'
    recipe = pipelines.Config.fromfile(path).to_dict()
    views = recipe['train_dataloader']['dataset']['pipeline'][1]['views']
    build = pipelines.build_augmentation
    assert [build(**v) for v in six_views(tool)] == [build(**v) for v in views]


@PEER_WARNS
def test_reports_of_views(tool, monkeypatch, tmp_path):
    plots, reports = tool('plots'), []
    for name in ('views', 'multicrop'):
        module, file = tool(name), tmp_path / f'{name}.json'
        small = ['--images', '1', '--repeats', '1', '--json', str(file)]
        monkeypatch.setattr(sys, 'argv', [name, *small])
        module.benchmark(module.VIEWS, 'test')
        reports.append(json.loads(file.read_text()))
        assert len(reports[-1]['sizes']) == len(module.VIEWS)
        assert reports[-1]['times_slower']['sce_mm'] == 1
    rows = sum(len(report['images_per_second']) for report in reports)
    assert len(plots.view_tables(reports).splitlines()) == 4 + rows
    plots.draw_views(reports, tmp_path / 'views.png')
    assert (tmp_path / 'views.png').stat().st_size > 1000


def six_views(tool):
    return tool('multicrop').VIEWS
