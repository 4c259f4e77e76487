"""The device of the tests of this folder; without CUDA they are skipped.

    SCE_TEST_DEVICE=cpu python -m pytest -m gpu

runs the same bodies on the CPU, for those who write them and have no GPU.
"""

import os
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch

with warnings.catch_warnings():
    # What packages warn of while they are imported is not ours to fix.
    warnings.simplefilter('ignore')
    import device_laws  # noqa: F401
    from mmengine.optim.optimizer import amp_optimizer_wrapper as wrapper
    from mmengine.runner import amp

DEVICE = os.environ.get('SCE_TEST_DEVICE', 'cuda')
NO_GPU = 'torch finds no CUDA device'


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker('gpu')
        # Each version of torch warns of other things on a GPU.
        item.add_marker(pytest.mark.filterwarnings('default'))
        if DEVICE == 'cuda' and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason=NO_GPU))


@pytest.fixture(scope='session')
def device() -> torch.device:
    """The GPU, or what SCE_TEST_DEVICE names."""
    return torch.device(DEVICE)


@pytest.fixture
def float16(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mmengine's mixed precision work on a CPU too, if that is meant."""
    if device.type == 'cpu':
        half = partial(torch.autocast, 'cpu', torch.float16)
        scaler = partial(torch.amp.GradScaler, 'cpu')
        monkeypatch.setattr(amp, 'autocast', lambda dtype=None: half())
        monkeypatch.setattr(wrapper, 'GradScaler', scaler)
        monkeypatch.setattr(wrapper, 'is_cuda_available', lambda: True)


@pytest.fixture
def no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions in float32; by default cuDNN rounds to TF32."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
