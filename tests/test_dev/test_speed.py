"""The benchmarks compare equals; their figures are taken elsewhere."""

import json
import subprocess
import sys
from contextlib import nullcontext
from functools import partial

import mmpretrain
import numpy as np
import pytest
import torch

# mmcv says of its own pipeline what its jitter cannot do.
PEER_WARNS = pytest.mark.filterwarnings(
    "ignore:Only use 'alpha' for pillow backend:UserWarning"
)


def test_losses_and_gradients_agree(tool):
    loss = tool('loss')
    for _, pairs in loss.CASES.values():
        inputs = loss.inputs(16, 512, pairs)
        values, gradients = zip(
            *(loss.step(each, inputs) for each in loss.CANDIDATES.values()),
            strict=True,
        )
        for value, gradient in zip(values, gradients, strict=True):
            torch.testing.assert_close(value, values[-1])
            torch.testing.assert_close(gradient, gradients[-1])
        apart = loss.speed(16, 512, pairs, repeats=1)['gradient_apart']
        assert max(apart.values()) < 1e-5


@pytest.mark.integration
def test_extra_memory_is_what_either_loss_takes(root, tmp_path):
    # A fork of this process would have its free memory, and threads that
    # stand still.
    script = """
import json, sys, loss, memory
alone = loss.memory(64, 50_000, [(0, 0)], threads=1)
whole = memory.measure(32, channels=4, threads=1, sizes=[16] * 6)
print(json.dumps([alone, whole, memory.table(whole)]))
"""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script],
        capture_output=True,
        text=True,
        cwd=root / 'tools' / 'dev' / 'speed',
    )
    assert done.returncode == 0, done.stderr
    alone, whole, table = json.loads(done.stdout.splitlines()[-1])
    # One matrix of 64 x 50 000 floats, at the very least, which no memory
    # that was freed before can hold.
    assert alone['official form'] > 12
    assert alone['sce_mm'] < alone['official form']
    taken = whole['megabytes']
    # At least one matrix of 32 x 65 536 floats for each of the ten pairs.
    assert taken['official form'] > taken['without loss'] + 10 * 8.4
    assert taken['sce_mm'] < taken['without loss'] + 40
    assert f'| official form | {taken["official form"]:.0f} |' in table


def test_no_figure_of_the_page_was_written_by_hand(tool, root, tmp_path):
    page = tool('page')
    reports = page.read(root / 'docs' / 'benchmarks')
    text = (root / 'docs' / 'benchmarks.md').read_text()
    assert page.write_tables(text, reports) == text
    curves = reports['loss']['memory_curve']
    page.draw_memory(curves, tmp_path / 'memory.png')
    page.draw_steps(reports['step'], tmp_path / 'step.png')
    page.draw_views(reports['views'], tmp_path / 'views.png')
    assert len([*tmp_path.iterdir()]) == 3


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
    official = step.CANDIDATES['SCE, official form']
    for make in (step.sce_step, official):

        def seeded(setting):
            torch.manual_seed(0)
            models.append(original(setting).double())
            return models[-1]

        monkeypatch.setattr(step, 'sce', seeded)
        take = make(setting, channels_last=False)
        for _ in range(2):
            take(views, partial(torch.autocast, 'cpu', enabled=False))
    ours, official = (model.state_dict() for model in models)
    for name, value in ours.items():
        torch.testing.assert_close(value, official[name], msg=name)


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_a_step_of_every_peer(tool, monkeypatch, precision):
    step = tool('step')
    monkeypatch.setattr(step, 'QUEUE', 512)
    setting = step.SETTINGS['resnet18-32']
    # Of 4 channels oneDNN crashes at AVX2, see tests/test_config.
    backbone = setting['backbone'] | dict(base_channels=8)
    small = dict(backbone=backbone, features=64, batch=4, pixels=8)
    monkeypatch.setitem(step.SETTINGS, 'small', small)
    report = step.speed('small', precision, True, repeats=1)
    assert set(report['seconds']) >= set(step.CANDIDATES)
    assert f'| small | 4 | {precision}, channels last |' in step.table(
        [report]
    )


