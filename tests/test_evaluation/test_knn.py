"""Laws of the nearest-neighbour search and of the votes."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sce_mm.evaluation import knn_accuracy, knn_predict, nearest
from sce_mm.evaluation import neighbours as neighbours_module


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


@pytest.mark.parametrize('temperature', [0.07, 1.0])
def test_classes_equal_a_loop_in_float64_for_several_k(temperature: float):
    bank, labels, queries = random_problem()

    predicted = knn_predict(bank, labels, queries, (1, 5, 57), temperature)

    assert list(predicted) == [1, 5, 57]
    for k, classes in predicted.items():
        assert classes.tolist() == [
            oracle_class(bank, labels, query, k, temperature)
            for query in queries
        ]


@pytest.mark.parametrize('k', [1, 5, 20])
def test_accuracy_on_real_digits_equals_that_of_scikit_learn(k: int):
    from sklearn.datasets import load_digits
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import normalize

    pixels, labels = load_digits(return_X_y=True)

    def weigh(distances: np.ndarray) -> np.ndarray:
        # Of unit vectors, distance^2 = 2 - 2 cosine.
        return np.exp((1 - distances**2 / 2) / 0.07)

    unit = normalize(pixels)
    peer = KNeighborsClassifier(k, weights=weigh)
    peer.fit(unit[:1000], labels[:1000])

    features, classes = torch.tensor(pixels), torch.tensor(labels)
    accuracy = knn_accuracy(
        features[:1000], classes[:1000], features[1000:], classes[1000:], k
    )

    expected = 100 * peer.score(unit[1000:], labels[1000:])
    assert accuracy == {k: pytest.approx(expected)}


def test_one_neighbour_gives_the_label_of_the_most_similar_entry():
    bank, labels, queries = random_problem()
    unit = torch.nn.functional.normalize
    closest = (unit(queries) @ unit(bank).T).argmax(dim=1)

    predicted = knn_predict(bank, labels, queries, k=1)

    assert predicted[1].equal(labels[closest])


def whole_search(bank: Tensor, queries: Tensor, k: int) -> Tensor:
    """Indices by one stable sort of all similarities, sums in float64."""
    unit = torch.nn.functional.normalize
    similarities = unit(queries).double() @ unit(bank).double().T
    order = similarities.float().sort(dim=1, descending=True, stable=True)
    return order.indices[:, :k]


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What the search says of its own choice in float32, chunk by chunk."""
    told: list[Tensor] = []
    original = neighbours_module._unsure

    def note(*args: Any) -> Tensor:
        told.append(original(*args))
        return told[-1]

    monkeypatch.setattr(neighbours_module, '_unsure', note)
    return told


def test_a_choice_in_float32_is_taken_where_it_is_proved(unsure):
    bank, _, queries = random_problem(bank=3000, queries=70, dim=128)
    indices, _ = nearest(bank, queries, k=20, chunk_size=32)
    assert indices.equal(whole_search(bank, queries, 20))
    assert len(unsure) == 3
    assert not torch.cat(unsure).any()


@pytest.mark.parametrize('spread', [1e-8, 1e-7, 1e-6, 1e-5, 1e-4])
def test_entries_closer_than_float32_can_tell_are_compared_exactly(
    unsure, spread: float
):
    bank, _, queries = random_problem(bank=600, queries=40, dim=256)
    bank = bank[:1] + spread * bank
    indices, similarities = nearest(bank, queries, k=7)
    assert indices.equal(whole_search(bank, queries, 7))
    assert (similarities.diff(dim=1) <= 0).all()
    if spread <= 1e-6:
        assert torch.cat(unsure).all()


def test_less_than_float32_changes_nothing(unsure):
    bank, _, queries = random_problem(bank=300, queries=9, dim=64)
    expected = nearest(bank, queries, k=5)
    assert not torch.cat(unsure).any()
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision('medium')
        with torch.autocast('cpu', torch.bfloat16):
            found = nearest(bank, queries, k=5)
    finally:
        torch.set_float32_matmul_precision(before)
    assert unsure[-1].all()
    assert found[0].equal(expected[0])
    assert found[1].equal(expected[1])


