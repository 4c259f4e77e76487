"""Damage that no parser of torch sees, and files of other kinds."""

import gzip
import io
import zipfile

import numpy as np
import pytest
import torch
from transfer_files import trained

from sce_mm.checkpoints.reading import TYPES_CAN_BE_ALLOWED
from sce_mm.transfer import CheckpointError, extract_backbone, read_checkpoint

WEIGHTS = trained(width=8)
CONV, COUNTER = 'layer1.0.conv1.weight', 'bn1.num_batches_tracked'


def as_torch(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def as_script():
    """An archive as torch.jit.save writes it, its code compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as file:
        file.writestr('a/data.pkl', b'x')
        file.writestr('a/code/a.py', b'x', zipfile.ZIP_DEFLATED)
        file.writestr('a/constants.pkl', b'x')
    return buffer.getvalue()


def altered():
    """One bit of a number is another one."""
    content = bytearray(as_torch(WEIGHTS))
    start = content.index(WEIGHTS[CONV].numpy().tobytes())
    content[start + 100] ^= 1
    return bytes(content)


def overlapping():
    """The same megabyte is listed twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as file:
        file.writestr('a/data.pkl', b'0' * 10**6)
        file.filelist.append(file.filelist[0])
    return buffer.getvalue()


FILES = {
    'one bit altered': (altered, 'damaged or cut short (Bad CRC-32'),
    'members that overlap': (overlapping, 'has members that overlap'),
    'zeros': (lambda: bytes(5000), 'begins with zeros'),
    'gzip': (lambda: gzip.compress(as_torch(WEIGHTS)), 'compressed by gzip'),
    'program of TorchScript': (as_script, 'is a program of TorchScript'),
    'array of objects': (
        lambda: as_torch({'x': np.array([1, 'a'], object)}),
        'pass --trust. What it asks for: '
        + (
            "<class 'numpy.dtypes.ObjectDType'>"
            if TYPES_CAN_BE_ALLOWED
            else 'numpy.core.multiarray._reconstruct'
        ),
    ),
}


@pytest.mark.parametrize('case', FILES)
def test_files_are_refused_for_what_they_are(tmp_path, case):
    make, message = FILES[case]
    path = tmp_path / 'file.pth'
    path.write_bytes(make())
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert message in str(caught.value)
    assert 'weights_only' not in str(caught.value)


def test_a_graph_of_onnx_is_named(tmp_path):
    path = tmp_path / 'file.onnx'
    path.write_bytes(b'\x08\x08\x12\x07pytorch:')
    with pytest.raises(CheckpointError, match='is a graph of ONNX'):
        read_checkpoint(path)


@pytest.mark.skipif(
    not hasattr(torch.serialization, 'set_crc32_options'),
    reason='this torch always writes checksums',
)
def test_checksums_may_be_left_out(tmp_path):
    path = tmp_path / 'file.pth'
    crc32 = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    torch.save(WEIGHTS, path)
    torch.serialization.set_crc32_options(crc32)
    assert read_checkpoint(path).keys() == WEIGHTS.keys()


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (PermissionError(13, 'Permission denied', 'x'), 'Permission denied'),
        (OSError(36, 'File name too long', 'x'), 'File name too long'),
    ],
)
def test_what_may_not_be_read_is_not_called_damaged(
    tmp_path, monkeypatch, error, words
):
    path = tmp_path / 'file.pth'
    path.write_bytes(as_torch(WEIGHTS))

    def refuse(*args, **options):
        raise error

    monkeypatch.setattr(type(path), 'open', refuse)
    with pytest.raises(CheckpointError, match=f'cannot be read: {words}'):
        read_checkpoint(path)


TENSORS = {
    'eight bits': (CONV, lambda t: t.to(torch.int8), 'is int8: expected'),
    'quantised': (
        CONV,
        lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
        'is qint8: expected float32',
    ),
    'eight bits, floating': (
        CONV,
        lambda t: t.to(torch.float8_e4m3fn),
        'is float8_e4m3fn: expected float32',
    ),
    'complex': (CONV, lambda t: t + 0j, 'is complex64: expected float32'),
    'whole numbers': (CONV, lambda t: t.long(), 'is of type int64'),
    'double': (CONV, lambda t: t.double(), 'is float64, expected float32'),
    'a counter with a fraction': (
        COUNTER,
        lambda t: t + 0.5,
        'is float32, expected int64',
    ),
    'negative variances': (
        'bn1.running_var',
        lambda t: -t,
        'has negative variances',
    ),
    'zeros': (CONV, torch.zeros_like, 'has nothing but zeros'),
}


@pytest.mark.parametrize('case', TENSORS)
def test_numbers_that_no_training_leaves_are_refused(case):
    name, change, message = TENSORS[case]
    with pytest.raises(CheckpointError) as caught:
        extract_backbone({**WEIGHTS, name: change(WEIGHTS[name])})
    assert f'{name} {message}' in str(caught.value)


def test_converted_counters_are_whole_numbers_again():
    halves = {k: v.half() for k, v in WEIGHTS.items()}
    backbone, _ = extract_backbone(halves, float32=True)
    assert {k: v.dtype for k, v in backbone.items()} == {
        k: v.dtype for k, v in WEIGHTS.items()
    }


CAUSES = {
    'a tensor': (
        lambda w: w.pop('layer4.1.bn2.running_var'),
        'the file is not whole',
    ),
    'all statistics': (
        lambda w: [w.pop(k) for k in WEIGHTS if 'running' in k],
        'the file is not whole',
    ),
    'a head': (
        lambda w: w.update({'prototypes.weight': torch.ones(1)}),
        'holds more than this network: prototypes',
    ),
}


@pytest.mark.parametrize('case', CAUSES)
def test_the_likely_cause_is_not_another_depth(case):
    change, message = CAUSES[case]
    weights = dict(WEIGHTS)
    change(weights)
    with pytest.raises(CheckpointError, match=message):
        extract_backbone(weights)


NETWORKS = {
    'a ConvNeXt': ['stem.0.weight', 'stages.0.blocks.0.conv_dw.weight'],
    'a vision transformer': ['class_token', 'conv_proj.weight'],
}


@pytest.mark.parametrize('what', NETWORKS)
def test_other_networks_go_by_their_own_name(what):
    tensors = {name: torch.ones(2, 2) for name in NETWORKS[what]}
    with pytest.raises(CheckpointError, match=f'this is {what} '):
        extract_backbone(tensors)


@pytest.mark.parametrize(
    'wrapper',
    ['_orig_mod.', '_fsdp_wrapped_module.', '_checkpoint_wrapped_module.'],
)
@pytest.mark.parametrize('branch', ['online', 'momentum'])
def test_wrappers_within_a_model_do_not_matter(wrapper, branch):
    trunk = {f'trunk.{wrapper}{k}': v for k, v in WEIGHTS.items()}
    others = {f'momentum_{k}': v for k, v in trunk.items()}
    backbone, _ = extract_backbone({'state_dict': trunk | others}, branch)
    assert backbone.keys() == WEIGHTS.keys()
    assert all(torch.equal(backbone[k], v) for k, v in WEIGHTS.items())


def test_a_tensor_with_and_without_its_wrapper_is_refused():
    twice = {**WEIGHTS, '_orig_mod.conv1.weight': WEIGHTS['conv1.weight']}
    with pytest.raises(CheckpointError, match='are there twice'):
        extract_backbone(twice)
