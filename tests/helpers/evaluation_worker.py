"""What a process of the distributed evaluation test does.

A module of its own, since a spawned process imports it by name.
"""

from typing import Any

import torch
from evaluation_toys import ToyImages, build_model
from mmengine.model import MMDistributedDataParallel
from torch import distributed, nn
from torch.utils.data import DataLoader

from sce_mm.evaluation import evaluate_knn, extract_features, image_features
from sce_mm.evaluation.protocols.linear_transfer_data import Split
from sce_mm.evaluation.protocols.voc_svm import full_svm, low_shot_svm
from sce_mm.evaluation.samples import collate
from sce_mm.utils.distributed import map_distributed

WORLD_SIZE = 2
# Images of the bank and of the query set, in batches of 4.
SIZES = {
    'uneven': (13, 7),
    'even': (16, 8),
    'fewer queries than processes': (9, 1),
}


def evaluate(model: nn.Module) -> dict[str, Any]:
    """Features and labels of the bank and accuracies of each case."""
    results = {}
    for case, (bank_size, query_size) in SIZES.items():
        bank = DataLoader(ToyImages(bank_size), 4, collate_fn=collate)
        query = DataLoader(ToyImages(query_size, 500), 4, collate_fn=collate)
        features, labels = extract_features(model, bank)
        accuracies = evaluate_knn(model, bank, query, k=(1, 5))
        results[case] = features, labels, accuracies
    return results


def evaluate_svm(model: nn.Module) -> dict[str, float]:
    """Full and low-shot mAP on 19 and 11 images, in batches of 4."""
    parts = []
    for size, offset in ((19, 0), (11, 500)):
        images = ToyImages(size, offset)
        features = image_features(model, images, 4, 0).numpy()
        labels = torch.arange(size) % images.NUM_CLASSES
        targets = torch.nn.functional.one_hot(labels).bool().numpy()
        parts.append(Split(features.astype('float64'), targets))
    return {
        'full': full_svm(*parts),
        'low-shot': low_shot_svm(*parts, shots=2, runs=3),
    }


def squares(count: int) -> list[int]:
    """Work that is shared."""
    return map_distributed(lambda x: x * x, range(count))


def work(rank: int, folder: str) -> None:
    """Evaluate on one of the processes and write what it got."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=WORLD_SIZE,
    )
    model = MMDistributedDataParallel(build_model())
    results = evaluate(model)
    results['svm'] = evaluate_svm(model)
    results['squares'] = [squares(count) for count in range(6)]
    torch.save(results, f'{folder}/rank{rank}.pt')
    # Nobody leaves while another one may still wait for what it sent.
    distributed.barrier()
    distributed.destroy_process_group()
