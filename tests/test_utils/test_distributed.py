"""What processes have to have in common."""

import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from sce_mm.utils.distributed import require_equal
from sce_mm.utils.errors import UserError

pytestmark = pytest.mark.integration


def worker(rank, folder):
    store = f'file://{folder}/store'
    dist.init_process_group('gloo', store, rank=rank, world_size=2)
    require_equal('the same', 'a.pth')
    try:
        require_equal(rank, 'a.pth')
    except UserError as error:
        (folder / str(rank)).write_text(str(error))
    dist.destroy_process_group()


def test_all_processes_refuse_what_is_another_file_for_one(tmp_path):
    mp.start_processes(worker, (tmp_path,), 2, start_method='fork')
    for rank in '01':
        message = (tmp_path / rank).read_text()
        assert 'a.pth is not the same on all processes' in message
        assert '1 process (rank 1)' in message


def test_one_process_agrees_with_itself():
    require_equal(1, 'a.pth')
