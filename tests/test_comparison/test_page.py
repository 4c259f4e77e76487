"""What the page of a comparison says follows from its numbers."""

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from sce_mm.comparison import Settings, report
from sce_mm.comparison.differences import Gap
from sce_mm.comparison.facts import Facts
from sce_mm.comparison.pretraining import Start
from sce_mm.comparison.results import pretraining_config
from sce_mm.comparison.summary import RULES, each_part, headline, what_next
from sce_mm.comparison.tables import starts_table
from sce_mm.detection.comparison import Detection
from sce_mm.detection.comparison.examples import (
    CLEAR,
    choose_examples,
    detection_examples,
)

FACTS = Facts(
    measure=Detection.measure,
    maker=Detection.maker,
    source='SCE',
    unlabelled=276,
    percent=10,
    images=20,
    theirs=17.5,
    ours=22.1,
    gap=Gap(4.6, 0.9, 5),
    others={},
    rivals={},
    gains={},
    longer={},
    objects=1.2,
    regions=True,
    regions_tried=True,
    steps=4000,
    seeds=[3, 5, 0, 1, 2],
    pretraining_seeds=[],
)
MEASURED = Detection.measure, Detection.columns
UNSEEN = FACTS._replace(ours=18.0, gap=Gap(0.9, 0.54, 5))
WORSE = FACTS._replace(ours=12.0, gap=Gap(-5.5, 0.72, 5))
NOTHING = FACTS._replace(theirs=0.3, ours=0.2, gap=Gap(-0.1, 0.05, 3))
ONE_SEED = FACTS._replace(gap=Gap(4.6, float('inf'), 1))


@pytest.mark.parametrize(
    ('facts', 'words'),
    [
        (FACTS, 'raises box AP from 17.5 to 22.1.'),
        (WORSE, 'lowers box AP from 17.5 to 12.0'),
        (UNSEEN, 'no difference can be seen beyond the noise of 5 seeds'),
        (NOTHING, 'neither detector has learned anything'),
        (ONE_SEED, 'one seed says nothing about the noise'),
    ],
)
def test_the_headline_claims_what_was_seen(facts, words):
    text = headline(facts)
    assert text.startswith('With 10 % of the labels (20 images), ')
    assert words in text
    assert ('raises' in text) == (facts is FACTS)


def test_larger_parts_with_which_nothing_was_learned_are_said():
    others = {50: Gap(0.0, float('inf'), 1), 100: Gap(0.0, 0.1, 3)}
    facts = NOTHING._replace(others=others, unlearned=[50, 100])
    text = ' '.join(each_part(facts))
    assert text.count('neither detector has learned anything') == 2
    assert 'seed' not in text


LONGER = 'random initialisation, 2 x as long'
CASES = {
    'nothing learned': NOTHING,
    'few seeds': ONE_SEED,
    'longer training is better': FACTS._replace(
        longer={LONGER: {10: Gap(2.0, 0.36, 5)}}
    ),
    'longer training does as well': FACTS._replace(
        longer={LONGER: {10: Gap(0.2, 0.36, 5)}}
    ),
    'another start is better': FACTS._replace(
        rivals={'SCE + dense': Gap(2.0, 0.36, 5)},
        gains={'SCE + dense': Gap(6.6, 0.36, 5)},
    ),
    'worse': WORSE,
    'scenes without regions': UNSEEN._replace(
        objects=13.7, regions_tried=False
    ),
    'short pretraining': UNSEEN._replace(steps=4),
    'too few seeds': UNSEEN,
    'gap too small': UNSEEN._replace(gap=Gap(0.1, 0.54, 5)),
    'gain with few labels only': FACTS._replace(
        others={100: Gap(0.2, 0.36, 5)}
    ),
    'noise with more labels': FACTS._replace(others={100: Gap(2.9, 1.5, 5)}),
    'gain': FACTS,
    'gain, and more to be had': FACTS,
}


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.name)
def test_each_rule_has_a_case_in_which_it_is_shown(rule):
    facts = CASES[rule.name]
    assert rule.applies(facts)
    shown = what_next(facts)
    assert rule.advice(facts) in shown
    assert len(shown) <= 4


def names_of(facts):
    return {rule.name for rule in RULES if rule.applies(facts)}


@pytest.mark.parametrize(
    ('value', 'name'),
    [
        (2.0, 'longer training is better'),
        (0.2, 'longer training does as well'),
        (-2.0, None),
    ],
)
def test_a_longer_training_without_pretraining_is_named_first(value, name):
    facts = FACTS._replace(longer={LONGER: {10: Gap(value, 0.36, 5)}})
    found = {n for n in names_of(facts) if n.startswith('longer')}
    assert found == ({name} if name else set())
    assert (LONGER in what_next(facts)[0]) == (name is not None)
    # What a longer training does better is no reason to pretrain.
    assert ('gain' in names_of(facts)) == (value < 2)


