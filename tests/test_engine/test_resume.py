"""Interrupted runs are the uninterrupted ones, wherever they were stopped."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from resumable import PIXELS, regions, run
from tiny import dense_options, pyramid_options
from tiny_runner import Record

from sce_mm.cli.continuation import set_continuation
from sce_mm.engine.runner.changed_settings import changed_settings
from sce_mm.transfer import CheckpointError, read_checkpoint

pytestmark = pytest.mark.integration


class DrawHook(Record):
    """Uses the global generators, as dropout and evaluations do."""

    priority = 'NORMAL'

    def __init__(self):
        super().__init__()
        self.drawn = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.drawn.append(float(torch.rand(())))

    def before_train(self, runner):
        torch.rand(3)


CASES = {
    'plain': {},
    # Five batches an epoch, four a step: steps cross the ends of epochs.
    'accumulation': {'accumulate': 4},
    'workers, multi-crop': {
        'data': {'num_workers': 1, 'persistent_workers': True, 'count': 4}
    },
    'bf16': {
        'optim_wrapper': {
            'type': 'BF16OptimWrapper',
            'optimizer': {'type': 'SGD', 'lr': 0.3, 'momentum': 0.9},
        }
    },
    'by epoch, accumulation': {
        'accumulate': 4,
        'hook': {'by_epoch': True, 'interval': 1},
    },
    'regions, workers': {'regions': 'files', 'data': {'num_workers': 2}},
    'regions of a cache': {'regions': 'cache', 'data': {}},
    'regions of shards': {'regions': 'shards', 'data': {}},
    'places': {
        'model': dense_options(queue_length=48),
        'data': {'boxes': True},
    },
    'places of a pyramid': {
        'model': pyramid_options(queue_length=48),
        'data': {'boxes': True},
    },
    'lars': {
        'optim_wrapper': {
            'type': 'OptimWrapper',
            'optimizer': {'type': 'LARSMoCoV3', 'lr': 1.0},
        }
    },
}


@pytest.mark.parametrize('case', CASES)
def test_resumed_anywhere_is_the_run_that_was_not_interrupted(tmp_path, case):
    model = {'batch_norm': True, 'queue_length': 48}
    options = {'model': model, **CASES[case]}
    if kind := options.pop('regions', None):
        model['data_preprocessor'] = PIXELS
        dataset = regions(tmp_path, kind)
        options['data'] = {**options['data'], 'dataset': dataset}
    draw, again = DrawHook(), DrawHook()
    whole, record = run(tmp_path / 'whole', more=(draw,), **dict(options))
    assert len(record.losses) == 15
    # The last one that lies within an epoch.
    start, file = max(
        (step, file)
        for file in (tmp_path / 'whole').glob('*_*.pth')
        if (step := read_checkpoint(file)['meta']['iter']) % 5 and step < 14
    )
    assert start >= 6
    resumed, rest = run(
        tmp_path / 'resumed', file, more=(again,), seed=1, **dict(options)
    )
    assert rest.losses == record.losses[start:]
    assert again.drawn == draw.drawn[start:]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    for name in ('loss', 'lr'):
        history = [
            runner.message_hub.get_scalar(f'train/{name}').data[0].tolist()
            for runner in (whole, resumed)
        ]
        assert history[0] == history[1]


def log_of(runner):
    return (Path(runner.log_dir) / f'{runner.timestamp}.log').read_text()


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('finished')
    runner, record = run(folder)
    return folder, runner, record


def test_another_batch_size_goes_on_at_the_same_place_and_says_so(
    finished, tmp_path
):
    folder, _, _ = finished
    file = folder / 'iter_8.pth'
    runner, record = run(
        tmp_path, file, data={'batch': 2}, log_level='WARNING'
    )
    # Iteration 3 of 5 in epoch 1 is iteration 6 of 10.
    assert len(record.losses) == 30 - 16
    assert runner.param_schedulers[0].last_step == 30
    log = log_of(runner)
    assert 'batch size 4 -> 2' in log
    assert 'goes on at epoch 1, iteration 16. It cannot be identical' in log


@pytest.mark.parametrize(('before', 'after'), [(4, 2), (2, 4)])
def test_schedules_of_mmengine_go_on_with_the_length_of_this_run(
    tmp_path, before, after
):
    by_iter = {'convert_to_iter_based': True}
    schedules = [
        {'type': 'LinearLR', 'start_factor': 0.1, 'end': 1, **by_iter},
        {'type': 'CosineAnnealingLR', 'begin': 1, 'end': 3, **by_iter},
    ]
    options = {'param_scheduler': schedules, 'log_level': 'WARNING'}
    run(tmp_path / 'before', data={'batch': before}, **options)
    whole, _ = run(tmp_path / 'whole', data={'batch': after}, **options)
    file = tmp_path / 'before' / f'iter_{32 // before}.pth'
    resumed, record = run(
        tmp_path / 'after', file, data={'batch': after}, **options
    )
    assert len(record.losses) == (60 - 32) // after
    for one, other in zip(
        resumed.param_schedulers, whole.param_schedulers, strict=True
    ):
        assert one.last_step == other.last_step
        assert one.end == other.end
    rates = [r.optim_wrapper.get_lr()['lr'][0] for r in (resumed, whole)]
    assert rates[0] == pytest.approx(rates[1], rel=1e-6)
    assert rates[0] > 0


@pytest.mark.parametrize(
    ('kind', 'said'),
    [
        # Of which a checkpoint has the position alone.
        ('WarmupCosineLR', 'from here on 1 setting of the config differs'),
        ('LinearLR', 'not taken, as the checkpoint has the state'),
    ],
)
def test_what_a_schedule_is_told_counts_where_it_follows_the_config(
    kind, said
):
    before, now = (
        Config({'param_scheduler': [{'type': kind, 'end': end}]})
        for end in (1, 2)
    )
    checkpoint = {'meta': {'cfg': before.pretty_text}}
    found = changed_settings(now, checkpoint)
    assert found.startswith(said)
    assert 'param_scheduler.0.end 1 -> 2' in found
    assert changed_settings(before, checkpoint) == ''


def test_a_rate_that_is_not_taken_is_named(finished, tmp_path):
    wrapper = {
        'type': 'OptimWrapper',
        'optimizer': {'type': 'SGD', 'lr': 0.15, 'momentum': 0.9},
    }
    runner, _ = run(
        tmp_path,
        finished[0] / 'iter_8.pth',
        optim_wrapper=wrapper,
        log_level='WARNING',
    )
    assert runner.param_schedulers[0].base_values == [0.3]
    log = log_of(runner)
    assert 'stays that of the checkpoint, 0.3 before its schedule' in log
    assert 'the 0.15 that this run asks for is not taken' in log


@pytest.mark.parametrize('dropped', [False, True])
def test_longer_and_shorter_epochs_go_on_at_the_same_place(tmp_path, dropped):
    lengths = {False: 6, True: 5}
    first, second = (
        {'images': 22, 'drop_last': d} for d in (dropped, not dropped)
    )
    run(tmp_path / 'first', data=first)
    file = tmp_path / 'first' / f'iter_{2 * lengths[dropped]}.pth'
    runner, record = run(
        tmp_path / 'second', file, data=second, log_level='WARNING'
    )
    assert len(record.losses) == lengths[not dropped]
    assert f'epoch length {lengths[dropped]} -> ' in log_of(runner)


def test_checkpoints_of_another_interval_are_found(tmp_path, finished):
    folder, _, whole = finished
    (tmp_path / 'iter_8.pth').write_bytes((folder / 'iter_8.pth').read_bytes())
    _, record = run(tmp_path, 'auto', hook={'by_epoch': True, 'interval': 1})
    assert record.losses == whole.losses[8:]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'epochs': 4},
            'of a run of 3 epochs, and this one has 4.*--continue',
        ),
        ({'model': {'predictor': False}}, 'is of another model than this'),
        (
            {'train_cfg': {'by_epoch': True, 'max_epochs': 3}},
            'within an epoch .iteration 3 of 5.* EpochBasedTrainLoop cannot',
        ),
    ],
)
def test_what_would_not_be_the_same_run_is_refused(
    finished, tmp_path, options, message
):
    folder, _, _ = finished
    with pytest.raises(ValueError, match=message):
        run(tmp_path, folder / 'iter_8.pth', **options)


def test_queues_of_another_length_go_on(tmp_path):
    data = {'boxes': True}
    run(tmp_path / 'long', data=data, model=dense_options(queue_length=48))
    shorter = dense_options(queue_length=32, dense_queue={'length': 120})
    file = tmp_path / 'long/iter_8.pth'
    runner, record = run(
        tmp_path / 'short', file, data, model=shorter, log_level='WARNING'
    )
    assert log_of(runner).count('keys are kept') == 2
    assert len(record.losses) == 15 - 8


def test_a_stripped_file_is_no_run(finished, tmp_path):
    content = read_checkpoint(finished[0] / 'iter_8.pth')
    path = tmp_path / 'stripped.pth'
    torch.save({'state_dict': content['state_dict']}, path)
    with pytest.raises(
        CheckpointError, match=r'optimizer, .*meta\.epoch.*--init-from'
    ):
        run(tmp_path / 'work', path)


def test_a_damaged_newest_file_is_passed_over(tmp_path, finished):
    folder, _, whole = finished
    for name in ('iter_6.pth', 'iter_8.pth', 'last_checkpoint'):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    newest = tmp_path / 'iter_8.pth'
    newest.write_bytes(newest.read_bytes()[:-900])
    (tmp_path / 'last_checkpoint').write_text('moved/iter_8.pth')
    runner, record = run(tmp_path, 'auto', log_level='WARNING')
    assert record.losses == whole.losses[6:]
    assert 'iter_8.pth is damaged or cut short' in log_of(runner)


def test_only_damaged_files_are_refused(tmp_path):
    (tmp_path / 'iter_2.pth').write_bytes(b'x')
    with pytest.raises(
        CheckpointError, match=r'none of the 1 checkpoints in .*\n.*iter_2'
    ):
        run(tmp_path, 'auto')


def test_nothing_to_resume_is_the_beginning(tmp_path, finished):
    (tmp_path / 'last_checkpoint').write_text('gone/iter_2.pth')
    _, record = run(tmp_path, 'auto')
    assert record.losses == finished[2].losses


def continuation(folder, epochs, checkpoint='auto'):
    hooks = {'checkpoint': {'type': 'DurableCheckpointHook'}}
    cfg = Config({'work_dir': str(folder), 'default_hooks': hooks})
    cfg.train_cfg = {'max_epochs': 3}
    set_continuation(cfg, epochs, checkpoint)
    return cfg


def test_a_finished_run_goes_on_for_more_epochs(
    tmp_path, finished, monkeypatch
):
    folder, _, _ = finished
    cfg = continuation(folder, 2)
    assert cfg.load_from == str(folder / 'iter_15.pth')
    extends = cfg.default_hooks.checkpoint.extends
    assert (extends, cfg.train_cfg.max_epochs) == (3, 5)
    _, reference = run(tmp_path / 'five', epochs=5)
    runner, record = run(
        tmp_path / 'more',
        cfg.load_from,
        epochs=5,
        hook={'extends': 3},
        log_level='WARNING',
    )
    assert len(record.losses) == 10
    # Rate and momentum are those of a run of five epochs, from here on.
    for name in ('lr', 'momentum'):
        assert [s[name] for s in record.scalars] == [
            s[name] for s in reference.scalars[15:]
        ]
    assert 'a run of 5 epochs at epoch 2' in log_of(runner)
    # The same command once more, after a kill, finishes the continuation.
    again = continuation(
        tmp_path / 'more', 2, str(tmp_path / 'more' / 'iter_18.pth')
    )
    assert again.default_hooks.checkpoint.extends == 3
    assert again.train_cfg.max_epochs == 5
    # Typed again when it is finished, it makes the run longer once more;
    # started again by torchrun it does not.
    assert continuation(tmp_path / 'more', 2).train_cfg.max_epochs == 7
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    assert continuation(tmp_path / 'more', 2).train_cfg.max_epochs == 5


def test_an_unfinished_run_is_not_continued(finished, tmp_path):
    folder, _, _ = finished
    with pytest.raises(ValueError, match=r'iteration 8 of 15 .* --resume'):
        continuation(folder, 2, str(folder / 'iter_8.pth'))
    with pytest.raises(FileNotFoundError, match='no checkpoint in'):
        continuation(tmp_path, 2)


def test_recursive_schedules_cannot_be_continued(finished, tmp_path):
    scheduler = {'type': 'ConstantLR', 'factor': 1.0, 'by_epoch': False}
    with pytest.raises(ValueError, match='ConstantLR computes each value'):
        run(
            tmp_path,
            finished[0] / 'iter_15.pth',
            epochs=5,
            hook={'extends': 3},
            param_scheduler=scheduler,
        )
