"""The comparison of segmentors, through its command line, on tiny masks."""

import json
import re

import cv2
import numpy as np
import pytest
import torch
from image_files import smooth_noise
from recipes import TINY_COMPARISON

from sce_mm.comparison import Settings, report
from sce_mm.config.errors import ConfigError
from sce_mm.downstream import AdaptError, ConfigEdits, load_base
from sce_mm.segmentation.class_iou_metric import ClassIoUMetric
from sce_mm.segmentation.comparison import Segmentation
from sce_mm.segmentation.comparison.examples import choose_examples

# What mmseg's own configs do not set.
pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')
# Joined data sets of mmseg, whose batch is in the name.
SEGMENTOR = """
_base_ = 'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py'
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(depth=18, base_channels=16, stem_channels=16),
    decode_head=dict(in_channels=128, channels=8),
    auxiliary_head=dict(in_channels=64, channels=8),
)
for part in _base_.train_dataloader.dataset.datasets:
    part.pipeline[2].scale = part.pipeline[3].crop_size = (64, 64)
    part.pipeline[6].size = (64, 64)
_base_.val_dataloader.dataset.pipeline[1].scale = (64, 64)
_base_.test_dataloader.dataset.pipeline[1].scale = (64, 64)
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
"""
CLASSES = ['ground', 'cup', '<b>jar']


def labelled(folder, name, count, random):
    """Images of smooth noise with a rectangle or two, and their masks."""
    for part in (name, f'{name}_masks'):
        (folder / part).mkdir(parents=True)
    for index in range(count):
        image = smooth_noise(random)
        mask = np.zeros((64, 64), np.uint8)
        for number, left in ((1, 4), (2, 36))[: 1 + index % 2]:
            top = int(random.integers(0, 30))
            box = np.s_[top : top + 30, left : left + 24]
            image[box] = (90 * number, 250 - 90 * number, 40)
            mask[box] = number
        mask[60:] = 255
        cv2.imwrite(str(folder / name / f'{index}.png'), image)
        cv2.imwrite(str(folder / f'{name}_masks' / f'{index}.png'), mask)


@pytest.fixture
def words(root, tmp_path):
    """Arguments of a comparison of two trainings."""
    random = np.random.default_rng(0)
    labelled(tmp_path, 'train', 8, random)
    labelled(tmp_path, 'val', 4, random)
    labelled(tmp_path, 'free', 8, random)
    leak = cv2.imread(str(tmp_path / 'val' / '2.png'))[:, ::-1]
    cv2.imwrite(str(tmp_path / 'free' / 'leak.jpg'), leak)
    config = tmp_path / 'fcn_4xb4-tiny.py'
    config.write_text(SEGMENTOR)
    recipe = root / 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
    return [
        str(tmp_path / 'out'),
        *('--images', str(tmp_path / 'free')),
        *('--train', str(tmp_path / 'train_masks')),
        *('--train-images', str(tmp_path / 'train')),
        *('--val', str(tmp_path / 'val_masks')),
        *('--val-images', str(tmp_path / 'val')),
        *('--classes', *CLASSES, '--image-suffix', '.png'),
        *('--segmentor', str(config), '--pretraining', str(recipe)),
        *('--percent', '50', '100', '--threads', '1'),
        *TINY_COMPARISON,
    ]


