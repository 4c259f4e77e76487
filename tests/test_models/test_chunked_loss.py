"""The loss in chunks is the plain loss, in less memory."""

import pytest
import torch
from device_laws import (
    LOSS_OPTIONS,
    PAIRS,
    SMALL,
    check_chunks,
    check_precision,
    loss_inputs,
    run_loss,
)
from dispatch import Watch

from sce_mm.models import SCELoss
from sce_mm.models.losses.softmax import product

ROWS, QUEUE, WIDTH = SMALL


@pytest.mark.parametrize('options', LOSS_OPTIONS, ids=str)
@pytest.mark.parametrize('where', ['queue', 'batch', 'both'])
def test_equals_the_plain_form(unit_rows, where, options):
    if options.get('official_zero_logit') and where != 'queue':
        return  # Refused: tests/test_models/test_sce_loss.py.
    # Even, ragged, one candidate at a time, more than there are.
    chunk_sizes = ('auto', 100, 77, 1, 10_000)
    check_chunks(loss_inputs(unit_rows, where), chunk_sizes, **options)


@pytest.mark.parametrize('options', LOSS_OPTIONS, ids=str)
@pytest.mark.parametrize(
    'dtype', [torch.float32, torch.float16, torch.bfloat16], ids=str
)
def test_is_as_precise_as_the_plain_form(unit_rows, dtype, options):
    where = 'queue' if options.get('official_zero_logit') else 'both'
    check_precision(loss_inputs(unit_rows, where, dtype), **options)


@pytest.mark.parametrize('temperature', [0.1, 0.01])
def test_nothing_is_as_large_as_batch_times_queue(unit_rows, temperature):
    def largest(chunk_size):
        """Of all tensors that are made, and of those that are kept."""
        kept, arguments = [], loss_inputs(unit_rows)
        with (
            Watch() as watch,
            torch.autograd.graph.saved_tensors_hooks(
                lambda x: kept.append(x.numel()) or x, lambda x: x
            ),
        ):
            run_loss(arguments, chunk_size, temperature=temperature)
        assert watch.reads == []
        return watch.largest, max(kept)

    plain, plain_kept = largest(None)
    assert plain >= 2 * ROWS * QUEUE
    assert plain_kept >= ROWS * QUEUE
    # Neither a clone of the queue: the largest are scores of one chunk.
    made, kept = largest(20)
    assert made <= max(20, 4 * WIDTH) * 3 * ROWS < QUEUE * WIDTH
    assert kept <= len(PAIRS) * ROWS * WIDTH


def test_under_the_compiler_it_runs_as_it_is(unit_rows):
    arguments = loss_inputs(unit_rows, dtype=torch.float32)
    module = SCELoss()
    # Old versions warn of options that differ from an earlier test's.
    torch._dynamo.reset()
    compiled = torch.compile(module, backend='aot_eager')
    for coeff in (0.5, 0.3):
        # A schedule moves it; code made for another value would be wrong.
        module.coeff = coeff
        loss = compiled(**arguments)['loss']
        assert torch.equal(loss, SCELoss(coeff=coeff)(**arguments)['loss'])


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=str)
def test_products_of_any_layout(unit_rows, dtype):
    rows, columns = (
        unit_rows(7, 33, 1).to(dtype),
        unit_rows(50, 33, 2).to(dtype),
    )
    # Also what comes transposed or as a slice, as a queue of columns would.
    for given in (
        columns,
        columns.T.contiguous().T,
        columns.repeat(2, 1)[::2],
    ):
        got = product(rows, given)
        assert got.dtype is dtype
        torch.testing.assert_close(
            got.double(), rows.double() @ given.double().T, atol=1e-6, rtol=0
        )
