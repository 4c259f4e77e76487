"""Mistakes of users at every command: one message, nothing else."""

import gzip
import json
import os
import pickle
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from fresh_names import forget_runners
from image_files import write_noise
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from recipes import TINY_FOLDER, recipe

from sce_mm.__main__ import command_files
from sce_mm.cli.exit import exit_code
from sce_mm.config.overrides import override
from sce_mm.utils.run_commands import Command

FILES = command_files()
RECIPE = 'sce_resnet18_1xb64-coslr-200e_folder'
DETECTOR = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
SEGMENTOR = 'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py'
# What stands for a word, and what people type instead.
WORDS = {
    'config': (RECIPE, ['nowhere', 'photos', 'page.pth', 'syntax.py', 'a.py']),
    'mmdet': (DETECTOR, ['mmdet::nowhere.py', 'nowhere.py', 'photos']),
    'mmseg': (SEGMENTOR, ['mmseg::nowhere.py', 'nowhere.py', 'photos']),
    'photos': ('photos', ['nowhere', 'page.pth', 'empty', 'texts']),
    'others': ('others', ['nowhere', 'page.pth', 'empty', 'texts']),
    'weights': (
        'weights.pth',
        ['nowhere.pth', 'page.pth', 'log.pth', 'cut.pth', 'other.pth', 'tmp'],
    ),
    'labels': ('labels.json', ['nowhere.json', 'page.pth', 'list.json']),
    'classes': ('classes', ['nowhere', 'page.pth', 'empty']),
    'queries': ('queries', ['nowhere', 'page.pth', 'empty']),
    'count': ('1', ['0', '-1', 'x', '1.5']),
    'number': ('1', ['0', '-1', 'x']),
    'seed': ('0', ['-1', 'x']),
    'adapted': ('new/made.py', ['page.pth/made.py', '/proc/made.py', 'a.py']),
    'backbone': ('new/made.pth', ['page.pth/made.pth', '/proc/made.pth']),
    'file': (
        'new/made.json',
        ['page.pth/made.json', '/proc/made.json', 'list.json'],
    ),
    'page': ('new/made.html', ['page.pth/made.html', '/proc/made.html']),
    'folder': ('made', ['page.pth', 'page.pth/made', '/proc/made']),
    'absent': ('absent', ['nowhere', 'empty']),
}
TINY = ' '.join(TINY_FOLDER)
NETWORK = '{config} {weights} --batch-size {count} --workers 0 --out {file}'
CLASSES = f'{NETWORK} --bank {{classes}} --query {{queries}} --crop {{count}}'
IMAGES = f'{NETWORK} --data {{photos}} --crop {{count}} --seed {{seed}}'
OVERRIDES = f'--cfg-options {TINY}'
# Command lines that would work, by command.
LINES = {
    'train': [
        '{config} --data {photos} --init-from {weights} --work-dir {folder} '
        f'--knn {{classes}} {{queries}} {OVERRIDES}',
        f'{RECIPE} --data photos --work-dir made --resume {{weights}}',
        f'{RECIPE} --data photos --regions {{count}}',
        f'{RECIPE} --data photos --work-dir made --continue-for {{count}}',
    ],
    'test': ['{config} weights.pth --out {file}'],
    'knn': [f'{CLASSES} --k {{count}} --temperature {{number}} {OVERRIDES}'],
    'linear-probe': [f'{RECIPE} --random-init --costs {{number}}'],
    'linear-transfer': [
        '{config} weights.pth --data-root photos',
        f'{RECIPE} weights.pth --data-root {{absent}}',
    ],
    'svm': ['{config} weights.pth --data {absent}'],
    'neighbours': [
        f'{IMAGES} --queries {{count}} {OVERRIDES}'.replace('file', 'page')
    ],
    'embed': [f'{RECIPE} --random-init --data photos --nearby {{number}}'],
    'sweep': ['{config} {folder} --setting A --threads {count}'],
    'extract': ['{weights} {backbone}'],
    'export': ['{weights} {backbone} --to mmpretrain'],
    'detector': ['{mmdet} {weights} {adapted} --gpus {count} --batch {count}'],
    'segmentor': ['{mmseg} {weights} {adapted} --gpus {count}'],
    'verify': ['{config} {weights}'],
    'estimate': [
        f'{{config}} --data {{photos}} --json {{file}} {OVERRIDES}',
        f'{RECIPE} --images {{count}} --probe-batch {{count}}',
    ],
    'profile': [f'{{config}} --data {{photos}} --steps {{count}} {OVERRIDES}'],
    'replay': ['{weights}'],
    'cache': ['{photos} {folder} --short-side {count} --workers {count}'],
    'shards': ['{photos} {folder} --shard-size {count}'],
    'coco-subset': ['{labels} --percent {number} --out-dir {folder}'],
    'voc-to-coco': [
        '{absent} a.json',
        'xml {file}',
        'xml made.json --images {absent}',
    ],
    'imagenet-subset': ['{classes} {file} --seed {seed}'],
    'tiny-imagenet': ['{absent}'],
    'compare': [
        '{folder} --images {photos} --train {labels} --train-images {photos} '
        '--val {labels} --val-images {others} --detector {mmdet} '
        '--pretraining {config} --percent {number} --seeds {seed} '
        f'--jobs {{count}} --pretraining-options {TINY}'
    ],
}
TRAIN = f'train {RECIPE} --work-dir made --data'
DATASET = 'train_dataloader.dataset'
MOMENTUM = 'default_hooks.momentum_update.momentum'
WARMUP = 'param_scheduler.warmup_epochs'
PROBED = f'{RECIPE} weights.pth --query queries {OVERRIDES} --bank'
SHOWN = f'{RECIPE} weights.pth --data photos --out'
# What the answer to other mistakes tells to do, or names.
ADVICE = {
    f'{TRAIN} videos': 'ffmpeg',
    f'{TRAIN} photos.zip': 'unpack it',
    f'{TRAIN} photos.tar.gz': 'decompress a tar',
    f'{TRAIN} packed': 'packed/a.tar is compressed',
    f'{TRAIN} cut': 'cut/a.tar does not end',
    f'{TRAIN} cut/{{0..9}}.tar': 'patterns are not taken',
    f'{TRAIN} cut/b.tar': 'no tar file',
    'shards photos photos': 'OUT and DATA are the same',
    'cache photos photos/.': 'OUT and DATA are the same',
    'cache photos photos/made': 'photos/made lies in the data, photos',
    'shards photos labels.json photos/made': 'lies in the data, photos',
    'imagenet-subset classes classes/a/0.png --overwrite': 'lies in the data',
    'voc-to-coco xml labels.json': 'labels.json exists: name another',
    'imagenet-subset classes labels.json': 'add --overwrite',
    f'{TRAIN} dangling': 'dangling/0.jpg',
    f'{TRAIN} photos/*.png': 'name the folder',
    f'{TRAIN} labels.json': '--data: ',
    f'{TRAIN} photos --batch-size 1': '--batch-size (',
    f'{TRAIN} photos --batch-size 99': 'for example --batch-size 6',
    f'{TRAIN} photos --resume photos': 'a folder: name a checkpoint in it',
    f'{TRAIN} photos --init-from empty.pth': 'empty.pth',
    f'{TRAIN} photos --pretrained weights.pth': '--init-from',
    f'{TRAIN} photos --knn classes/a classes/a': '--knn BANK',
    f'{TRAIN} photos --knn classes queries/../classes': (
        '--knn BANK and --knn QUERY are the same folder'
    ),
    f'{TRAIN} photos --cfg-options work_dir=other': (
        '--work-dir and --cfg-options work_dir set the same'
    ),
    f'{TRAIN} photos --cfg-options {DATASET}.data_root=tmp': (
        f'--data and --cfg-options {DATASET}.data_root set'
    ),
    f'{TRAIN} photos {OVERRIDES} {DATASET}.max_unreadable=lots': (
        '--data: max_unreadable must be a number'
    ),
    f'{TRAIN} photos {OVERRIDES} {DATASET}.metainfo=x': (
        'train_dataloader cannot be built: TypeError'
    ),
    f'{TRAIN} photos {OVERRIDES} {DATASET}.pipeline=[]': (
        'an image comes out without inputs'
    ),
    f'{TRAIN} photos {OVERRIDES} env_cfg.mp_cfg.mp_start_method=spwan': (
        'mp_start_method: must be one of fork'
    ),
    f'{TRAIN} photos {OVERRIDES} log_level=LOUD': (
        'log_level: must be one of DEBUG'
    ),
    f'{TRAIN} photos --cfg-options model=None': 'such as model.type,',
    **{
        f'{TRAIN} photos {more}--cfg-options {key}={text}': answer
        for more, key, text, answer in (
            ('', MOMENTUM, '0,01', 'write 0.01 for one number'),
            ('--epochs 1 ', MOMENTUM, '0,01', 'write 0.01 for one number'),
            ('--epochs 1 ', WARMUP, '0,5', 'write 0.5 for one number'),
            ('', 'model.head.loss.temperature', '0,07', 'write 0.07 for'),
            ('', 'model.head.loss.coeff', '0,5', '[0,5] for the list'),
            ('', 'model.head.loss.clip', '0,05', 'write 0.05 for'),
            ('--epochs 1 ', 'default_hooks', '5', 'default_hooks.timer'),
            ('--epochs auto ', 'auto_epochs', '5', 'as auto_epochs.steps'),
            ('--auto-scale-lr ', 'auto_scale_lr', '5', 'expected a key'),
            ('', 'optim_wrapper.clip_grad', '5', 'optim_wrapper.clip_grad'),
            ('', 'model.data_preprocessor.mean', '5', 'three numbers'),
            ('', 'custom_imports', 'foo', 'such as custom_imports.imports'),
            ('', 'custom_imports.imports', 'nowhere', 'custom_imports: '),
        )
    },
    f'{TRAIN} photos --cfg-options model.queue={{length:8}}': (
        'such as model.queue.'
    ),
    f'{TRAIN} photos --batch-size 4 --cfg-options '
    'optim_wrapper.accumulative_counts=0': 'accumulative_counts: must be a',
    f'{TRAIN} photos --epochs auto --cfg-options '
    'optim_wrapper.accumulative_counts=x': 'accumulative_counts: must be a',
    f'{TRAIN} photos {OVERRIDES} optim_wrapper.optimizer.lr=fast': (
        'optim_wrapper.optimizer.lr: must be a number'
    ),
    f'train --data photos {RECIPE}': '--data takes the words behind it',
    f'train {RECIPE} photos': 'behind --data',
    'train imports.py --data photos': 'the config imports.py cannot be read',
    f'train {RECIPE} --work-dir made': '--data DIR names',
    f'{TRAIN} $NOWHERE/photos': '$NOWHERE is not set',
    f'{TRAIN} ~/nowhere': f"--data: no folder '{Path.home()}/nowhere'",
    f'{TRAIN} photos --work-dir=': '--work-dir is empty',
    f'{TRAIN} photos --epochs {10**30}': '--epochs: expected',
    f'{TRAIN} photos --batch-size {10**10}': 'up to 2147483647',
    f'{TRAIN} photos --batch-size {10**9}': f'--batch-size {10**9}: a queue',
    f'{TRAIN} broken {OVERRIDES}': '--data: none of 4 images',
    f'{TRAIN} empty --dry-run {OVERRIDES}': '--data: no image',
    f'{TRAIN} labelled.txt': 'no label',
    f'{TRAIN} utf16.txt': 'save it as UTF-8',
    f'{TRAIN} binary.txt': 'binary.txt is no text: expected a path a line',
    f'{TRAIN} single/own.txt': "relative to the folder of the list, 'single'",
    f'{TRAIN} photos --init-from photos/0.png': 'is an image',
    f'{TRAIN} photos --cfg-options lr=1': 'optim_wrapper.optimizer.lr?',
    f'{TRAIN} photos {OVERRIDES} default_hooks.logger.interval=-1': (
        'default_hooks.logger: interval must be greater than 0, got -1'
    ),
    f'{TRAIN} photos {OVERRIDES} model.neck.out_channels=0': (
        'model.neck.out_channels: must be a whole number, 1 or more, got 0'
    ),
    'train inherits.py --data photos': 'nowhere.py, which it names in _base_',
    'cache photos pixels --workers 99999': '--workers: expected at most',
    f'views {RECIPE} --data empty': '--data: no image',
    f'views {RECIPE}': '--data DIR names another',
    'data broken': 'broken/0.jpg (the file is empty)',
    'data photos --keep a.json --json a.json': 'are the same',
    'extract weights.pth made.safetensors': '.pth or .pt, got made',
    f'knn {PROBED} classes --out made.csv': '--out: expected a name that e',
    'extract imports.py made.pth': 'the name of a config',
    f'verify {RECIPE} weights.pth': 'sce detector',
    f'test {RECIPE} weights.pth': 'sce knn',
    f'knn {PROBED} classes --k 99': '--k: ',
    f'knn {PROBED} queries': '--bank and --query are the same folder',
    f'knn {PROBED} classes --crop 999999': '--crop: expected',
    f'linear-probe {PROBED} single': '--bank: of 2 classes',
    f'linear-transfer {RECIPE} weights.pth': '--data-root: ',
    f'neighbours {SHOWN} made.png': 'expected a name that ends in .html',
    f'neighbours {SHOWN} made.html --shown 6': '--shown 6: each of 6',
    f'embed {SHOWN} made.txt': '--out: expected a name that ends in .png',
    f'embed {SHOWN} made.png {OVERRIDES}': '--nearby',
    'imagenet-subset classes made --names photos/0.png': 'no text in UTF-8',
    'imagenet-subset classes made --share 10%': '--share: expected',
    'coco-subset labels.json --classes Thing': "did you mean 'thing'",
    'cache broken pixels': 'none of 4 images',
    'cache photos pixels --stretch 9 3': '--stretch must',
    'cache photos pixels --max-pixels 1999999999': '--max-pixels must',
    f'sweep {RECIPE} photos --setting A': 'no folder of a sweep',
    f'sweep {RECIPE} made --setting A': 'data_root: no folder',
    'sweep faster-rcnn_r18_fpn_small made --setting A': 'FasterRCNN',
    'coco-subset labels.json --percent 10%': 'got 10%',
    f'train {RECIPE} --data photos --work-dir page.pth': '--work-dir: page',
    'features weights.pth a.npz --data photos --device gpu': 'cpu, cuda or',
    'features weights.pth a.h5 --data photos': '.csv or .parquet, got a.h5',
    'features weights.pth /dev/stdout --data photos': 'got /dev/stdout',
    f'embed {SHOWN} /dev/stdout': '--out: expected a name that ends in .png',
    f'neighbours {RECIPE} weights.pth --data photos --crop 9 --resize 8': (
        '--crop must be'
    ),
    f'data photos --regions auto --recipe {RECIPE}': '--boxes FILE',
    'profile faster-rcnn_r18_fpn_small': 'the config of FasterRCNN',
    f'verify {DETECTOR} weights.pth': 'sce detector',
    f'sweep {RECIPE} made --setting model.queue.length=8': (
        'begins with a name, got model.queue.length=8'
    ),
    f'sweep {RECIPE} made --setting A queue': '--setting A takes key=value',
    'recipes no-such-recipe': 'sce recipes lists all',
}
NEEDS = {
    'detector': 'mmdet',
    'compare': 'mmdet',
    'segmentor': 'mmseg',
}


