"""Hostile, damaged and wrong files are refused by name; nothing runs."""

import gzip
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save
from transfer_files import METADATA, prefixed, pretraining, trained

from sce_mm.transfer import (
    CheckpointError,
    extract_backbone,
    read_checkpoint,
)
from sce_mm.transfer.metadata import metadata_of
from sce_mm.transfer.networks.resnet import to_detectron2

WEIGHTS = trained(width=8)
NUMPY = {to_detectron2(k): v.numpy() for k, v in WEIGHTS.items()}
CONV, MEAN, VAR = (
    'layer1.0.conv1.weight',
    'bn1.running_mean',
    'bn1.running_var',
)
TRUST = 'If you trust its origin, pass --trust. What it asks for: '
MKDIR = TRUST + 'posix.mkdir'
DAMAGED = 'damaged or cut short'
TRACE = 'ran'


class Attack:
    """Makes a folder if it is ever unpickled freely."""

    def __reduce__(self):
        return os.mkdir, (TRACE,)


class AttackThroughNumPy:
    """The same through a function that is part of NumPy."""

    def __reduce__(self):
        from numpy.testing._private.utils import runstring

        return runstring, (f'import os; os.mkdir({TRACE!r})', {})


class AttackByAttribute:
    """Reaches for an attribute that no log buffer names."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


def as_torch(content, new=True):
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def arrays(content):
    return pickle.dumps({'model': content, '__author__': 'x'}, protocol=2)


def archive(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', **options) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def objects():
    array = np.empty(1, object)
    array[0] = Attack()
    return array


def cut(content):
    return content[: int(len(content) * 0.7)]


def altered():
    """One bit of a number is another one."""
    content = bytearray(as_torch(WEIGHTS))
    content[content.index(WEIGHTS[CONV].numpy().tobytes()) + 100] ^= 1
    return bytes(content)


def overlapping():
    """The same megabyte is listed twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as file:
        file.writestr('a/data.pkl', b'0' * 10**6)
        file.filelist.append(file.filelist[0])
    return buffer.getvalue()


FILES = {
    # Programs.
    'program': (lambda: as_torch({'x': Attack()}), MKDIR),
    'old format': (lambda: as_torch({'x': Attack()}, new=False), MKDIR),
    'pickle': (lambda: pickle.dumps({'model': NUMPY, 'x': Attack()}), MKDIR),
    'text pickle': (lambda: pickle.dumps({'x': Attack()}, 0), MKDIR),
    'through NumPy': (
        lambda: arrays({'x': AttackThroughNumPy()}),
        TRUST + 'numpy.testing._private.utils.runstring',
    ),
    'by attribute': (lambda: as_torch({'x': AttackByAttribute()}), TRUST),
    'object array': (lambda: arrays({'x': objects()}), TRUST),
    'tensors in a pickle': (
        lambda: pickle.dumps({'model': {'w': torch.ones(2)}}),
        TRUST + 'torch._utils._rebuild_tensor_v2',
    ),
    # Few bytes that ask for all memory.
    'memo': (lambda: b'\x80\x02}r\xff\xff\xff\x7f.', 'memo index 2147483647'),
    'array': (
        lambda: b'\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R.',
        DAMAGED,
    ),
    'compressed': (
        lambda: archive(
            {'a/data.pkl': b'0' * 10**6}, compression=zipfile.ZIP_DEFLATED
        ),
        'is a compressed archive',
    ),
    'overlapping': (overlapping, 'has members that overlap'),
    # Other kinds of files.
    'TorchScript': (
        lambda: archive({'a/data.pkl': b'', 'a/constants.pkl': b''}),
        'is a program of TorchScript',
    ),
    'gzip': (lambda: gzip.compress(b'x'), 'compressed by gzip'),
    'web page': (
        lambda: b'\n<!DOCTYPE html><html>Sign in\xe9</html>',
        'text or a web page',
    ),
    'text': (lambda: b'Quota exceeded\n', 'text or a web page'),
    'pointer': (
        lambda: b'version https://git-lfs.github.com/spec/v1\noid ...',
        'is a pointer of git-lfs',
    ),
    # Damage.
    'empty': (lambda: b'', 'is empty'),
    'cut': (lambda: cut(as_torch(WEIGHTS)), DAMAGED),
    'old format, cut': (lambda: cut(as_torch(WEIGHTS, new=False)), DAMAGED),
    'pickle, cut': (lambda: cut(arrays(NUMPY)), DAMAGED),
    'safetensors, cut': (lambda: cut(save(WEIGHTS)), DAMAGED),
    'one bit altered': (altered, 'damaged or cut short (Bad CRC-32'),
    'not a dict': (lambda: as_torch([1, 2]), 'holds a list'),
}


@pytest.mark.parametrize('case', FILES)
def test_files_are_refused_and_nothing_in_them_runs(
    tmp_path, monkeypatch, case
):
    make, message = FILES[case]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'file.pth'
    path.write_bytes(make())
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert message in str(caught.value)
    assert os.listdir(tmp_path) == ['file.pth']


def test_folders_missing_and_unreadable_files(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match='is a folder'):
        read_checkpoint(tmp_path)
    path = tmp_path / 'file.pth'
    with pytest.raises(FileNotFoundError, match='no checkpoint at'):
        read_checkpoint(path)
    path.write_bytes(as_torch(WEIGHTS))

    def refuse(*args, **options):
        raise PermissionError(13, 'Permission denied', 'x')

    monkeypatch.setattr(type(path), 'open', refuse)
    with pytest.raises(CheckpointError, match='cannot be read: Permission'):
        read_checkpoint(path)


