"""The arithmetic of the estimate, against what can be reckoned by hand."""

import pytest

from sce_mm.analysis import scaling


def test_hours_of_a_schedule():
    assert scaling.hours(3600, epochs=10, images_per_second=5) == 2


@pytest.mark.parametrize(
    ('memory', 'multiple', 'batch'),
    [(1000, 1, 90), (1009, 1, 90), (1010, 1, 91), (1010, 8, 88), (99, 1, 0)],
)
def test_largest_batch(memory, multiple, batch):
    assert scaling.largest_batch(memory, 100, 10, multiple) == batch


def test_rings():
    network = scaling.Network(bandwidth=100, latency=1, overlap=0)
    # Three times a quarter of 400 bytes, there and back.
    assert scaling.all_reduce_seconds(400, 4, network) == 2 * 3 * (1 + 1)
    # Three neighbours' 50 bytes.
    assert scaling.all_gather_seconds(50, 4, network) == 3 * (0.5 + 1)
    for collective in (scaling.all_reduce_seconds, scaling.all_gather_seconds):
        assert collective(1000, 1, network) == 0


def test_a_step_of_two_processes():
    traffic = scaling.Traffic(
        gradients=800,
        keys=50,
        images=200,
        online_norms=[2, 2],
        target_norms=[2],
    )
    network = scaling.Network(bandwidth=100, latency=1, overlap=0.5)
    seconds = scaling.communication(traffic, 2, 6.0, network)
    assert seconds == pytest.approx(
        {
            # 2 x (400 bytes and a message), 3 s of them hidden.
            'gradients': 10 - 3,
            'keys': 1.5,
            'shuffled images': 3,
            # Mean, variance and count thrice; two gradients twice, as sums.
            'batch norm': 3 * 1.2 + 2 * 2 * 1.08,
        }
    )
    hidden = scaling.communication(traffic, 2, 1000.0, network)
    assert hidden['gradients'] == 0
    without = scaling.Traffic(gradients=0, keys=0)
    quiet = scaling.communication(without, 2, 0.0, network)
    assert quiet['shuffled images'] == quiet['batch norm'] == 0


@pytest.mark.parametrize(
    ('numbers', 'words'),
    [
        ((0, 0, 0), 'bandwidth must be above 0, got 0'),
        ((1, -1, 0), 'latency must not be negative, got -1'),
        ((1, 0, 2), 'from 0 to 1, got 2'),
    ],
)
def test_networks_that_cannot_be(numbers, words):
    with pytest.raises(ValueError, match=words):
        scaling.Network(*numbers)
