"""The loss in chunks is the plain loss, in less memory."""

import pytest
import torch
from dispatch import Watch

from sce_mm.models import SCELoss
from sce_mm.models.losses.softmax import product

ROWS, QUEUE, WIDTH = 6, 300, 16
# Two targets, three queries, in no particular order.
PAIRS = [(1, 0), (2, 0), (0, 1), (2, 1)]
OPTIONS = [
    {},
    {'official_zero_logit': True},
    {'coeff': 0.0, 'relation_weight': 1.0, 'ceiling_weight': 0.0},
    {'coeff': 0.2, 'relation_weight': 0.7, 'ceiling_weight': 2.0},
    # Too cold for exponents without a shift, on either side.
    {'temperature': 0.02},
    {'target_temperature': 0.004, 'temperature': 0.005},
]


@pytest.fixture
def inputs(unit_rows):
    """``inputs(where, dtype)``: arguments of the loss; queries are leaves."""

    def make(where='both', dtype=torch.float64, length=1.0):
        queries = [unit_rows(ROWS, WIDTH, seed) for seed in range(3)]
        keys = [unit_rows(ROWS, WIDTH, seed) for seed in (3, 4)]
        # This process is the second of two.
        others = [torch.cat([unit_rows(ROWS, WIDTH, 5), k]) for k in keys]
        queue = unit_rows(QUEUE, WIDTH, 6)
        queries, keys, others, (queue,) = (
            [(length * x).to(dtype) for x in rows]
            for rows in (queries, keys, others, [queue])
        )
        return {
            'queries': [x.requires_grad_() for x in queries],
            'keys': keys,
            'pairs': PAIRS,
            'queue': None if where == 'batch' else queue,
            'batch_keys': None if where == 'queue' else others,
            'first_row': ROWS,
        }

    return make


def run(arguments, chunk_size='auto', **options):
    """What the loss returns, and the gradient of all queries."""
    losses = SCELoss(**options, chunk_size=chunk_size)(**arguments)
    gradients = torch.autograd.grad(losses['loss'], arguments['queries'])
    return losses, torch.stack(gradients)


@pytest.mark.parametrize('options', OPTIONS, ids=str)
@pytest.mark.parametrize('where', ['queue', 'batch', 'both'])
def test_equals_the_plain_form(inputs, where, options):
    if options.get('official_zero_logit') and where != 'queue':
        return  # Refused: tests/test_models/test_sce_loss.py.
    plain, plain_gradient = run(inputs(where), None, **options)
    # Even, ragged, one candidate at a time, more than there are.
    for chunk_size in ('auto', 100, 77, 1, 10_000):
        losses, gradient = run(inputs(where), chunk_size, **options)
        assert set(losses) == set(plain)
        for name, value in plain.items():
            torch.testing.assert_close(
                losses[name], value, rtol=1e-11, atol=1e-12, msg=name
            )
        torch.testing.assert_close(
            gradient, plain_gradient, rtol=1e-10, atol=1e-13
        )


@pytest.mark.parametrize('options', OPTIONS, ids=str)
@pytest.mark.parametrize(
    'dtype', [torch.float32, torch.float16, torch.bfloat16], ids=str
)
def test_is_as_precise_as_the_plain_form(inputs, dtype, options):
    """Three ways: both against float64 on the same rounded rows."""
    where = 'queue' if options.get('official_zero_logit') else 'both'
    rounded = inputs(where, dtype)
    exact = {
        name: [x.detach().double() for x in value]
        for name, value in rounded.items()
        if name in ('queries', 'keys', 'batch_keys') and value
    }
    exact['queries'] = [x.requires_grad_() for x in exact['queries']]
    exact = rounded | exact | {'queue': rounded['queue'].double()}
    loss, gradient = run(exact, None, **options)

    def errors(chunk_size):
        got, got_gradient = run(rounded, chunk_size, **options)
        assert got['loss'].dtype is torch.float32
        assert got_gradient.dtype is dtype
        return (
            (got['loss'] - loss['loss']).abs() / loss['loss'],
            (got_gradient - gradient).norm() / gradient.norm(),
        )

    # A few roundings of slack: either form may be the luckier one.
    for error, plain_error in zip(errors('auto'), errors(None), strict=True):
        assert error <= 1.01 * plain_error + 5e-7
    assert errors('auto')[0] < 1e-5


@pytest.mark.parametrize('temperature', [0.1, 0.01])
def test_nothing_is_as_large_as_batch_times_queue(inputs, temperature):
    def largest(chunk_size):
        """Of all tensors that are made, and of those that are kept."""
        kept, arguments = [], inputs()
        with (
            Watch() as watch,
            torch.autograd.graph.saved_tensors_hooks(
                lambda x: kept.append(x.numel()) or x, lambda x: x
            ),
        ):
            run(arguments, chunk_size, temperature=temperature)
        assert watch.reads == []
        return watch.largest, max(kept)

    plain, plain_kept = largest(None)
    assert plain >= 2 * ROWS * QUEUE
    assert plain_kept >= ROWS * QUEUE
    # Neither a clone of the queue: the largest are scores of one chunk.
    made, kept = largest(20)
    assert made <= max(20, 4 * WIDTH) * 3 * ROWS < QUEUE * WIDTH
    assert kept <= len(PAIRS) * ROWS * WIDTH


def test_under_the_compiler_it_runs_as_it_is(inputs):
    arguments = inputs('both', torch.float32)
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
