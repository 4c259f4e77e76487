"""Which tiles the network finds alike, before and after pretraining."""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from pictures import data_uri
from torch import Tensor
from torch.nn.functional import softmax

from sce_mm.models import SCE
from sce_mm.models.losses.softmax import similarities
from sce_mm.transfer import read_checkpoint
from sce_mm.visualization.page import Tile


def models(cfg: Config, checkpoint: Path) -> tuple[SCE, SCE]:
    """The network as its seed initialises it, and as it was pretrained."""
    built = []
    for weights in (None, checkpoint):
        torch.manual_seed(cfg.randomness.seed)
        # Synchronised batch norm needs several GPUs.
        config = _plain_norm(cfg.model.to_dict())
        model = MODELS.build(config)
        model.init_weights()
        if weights is not None:
            state = read_checkpoint(weights)['state_dict']
            model.load_state_dict(state, strict=True)
        built.append(model.eval())
    return built[0], built[1]


@torch.no_grad()
def embed(model: SCE, images: list[np.ndarray], side: int) -> Tensor:
    """Keys ``[n, D]`` of tiles: what the queue would hold of them."""
    small = [_resized(image, side) for image in images]
    pixels = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)
    batches = []
    for batch in pixels.split(250):
        data = {'inputs': [batch], 'data_samples': None}
        views = model.data_preprocessor(data)['inputs']
        batches.append(model.encode_target(views[0]))
    return torch.cat(batches)


def likeness(
    model: SCE,
    queries: tuple[list[np.ndarray], list[int]],
    bank: tuple[list[np.ndarray], list[int]],
    side: int,
    count: int = 6,
    shown: int = 8,
) -> tuple[list[list[Tile]], float]:
    """Queries, and beside each the bank tiles that its target weighs most.

    Args:
        model: Whose momentum branch compares.
        queries: Tiles and classes.
        bank: Tiles and classes.
        side: Pixels that the network sees.
        count: Queries, of different classes.
        shown: Neighbours of each.

    Returns:
        A row for each query, with the weight of the relation below each
        neighbour, and the share of the relation's weight on the right class
        over all queries, in percent.
    """
    candidates = embed(model, bank[0], side)
    keys = embed(model, queries[0], side)
    temperature = model.head.loss_module.target_temperature
    weights = softmax(similarities(keys, candidates) / temperature, dim=1)
    right = torch.tensor(queries[1])[:, None] == torch.tensor(bank[1])
    rows = []
    for query in _of_different_classes(queries[1], count):
        top = weights[query].topk(shown)
        digit = queries[1][query]
        row = [Tile(data_uri(queries[0][query]), f'a {digit}, never seen')]
        for weight, index in zip(*top, strict=True):
            same = bool(right[query, index])
            note = 'same digit' if same else f'a {bank[1][index]}'
            caption = f'{100 * weight:.1f} %, {note}'
            row.append(Tile(data_uri(bank[0][index]), caption, same))
        rows.append(row)
    share = 100 * (weights * right).sum(dim=1).mean().item()
    return rows, share


def _of_different_classes(labels: list[int], count: int) -> list[int]:
    first = {label: index for index, label in reversed([*enumerate(labels)])}
    return [first[label] for label in sorted(first)][:count]


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    import cv2

    return cv2.resize(image, (side, side))


def _plain_norm(node: object) -> object:
    """Copy of a config with batch norm for one process."""
    if isinstance(node, dict):
        return {k: _plain_norm(v) for k, v in node.items()}
    return 'BN' if node == 'SyncBN' else node
