"""Laws of the nearest-neighbour search and of the votes."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sce_mm.evaluation import knn_accuracy, knn_predict, nearest
from sce_mm.evaluation import neighbours as neighbours_module
from sce_mm.utils.errors import UserError


def random_problem(
    bank: int = 57, queries: int = 13, dim: int = 5, classes: int = 4
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(bank + queries)
    return (
        torch.randn(bank, dim, generator=generator),
        torch.randint(classes, (bank,), generator=generator),
        torch.randn(queries, dim, generator=generator),
    )


def oracle_neighbours(bank: Tensor, query: Tensor) -> list[tuple[float, int]]:
    """(cosine, index) of all bank entries, nearest first."""
    found = []
    q = query.numpy().astype(np.float64)
    for index, entry in enumerate(bank.numpy().astype(np.float64)):
        dot = sum(a * b for a, b in zip(q, entry, strict=True))
        norms = math.sqrt(sum(a * a for a in q)) * math.sqrt(
            sum(b * b for b in entry)
        )
        found.append((dot / norms, index))
    return sorted(found, key=lambda pair: (-pair[0], pair[1]))


def oracle_class(
    bank: Tensor, labels: Tensor, query: Tensor, k: int, temperature: float
) -> int:
    votes = [0.0] * (int(labels.max()) + 1)
    for similarity, index in oracle_neighbours(bank, query)[:k]:
        votes[int(labels[index])] += math.exp(similarity / temperature)
    return votes.index(max(votes))


def test_neighbours_equal_a_loop_in_float64():
    bank, _, queries = random_problem()

    indices, similarities = nearest(bank, queries, k=9)

    for row, query in enumerate(queries):
        expected = oracle_neighbours(bank, query)[:9]
        assert indices[row].tolist() == [index for _, index in expected]
        torch.testing.assert_close(
            similarities[row].double(),
            torch.tensor([s for s, _ in expected], dtype=torch.float64),
            atol=1e-6,
            rtol=0,
        )


@pytest.mark.parametrize('temperature', [1e-4, 0.07, 1.0, 100.0])
def test_classes_equal_a_loop_in_float64_for_several_k(temperature: float):
    bank, labels, queries = random_problem()
    before = bank.clone(), labels.clone(), queries.clone()

    predicted = knn_predict(bank, labels, queries, (57, 1, 5), temperature)

    assert list(predicted) == [1, 5, 57]
    # Where the temperature of the loop overflows, the nearest decides.
    temperature = max(temperature, 2e-3)
    for k, classes in predicted.items():
        assert classes.tolist() == [
            oracle_class(bank, labels, query, k, temperature)
            for query in queries
        ]
    assert all(map(torch.equal, before, (bank, labels, queries)))
    truth = torch.arange(13) % 4
    accuracy = knn_accuracy((bank, labels), (queries, truth), 5, temperature)
    hits = int((predicted[5] == truth).sum())
    assert accuracy == {5: pytest.approx(100 * hits / 13)}


@pytest.mark.parametrize('spread', [1e-8, 1e-6, 1e-4])
def test_entries_closer_than_float32_can_tell_are_told_apart(spread: float):
    bank, _, queries = random_problem(bank=600, queries=40, dim=256)
    bank = bank[:1] + spread * bank
    unit = torch.nn.functional.normalize
    whole = unit(queries).double() @ unit(bank).double().T
    order = whole.float().sort(dim=1, descending=True, stable=True).indices

    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision('medium')
        with torch.autocast('cpu', torch.bfloat16):
            indices, similarities = nearest(bank, queries, k=7)
    finally:
        torch.set_float32_matmul_precision(before)

    assert indices.equal(order[:, :7])
    assert (similarities.diff(dim=1) <= 0).all()


@pytest.mark.parametrize(
    ('chunk_size', 'block'), [(1, 1), (4, 7), (13, 19), (1000, 57)]
)
def test_chunks_and_blocks_change_nothing(
    chunk_size: int, block: int, monkeypatch: pytest.MonkeyPatch
):
    bank, _, queries = random_problem()
    bank = torch.cat([bank, bank])  # every entry twice: ties across blocks
    whole = nearest(bank, queries, k=20)

    monkeypatch.setattr(neighbours_module, 'BANK_BLOCK', block)
    found = nearest(bank, queries, k=20, chunk_size=chunk_size)

    assert found[0].equal(whole[0])
    assert found[1].equal(whole[1])


def test_of_equal_entries_the_first_and_of_equal_votes_the_lowest_wins():
    entry, other = [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    bank = torch.tensor([other, entry, entry, other, entry])
    query = torch.tensor([entry])

    assert nearest(bank, query, k=2)[0].tolist() == [[1, 2]]
    assert nearest(torch.ones(500, 64), torch.ones(1, 64), k=3)[
        0
    ].tolist() == [[0, 1, 2]]
    labels = torch.tensor([0, 2, 1, 0, 3])
    assert knn_predict(bank, labels, query, k=2)[2].tolist() == [1]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(k=58), 'k = 58 neighbours cannot be taken from a bank of 57'),
        (dict(k=()), r'k must be a positive integer or several, got \(\)'),
        (dict(temperature=0.0), 'temperature must be positive, got 0.0'),
        (
            dict(bank_labels=torch.zeros(3).long()),
            'bank must be 57 whole .* got torch.int64 .3.',
        ),
        (dict(bank_labels=torch.full((57,), -1)), 'from 0, got -1'),
        (dict(queries=torch.ones(2, 6)), r'got \[57, 5\] and \[2, 6\]'),
        (dict(queries=torch.full((2, 5), math.nan)), 'queries are not finite'),
    ],
)
def test_mistakes_are_explained(changes: dict, message: str):
    bank, labels, queries = random_problem()
    arguments = dict(bank=bank, bank_labels=labels, queries=queries, k=5)

    with pytest.raises(ValueError, match=message):
        knn_predict(**{**arguments, **changes})


def test_arrays_of_numpy_will_do_and_labels_are_looked_at():
    bank, labels, queries = random_problem()
    truth = torch.randint(4, (len(queries),))
    right = knn_accuracy((bank, labels), (queries, truth), 3)
    arrays = (bank.numpy(), labels.numpy()), (queries.numpy(), truth.numpy())
    assert knn_accuracy(*arrays, 3) == right
    for wrong in (truth.float(), truth[:-1], truth[:, None]):
        with pytest.raises(UserError, match=r'queries must be 13 whole numb'):
            knn_accuracy((bank, labels), (queries, wrong), 3)
    with pytest.raises(UserError, match='no query'):
        knn_accuracy((bank, labels), (queries[:0], truth[:0]), 3)