@pytest.fixture(scope='module')
def desk(tmp_path_factory):
    """A folder with what words name, good and bad."""
    folder = tmp_path_factory.mktemp('desk')
    for name in ('videos', 'dangling', 'broken'):
        (folder / name).mkdir()
    classes = [f'{x}/{y}' for x in ('classes', 'queries') for y in 'ab']
    for name in ('photos', 'others', 'empty', 'texts', 'tmp', *classes):
        (folder / name).mkdir(parents=True)
    for name in ('photos', 'others', *classes):
        write_noise(folder / name, 6)
    for name in ('single/a', 'single/b'):
        (folder / name).mkdir(parents=True)
        write_noise(folder / name, 1)
    paths = [f'photos/{n}.png' for n in range(6)]
    lists = {
        'labelled.txt': ' 0\n'.join([*paths, '']).encode(),
        'utf16.txt': '\n'.join(paths).encode('utf-16'),
        'binary.txt': (folder / paths[0]).read_bytes(),
        'single/own.txt': b'a/0.png',
    }
    for name, text in lists.items():
        (folder / name).write_bytes(text)
    (folder / 'inherits.py').write_text("_base_ = './nowhere.py'\n")
    (folder / 'texts' / 'notes.txt').write_text('not an image')
    (folder / 'page.pth').write_text('<!DOCTYPE html><html>404</html>')
    (folder / 'log.pth').write_text('Epoch(train) [1][10/100]\n' * 20)
    (folder / 'videos' / 'clip.mp4').write_bytes(b'ftyp')
    (folder / 'photos.zip').write_bytes(b'PK')
    for name in ('photos.tar.gz', 'packed/a.tar', 'cut/a.tar'):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(gzip.compress(b'x'))
    with tarfile.open(folder / 'cut' / 'a.tar', 'w') as tar:
        tar.add(folder / 'photos' / '0.png', '0.png')
        end = tar.offset
    # Nothing but the mark of the end is missing.
    os.truncate(folder / 'cut' / 'a.tar', end)
    (folder / 'dangling' / '0.jpg').symlink_to('/nowhere.jpg')
    for number in range(4):
        (folder / 'broken' / f'{number}.jpg').write_bytes(b'')
    (folder / 'imports.py').write_text('import notthere\nmodel = dict()\n')
    torch.save({}, folder / 'empty.pth')
    (folder / 'syntax.py').write_text('model = dict(\n')
    (folder / 'a.py').write_text('# no part of a training\n')
    with (folder / 'other.pth').open('wb') as file:
        pickle.dump({'rows': [1, 2]}, file)
    cfg = recipe(RECIPE)
    override(cfg, TINY_FOLDER)
    weights = MODELS.build(cfg.model).state_dict()
    torch.save({'state_dict': weights, 'meta': {}}, folder / 'weights.pth')
    whole = (folder / 'weights.pth').read_bytes()
    (folder / 'cut.pth').write_bytes(whole[: len(whole) // 2])
    labels = {
        'images': [
            dict(id=n + 1, file_name=f'{n}.png', width=50, height=40)
            for n in range(6)
        ],
        'annotations': [
            dict(id=n + 1, image_id=n + 1, category_id=1, iscrowd=0)
            | dict(bbox=[4, 4, 20, 20], area=400)
            for n in range(6)
        ],
        'categories': [{'id': 1, 'name': 'thing'}],
    }
    (folder / 'labels.json').write_text(json.dumps(labels))
    (folder / 'xml').mkdir()
    (folder / 'xml' / '0.xml').write_text('<annotation/>')
    (folder / 'list.json').write_text('[1, 2]')
    return folder


@pytest.fixture
def answer(desk, monkeypatch, capfd):
    """``answer(command, words)``: exit code, output and errors of it."""

    def work(*_, **__):
        pytest.fail('nobody has found the mistake: work has begun')

    monkeypatch.chdir(desk)
    monkeypatch.setattr(Runner, 'train', work)
    monkeypatch.setattr(Command, 'start', work)
    # What a command holds, or sets, ends with it.
    monkeypatch.setattr(sys, 'stdout', sys.stdout)
    monkeypatch.setenv('SCE_DEBUG', '0')

    def call(command, words):
        main = import_module(f'sce_mm.cli.commands.{FILES[command].stem}').main
        stream = sys.stdout
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            code = exit_code(partial(main, words))
        forget_runners()
        sys.stdout = stream
        return code, *capfd.readouterr()

    return call


def dated():
    """All files and folders here, and when files were last written."""
    return {
        (path, path.is_file() and path.stat().st_mtime_ns)
        for path in Path().rglob('*')
    }


def problems(answer, command, words, named):
    """What is wrong with the answer to a mistake."""
    before = dated()
    code, out, err = answer(command, words)
    left = {str(path) for path, _ in dated() ^ before}
    wrong = {
        f'left {left}': bool(left),
        f'exit code {code}': code not in (1, 2),
        'output before it': bool(out.strip()),
        'not one message': len(re.findall('^error: ', err, re.M)) != 1
        or not err.startswith('error: '),
        'a traceback': 'Traceback' in out + err,
        'not expected': 'was not expected' in err,
        f'none of {named}': not any(name in err for name in named),
    }
    if found := [text for text, holds in wrong.items() if holds]:
        line = ' '.join(words).replace(TINY, '...')
        return [f'{command} {line}: {", ".join(found)}\n{out[:200]}{err}']
    return []


def mistakes(line: str) -> Iterator[tuple[list[str], list[str]]]:
    """Command lines with one wrong word, and what the message may name."""
    words = line.split()
    kinds = [re.fullmatch(r'{(\w+)}', word) for word in words]
    good = [
        WORDS[kind[1]][0] if kind else word
        for kind, word in zip(kinds, words, strict=True)
    ]
    for place, kind in enumerate(kinds):
        for wrong in WORDS[kind[1]][1] if kind else ():
            typed = [*good[:place], wrong, *good[place + 1 :]]
            before = [w for w in words[:place] if w.startswith('--')]
            option = words[place - 1] if place else ''
            # The second word behind an option is one of its words too.
            if kinds[place - 1] and before and words[place - 2] == before[-1]:
                option = before[-1]
            named = [wrong.rpartition('::')[2]]
            named += [option] * option.startswith('--')
            yield typed, named


@pytest.mark.parametrize('command', sorted(LINES))
def test_a_wrong_word_is_answered_by_one_message(answer, command):
    if command in NEEDS and find_spec(NEEDS[command]) is None:
        pytest.skip(f'{NEEDS[command]} is not installed')
    found = [
        problem
        for line in LINES[command]
        for words, named in mistakes(line)
        for problem in problems(answer, command, words, named)
    ]
    assert not found, '\n'.join(found)


@pytest.mark.parametrize('line', ADVICE)
def test_a_mistake_is_answered_by_what_to_do(answer, line):
    command, *words = line.split()
    found = problems(answer, command, words, [ADVICE[line]])
    assert not found, '\n'.join(found)


@pytest.mark.parametrize('command', sorted(FILES))
def test_a_wrong_option_is_answered_by_one_message(answer, command):
    code, options, _ = answer(command, ['--help'])
    assert code == 0
    assert '--debug' in options
    needed = re.findall(r'--[a-z][a-z-]+', options)[-1]
    # Two letters that have changed places; the message has the right ones.
    swapped = f'--{needed[3]}{needed[2]}{needed[4:]}'
    wrong_ones = {'--no-such-option': '--no-such-option', swapped: needed}
    for wrong, named in wrong_ones.items():
        found = problems(answer, command, ['nowhere', wrong], [named])
        assert not found, found


@pytest.mark.integration
def test_a_wrong_path_is_answered_at_once(desk):
    """Before anything is imported that takes seconds."""
    lines = [
        'train nowhere --data photos',
        f'train {RECIPE} --data nowhere',
        f'estimate {RECIPE} --data nowhere',
        'data nowhere',
        'cache nowhere pixels',
        'shards nowhere pixels',
        f'knn {RECIPE} nowhere.pth',
        'features weights.pth a.h5 --data photos',
        f'train {RECIPE} --init-from nowhere.pth',
    ]
    importing = [sys.executable, '-X', 'importtime', '-m', 'sce_mm']
    for line in lines:
        words = [*importing, *line.split()]
        done = subprocess.run(words, cwd=desk, capture_output=True, text=True)
        assert done.returncode == 2, line
        assert not re.search(r'\| +(torch|mmengine)$', done.stderr, re.M), line


@pytest.mark.integration
def test_processes_say_no_more_than_that(desk):
    """What packages print while they are imported shows in processes only."""
    train = ['train', RECIPE, '--data', 'empty', '--work-dir', 'run']
    knn = ['knn', RECIPE, 'other.pth', '--bank', 'classes']
    knn += ['--query', 'queries']
    lines = [
        [*train, '--cfg-options', *TINY_FOLDER],
        ['extract', 'page.pth', 'made.pth'],
        [*knn, '--cfg-options', *TINY_FOLDER],
        ['extract', 'page.pth', 'made.pth', '--debug'],
        ['voc-to-coco', 'empty', 'made.json'],
    ]
    if find_spec('mmdet'):
        lines.append(['detector', DETECTOR, 'other.pth', 'made.py'])
    started = [
        subprocess.Popen(
            [sys.executable, '-m', 'sce_mm', *words],
            cwd=desk,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in lines
    ]
    for words, process in zip(lines, started, strict=True):
        out, err = process.communicate()
        assert (process.returncode, out) == (1, ''), (words, err)
        if '--debug' in words:
            assert err.startswith('Traceback'), err
            assert err.splitlines()[-1].startswith('error: page.pth'), err
        else:
            assert err.startswith('error: '), (words, err)
            assert 'Traceback' not in err, (words, err)
            assert err.count('\n') == 1, (words, err)
