"""The queue is a ring for batches of any size."""

import pytest
import torch

from sce_mm.models import MemoryQueue
from sce_mm.models.utils import memory_queue


def test_a_ring_equals_the_tail_of_all_keys():
    queue = MemoryQueue(length=7, dim=2)
    keys = torch.arange(62, dtype=torch.float32).view(31, 2)
    seen = 0
    for size in (3, 3, 3, 7, 1, 5, 2, 7):
        queue.enqueue(keys[seen : seen + size])
        seen += size
        newest = keys[max(0, seen - 7) : seen]
        ordered = queue.features.roll(-int(queue.pointer), dims=0)
        torch.testing.assert_close(ordered[7 - len(newest) :], newest)
        assert queue.pointer == seen % 7
        assert queue.filled == min(seen, 7)
        assert queue.filled_share() == pytest.approx(min(seen, 7) / 7)


def test_starts_with_unit_rows_and_says_that_none_is_real():
    queue = MemoryQueue(length=50, dim=8)
    torch.testing.assert_close(queue.features.norm(dim=1), torch.ones(50))
    assert queue.filled == 0


def test_writes_in_place_and_leaves_the_keys_alone():
    queue = MemoryQueue(length=4, dim=2)
    address = queue.features.data_ptr()
    keys = torch.ones(3, 2)
    version = keys._version
    queue.enqueue(keys)
    assert queue.features.data_ptr() == address
    assert keys._version == version


def test_more_keys_than_rows_are_refused():
    queue = MemoryQueue(length=4, dim=2)
    with pytest.raises(ValueError, match='holds 4 keys but one step brings 5'):
        queue.enqueue(torch.ones(5, 2))


@pytest.mark.parametrize('length', [0, 2.0])
def test_a_length_that_is_no_positive_integer_is_refused(length):
    with pytest.raises(ValueError, match='positive integer, got'):
        MemoryQueue(length=length, dim=2)


@pytest.mark.parametrize('length', [3, 9])
def test_another_length_keeps_the_newest_rows_and_says_so(length, monkeypatch):
    said = []
    monkeypatch.setattr(memory_queue, 'warn', said.append)
    queue, other = MemoryQueue(5, 1), MemoryQueue(length, 1)
    queue.enqueue(torch.arange(4.0)[:, None])
    queue.enqueue(torch.arange(4.0, 7.0)[:, None])
    state = queue.state_dict()
    kept = min(5, length)
    other.load_state_dict(state)
    assert f'newest {kept} keys are kept' in said[0]
    expected = torch.arange(7.0 - kept, 7.0)[:, None]
    torch.testing.assert_close(other.features[:kept], expected)
    assert other.filled == kept
    assert other.pointer == kept % length
    # The checkpoint itself is not touched.
    assert len(state['features']) == 5


def test_another_width_is_refused():
    with pytest.raises(RuntimeError, match='size mismatch'):
        MemoryQueue(5, 3).load_state_dict(MemoryQueue(5, 2).state_dict())
