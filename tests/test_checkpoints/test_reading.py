"""Whole files of every kind are read, with trust only where it is needed."""

import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from transfer_files import prefixed, trained

from sce_mm.checkpoints.reading import TYPES_CAN_BE_ALLOWED
from sce_mm.checkpoints.state_dicts import state_dict_of
from sce_mm.transfer import CheckpointError, extract_backbone, read_checkpoint
from sce_mm.transfer.networks.resnet import to_detectron2

WEIGHTS = trained(width=8)


class Custom:
    """What somebody's checkpoint may hold."""


def test_trust_is_the_users_to_give(tmp_path):
    path = tmp_path / 'own.pth'
    torch.save({'state_dict': WEIGHTS, 'x': Custom()}, path)
    with pytest.raises(CheckpointError, match='pass --trust'):
        read_checkpoint(path)
    assert isinstance(read_checkpoint(path, trust=True)['x'], Custom)
    torch.save(torch.nn.Linear(1, 1), path)
    with pytest.raises(CheckpointError, match=r'save model\.state_dict\(\)'):
        read_checkpoint(path, trust=True)


def test_log_buffers_of_mmengine_are_read(tmp_path):
    path = tmp_path / 'training.pth'
    log = HistoryBuffer([1.0, 2.0], [1, 1])
    arrays = {'a': np.arange(3), 'b': np.float64(2.5)}
    torch.save({'state_dict': WEIGHTS, 'hub': {'loss': log}} | arrays, path)
    if not TYPES_CAN_BE_ALLOWED:
        with pytest.raises(CheckpointError, match='--trust'):
            read_checkpoint(path)
        return
    content = read_checkpoint(path)
    assert content['hub']['loss'].mean() == 1.5
    assert content['b'] == 2.5


def test_objects_of_a_package_that_is_not_installed(tmp_path, monkeypatch):
    # As Lightning keeps the configuration of the official code.
    module = ModuleType('omegaconf')
    module.DictConfig = type(
        'DictConfig', (dict,), {'__module__': 'omegaconf'}
    )
    monkeypatch.setitem(sys.modules, 'omegaconf', module)
    path = tmp_path / 'last.ckpt'
    torch.save({'w': torch.ones(1), 'hyper': module.DictConfig(lr=1)}, path)
    with pytest.raises(CheckpointError, match=r'omegaconf\.DictConfig'):
        read_checkpoint(path)
    assert read_checkpoint(path, trust=True)['hyper'] == {'lr': 1}
    monkeypatch.delitem(sys.modules, 'omegaconf')
    with pytest.raises(CheckpointError, match='pip install omegaconf'):
        read_checkpoint(path, trust=True)


@pytest.mark.parametrize('protocol', [0, 1, 2, 3, 4, 5])
def test_arrays_of_every_protocol_are_read(tmp_path, protocol):
    path = tmp_path / 'file.pkl'
    content = {to_detectron2(k): v.numpy() for k, v in WEIGHTS.items()}
    path.write_bytes(pickle.dumps({'model': content}, protocol))
    again = extract_backbone(read_checkpoint(path)).weights
    assert all(torch.equal(again[k], v) for k, v in WEIGHTS.items())


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
    'content',
    [
        WEIGHTS,
        {'state_dict': WEIGHTS},
        {'model': WEIGHTS, 'epoch': 3},
        # Any key, if it is the only one with a network.
        {'ema': WEIGHTS, 'optimizer': {'state': {0: torch.ones(1)}}},
        # Wrappers around everything and within a model.
        prefixed('module.', WEIGHTS) | {'steps': torch.tensor(3)},
        {
            name.replace('layer1.', 'layer1._checkpoint_wrapped_module.'): x
            for name, x in prefixed('module._orig_mod.', WEIGHTS).items()
        },
    ],
)
def test_tensors_are_found_in_each_container(content):
    assert state_dict_of(content).keys() == WEIGHTS.keys()


def test_other_precisions_are_converted_if_asked():
    halves = {k: v.half() for k, v in WEIGHTS.items()}
    backbone = extract_backbone(halves, float32=True).weights
    for name, tensor in WEIGHTS.items():
        assert backbone[name].dtype == tensor.dtype
        assert torch.equal(backbone[name], tensor.half().to(tensor.dtype))
