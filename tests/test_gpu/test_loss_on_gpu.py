"""Loss, gradients and queue on a GPU are those of the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from device_laws import (
    LOSS_OPTIONS,
    Size,
    check_chunks,
    check_precision,
    loss_inputs,
)
from torch.nn.functional import normalize

from sce_mm.models.utils.memory_queue import MemoryQueue

# Several chunks of the size that a GPU takes by itself, and a ragged one.
LARGE = Size(rows=256, queue=65_537, width=128)
# Of the many tests: the CPU computes each reference in float64.
MEDIUM = Size(rows=48, queue=5_003, width=64)


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """``highest`` for float32, ``high`` for TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize('options', LOSS_OPTIONS, ids=str)
@pytest.mark.parametrize('where', ['queue', 'batch', 'both'])
def test_chunks_in_float64_are_the_plain_form_of_the_cpu(
    unit_rows, device, where, options
):
    if options.get('official_zero_logit') and where != 'queue':
        return  # Refused: tests/test_models/test_sce_loss.py.
    inputs = loss_inputs(unit_rows, where, size=MEDIUM)
    check_chunks(inputs, (None, 'auto', 1000, 77), device, **options)


@pytest.mark.parametrize('options', LOSS_OPTIONS, ids=str)
@pytest.mark.parametrize('dtype', ['float32', 'tf32', 'float16', 'bfloat16'])
def test_is_as_precise_as_the_plain_form(unit_rows, device, dtype, options):
    where = 'queue' if options.get('official_zero_logit') else 'both'
    tf32 = dtype == 'tf32'
    dtype = torch.float32 if tf32 else getattr(torch, dtype)
    slack = 5e-7
    if tf32:
        # Similarities of 11 bits, divided by the temperatures.
        defaults = {'temperature': 0.1, 'target_temperature': 0.07}
        coldest = min((defaults | options)[name] for name in defaults)
        slack = 2**-11 / coldest
    inputs = loss_inputs(unit_rows, where, dtype, MEDIUM)
    with matmul_precision('high' if tf32 else 'highest'):
        check_precision(inputs, device, slack, **options)


def test_the_size_of_the_imagenet_recipes(unit_rows, device):
    size = LARGE if device.type == 'cuda' else MEDIUM
    check_precision(
        loss_inputs(unit_rows, 'queue', torch.float32, size), device
    )


@pytest.mark.parametrize('sizes', [[5, 7, 7, 3], [24, 24], [1] * 30])
def test_the_queue_holds_the_keys_of_the_cpus(device, sizes):
    torch.manual_seed(0)
    here = MemoryQueue(24, 8)
    there = MemoryQueue(24, 8)
    there.load_state_dict(here.state_dict())
    there.to(device)
    for size in sizes:
        keys = normalize(torch.randn(size, 8), dim=1)
        here.enqueue(keys)
        there.enqueue(keys.to(device))
    for name, value in here.state_dict().items():
        assert torch.equal(there.state_dict()[name].cpu(), value), name
