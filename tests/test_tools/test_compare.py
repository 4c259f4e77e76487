"""The comparison, through its command line, on tiny images."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from coco_files import coco
from image_files import smooth_noise, write_noise
from mmengine.config import Config
from PIL import Image
from recipes import TINY_COMPARISON

from sce_mm.cli.exit import end_at_signals
from sce_mm.comparison import Settings, compare, report, tables, unlabelled
from sce_mm.comparison import comparison as steps
from sce_mm.comparison.pairing import (
    choose_pairs,
    pair_seeds,
    trained_again,
)
from sce_mm.comparison.pretraining import Recipe, Start
from sce_mm.comparison.results import last_logged, was_evaluated
from sce_mm.config.errors import ConfigError
from sce_mm.config.parts import innermost_dataset
from sce_mm.datasets import ImageCache
from sce_mm.datasets.images.file_lists import find_images
from sce_mm.detection.comparison import Detection
from sce_mm.detection.comparison.task import coco_metrics
from sce_mm.downstream import ConfigEdits, load_base
from sce_mm.utils.errors import UserError
from sce_mm.utils.run_commands import Command, run_together

DETECTOR = """
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(depth=18, base_channels=16, stem_channels=16),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=32),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=50, max_per_img=20),
        rcnn=dict(sampler=dict(num=8)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=20)),
)
_base_.train_dataloader.dataset.pipeline[2].scale = (64, 64)
_base_.val_dataloader.dataset.pipeline[1].scale = (64, 64)
_base_.test_dataloader.dataset.pipeline[1].scale = (64, 64)
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1)
"""


def labelled(folder, name, count, random):
    """Images with one box each, in COCO format."""
    (folder / name).mkdir(parents=True)
    for index in range(count):
        cv2.imwrite(str(folder / name / f'{index}.png'), smooth_noise(random))
    content = coco(count, ['cat', '<b>dog'])
    (folder / f'{name}.json').write_text(json.dumps(content))


@pytest.fixture
def words(root, tmp_path):
    """Arguments of a comparison of two trainings."""
    random = np.random.default_rng(0)
    labelled(tmp_path, 'train', 8, random)
    labelled(tmp_path, 'val', 4, random)
    (tmp_path / 'free').mkdir()
    # Any bytes but two can be a name.
    names = [*map(str, range(7)), 'caf\udce9', 'two\nlines ']
    for name in names:
        data = cv2.imencode('.png', smooth_noise(random))[1].tobytes()
        (tmp_path / 'free' / f'{name}.png').write_bytes(data)
    leak = cv2.imread(str(tmp_path / 'val' / '2.png'))[:, ::-1]
    cv2.imwrite(str(tmp_path / 'free' / 'leak.jpg'), leak)
    (tmp_path / 'detector.py').write_text(DETECTOR)
    recipe = root / 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
    return [
        str(tmp_path / 'out'),
        *('--images', str(tmp_path / 'free')),
        *('--train', str(tmp_path / 'train.json')),
        *('--train-images', str(tmp_path / 'train')),
        *('--val', str(tmp_path / 'val.json')),
        *('--val-images', str(tmp_path / 'val')),
        *('--detector', str(tmp_path / 'detector.py')),
        *('--pretraining', str(recipe)),
        *('--percent', '50', '--threads', '1'),
        *TINY_COMPARISON,
    ]


@pytest.mark.integration
def test_from_two_folders_to_one_table(
    words, root, run_compare, tmp_path, capsys
):
    command = [sys.executable, '-W', 'ignore', root / 'tools/compare.py']
    # Any name is one folder, also where it is a value of --cfg-options.
    out = tmp_path / 'my, out'
    words[:1] = [str(out), '--regions', '32']
    done = subprocess.run([*command, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert '1 of 10 unlabelled images are validation images' in done.stdout
    assert '| SCE | 50 % |' in done.stdout
    kept = json.loads((out / 'unlabelled.json').read_text())
    assert len(kept) == 9
    assert not any('leak' in path for path in kept)
    assert any('\udce9' in path for path in kept)
    # Regions came from the cache, which has files of any name.
    config = Config.fromfile(next((out / 'runs' / 'SCE').glob('*.py')))
    load, cut, *_ = innermost_dataset(config)[1].pipeline
    assert load.cache == str(out / 'images')
    assert cut.type == 'CutRegion'
    assert not ImageCache(load.cache).missing(kept)
    # Both were trained on half of the labels, from what they say.
    results = json.loads((out / 'results.json').read_text())['results']
    assert set(results) == {'random initialisation', 'SCE'}
    logs = {
        name: next((out / 'runs' / f'{name}_50pct_seed0').glob('*/*.log'))
        for name in ('random-initialisation', 'SCE')
    }
    arrived = 'transfer verified: 120/120 tensors'
    assert arrived in logs['SCE'].read_text()
    assert arrived not in logs['random-initialisation'].read_text()
    page = (out / 'report.html').read_text()
    assert '<b>dog' not in page
    assert '1 of the unlabelled images are validation images' in page
    # Those of the labels begin at 0, with which pycocotools counts wrong.
    val = json.loads((out / 'labels' / 'val.json').read_text())
    assert [a['id'] for a in val['annotations']] == [1, 2, 3, 4]
    data = (out / 'configs' / 'data.py').read_text()
    assert str(out / 'labels' / 'val.json') in data
    # What is done is not done again, also without the cache.
    shutil.rmtree(out / 'images')
    run_compare(words)
    assert 'sce train' not in capsys.readouterr().out
    assert 'could not be made' not in (out / 'report.html').read_text()
    assert not (out / 'images').exists()
    # Its results are not those of other labels or options.
    content = json.loads((tmp_path / 'train.json').read_text())
    content['annotations'][0]['bbox'] = [8, 8, 30, 30]
    (tmp_path / 'train.json').write_text(json.dumps(content))
    with pytest.raises(ConfigError, match='of other --train, --pretraining-o'):
        run_compare([*words, 'seed=3'])


def test_all_that_is_wrong_with_labels_is_said_at_once(
    words, run_compare, tmp_path
):
    content = json.loads((tmp_path / 'val.json').read_text())
    del content['annotations'][2]['iscrowd']
    (tmp_path / 'val.json').write_text(json.dumps(content))
    content = json.loads((tmp_path / 'train.json').read_text())
    content['annotations'][3]['bbox'] = ['8', '8', '9', '9']
    (tmp_path / 'train.json').write_text(json.dumps(content))
    (tmp_path / 'train' / '5.png').unlink()
    file = str(tmp_path / 'val.json')
    same = ['--weights', 'S*E', file, '--weights', 'S+E', file]
    with pytest.raises(ConfigError) as error:
        run_compare([*words, *same])
    for named in (
        'train.json: annotations, bbox',
        'val.json: annotations, iscrowd',
        '--weights, --variant: names must differ',
    ):
        assert named in str(error.value)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'more',
    [
        ['--variant', 'SCE', 'seed=1'],
        ['--weights', 'random initialisation', 'FILE'],
        ['--weights', 'x', 'FILE', '--variant', 'x', 'seed=1'],
    ],
)
def test_names_that_are_taken_are_refused(words, run_compare, tmp_path, more):
    """One start would silently take the place of another."""
    file = str(tmp_path / 'val.json')
    more = [file if word == 'FILE' else word for word in more]
    with pytest.raises(ConfigError, match='names must differ'):
        run_compare([*words, *more])


def test_validation_images_are_no_training_images(
    words, run_compare, tmp_path
):
    (tmp_path / 'link').symlink_to(tmp_path / 'train')
    same = ['--val', str(tmp_path / 'train.json')]
    same += ['--val-images', str(tmp_path / 'link')]
    with pytest.raises(UserError, match=r'--val: 8 of 8 images are also'):
        run_compare([*words, *same])
    assert not (tmp_path / 'out').exists()


def test_categories_are_those_of_the_training(words, run_compare, tmp_path):
    content = json.loads((tmp_path / 'val.json').read_text())
    content['categories'][0]['name'] = 'yak'
    (tmp_path / 'val.json').write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r'val\.json: .* yak not among'):
        run_compare(words)


@pytest.mark.parametrize(
    ('more', 'named'),
    [
        (['--percent', '0'], '--percent: expected'),
        (['--seeds', '-1'], '--seeds: a seed is'),
        (['--detector-options', 'no sign'], '--detector-options takes'),
        (['--weights', 'x', 'none.pth'], '--weights x: no checkpoint at'),
        (['--variant', 'x'], '--variant x: expected'),
        (['--variant', 'x', 'seed=1', 'none.py'], 'x: expected a name'),
        (['--variant', 'x', 'none.py'], '--variant x: no config at none.py'),
        (['--pretraining-seeds', '0', '1'], 'need as many --seeds'),
        (['--longer-random', '0.5'], '--longer-random: expected'),
        (['--longer-random', '2e3'], 'above 1 and up to 1000, got 2e3'),
        (['--min-iterations', '-3'], '--min-iterations: expected'),
    ],
)
def test_wrong_options_are_named(words, run_compare, more, named, capsys):
    with pytest.raises(SystemExit) as stop:
        run_compare([*words, *more])
    assert stop.value.code == 2
    assert named in capsys.readouterr().err


class PlannedError(Exception):
    """Raised in place of the first training."""


@pytest.mark.integration
def test_all_pretrainings_take_as_many_samples_of_an_image(
    words, run_compare, monkeypatch, capsys, tmp_path
):
    """Whatever their regions are, and from one look at the files."""
    commands, looks = {}, Counter()

    def look(file, *args, open=Image.open, **kwargs):
        looks[str(file)] += 1
        return open(file, *args, **kwargs)

    monkeypatch.setattr(Image, 'open', look)
    searched = Mock(side_effect=find_images)
    monkeypatch.setattr(unlabelled, 'find_images', searched)

    def plan(jobs, *_):
        for job in jobs:
            if 'pretraining of' in job.name:
                commands[job.name], _ = next(job.commands)
        raise PlannedError
        yield

    monkeypatch.setattr(steps, 'run_jobs', plan)
    more = [
        *('--regions', '20-24'),
        *('--variant', 'whole', 'regions=none'),
        *('--variant', 'boxes', 'regions=auto', 'model.head.loss.coeff=1'),
        *('--seeds', '0', '1', '--pretraining-seeds', '0', '1'),
    ]
    with pytest.raises(PlannedError):
        run_compare([words[0], *more, *words[1:]])
    said = capsys.readouterr().out
    number = re.search(r'SCE: \d+ images x (\d+) regions', said).group(1)
    assert len(commands) == 6
    sizes = {}
    for name, command in commands.items():
        given = [*map(str, command.words)]
        assert given[given.index('--regions-per-image') + 1] == number
        sizes[name.split()[2].strip(',')] = given[given.index('--regions') + 1]
    assert sizes == {'SCE': '20-24', 'whole': 'none', 'boxes': 'auto'}
    cache = f'pipeline.0.cache={tmp_path / "out" / "images"}'
    for command in commands.values():
        assert any(str(word).endswith(cache) for word in command.words)
    searched.assert_called_once()
    free = {path for path in looks if path.startswith(str(tmp_path / 'free'))}
    assert len(free) == 10
    assert {looks[path] for path in free} == {1}


def test_seeds_stay_with_their_pretraining():
    """As far as each of the pretrainings has as many."""
    draw = np.random.default_rng(0)
    for _ in range(200):
        before, after = sorted(draw.integers(1, 6, 2).tolist())
        seeds = range(int(draw.integers(after, 12)))
        first = pair_seeds(seeds, before, {})
        made = {seed: [number] for seed, number in first.items()}
        pairs = pair_seeds(seeds, after, made)
        numbers = Counter(pairs.values())
        assert len(numbers) == after
        assert max(numbers.values()) - min(numbers.values()) <= 1
        # No more of them are trained again than equal numbers need.
        share, larger = divmod(len(seeds), after)
        has = Counter(first.values()).values()
        kept = sum(min(n, share) for n in has)
        kept += min(larger, sum(n > share for n in has))
        assert sum(pairs[seed] == first[seed] for seed in seeds) == kept
        assert bool(trained_again(pairs, made)) == (kept < len(seeds))
        enough = pair_seeds(range(after * max(has)), after, made)
        assert {seed: enough[seed] for seed in seeds} == first
        assert not trained_again(enough, made)


def test_pretrainings_may_be_added_to_a_folder(tmp_path):
    """Also to one that does not say which pretraining a seed had."""
    recipe = Recipe('SCE', tmp_path, ())

    def choose(pretrainings):
        starts = {
            'random': [Start('random', 'random', tmp_path)],
            'SCE': [
                Start('SCE', f'SCE{n}', tmp_path, recipe, n)
                for n in pretrainings
            ],
        }
        pairs, note = choose_pairs(tmp_path, range(6), pretrainings, starts)
        return {seed: pretrainings[n] for seed, n in pairs.items()}, note

    def measure(seed, pretraining):
        file = tmp_path / 'runs' / f'{seed}_{pretraining}' / 'result.json'
        file.parent.mkdir(parents=True)
        result = {'seed': seed, 'pretraining': f'SCE{pretraining}'}
        file.write_text(json.dumps(result))

    first, note = choose([7, 8, 9])
    assert (first, note) == ({0: 7, 1: 8, 2: 9, 3: 7, 4: 8, 5: 9}, '')
    for pair in first.items():
        measure(*pair)
    (tmp_path / 'pairs.json').unlink()
    assert choose([7, 8, 9]) == (first, '')
    pairs, note = choose([9, 8, 7, 6, 5])
    assert {s for s in first if pairs[s] == first[s]} == {0, 1, 2, 3}
    assert {pairs[4], pairs[5]} == {5, 6}
    assert '--seeds 4 5 are trained again' in note
    assert 'none would be with 10 --seeds' in note
    # It stays so wherever that is interrupted, and goes back as well.
    measure(5, pairs[5])
    assert choose([9, 8, 7, 6, 5])[0] == pairs
    assert choose([7, 8, 9]) == (first, '')


@pytest.fixture
def scenes(tmp_path):
    """Four unlabelled images, and where a comparison keeps their pixels."""
    (tmp_path / 'free').mkdir()
    write_noise(tmp_path / 'free', 4)
    (tmp_path / 'out').mkdir()
    return unlabelled.Unlabelled([tmp_path / 'free'], tmp_path / 'out')


def test_pixels_are_kept_once(scenes, tmp_path, monkeypatch, capsys):
    unfinished = tmp_path / 'out' / '.images.killed'
    unfinished.mkdir()
    scenes.keep_pixels(None, workers=1)
    assert not unfinished.exists()
    assert 'the pixels of 4 images, about 0.01 GB' in capsys.readouterr().out
    assert not scenes.cache.missing(scenes.paths)
    monkeypatch.setattr(unlabelled, 'build_cache', None)
    scenes.keep_pixels(None, workers=1)
    assert not capsys.readouterr().out
    monkeypatch.undo()
    # The images change before anything is trained, and after.
    os.utime(tmp_path / 'free' / '0.png', (0, 0))
    scenes.keep_pixels(None, workers=1)
    os.utime(tmp_path / 'free' / '0.png', (9, 9))
    (tmp_path / 'out' / 'runs').mkdir()
    with pytest.raises(UserError, match=r'are not those.*another OUT.*images'):
        scenes.keep_pixels(None, workers=1)


opened = Path.open


def full(path, mode='r', *rest, **more):
    if mode == 'ab':
        raise OSError(errno.ENOSPC, 'No space left on device')
    return opened(path, mode, *rest, **more)


@pytest.mark.parametrize(
    ('target', 'name', 'replacement'),
    [
        (shutil, 'disk_usage', lambda _: SimpleNamespace(free=47999)),
        # In the processes that decode.
        (Path, 'open', full),
    ],
)
def test_files_are_read_where_the_disk_is_small(
    scenes, monkeypatch, capsys, target, name, replacement
):
    monkeypatch.setattr(target, name, replacement)
    scenes.keep_pixels(None, workers=1)
    assert scenes.cache is None
    assert capsys.readouterr().out.count('each region decodes') == 1


@pytest.mark.integration
def test_a_termination_signal_stops_the_training(
    run_compare, tmp_path, monkeypatch
):
    script, started = tmp_path / 'train.py', tmp_path / 'pid'
    script.write_text(
        f'import os, pathlib, time\n'
        f'pathlib.Path({str(started)!r}).write_text(str(os.getpid()))\n'
        'time.sleep(600)\n'
    )

    class Training:
        def __init__(self, args, task):
            pass

        def run(self, checked):
            checked()
            run_together([Command(str(script), [])], tmp_path / 'logs')

    def terminate():
        while not (started.is_file() and started.read_text()):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(steps, 'Comparison', Training)
    handlers = {
        n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)
    }
    # As all commands do.
    end_at_signals()
    threading.Thread(target=terminate).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            compare(SimpleNamespace(out=tmp_path / 'out'), None)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


@pytest.mark.parametrize('name', ['epoch_9.pth', 'results.json'])
def test_a_folder_of_something_else_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text('{}')
    with pytest.raises(FileExistsError, match=name):
        compare(SimpleNamespace(out=tmp_path), None)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize('ended', [True, False])
@pytest.mark.parametrize('earlier', [False, True])
def test_an_evaluation_that_was_killed_is_no_zero(tmp_path, ended, earlier):
    """Its training has its last checkpoint: --resume evaluates nothing."""
    (tmp_path / 'last_checkpoint').write_text('moved/epoch_2.pth')
    log = tmp_path / '20240101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    lines = [{'loss': 1.0, 'time': 0.1, 'step': 6}]
    # Where the log is written less often than is evaluated.
    lines += [{'time': 0.1, 'step': 1}] * earlier
    if ended:
        lines.append({'time': 0.1, 'step': 2})
    # The crash has cut off the last line.
    log.write_text('\n'.join([*map(json.dumps, lines), '{"tim']))
    tested = {'coco/bbox_mAP': 0.25, 'coco/cat_precision': 0.25}
    (tmp_path / 'evaluation.json').write_text(json.dumps(tested))
    assert was_evaluated(tmp_path) == ended
    found = coco_metrics(last_logged(tmp_path), ['cat'], masks=False)
    # A detector that finds nothing logs no metric.
    assert found['box AP'] == found['classes']['cat'] == (0 if ended else 25)


@pytest.fixture
def check(tmp_path):
    """Use the labels of a folder once, with overrides of the detector."""
    draw = np.random.default_rng(0)
    labelled(tmp_path, 'train', 2, draw)
    labelled(tmp_path, 'val', 2, draw)
    (tmp_path / 'detector.py').write_text(DETECTOR)
    settings = Settings(
        out=tmp_path, images=[], pretraining=tmp_path,
        predictor=str(tmp_path / 'detector.py'),
        train=tmp_path / 'train.json', train_images=tmp_path / 'train',
        val=tmp_path / 'val.json', val_images=tmp_path / 'val',
    )  # fmt: skip

    def run(*options):
        task = Detection(replace(settings, predictor_options=options))
        # As they are: task.read() would refuse what only the metric reads.
        task.train, task.val = (
            json.loads(path.read_text())
            for path in (settings.train, settings.val)
        )
        task.classes = [c['name'] for c in task.train['categories']]
        edits = ConfigEdits(load_base(task.config)[0])
        task.use_labels(edits)
        edits.cfg.work_dir = str(tmp_path / 'runs')
        task.check(edits.cfg, [settings.train])

    return run


@pytest.mark.integration
def test_data_sets_and_metric_are_used_once(check, tmp_path, capsys):
    check()
    assert 'AP' not in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r'--detector-options.*trian_cfg'):
        check('trian_cfg.max_epochs=1')
    with pytest.raises(ConfigError, match=r'--detector-options: .*depht'):
        check('model.backbone.depht=18')
    with pytest.raises(ConfigError, match=r'val_evaluator.*no_such_metric'):
        check('val_evaluator.metric=no_such_metric')
    # Fields that nobody but the metric reads.
    labels = json.loads((tmp_path / 'val.json').read_text())
    del labels['annotations'][0]['iscrowd']
    (tmp_path / 'val.json').write_text(json.dumps(labels))
    with pytest.raises(ConfigError, match=r'val_evaluator.*iscrowd'):
        check()
    labels = json.loads((tmp_path / 'train.json').read_text())
    for image in labels['images']:
        image['width'] = 20
    (tmp_path / 'train.json').write_text(json.dumps(labels))
    with pytest.raises(ConfigError, match=r'train\.json.*min_size'):
        check()


def results(**starts):
    """Box AP of each seed, by start."""
    return {
        name.replace('_', ' '): {
            100: [
                {
                    'seed': seed,
                    'box AP': ap,
                    'box AP50': 2 * ap,
                    'classes': {'cat': ap, 'dog|cow': None},
                    'checkpoint': f'runs/{name}{seed}/epoch_1.pth',
                }
                for seed, ap in enumerate(values)
            ]
        }
        for name, values in starts.items()
    }


def test_every_pair_of_starts_is_compared():
    answers = report.answers(
        Detection.measure,
        results(
            random_initialisation=[20.1, 20.4, 20.2],
            ImageNet=[30.1, 30.4, 30.1],
            SCE=[30.2, 30.2, 30.3],
        ),
    )
    assert len(answers) == 4
    sce = next(a for a in answers if 'SCE' in a and 'ImageNet' in a)
    assert 'no difference found' in sce
    assert sum('better' in a for a in answers) == 2
    assert '5 %' in answers[-1]
    assert '3 comparisons' in answers[-1]


@pytest.mark.parametrize('values', [[0.0], [0.3, 0.2, 0.4]])
def test_detectors_that_learned_nothing_are_not_a_tie(values):
    first, _ = report.answers(
        Detection.measure,
        results(random_initialisation=values, SCE=values[::-1]),
    )
    assert 'or SCE has learned anything' in first
    assert 'apart' not in first


def test_tables_have_gains_classes_and_checkpoints():
    found = results(random_initialisation=[10.0, 11.0], SCE=[12.0, 13.0])
    text = tables.markdown_table(
        tables.starts_table(Detection.measure, Detection.columns, found, {})
    )
    assert '| SCE | 100 % | 12.5 ± 0.5 | 25.0 ± 1.0 | +2.0 (' in text
    classes = tables.markdown_table(tables.class_rows(found, 100))
    assert '| cat | 10.5 ± 0.5 | 12.5 ± 0.5 |' in classes
    assert r'| dog\|cow | - | - |' in classes