def test_longer_trainings_are_judged_with_each_part_of_the_labels():
    longer = {10: Gap(-2.0, 0.36, 5), 100: Gap(0.3, 0.36, 5)}
    gained = FACTS._replace(
        others={100: Gap(1.5, 0.36, 5)}, longer={LONGER: longer}
    )
    assert 'with 100 % of the labels' in what_next(gained)[0]
    assert 'with 10 %' not in what_next(gained)[0]
    # Without a gain over an equal training there is none to explain.
    unseen = gained._replace(others={100: Gap(0.1, 0.36, 5)})
    assert not {n for n in names_of(unseen) if n.startswith('longer')}


def test_more_pretrainings_are_asked_for_where_these_are_what_varies():
    few = UNSEEN._replace(
        gap=Gap(0.9, 0.4, 6, 3), seeds=range(6), pretraining_seeds=[7, 0, 1]
    )
    text = '\n'.join(what_next(few))
    # The folder has those that stand first.
    assert '--pretraining-seeds 7 0 1 2 3`: fewer' in text
    assert '--seeds 0 1 2 3 4 5 6 7 8 9 --pre' in text
    assert 'noise of' not in text
    text = '\n'.join(what_next(few._replace(gap=Gap(0.9, 0.36, 10, 5))))
    assert 'noise of 5 pretrainings. If it is real' in text


def test_a_rival_is_taken_that_holds_for_all_of_them_and_beats_random():
    name = 'another start is better'
    clear, weak = Gap(2.0, 0.2, 5), Gap(2.0, 0.65, 5)
    same = Gap(0.1, 0.5, 5)
    assert weak.seen
    assert clear.seen
    for gap, gain, others, taken in (
        (clear, clear, 5, True),
        (clear, same, 5, False),
        (weak, clear, 0, True),
        (weak, clear, 5, False),
    ):
        rivals = {'InfoNCE': gap} | dict.fromkeys('abcde'[:others], same)
        facts = FACTS._replace(rivals=rivals, gains=rivals | {'InfoNCE': gain})
        assert (name in names_of(facts)) == taken


def test_a_gain_is_of_few_labels_if_many_exclude_it():
    found = {
        key: names_of(FACTS._replace(others={30: Gap(0.1, 9, 5), 100: gap}))
        & {'gain with few labels only', 'noise with more labels'}
        for key, gap in {
            'less': Gap(0.2, 0.36, 5),
            'hidden': Gap(0.2, 3.0, 5),
            'one seed': Gap(0.2, float('inf'), 1),
            'there too': Gap(4.0, 0.36, 5),
        }.items()
    }
    assert found == {
        'less': {'gain with few labels only'},
        'hidden': {'noise with more labels'},
        'one seed': {'noise with more labels'},
        'there too': set(),
    }


@pytest.mark.parametrize(
    ('value', 'words'),
    [
        (2.0, 'trained 2 x as long reaches 24.1, which is more.'),
        (-0.2, 'trained 2 x as long reaches 21.9, and the noise hides'),
        (-2.0, None),
    ],
)
def test_the_headline_names_a_longer_training_that_is_not_beaten(value, words):
    gap = Gap(value, 0.36, 5)
    facts = FACTS._replace(
        others={100: Gap(1.5, 0.36, 5)}, longer={LONGER: {10: gap, 100: gap}}
    )
    text = headline(facts)
    assert (words or 'to 22.1.') in text
    assert ('2 x as long' in text) == bool(words)
    assert ('2 x as long' in ' '.join(each_part(facts))) == bool(words)


def test_advice_can_be_followed():
    # A folder refuses other options than those that it was made with.
    for case in CASES.values():
        for text in what_next(case):
            if '-options' in text:
                assert 'with another OUT' in text


def test_advice_does_not_contradict_itself():
    for facts in (FACTS, UNSEEN, WORSE, NOTHING, ONE_SEED):
        names = names_of(facts)
        assert names
        assert ('gain' in names) == (facts is FACTS)
        assert not {'too few seeds', 'gap too small'} <= names


def test_examples_are_of_images_with_objects_and_leave_crowds_out():
    def entry(image, crowd=0):
        box = [1, 2, 3, 4]
        return dict(image_id=image, category_id=7, bbox=box, iscrowd=crowd)

    labels = {
        'images': [{'id': i} for i in range(4)],
        'categories': [{'id': 7, 'name': 'cat'}],
        'annotations': [entry(0)] * (CLEAR + 1)
        + [entry(1), entry(1, 1), entry(2, 1)],
    }
    chosen = choose_examples(labels)
    assert [image['id'] for image, _ in chosen] == [1, 0]
    assert [x.box for x in chosen[0][1]] == [(1, 2, 4, 6)]


def test_letters_stand_for_classes_in_their_order(tmp_path):
    """Not in that of a set, which is another one in each process."""
    classes = ['tree', 'cat', 'dog', 'plate', 'rock', 'house', 'lamp', 'bus']
    labels = {'images': [], 'annotations': [], 'categories': []}
    _, text, _ = detection_examples([], labels, tmp_path, classes)
    letters = text.partition('Letters stand for classes: ')[2].rstrip('.')
    assert [word.split(' = ')[1] for word in letters.split(', ')] == classes