@pytest.mark.integration
def test_from_masks_to_one_table(words, run_compare, tmp_path, capsys):
    words[1:1] = ['--regions', '32']
    run_compare(words)
    said = capsys.readouterr().out
    assert '1 of 9 unlabelled images are validation images' in said
    assert '| SCE | 50 % |' in said
    out = tmp_path / 'out'
    results = json.loads((out / 'results.json').read_text())['results']
    logs = {
        name: next((out / 'runs' / f'{name}_50pct_seed0').glob('*/*.log'))
        for name in ('random-initialisation', 'SCE')
    }
    arrived = 'transfer verified: 120/120 tensors'
    assert arrived in logs['SCE'].read_text()
    assert arrived not in logs['random-initialisation'].read_text()
    for start in ('random initialisation', 'SCE'):
        for run in results[start]['50.0'] + results[start]['100.0']:
            ious = run['classes']
            assert list(ious) == CLASSES
            mean = np.mean([iou for iou in ious.values() if iou is not None])
            assert run['mIoU'] == pytest.approx(mean, abs=0.01)
    # Parts contain each other, and all trainings take the same.
    half, whole = (
        (out / 'labels' / name).read_text().split()
        for name in ('train.0@50.txt', 'train.txt')
    )
    assert len(half) == 4
    assert set(half) < set(whole) == set(map(str, range(8)))
    page = (out / 'report.html').read_text()
    assert '<b>jar' not in page
    assert 'could not be made' not in page
    # The examples are all four images, as they were evaluated.
    shares = re.findall(r'<figcaption>SCE: (\d+)\s%\sof the pixels', page)
    assert np.mean(list(map(int, shares))) == pytest.approx(
        results['SCE']['50.0'][0]['aAcc'], abs=1
    )
    assert 'IoU of each class' in page
    assert 'detector' not in page.split('<details')[0]
    # What is done is not done again, and other masks are refused.
    run_compare(words)
    assert 'sce train' not in capsys.readouterr().out
    mask = cv2.imread(str(tmp_path / 'val_masks' / '1.png'), 0)
    cv2.imwrite(str(tmp_path / 'val_masks' / '1.png'), mask[::-1])
    with pytest.raises(ConfigError, match='of other --val, --segmentor-o'):
        run_compare([*words, '--segmentor-options', 'train_cfg.max_iters=3'])


def test_all_that_is_wrong_with_masks_is_said_at_once(
    words, run_compare, tmp_path
):
    (tmp_path / 'train_masks' / '3.png').unlink()
    mask = np.full((64, 64), 7, np.uint8)
    cv2.imwrite(str(tmp_path / 'val_masks' / '1.png'), mask)
    file = str(tmp_path / 'val' / '1.png')
    same = ['--weights', 'S*E', file, '--weights', 'S+E', file]
    with pytest.raises(ConfigError) as error:
        run_compare([*words, *same])
    for named in (
        'train_masks: expected a mask for each image',
        'val_masks: expected 0 to 2 for the 3 classes',
        '--weights, --variant: names must differ',
    ):
        assert named in str(error.value)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('more', 'named'),
    [
        (['--classes', 'cup', 'cup'], '--segmentor takes --classes'),
        (['--regions', 'auto'], '--regions auto goes by boxes'),
        (['--variant', 'x', 'regions=auto'], '--regions auto goes by boxes'),
        (['--detector-options', 'a=1'], '--detector-options goes with'),
        (['--detector', 'x.py'], 'not allowed with argument --segmentor'),
        (['--mask-suffix', ''], '--mask-suffix is empty'),
    ],
)
def test_wrong_options_are_named(words, run_compare, more, named, capsys):
    with pytest.raises(SystemExit) as stop:
        run_compare([*words, *more])
    assert stop.value.code == 2
    assert named in capsys.readouterr().err


def test_folders_without_images_are_named(words, run_compare, tmp_path):
    place = words.index('--train') + 1
    words[place] = str(tmp_path / 'nowhere')
    words[words.index('--image-suffix') + 1] = '.tif'
    with pytest.raises(ConfigError) as error:
        run_compare(words)
    assert '--train: there is no folder' in str(error.value)
    assert '*.tif' in str(error.value)
    assert '(--image-suffix)' in str(error.value)


@pytest.fixture
def task(tmp_path):
    """The masks of a folder, once they are read; ``0`` does not count."""
    random = np.random.default_rng(0)
    labelled(tmp_path, 'train', 20, random)
    labelled(tmp_path, 'val', 4, random)
    settings = Settings(
        predictor='mmseg::fcn/fcn_r50-d8_4xb4-80k_ade20k-512x512.py',
        pretraining=tmp_path, images=[], out=tmp_path / 'out',
        train=tmp_path / 'train_masks', train_images=tmp_path / 'train',
        val=tmp_path / 'val_masks', val_images=tmp_path / 'val',
    )  # fmt: skip
    task = Segmentation(settings, ['cup', 'jar'], '.png', '.png', True)
    assert task.read() == []
    return task


def test_parts_of_a_seed_contain_the_smaller_ones(task):
    def part(percent, seed):
        return task.labels(percent, seed).read_text().splitlines()

    small, large = set(part(10, 1)), set(part(45, 1))
    assert (len(small), len(large), len(part(100, 1))) == (2, 9, 20)
    assert small < large
    assert set(part(45, 2)) != large


