"""What processes have to have in common."""

from functools import partial

import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from sce_mm.utils.distributed import decide_on_main, require_equal
from sce_mm.utils.errors import UserError

pytestmark = pytest.mark.integration


class UnsentError(Exception):
    """An error that cannot be made again from its text."""

    def __init__(self, one, other):
        super().__init__(f'{one} and {other}')


def fail(error):
    raise error


def worker(rank, folder):
    store = f'file://{folder}/store'
    dist.init_process_group('gloo', store, rank=rank, world_size=2)
    require_equal('the same', 'a.pth')
    try:
        require_equal(rank, 'a.pth')
    except UserError as error:
        (folder / str(rank)).write_text(str(error))
    outcomes = [decide_on_main(lambda: f'of {rank}')]
    for error in (KeyError('x'), UnsentError('a', 'b'), UserError('y')):
        try:
            decide_on_main(partial(fail, error))
        except Exception as raised:
            outcomes.append(repr(raised))
    (folder / f'decided_{rank}').write_text('\n'.join(outcomes))
    dist.destroy_process_group()


def test_what_the_main_process_finds_is_found_by_all(tmp_path):
    mp.start_processes(worker, (tmp_path,), 2, start_method='fork')
    here, there = (
        (tmp_path / f'decided_{rank}').read_text().splitlines()
        for rank in '01'
    )
    common = "KeyError('x')", "UserError('y')"
    assert here == ['of 0', common[0], "UnsentError('a and b')", common[1]]
    sent = "RuntimeError('UnsentError: a and b')"
    assert there == ['of 0', common[0], sent, common[1]]


def test_all_processes_refuse_what_is_another_file_for_one(tmp_path):
    mp.start_processes(worker, (tmp_path,), 2, start_method='fork')
    for rank in '01':
        message = (tmp_path / rank).read_text()
        assert 'a.pth is not the same on all processes' in message
        assert '1 process (rank 1)' in message


def test_one_process_agrees_with_itself():
    require_equal(1, 'a.pth')
