"""Laws of the loss, and the loop oracle for each of its options."""

import math

import numpy as np
import pytest
import reference
import torch
from tiny import HALF
from torch.nn.functional import cross_entropy

from sce_mm.models import SCELoss
from sce_mm.models.losses.functional import relate, target_entropy
from sce_mm.models.losses.softmax import attend


def loss_of(queries, keys, queue=None, batch_keys=None, **options):
    module = SCELoss(**{'temperature': 0.1, **options})
    arguments = {
        'queue': None if queue is None else torch.as_tensor(queue),
        'batch_keys': batch_keys and [torch.as_tensor(batch_keys[0])],
    }
    queries, keys = torch.as_tensor(queries), torch.as_tensor(keys)
    return module([queries], [keys], [(0, 0)], **arguments)


@pytest.fixture
def second_of_two(unit_rows):
    """``second_of_two(where)``: queries, keys, arguments of the loss and of
    the oracle, for the second of two processes."""

    def make(where):
        queries, keys = unit_rows(7, 5, 1), unit_rows(7, 5, 2)
        queue, first = unit_rows(11, 5, 3), unit_rows(7, 5, 4)
        batch_keys = torch.cat([first, keys])
        arguments = {
            'queue': {'queue': queue},
            'batch': {'batch_keys': [batch_keys], 'first_row': 7},
        }
        arguments['both'] = arguments['queue'] | arguments['batch']
        candidates = {
            'queue': queue,
            'batch': batch_keys,
            'both': torch.cat([batch_keys, queue]),
        }[where]
        own = None if where == 'queue' else range(7, 14)
        return (
            ([queries], [keys], [(0, 0)]),
            arguments[where],
            (queries.numpy(), keys.numpy(), candidates.numpy(), 0.2, 0.05),
            {'own': own},
        )

    return make


@pytest.mark.parametrize('coeff', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('where', ['queue', 'zero', 'batch', 'both'])
def test_loss_and_entropy_equal_the_loop_oracle(second_of_two, coeff, where):
    zero = where == 'zero'
    rows, arguments, plain, own = second_of_two('queue' if zero else where)
    module = SCELoss(0.2, 0.05, coeff, official_zero_logit=zero)
    got = module(*rows, **arguments)
    expected = reference.sce_loss(*plain, coeff, **own, zero_logit=zero)
    assert got['loss'].item() == pytest.approx(expected, rel=1e-12)
    entropies = []
    for i, (query, key) in enumerate(zip(*plain[:2], strict=True)):
        target, _ = reference.target_and_prediction(
            query,
            key,
            plain[2],
            own['own'] and own['own'][i],
            *plain[3:],
            coeff,
            zero,
        )
        entropies.append(-sum(w * math.log(w) for w in target if w))
    assert got['target_entropy'].item() == pytest.approx(np.mean(entropies))
    assert got['loss'] >= got['target_entropy']


@pytest.mark.parametrize('weights', [(0, 1, 0), (0.5, 0.5, 0), (0.2, 0.7, 2)])
@pytest.mark.parametrize('where', ['queue', 'batch', 'both'])
def test_decomposition_equals_the_loop_oracle(second_of_two, weights, where):
    rows, arguments, plain, own = second_of_two(where)
    module = SCELoss(0.2, 0.05, *weights)
    got = module(*rows, **arguments)['loss'].item()
    expected = reference.decomposed(*plain, weights, **own)
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ('options', 'weights'),
    [
        ({'coeff': 0.3}, {'contrastive': 0.3, 'relational': 0.7}),
        # A third of the relation lies on the positive.
        (
            {'coeff': 0.3, 'official_zero_logit': True},
            {'contrastive': 0.3, 'relational': 0.7},
        ),
        (
            {'coeff': 0.2, 'ceiling_weight': 0.4},
            {'contrastive': 0.2, 'relational': 0.8, 'ceiling': 0.4},
        ),
    ],
    ids=lambda x: '',
)
def test_the_logged_parts_add_up_to_the_loss(unit_rows, options, weights):
    got = loss_of(
        unit_rows(8, 6), unit_rows(8, 6, 1), queue=unit_rows(9, 6), **options
    )
    assert ('ceiling' in got) == ('ceiling' in weights)
    total = sum(weight * got[part] for part, weight in weights.items())
    torch.testing.assert_close(got['loss'].detach(), total)


def test_gradients_are_right_and_reach_only_the_queries(unit_rows):
    queries, keys, queue = unit_rows(3, 4), unit_rows(3, 4, 1), unit_rows(5, 4)
    others = torch.cat([keys, unit_rows(2, 4, 7)])
    for rows in (queries, keys, queue, others):
        rows.requires_grad_()
    module = SCELoss(0.3, 0.2, 0.4)

    def loss(rows):
        # The keys do come without gradient from the momentum branch.
        return module(
            [rows],
            [keys.detach()],
            [(0, 0)],
            queue.detach(),
            [others.detach()],
        )['loss']

    assert torch.autograd.gradcheck(loss, queries)
    relation = relate(keys, [attend(keys, queue, 0.1)], 0.1)
    assert not any(field.requires_grad for field in relation)


