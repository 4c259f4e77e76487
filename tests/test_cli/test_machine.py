"""What options ask of a machine that does not have it is named."""

import pytest

from sce_mm.cli.commands.train import parse_args
from sce_mm.cli.machine import choose_device, require_launched
from sce_mm.utils.errors import UserError

PYTORCH = dict(
    RANK='0',
    WORLD_SIZE='2',
    LOCAL_RANK='0',
    MASTER_ADDR='127.0.0.1',
    MASTER_PORT='29500',
)
SLURM = dict(SLURM_PROCID='1', SLURM_NTASKS='2', SLURM_NODELIST='a')
MPI = dict(OMPI_COMM_WORLD_RANK='0', OMPI_COMM_WORLD_SIZE='1', MASTER_ADDR='a')
GOOD = {'pytorch': PYTORCH, 'slurm': SLURM, 'mpi': MPI}


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    names = {name for words in GOOD.values() for name in words}
    for name in {*names, 'TORCHELASTIC_RUN_ID'}:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize('launcher', GOOD)
def test_each_variable_is_needed(monkeypatch, launcher):
    require_launched('none')
    for name, value in GOOD[launcher].items():
        monkeypatch.setenv(name, value)
    require_launched(launcher)
    for name, value in GOOD[launcher].items():
        monkeypatch.delenv(name)
        if name != 'LOCAL_RANK':
            with pytest.raises(UserError, match=f'{name} is not set'):
                require_launched(launcher)
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('RANK', 'x', '^--launcher pytorch: RANK=x is no number'),
        ('RANK', '2', 'RANK=2 is none of WORLD_SIZE=2 processes'),
        ('WORLD_SIZE', '', 'WORLD_SIZE= is no number'),
        ('LOCAL_RANK', '-1', 'LOCAL_RANK=-1 is no number'),
    ],
)
def test_numbers_that_no_group_can_have(monkeypatch, name, value, message):
    for variable, good in PYTORCH.items():
        monkeypatch.setenv(variable, good)
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        require_launched('pytorch')


@pytest.mark.parametrize(
    ('variables', 'launcher'),
    [
        ({}, 'none'),
        (SLURM, 'none'),
        (PYTORCH, 'none'),
        ({**PYTORCH, 'TORCHELASTIC_RUN_ID': 'none'}, 'pytorch'),
        ({'WORLD_SIZE': '1', 'TORCHELASTIC_RUN_ID': 'none'}, 'none'),
    ],
)
def test_torchrun_needs_no_launcher(monkeypatch, variables, launcher):
    """Or each process would train by itself, into one folder."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    words = ['sce_resnet18_1xb64-coslr-200e_folder']
    assert parse_args(words).launcher == launcher
    assert parse_args([*words, '--launcher', 'none']).launcher == 'none'


def test_a_process_without_a_gpu_of_its_own(monkeypatch):
    for variable, good in PYTORCH.items():
        monkeypatch.setenv(variable, good)
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 1)
    require_launched('pytorch')
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(UserError, match='process 1 of this machine has no'):
        require_launched('pytorch')


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 0)
    assert choose_device(None) == choose_device('cpu') == 'cpu'
    with pytest.raises(UserError, match=r'--device cuda: .* no GPU'):
        choose_device('cuda')
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 1)
    assert choose_device(None) == 'cuda'
    assert choose_device('cuda:0') == 'cuda:0'
    with pytest.raises(UserError, match=r'--device cuda:1: .* 1 GPU'):
        choose_device('cuda:1')
