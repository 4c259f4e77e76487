"""What the hook refuses at construction, and warns of before training."""

import re
from ast import literal_eval

import pytest
from mmengine.config import Config
from mmengine.dataset import default_collate
from tiny import dense_options, samples
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


@pytest.mark.integration
@pytest.mark.parametrize(
    ('images', 'advice'),
    [
        # 32 keys a step: more than half an epoch, half of it, and less.
        (12, 'length=32'),
        (24, 'length=32'),
        (40, 'length=64'),
        # All of one step.
        (8, 'length=32'),
        # No step fits into an epoch.
        (6, 'dense_queue=None'),
    ],
)
def test_the_length_that_a_dense_queue_should_have_is_taken(
    tmp_path, images, advice
):
    def warning_of(model, folder):
        data = TinyImages(images)
        data.samples = samples(images)
        runner, _ = build_runner(
            folder,
            train_dataloader=DataLoader(
                repeated(data, 2), batch_size=8, collate_fn=default_collate
            ),
            model=model,
            log_level='WARNING',
            epochs=1,
        )
        runner.train()
        logs = folder / runner.timestamp / f'{runner.timestamp}.log'
        return re.search(r'dense queue .*--cfg-options (.*)', logs.read_text())

    cfg = Config(
        {
            'model': dense_options(
                num_target_views=1,
                queue_length=8,
                dense_queue={'length': 8 * images},
            )
        }
    )
    found = warning_of(cfg.model.to_dict(), tmp_path / 'long')
    assert advice in found[1]
    options = dict(x.split('=') for x in found[1].split())
    cfg.merge_from_dict({k: literal_eval(v) for k, v in options.items()})
    assert not warning_of(cfg.model.to_dict(), tmp_path / 'short')