class Document(HTMLParser):
    """Elements of a page that have to be closed, its ids and its images."""

    VOID = frozenset({'meta', 'img', 'br'})

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.images = [], Counter(), []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update([attrs['id']] if 'id' in attrs else [])
        if tag == 'img':
            self.images.append(attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def made_up(parts, starts, seeds=3):
    """Results with a little noise."""
    return {
        name: {
            percent: [
                {
                    'seed': seed,
                    'box AP': 20 + number + percent / 4 + seed % 2,
                    'classes': {'<b>cat': 1.0},
                    'checkpoint': 'gone.pth',
                    'iterations': 40,
                    'epochs': 2.0,
                    'seconds': None if seed else 3600,
                    'command': ['sce', 'train', 'a=<b>'],
                    'machine': 'a machine',
                    'threads': 1,
                    'jobs': 2,
                }
                for seed in range(seeds)
            ]
            for percent in parts
        }
        for number, name in enumerate(starts)
    }


SEVEN = (
    'random initialisation',
    'random initialisation, 2 x as long',
    'InfoNCE',
    'relational loss only',
    'SCE',
    'SCE + dense',
    'SCE on whole images',
)


@pytest.mark.parametrize('parts', [(10.0,), (10.0, 100.0)])
@pytest.mark.parametrize('starts', [SEVEN, ('random initialisation', 'SCE')])
def test_the_page_is_whole_without_images(parts, starts, tmp_path):
    (tmp_path / 'configs').mkdir()
    for name in ('data', 'config'):
        (tmp_path / 'configs' / f'{name}.py').write_text('a = "<b>"')
    results = made_up(parts, starts)
    task = Detection(
        Settings(
            out=tmp_path, images=[], pretraining=tmp_path, predictor='',
            train=tmp_path, train_images=tmp_path,
            val=tmp_path, val_images=tmp_path,
        )
    )  # fmt: skip
    task.train = {
        'images': [{'file_name': '0.png'}] * 205,
        'annotations': [0] * 205,
    }
    task.val = {'images': [{'file_name': '0.png'}] * 87}
    task.classes = ['cat']
    comparison = SimpleNamespace(
        task=task,
        out=tmp_path,
        unlabelled=SimpleNamespace(paths=['0.png'] * 276, copies=[]),
        starts={name: [Start(name, 'config', tmp_path)] for name in results},
        pretrainings=dict,
    )
    text = report.as_page(comparison, results)
    document = Document(text)
    assert max(document.ids.values(), default=1) == 1
    assert '<b>' not in text
    for name in starts:
        assert text.count(name) >= 3
    # The plot says in words what it shows, and what its bars are.
    assert 'aria-label' in text
    assert 'standard error' in text
    assert 'no examples of detections' in text
    assert '40 iterations, 2 epochs' in text
    # One file, however many starts have it.
    assert text.count('<summary>config.py') == 1
    assert ('the schedule is longer' in text) == (starts is SEVEN)


def test_nothing_is_tested_where_nothing_was_learned():
    results = made_up((10.0,), SEVEN)
    for runs in results.values():
        for number, run in enumerate(runs[10.0]):
            run['box AP'] = 0.1 * number
    _, lines = starts_table(*MEASURED, results, {})
    column = starts_table(*MEASURED, results, {})[0].index('p')
    assert {line[column] + line[column - 1] for line in lines} == {''}
    texts = report.answers(Detection.measure, results)
    assert len(texts) == 2
    results['SCE'] = {10.0: [r | {'box AP': 9.0} for r in runs[10.0]]}
    assert (
        len(report.answers(Detection.measure, results)) == len(SEVEN) - 1 + 2
    )


def test_times_are_those_of_pretraining_and_detector_if_all_are_known():
    results = made_up((10.0,), ('random initialisation', 'SCE'))
    for run in results['SCE'][10.0]:
        run |= {'seconds': 1800, 'pretraining': 'SCE_1'}
    head, lines = starts_table(
        *MEASURED, results, {'SCE_1': {'seconds': 7200}}
    )
    assert [h for h in head if h.startswith('time of')] == head[-2:]
    assert [line[-2:] for line in lines] == [['', ''], ['2:00:00', '0:30:00']]


@pytest.mark.parametrize('decoded', [True, False])
def test_a_folder_that_was_moved_is_read_where_it_is(tmp_path, decoded):
    before, out = Path('/elsewhere/out'), tmp_path / 'out'
    cached = {'type': 'LoadCachedImage', 'check_source': False}
    cached['cache'] = str(before / 'images')
    dataset = {'ann_file': str(before / 'unlabelled.json')}
    dataset['pipeline'] = [cached, {'type': 'SCEViews'}]
    run = out / 'runs' / 'SCE'
    run.mkdir(parents=True)
    Config({'train_dataloader': {'dataset': dataset}}).dump(run / 'a.py')
    if decoded:
        (out / 'images').mkdir()
    cfg = pretraining_config(out, {'SCE': {'10.0': [{}]}}, 'SCE')
    found = cfg.train_dataloader.dataset
    assert found.ann_file == str(out / 'unlabelled.json')
    if decoded:
        assert found.pipeline[0].cache == str(out / 'images')
    else:
        assert found.pipeline[0] == {'type': 'LoadImage'}
