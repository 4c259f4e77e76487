"""Files are read without running what is in them, or refused by name."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from sce_mm.checkpoints.state_dicts import state_dict_of
from sce_mm.transfer import CheckpointError, read_checkpoint

LISTS = hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint')
WEIGHTS = {'conv1.weight': torch.ones(2, 3)}


class Attack:
    """Touches a file if it is ever unpickled freely."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), 'w'))


class AttackByAttribute:
    """Reaches for an attribute that no log buffer names."""

    def __reduce__(self):
        return (getattr, (HistoryBuffer, '__init__'))


def dump_pickle(content, file):
    pickle.dump(content, file, protocol=2)


@pytest.mark.parametrize('save', [torch.save, dump_pickle])
def test_nothing_in_a_file_runs(tmp_path, save):
    path, trace = tmp_path / 'attack.pth', tmp_path / 'ran'
    content = {'state_dict': WEIGHTS, 'x': Attack(trace)}
    with path.open('wb') as file:
        save(content, file)
    with pytest.raises(CheckpointError, match='If you trust its origin, pass'):
        read_checkpoint(path)
    assert not trace.exists()


def test_attribute_access_is_no_way_around(tmp_path):
    path = tmp_path / 'attack.pth'
    torch.save({'state_dict': WEIGHTS, 'x': AttackByAttribute()}, path)
    with pytest.raises(CheckpointError, match='holds more than tensors'):
        read_checkpoint(path)


def test_trust_is_the_users_to_give(tmp_path):
    path, trace = tmp_path / 'own.pth', tmp_path / 'ran'
    torch.save({'state_dict': WEIGHTS, 'x': Attack(trace)}, path)
    read_checkpoint(path, trust=True)['x'].close()
    assert trace.exists()


def test_log_buffers_of_mmengine_are_read(tmp_path):
    path = tmp_path / 'training.pth'
    log = HistoryBuffer([1.0, 2.0], [1, 1])
    arrays = {'a': np.arange(3), 'b': np.float64(2.5)}
    torch.save({'state_dict': WEIGHTS, 'hub': {'loss': log}} | arrays, path)
    if not LISTS:
        with pytest.raises(CheckpointError, match='--trust'):
            read_checkpoint(path)
        return
    content = read_checkpoint(path)
    assert content['hub']['loss'].mean() == 1.5
    assert content['b'] == 2.5


def test_files_that_are_none_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint at'):
        read_checkpoint(tmp_path / 'none.pth')
    empty = tmp_path / 'empty.pth'
    empty.touch()
    with pytest.raises(CheckpointError, match='is empty'):
        read_checkpoint(empty)
    page = tmp_path / 'page.pth'
    page.write_text('<html><body>sign in to download</body></html>')
    with pytest.raises(CheckpointError, match='text or a web page'):
        read_checkpoint(page)
    tensor = tmp_path / 'tensor.pth'
    torch.save(torch.ones(3), tensor)
    with pytest.raises(CheckpointError, match='holds a Tensor'):
        read_checkpoint(tensor)


@pytest.mark.parametrize('share', [0.3, 0.6, 0.95])
def test_a_file_cut_short_is_said_to_be(tmp_path, share):
    whole, cut = tmp_path / 'whole.pth', tmp_path / 'cut.pth'
    torch.save({'state_dict': {'w': torch.randn(100, 100)}}, whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match='damaged or cut short'):
        read_checkpoint(cut)


@pytest.mark.parametrize(
    'content', [WEIGHTS, {'state_dict': WEIGHTS}, {'model': WEIGHTS, 'e': 3}]
)
def test_tensors_are_found_in_each_container(content):
    assert list(state_dict_of(content)) == ['conv1.weight']


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_values_that_are_not_finite_are_named(value):
    broken = {'a.weight': torch.ones(2), 'b.weight': torch.tensor([1, value])}
    with pytest.raises(CheckpointError, match=r'b\.weight has values that'):
        state_dict_of({'state_dict': broken})


def test_no_tensors_at_all():
    with pytest.raises(CheckpointError, match=r"it has \['epoch'\]"):
        state_dict_of({'epoch': 3})