def test_relation_ignores_the_image_itself(unit_rows):
    keys = unit_rows(4, 6)
    relation = relate(keys, [attend(keys, keys, 0.1, torch.arange(4))], 0.1)
    for i in range(4):
        one, others = keys[i : i + 1], torch.cat([keys[:i], keys[i + 1 :]])
        alone = relate(one, [attend(one, others, 0.1)], 0.1)
        torch.testing.assert_close(relation.centroid[i], alone.centroid[0])
        torch.testing.assert_close(relation.entropy[i], alone.entropy[0])


def test_entropy_of_the_target_is_the_floor_of_the_loss():
    # A relation over two equal candidates: ln 2, so H = ln 2 + ln 2 / 2.
    key, queue = torch.eye(2)[:1], torch.eye(2)[[1, 1]]
    relation = relate(key, [attend(key, queue, 0.07)], 0.07)
    floor = target_entropy(relation, 0.5).item()
    assert floor == pytest.approx(math.log(2) * 1.5)


def test_coeff_one_is_the_cross_entropy_of_moco(unit_rows):
    queries, keys, queue = unit_rows(8, 6), unit_rows(8, 6, 1), unit_rows(9, 6)
    positive = (queries * keys).sum(1, keepdim=True)
    logits = torch.cat([positive, queries @ queue.T], dim=1)
    expected = cross_entropy(logits / 0.1, torch.zeros(8, dtype=torch.long))
    got = loss_of(queries, keys, queue=queue, coeff=1.0)['loss']
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize('dtype', HALF)
def test_half_precision_inputs_are_compared_in_float32(unit_rows, dtype):
    rows = [unit_rows(n, 16, n).to(dtype) for n in (6, 6, 40)]
    rows[1] = rows[0].flip(0)
    exact = loss_of(*(r.double() for r in rows[:2]), rows[2].double())
    with torch.autocast('cpu', dtype=dtype):
        got = loss_of(*rows)
    assert got['loss'].dtype is torch.float32
    torch.testing.assert_close(
        got['loss'].double(), exact['loss'], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'coeff': 1.5}, r'coeff must be in \[0, 1\], got 1.5'),
        ({'temperature': 0}, 'temperature must be positive, got 0'),
        ({'relation_weight': -1}, 'ceiling_weight must not be negative'),
        (
            {'official_zero_logit': True, 'ceiling_weight': 0.0},
            'leave relation_weight and ceiling_weight at None',
        ),
        ({'chunk_size': 0}, "chunk_size must be 'auto'"),
    ],
)
def test_wrong_numbers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SCELoss(**options)


def test_nothing_to_compare_with_is_refused(unit_rows):
    rows = unit_rows(1, 4)
    with pytest.raises(ValueError, match='give the model a queue'):
        loss_of(rows, rows)
    with pytest.raises(ValueError, match='a batch of one image'):
        loss_of(rows, rows, batch_keys=[rows])
    with pytest.raises(ValueError, match='no meaning with in_batch_keys'):
        loss_of(rows, rows, batch_keys=[rows], official_zero_logit=True)


@pytest.mark.parametrize(
    ('wrong', 'parts'),
    [
        ({'pairs': torch.ones(9, 4)}, ['pairs must be a list', '[9, 4]']),
        ({'pairs': [(0, 0), (2, 0)]}, ['(2, 0)', 'to (1, 1)', 'queue=...']),
        ({'queue': torch.ones(4, 9)}, ['queue', 'in each row', '[4, 9]']),
        ({'queries': torch.ones(6, 4)}, ['queries must be a list', '[6, 4]']),
        ({'keys': [torch.ones(5, 4)] * 2}, ['keys', '[6, 4]', '[5, 4]']),
        ({'batch_keys': [torch.ones(6, 4)]}, ['batch_keys', 'of the 2']),
        ({'first_row': 1}, ['first_row=1', '6 keys', '6 rows']),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else '',
)
def test_arguments_that_do_not_fit_are_refused(unit_rows, wrong, parts):
    queries, keys = (
        [unit_rows(6, 4, seed) for seed in seeds] for seeds in ((0, 1), (2, 3))
    )
    right = {
        'queries': queries,
        'keys': keys,
        'pairs': [(0, 1)],
        'queue': unit_rows(9, 4, 5),
        'batch_keys': keys,
    }
    with pytest.raises(ValueError, match='must') as error:
        SCELoss()(**(right | wrong))
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize('name', ['queries', 'keys', 'queue', 'batch_keys'])
def test_rows_that_are_not_normalised_are_refused(unit_rows, name):
    module = SCELoss()
    given = {
        'queries': [unit_rows(6, 4)],
        'keys': [unit_rows(6, 4, 1)],
        'pairs': [(0, 0)],
        'queue': unit_rows(9, 4, 2),
        'batch_keys': [unit_rows(6, 4, 1)],
    }
    # In a later call, and one row among many.
    module(**given)
    rows = given[name] if name == 'queue' else given[name][0]
    rows[4] *= 1.05
    with pytest.raises(ValueError, match=f'{name} must be L2-normalised'):
        module(**given)
    # A dead network gives zeros, and a diverged one no number.
    rows[4] = 0
    assert torch.isfinite(module(**given)['loss'])
    rows[4] = math.nan
    assert not torch.isfinite(module(**given)['loss'])
