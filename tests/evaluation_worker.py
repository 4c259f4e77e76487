"""What a process of the distributed evaluation test does.

A module of its own, since a spawned process imports it by name.
"""

import torch
from evaluation_toys import ToyImages, build_model
from mmengine.model import MMDistributedDataParallel
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader

from sce_mm.evaluation import evaluate_knn, extract_features
from sce_mm.evaluation.samples import collate

WORLD_SIZE = 2
# Images of the bank and of the query set, in batches of 4.
SIZES = {
    'uneven': (13, 7),
    'even': (16, 8),
    'fewer queries than processes': (9, 1),
}


def evaluate(model: nn.Module) -> dict[str, tuple[Tensor, Tensor, dict]]:
    """Features and labels of the bank and accuracies of each case."""
    results = {}
    for case, (bank_size, query_size) in SIZES.items():
        bank = DataLoader(ToyImages(bank_size), 4, collate_fn=collate)
        query = DataLoader(ToyImages(query_size, 500), 4, collate_fn=collate)
        features, labels = extract_features(model, bank)
        accuracies = evaluate_knn(model, bank, query, k=(1, 5))
        results[case] = features, labels, accuracies
    return results


def work(rank: int, folder: str) -> None:
    """Evaluate on one of the processes and write what it got."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=WORLD_SIZE,
    )
    results = evaluate(MMDistributedDataParallel(build_model()))
    torch.save(results, f'{folder}/rank{rank}.pt')
    distributed.destroy_process_group()