@pytest.mark.parametrize('chunk_size', [1, 4, 13, 1000])
def test_chunk_size_changes_nothing(chunk_size: int):
    bank, _, queries = random_problem()

    whole = nearest(bank, queries, k=20)
    chunked = nearest(bank, queries, k=20, chunk_size=chunk_size)

    assert chunked[0].equal(whole[0])
    assert chunked[1].equal(whole[1])


@pytest.mark.parametrize('block', [1, 7, 19, 57])
def test_comparing_the_bank_in_blocks_changes_nothing(
    block: int, monkeypatch: pytest.MonkeyPatch
):
    bank, _, queries = random_problem()
    bank = torch.cat([bank, bank])  # every entry twice: ties across blocks
    whole = nearest(bank, queries, k=20)

    monkeypatch.setattr(neighbours_module, 'BANK_BLOCK', block)
    blocks = nearest(bank, queries, k=20)

    assert blocks[0].equal(whole[0])
    assert blocks[1].equal(whole[1])


def test_order_of_the_bank_does_not_matter():
    bank, labels, queries = random_problem()
    order = torch.randperm(len(bank), generator=torch.Generator())

    predicted = knn_predict(bank, labels, queries, (3, 10))
    permuted = knn_predict(bank[order], labels[order], queries, (3, 10))

    assert all(predicted[k].equal(permuted[k]) for k in (3, 10))


def test_length_of_the_features_does_not_matter():
    bank, labels, queries = random_problem()
    lengths = torch.rand(len(bank), 1, generator=torch.Generator()) + 0.1

    predicted = knn_predict(bank, labels, queries, 5)
    scaled = knn_predict(bank * lengths, labels, 100 * queries, 5)

    assert predicted[5].equal(scaled[5])


def test_of_equal_entries_the_first_comes_first():
    entry, other = [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    bank = torch.tensor([other, entry, entry, other, entry])

    indices, similarities = nearest(bank, torch.tensor([entry]), k=2)

    assert indices.tolist() == [[1, 2]]
    assert similarities[0, 0] == similarities[0, 1]


def test_collapsed_features_give_the_first_entries():
    bank = torch.ones(500, 64)

    indices, _ = nearest(bank, torch.ones(3, 64), k=5)

    assert indices.tolist() == [[0, 1, 2, 3, 4]] * 3


def test_of_equal_votes_the_lowest_class_wins():
    bank = torch.tensor([[1.0, 0.0], [1.0, 0.0]])

    predicted = knn_predict(bank, torch.tensor([2, 1]), bank[:1], k=2)

    assert predicted[2].tolist() == [1]


def test_a_high_temperature_counts_heads_and_a_low_one_the_nearest():
    bank = torch.tensor([[1.0, 0.0], [0.9, 0.5], [0.9, -0.5]])
    labels, query = torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.01]])

    assert knn_predict(bank, labels, query, 3, 100.0)[3].tolist() == [1]
    assert knn_predict(bank, labels, query, 3, 1e-4)[3].tolist() == [0]


def test_accuracy_is_a_percentage_of_the_queries():
    bank = torch.eye(3)
    labels = torch.arange(3)

    accuracy = knn_accuracy(bank, labels, bank, torch.tensor([0, 1, 0]), k=1)

    assert accuracy == {1: pytest.approx(200 / 3)}


def test_arguments_are_not_written_to():
    problem = random_problem()
    before = [x.clone() for x in problem]

    knn_predict(*problem, k=5)

    assert all(a.equal(b) for a, b in zip(before, problem, strict=True))


def test_no_queries_give_no_classes():
    bank, labels, queries = random_problem()

    assert knn_predict(bank, labels, queries[:0], 5)[5].shape == (0,)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(k=58), 'k = 58 neighbours cannot be taken from a bank of 57'),
        (dict(k=0), 'k must be a positive integer or several, got 0'),
        (dict(k=()), r'k must be a positive integer or several, got \(\)'),
        (dict(temperature=0.0), 'temperature must be positive, got 0.0'),
        (dict(bank_labels=torch.zeros(3).long()), 'got 3 for 57'),
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
