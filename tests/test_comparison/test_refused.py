"""What a comparison leaves of its folder when it stops before it trains."""

import pytest

from sce_mm.comparison.comparison import Comparison
from sce_mm.utils.errors import UserError


@pytest.mark.parametrize('before', [True, False])
@pytest.mark.parametrize(
    ('step', 'error', 'kept'),
    [
        ('_prepare', UserError, False),
        ('_prepare', KeyError, False),
        ('_prepare', KeyboardInterrupt, True),
        ('_look_at_images', UserError, False),
        ('_look_at_images', KeyError, True),
    ],
)
def test_only_a_folder_that_a_refused_call_has_made_is_removed(
    tmp_path, monkeypatch, step, error, kept, before
):
    def fail(self):
        raise error('x')

    for name in ('_prepare', '_look_at_images'):
        monkeypatch.setattr(Comparison, name, lambda self: {})
    monkeypatch.setattr(Comparison, step, fail)
    comparison = object.__new__(Comparison)
    comparison.out = tmp_path / 'out'
    if before:
        comparison.out.mkdir()
    with pytest.raises(error):
        comparison.run()
    assert comparison.out.exists() == (kept or before)
