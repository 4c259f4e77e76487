"""Options that make a step faster leave its numbers alone."""

import pytest
from device_laws import check_channels_last, check_compiled_training
from torch._dynamo.utils import counters


def test_channels_last_holds_everywhere_and_changes_nothing():
    check_channels_last()


@pytest.mark.integration
# The compiler warns of what it does itself.
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('places', [False, True])
def test_compiled_training_is_the_same_and_resumes(tmp_path, places):
    counters.clear()
    # The tracing, of the backward pass too, and what it makes of state; code
    # for a processor takes minutes to make.
    check_compiled_training(tmp_path, 'aot_eager', places)
    # Two runs of three graphs, or of six with those around the places: none
    # is compiled again when a schedule or the learning rate moves.
    assert counters['stats']['unique_graphs'] <= (12 if places else 6)
