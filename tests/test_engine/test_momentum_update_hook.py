"""What the hook refuses at construction, and warns of before training."""

import pytest
from tiny_runner import TinyImages, build_runner, repeated
from torch.utils.data import DataLoader

from sce_mm.engine import MomentumUpdateHook


@pytest.mark.parametrize(
    'momentum',
    [0.99, {'kind': 'cosine', 'start': 0.996, 'end': 1.0}],
)
def test_the_papers_convention_is_refused_with_the_right_number(momentum):
    with pytest.raises(ValueError, match=r'for a decay of 0\.99 write 0\.01'):
        MomentumUpdateHook(momentum)


@pytest.mark.integration
@pytest.mark.parametrize(
    ('images', 'batch', 'length', 'parts'),
    [
        (5, 2, 80, ['80 keys of 5 different', '16 of each', 'queue.length=4']),
        (5, 4, 8, ['1.6 of each', 'model.queue=None', 'in_batch_keys=True']),
        (24, 4, 24, None),
    ],
)
def test_a_queue_longer_than_the_data_set_is_a_warning(
    tmp_path, images, batch, length, parts
):
    runner, _ = build_runner(
        tmp_path,
        train_dataloader=DataLoader(
            repeated(TinyImages(images), 3), batch_size=batch, drop_last=True
        ),
        model={'queue_length': length},
        log_level='WARNING',
        epochs=1,
    )
    runner.train()
    log = (tmp_path / runner.timestamp / f'{runner.timestamp}.log').read_text()
    assert ('own older keys' in log) == bool(parts)
    for part in parts or ():
        assert part in log