def test_bytes_that_are_wrong_in_any_way(tmp_path):
    backbone = extract_backbone(pretraining(WEIGHTS))
    kinds = [
        as_torch({'state_dict': backbone.weights, 'meta': backbone.meta}),
        as_torch(WEIGHTS, new=False),
        arrays(NUMPY),
        save(WEIGHTS),
    ]
    generator = np.random.default_rng(0)
    path, refused = tmp_path / 'file.pth', 0
    for count in range(400):
        content = bytearray(kinds[count % 4])
        # Most of them where the structure is, not the numbers.
        reach = [64, 4000, len(content)][count % 3]
        for at in generator.integers(0, reach, 1 + count % 7):
            content[at] = generator.integers(256)
        path.write_bytes(content)
        try:
            extract_backbone(read_checkpoint(path))
        except CheckpointError:
            refused += 1
    assert refused > 200


def changed(name, tensor):
    """The weights with a tensor replaced; None takes it away."""
    state = WEIGHTS | {name: tensor}
    return {k: v for k, v in state.items() if v is not None}


def tampered():
    weights, meta, _ = extract_backbone(WEIGHTS)
    weights[CONV] = weights[CONV] + 1e-6
    return {'state_dict': weights, 'meta': meta}


def of_version(version):
    weights, meta, _ = extract_backbone(WEIGHTS)
    return {'state_dict': weights, 'meta': meta | {'version': version}}


HALF = {k: v.half() for k, v in WEIGHTS.items()}
CONTENTS = {
    'no tensors': ({'epoch': 3}, "it has ['epoch']"),
    'two networks': (
        {'net': WEIGHTS, 'teacher': WEIGHTS},
        "it has ['net', 'teacher']",
    ),
    'unknown network': (
        prefixed('vit.embeddings.', {'cls_token': torch.ones(1, 1, 8)}),
        'begin with vit.; expected one of backbone.',
    ),
    'two unknown prefixes': (
        prefixed('net.', WEIGHTS) | prefixed('target.net.', WEIGHTS),
        '2 networks are in the file, below net., target.net., and which',
    ),
    'network of timm': (
        prefixed('model.timm_model.', WEIGHTS),
        'For another network name a config that has it',
    ),
    'deep stem': (
        {**changed('conv1.weight', None), 'conv1.0.weight': torch.ones(4)},
        'of a ResNet with a single convolution as its stem',
    ),
    'other stem': (
        changed('conv1.weight', torch.ones(8, 3, 5, 5)),
        'the stem is a 5 x 5 convolution',
    ),
    'twice': (
        WEIGHTS | {'_orig_mod.conv1.weight': WEIGHTS['conv1.weight']},
        'are there twice',
    ),
    'missing tensor': (changed(MEAN, None), '1 missing in the file: ' + MEAN),
    'extra tensor': (
        changed('layer1.0.se.weight', torch.ones(2)),
        'has no place for: layer1.0.se.weight',
    ),
    'missing block': (
        {k: v for k, v in WEIGHTS.items() if not k.startswith('layer3.1')},
        'stages of 2, 2, 1, 2 blocks',
    ),
    'NaN': (
        changed(MEAN, torch.full((8,), float('nan'))),
        MEAN + ' has values that are not finite',
    ),
    'half precision': (HALF, 'sce extract CKPT OUT --float32'),
    'quantised': (
        changed(CONV, WEIGHTS[CONV].to(torch.int8)),
        CONV + ' is int8: expected float32',
    ),
    'whole numbers': (changed(CONV, WEIGHTS[CONV].long()), 'is of type int64'),
    'negative variances': (
        changed(VAR, -WEIGHTS[VAR]),
        VAR + ' has negative variances',
    ),
    'zeros': (
        changed(CONV, torch.zeros_like(WEIGHTS[CONV])),
        CONV + ' has nothing but zeros',
    ),
    'repeated memory': (
        changed(MEAN, torch.zeros(1).expand(10**12)),
        MEAN + ' has 1000000000000 values and the file only 4 bytes',
    ),
    'claims': (
        pretraining(WEIGHTS, mean='dark'),
        "says mean='dark', which it cannot be",
    ),
    'tampered': (tampered(), 'its hash says so'),
    'later version': (of_version(99), 'version 99 of its format'),
}


@pytest.mark.parametrize('case', CONTENTS)
def test_contents_are_refused_by_name(case):
    content, message = CONTENTS[case]
    with pytest.raises(CheckpointError) as caught:
        extract_backbone(content)
    assert message in str(caught.value)


@pytest.mark.parametrize('text', ['x"""\nimport os', "a'b", 'x' * 101, '', 3])
def test_names_in_a_file_cannot_become_code(text):
    with pytest.raises(CheckpointError, match='which it cannot be'):
        metadata_of({'arch': text})
    weights, meta, _ = extract_backbone(WEIGHTS)
    content = {'state_dict': weights, 'meta': meta | {'source': text}}
    with pytest.raises(CheckpointError, match='which it cannot be'):
        extract_backbone(content)
    known = metadata_of(METADATA | {'arch': 'ResNet-50 (v1.5)'})
    assert known == METADATA | {'arch': 'ResNet-50 (v1.5)'}
