"""What is left of a run that does not begin."""

from contextlib import suppress
from time import monotonic_ns

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger

from sce_mm.cli.refusal import leaving_nothing
from sce_mm.utils.errors import UserError


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*'))


def run(folder, error, begins=False):
    """A run that writes its log, and fails."""
    cfg = Config({'work_dir': str(folder / 'runs' / 'mine')})
    with suppress(type(error)), leaving_nothing(cfg) as hook:
        log = folder / 'runs' / 'mine' / '20240101_000000' / 'a.log'
        log.parent.mkdir(parents=True)
        # Another logger each time, as of another process.
        MMLogger.get_instance(f'{log} {monotonic_ns()}', log_file=str(log))
        if begins:
            hook.after_train_iter(None, 0)
        raise error


def test_a_refused_run_leaves_nothing_and_what_was_there(tmp_path):
    run(tmp_path, UserError('too few images'))
    assert names(tmp_path) == []
    earlier = tmp_path / 'runs' / 'mine' / '20230101_000000' / 'a.log'
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    (tmp_path / 'runs' / 'mine' / 'commands.txt').touch()
    before = names(tmp_path)
    run(tmp_path, UserError('too few images'))
    assert names(tmp_path) == before


def test_a_folder_for_a_log_that_was_not_begun_goes(tmp_path):
    cfg = Config({'work_dir': str(tmp_path / 'mine')})
    with suppress(UserError), leaving_nothing(cfg):
        (tmp_path / 'mine' / '20240101_000000').mkdir(parents=True)
        raise UserError('no such level')
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ('error', 'begins'), [(UserError(''), True), (KeyError('a bug'), False)]
)
def test_other_runs_leave_their_log(tmp_path, error, begins):
    run(tmp_path, error, begins)
    assert 'runs/mine/20240101_000000/a.log' in names(tmp_path)
