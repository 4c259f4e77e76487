"""Two processes give what one gives."""

from pathlib import Path

import pytest
import torch
from evaluation_toys import build_model
from evaluation_worker import SIZES, WORLD_SIZE, evaluate, work
from torch import multiprocessing


@pytest.mark.integration
def test_features_and_knn_equal_those_of_one_process(tmp_path: Path):
    multiprocessing.spawn(work, (str(tmp_path),), WORLD_SIZE)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = evaluate(build_model())
    torch.set_num_threads(threads)
    for rank in range(WORLD_SIZE):
        got = torch.load(tmp_path / f'rank{rank}.pt', weights_only=True)
        for case in SIZES:
            features, labels, accuracies = expected[case]
            assert got[case][0].equal(features), case
            assert got[case][1].equal(labels), case
            assert got[case][2] == accuracies, case