@PEER_WARNS
def test_all_pipelines_make_the_same_list_of_views(tool, tmp_path):
    views = tool('views')
    (path, _) = views.photographs(tmp_path, 60, 45)
    six = [{**view, 'size': 20 + i} for i, view in enumerate(views.VIEWS)]
    np.random.seed(0)
    torch.manual_seed(0)
    means = {}
    for name, pipeline in views.pipelines(six).items():
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


def test_peers_and_views_are_those_of_the_recipes(tool, root):
    views = tool('views')
    build = views.build_augmentation
    numbers = [build(**view) for view in views.VIEWS]
    folder = views.Path(mmpretrain.__file__).parent
    peer = views.Config.fromfile(folder / views._RECIPE).to_dict()
    assert views.mmpretrain_config(numbers[:2]) == peer['train_pipeline']
    path = root / 'configs/_base_/datasets/imagenet_sce_mcrop.py'
    recipe = views.Config.fromfile(path).to_dict()
    own = recipe['train_dataloader']['dataset']['pipeline'][1]['views']
    assert numbers == [build(**view) for view in own]


@PEER_WARNS
def test_the_command_line_measures_and_writes(tool, monkeypatch, tmp_path):
    views, file = tool('views'), tmp_path / 'views.json'
    options = ['--images', '1', '--repeats', '1', '--json', str(file)]
    monkeypatch.setattr(sys, 'argv', ['views', *options])
    threads = torch.get_num_threads()
    sizes = dict(images=50, repeats=9, width=500, height=375)
    try:
        tool('measuring').command('', views.measure, views.table, **sizes)
    finally:
        torch.set_num_threads(threads)
    reports = json.loads(file.read_text())
    assert [len(report['sizes']) for report in reports] == [2, 6]
    rows = sum(len(report['images_per_second']) for report in reports)
    assert len(views.table_of_rates(reports).splitlines()) == 4 + rows
    stages = views.table_of_stages(reports).splitlines()
    # Header, line, decoding, the rest and the sum.
    assert len(stages) == 5 + len(views.STAGES)


def test_every_stage_of_a_view_is_timed_and_makes_the_same(tool, tmp_path):
    views = tool('views')
    files = 40 * views.photographs(tmp_path, 60, 45)
    small = [{**view, 'size': 20} for view in views.VIEWS[:2]]
    stages = views.split(small, files)
    assert {'decoding', 'the rest', *views.STAGES} == {*stages}
    assert all(seconds > 0 for seconds in stages.values()), stages
    pipeline = views.pipelines(small)['sce_mm']
    made = []
    for watch in (None, views.Stopwatch()):
        np.random.seed(0)
        with views.stages_timed(watch) if watch else nullcontext():
            made += [torch.stack(images_of(pipeline(x))) for x in files[:9]]
    assert torch.equal(torch.stack(made[:9]), torch.stack(made[9:]))


def test_the_cost_of_a_process_counts_those_that_it_starts(tool, tmp_path):
    scale = tool('scale')
    idle = scale.cost(['-c', 'pass'], tmp_path)
    busy = """
import subprocess, sys
work = 'len(b"1" * 2 * 10**8); sum(range(2 * 10**7))'
subprocess.run([sys.executable, '-c', work])
"""
    found = scale.cost(['-c', busy], tmp_path)
    assert found['seconds'] > idle['seconds'] + 0.1
    # Not those of this process, which is large.
    assert idle['megabytes'] < 100
    assert found['megabytes'] > idle['megabytes'] + 150
    with pytest.raises(RuntimeError, match='exit code 3'):
        scale.cost(['-c', 'raise SystemExit(3)'], tmp_path)


def test_no_two_images_of_a_scale_are_alike(tool, tmp_path):
    tool('scale').write_images(tmp_path / 'images', 30)
    files = [*tmp_path.rglob('*.jpg')]
    assert len({file.read_bytes() for file in files}) == 30
