"""What comparisons on real images found, kept beside what is there."""

import importlib.util

import pytest

from sce_mm.utils.errors import UserError


@pytest.fixture
def joined(root):
    path = root / 'tools' / 'dev' / 'evidence.py'
    spec = importlib.util.spec_from_file_location('evidence', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.joined


def report(start, values):
    runs = [{'seed': seed, 'box AP': ap} for seed, ap in values.items()]
    name = f'{start}_pretraining0'
    return {'results': {start: {'10.0': runs}}, 'pretrainings': {name: {}}}


def test_starts_and_seeds_of_both_are_kept(joined):
    both = joined(report('SCE', {0: 3.0, 2: 5.0}), report('SCE', {1: 4.0}))
    aps = [run['box AP'] for run in both['results']['SCE']['10.0']]
    assert aps == [3.0, 4.0, 5.0]
    both = joined(both, report('InfoNCE', {0: 1.0}))
    assert [*both['results']] == ['SCE', 'InfoNCE']
    assert len(both['pretrainings']) == 2


def test_figures_of_another_machine_are_not_put_into_one_table(joined):
    with pytest.raises(UserError, match=r'0: box AP is 3\.1, and 3\.0 is'):
        joined(report('SCE', {0: 3.0}), report('SCE', {0: 3.1}))