def test_nothing_is_learned_by_giving_all_pixels_one_class(task):
    """Its mIoU is not near zero where one class has most pixels."""
    metric = ClassIoUMetric()
    metric.dataset_meta = {'classes': task.classes}
    for name in task.pixels['val']:
        mask = cv2.imread(str(task.settings.val / f'{name}.png'), 0)
        truth = torch.from_numpy(mask.astype(np.int64) - 1)
        truth[(truth < 0) | (truth > 1)] = 255
        sample = {
            'gt_sem_seg': {'data': truth},
            'pred_sem_seg': {'data': torch.zeros_like(truth)},
        }
        metric.process({}, [sample])
    found = metric.evaluate(4)
    assert task.measure.least == pytest.approx(found['mIoU'] + 1, abs=0.01)
    assert found['IoU/jar'] == 0


def test_a_config_is_pointed_at_masks_as_they_are_counted(task):
    edits = ConfigEdits(load_base(task.config)[0])
    task.use_labels(edits)
    assert edits.get('model.decode_head.num_classes') == 2
    assert edits.get('model.auxiliary_head.num_classes') == 2
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = edits.get(f'{loader}.dataset')
        assert dataset['reduce_zero_label']
        # The step takes it from the data set.
        assert 'reduce_zero_label' not in str(dataset['pipeline'])
    assert edits.get('val_evaluator.type') == 'ClassIoUMetric'


def test_weights_of_classes_that_are_no_more_are_refused(task):
    cfg = load_base(task.config)[0]
    loss = cfg.model.decode_head.loss_decode
    loss.class_weight = [1.0] * 150
    edits = ConfigEdits(cfg)
    task.use_labels(edits)
    where = 'model.decode_head.loss_decode.class_weight'
    assert edits.get(where) == [1.0, 1.0]
    loss.class_weight[3] = 2.0
    with pytest.raises(AdaptError, match='weight for each of 150 classes'):
        task.use_labels(ConfigEdits(cfg))


def test_examples_of_several_classes_come_first():
    pixels = {str(n): np.array([9, n % 2, 0]) for n in range(4)}
    chosen = choose_examples(pixels)
    assert {int(name) % 2 for name in chosen[:2]} == {1}
    assert sorted(chosen) == sorted(pixels)


def test_sentences_name_the_segmentor_and_its_metric(task):
    results = {
        name: {
            100.0: [
                {'seed': seed, 'mIoU': value + seed % 2, 'classes': {}}
                for seed in range(3)
            ]
        }
        for name, value in {'random initialisation': 70, 'SCE': 80}.items()
    }
    first, test = report.answers(task.measure, results)
    assert 'SCE reaches 80.3 mIoU' in first
    for run in results['SCE'][100] + results['random initialisation'][100]:
        run['mIoU'] = task.measure.least - 0.5
    first, test = report.answers(task.measure, results)
    assert 'no segmentor from' in first
    assert '; one class for all pixels has' in first
    assert 'No segmentor has learned' in test


@pytest.mark.integration
def test_data_sets_and_metric_are_used_once(task, tmp_path, capsys):
    (tmp_path / 'fcn_4xb4-tiny.py').write_text(SEGMENTOR)
    source = load_base(str(tmp_path / 'fcn_4xb4-tiny.py'))[0]

    def check(*options):
        edits = ConfigEdits(source)
        task.use_labels(edits)
        edits.cfg.work_dir = str(tmp_path / 'runs')
        task.options = options
        return task.check(edits.cfg, [task.labels(10, 0)])

    assert list(check().values()) == [1]
    assert 'IoU' not in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r'--segmentor-options.*trian_cfg'):
        check('trian_cfg.max_iters=1')
    with pytest.raises(ConfigError, match=r'val_evaluator.*no_such_metric'):
        check('val_evaluator.iou_metrics=no_such_metric')
    with pytest.raises(ConfigError, match=r'decode_head.num_classes: 9, but'):
        check('model.decode_head.num_classes=9')
    with pytest.raises(ConfigError, match=r'train\.0@10\.txt'):
        check('train_dataloader.dataset.img_suffix=.tif')
