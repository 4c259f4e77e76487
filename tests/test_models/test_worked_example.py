"""The worked example of the specification, to all of its digits.

Computed there in NumPy and, for the variants that it has, with the official
functions. Rows are normalised; temperatures are 0.1 and 0.07.
"""

import pytest
import reference
import torch

from sce_mm import SCELoss, sce_loss

QUERIES = reference.unit([(4, 3, 0), (0, 5, 12)])
KEYS = reference.unit([(3, 4, 0), (0, 3, 4)])
QUEUE = reference.unit([(0, 0, 1), (4, -3, 0), (0, -3, 4)])
OTHER_QUEUE = reference.unit([(1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 2, 1)])

# Options of the loss, whether there is a queue, whether keys of the batch.
VARIANTS = {
    'zero logit': ({'official_zero_logit': True}, True, False),
    'queue': ({}, True, False),
    'batch and queue': ({}, True, True),
    'batch': ({}, False, True),
}


def loss_of(variant, rows=slice(None), queue=QUEUE, **options):
    """Loss of the rows of the batch that are asked for."""
    more, has_queue, in_batch = VARIANTS[variant]
    module = SCELoss(0.1, **{'target_temperature': 0.07, **more, **options})
    return module(
        [torch.as_tensor(QUERIES[rows])],
        [torch.as_tensor(KEYS[rows])],
        [(0, 0)],
        queue=torch.as_tensor(queue) if has_queue else None,
        batch_keys=[torch.as_tensor(KEYS)] if in_batch else None,
        first_row=rows.start or 0,
    )['loss'].item()


def near(value):
    return pytest.approx(value, abs=6e-10)


# At a lambda of 0, 0.5 and 1, and of each row at 0.5.
LOSSES = {
    'zero logit': (3.214694586, 1.731350202, 0.248005818),
    'queue': (4.581322651, 2.414664235, 0.248005818),
    'batch and queue': (3.515434565, 1.882542479, 0.249650393),
    'batch': (6.309599502, 3.155753348, 0.001907194),
}
ROWS = {
    'zero logit': (2.735871315, 0.726829089),
    'queue': (4.102496858, 0.726831612),
    'batch and queue': (3.005968745, 0.759116213),
    'batch': (3.002475685, 3.309031011),
}


@pytest.mark.parametrize('variant', VARIANTS)
def test_losses(variant):
    for coeff, value in zip((0.0, 0.5, 1.0), LOSSES[variant], strict=True):
        assert loss_of(variant, coeff=coeff) == near(value)
    for row, value in enumerate(ROWS[variant]):
        assert loss_of(variant, slice(row, row + 1)) == near(value)


@pytest.mark.parametrize(
    ('variant', 'expected'),
    [
        ('zero logit', 0.912479564),
        ('queue', 0.912479585),
        ('batch and queue', 0.915878982),
    ],
)
def test_near_neighbours_hide_the_zero_logit(variant, expected):
    got = loss_of(variant, queue=OTHER_QUEUE, target_temperature=0.05)
    assert got == near(expected)


@pytest.mark.parametrize(
    ('variant', 'terms'),
    [
        ('queue', (0.248005818, 0.740642292, 3.840680360)),
        ('batch and queue', (0.249650393, 0.238997436, 3.276437130)),
    ],
)
def test_decomposition(variant, terms):
    for index, value in enumerate(terms):
        weights = [float(index == i) for i in range(3)]
        names = ('coeff', 'relation_weight', 'ceiling_weight')
        options = dict(zip(names, weights, strict=True))
        assert loss_of(variant, **options) == near(value)


def test_symmetric_mean():
    more_queries = reference.unit([(3, 4, 0), (3, 4, 0)])
    more_keys = reference.unit([(0, 1, 0), (4, 0, 3)])
    queries = [torch.as_tensor(x) for x in (QUERIES, more_queries)]
    keys = [torch.as_tensor(x) for x in (KEYS, more_keys)]
    module = SCELoss(0.1, 0.07, 0.5, official_zero_logit=True)
    queue = torch.as_tensor(QUEUE)
    one, both = [(1, 1)], [(0, 0), (1, 1)]
    assert module(queries, keys, one, queue)['loss'].item() == near(
        2.281989975
    )
    assert module(queries, keys, both, queue)['loss'].item() == near(
        2.006670088
    )


def test_the_function_of_one_pair_is_the_module():
    rows = (torch.as_tensor(each) for each in (QUERIES, KEYS, QUEUE))
    assert sce_loss(*rows).item() == near(2.414664235)
