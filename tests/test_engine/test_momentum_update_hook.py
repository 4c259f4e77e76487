"""What the hook refuses at construction."""

import pytest

from sce_mm.engine import MomentumUpdateHook, ScheduledValueHook


@pytest.mark.parametrize(
    'momentum',
    [0.99, -0.01, {'kind': 'cosine', 'start': 0.996, 'end': 1.0}],
)
def test_the_papers_convention_is_refused_with_the_right_number(momentum):
    with pytest.raises(ValueError, match=r'for a decay of 0\.99 write 0\.01'):
        MomentumUpdateHook(momentum)


def test_malformed_schedules_are_refused_at_once():
    with pytest.raises(ValueError, match='cosine phase takes start, end'):
        MomentumUpdateHook({'kind': 'cosine', 'start': 0.01})
    with pytest.raises(ValueError, match='kind must be one of'):
        ScheduledValueHook('head.loss_module.coeff', {'start': 1})
