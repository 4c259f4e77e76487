"""Extract frozen features: one row for each image of a data set."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmengine.dist import all_gather, get_dist_info
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.data import DataLoader

from ..utils.distributed import unwrapped
from ..utils.errors import UserError
from ..utils.progress import track, warn
from ..utils.random_state import preserve_rng
from ..utils.text import listed
from ..utils.workers import OneThread, ShieldedWorker
from .samples import UNREADABLE, NoReplacement, collate

# Features [M, D] and classes [M].
Labelled = tuple[Tensor, Tensor]


def extract_features(
    model: nn.Module,
    dataloader: DataLoader,
    branch: str = 'online',
    labelled: bool = True,
    complete: bool = False,
) -> Labelled:
    """Features of every image, see :func:`visit_features`.

    Returns:
        Features ``[M, D]``, float32, and labels ``[M]``, int64, -1 where
        the data set has none; both on the CPU.
    """
    features, labels = [], []

    def keep(_: Tensor, rows: Tensor, classes: Tensor) -> None:
        features.append(rows)
        labels.append(classes)

    visit_features(model, dataloader, keep, branch, labelled, complete)
    return torch.cat(features), torch.cat(labels)


def visit_features(
    model: nn.Module,
    dataloader: DataLoader,
    visit: Callable[[Tensor, Tensor, Tensor], object],
    branch: str = 'online',
    labelled: bool = True,
    complete: bool = False,
) -> None:
    """Globally average-pooled last feature map of every image, in turn.

    Of the loader only the data set, the batch size and the workers count:
    whatever its sampler, each image is seen once and the rows are in the
    order of the data set. On several processes the batches are dealt out in
    turn, so that each batch, and with it each feature, is the one that a
    single process computes; all processes get all rows.

    Nothing of the model changes: the backbone runs in evaluation mode, which
    leaves batch norm statistics alone, and every module gets back the mode
    it was in. The queue is not involved. The global random generators are
    as before. Autocast is off.

    Args:
        model: A model with ``backbone`` and ``data_preprocessor``, wrapped
            for distributed training or not.
        dataloader: One view per image, packed by ``PackInputs``.
        visit: Called with the numbers ``[m]`` of some images, their features
            ``[m, D]``, float32, and their labels ``[m]``, int64, -1 where
            the data set has none; all on the CPU.
        branch: ``'online'``, or ``'momentum'`` for the momentum encoder.
        labelled: Whether to read classes. Without, an image may have several.
        complete: Whether every image is needed. Otherwise an image that
            cannot be read has no row, and a warning names it.

    Raises:
        UserError: The data set is empty, no image of it can be read, the
            loader has no batch size, or the samples do not fit, see
            :func:`~sce_mm.evaluation.samples.collate`.
        UserError: ``complete``, and an image cannot be read.
    """
    batch_size = dataloader.batch_size
    images = NoReplacement(dataloader.dataset)
    if batch_size is None:
        raise UserError(
            'evaluation makes its own batches: give the dataloader a '
            'batch_size and no batch_sampler'
        )
    backbone = select_backbone(model, branch)
    preprocess = unwrapped(model).data_preprocessor
    done, unreadable = 0, list[int]()
    with (
        torch.no_grad(),
        preserve_rng(),
        evaluation_mode(backbone, preprocess),
    ):
        # Stands in for unreadable images, so that batches keep their shape.
        filler = images.first(f'data set {type(dataloader.dataset).__name__}')
        loader = DataLoader(
            images,
            batch_sampler=batches_of_rank(
                len(images), batch_size, *get_dist_info()
            ),
            num_workers=dataloader.num_workers,
            collate_fn=partial(collate, labelled=labelled, filler=filler),
            # What ends this process ends them; torch takes an end of theirs
            # before that for an error.
            worker_init_fn=OneThread(
                ShieldedWorker(dataloader.worker_init_fn)
            ),
            pin_memory=dataloader.pin_memory,
            multiprocessing_context=dataloader.multiprocessing_context,
        )
        for batch, batch_labels in track(loader, 'Features', len(loader)):
            data = {'inputs': batch, 'data_samples': None}
            inputs = preprocess(data, False)['inputs']
            with torch.autocast(inputs.device.type, enabled=False):
                pooled = pool(backbone(inputs)).float()
            # What the last round was filled up with comes after the last
            # image.
            left = len(images) - done
            rows = torch.cat(_gather_rows(pooled, batch_size))[:left]
            labels = torch.cat(_gather_rows(batch_labels, batch_size))[:left]
            numbers = torch.arange(done, done + len(rows))
            done += len(rows)
            read = labels != UNREADABLE
            unreadable += numbers[~read].tolist()
            visit(numbers[read], rows[read], labels[read])
    if unreadable:
        paths = [images.path(i) for i in unreadable]
        found = f'{len(paths)} of {len(images)} images cannot be read'
        if complete:
            raise UserError(f'{found}; fix or remove them: {listed(paths)}')
        warn(f'{found} and are left out: {listed(paths)}')


def labelled_features(
    model: nn.Module, loader: DataLoader, name: str, branch: str = 'online'
) -> Labelled:
    """Features and classes of the images that can be read.

    Raises:
        UserError: An image has no label; the message has ``name``.
    """
    features, labels = extract_features(model, loader, branch)
    if missing := int((labels < 0).sum()):
        raise UserError(
            f'{missing} of {len(labels)} images of the {name} have no '
            "label: it must be a labelled data set (such as 'LabelledImages' "
            'with one folder per class) whose pipeline ends with '
            "dict(type='PackInputs')"
        )
    return features, labels


def image_features(
    model: nn.Module, dataset: Any, batch_size: int = 64, workers: int = 2
) -> Tensor:
    """Features ``[N, D]`` of all images, in order, on all processes.

    The data set gives one view of each; labels do not count.

    Raises:
        UserError: An image cannot be read: figures of the protocols are of
            all images.
    """
    loader = DataLoader(
        dataset, batch_size, num_workers=workers, collate_fn=collate
    )
    return extract_features(model, loader, labelled=False, complete=True)[0]


def readable_features(
    model: nn.Module, dataset: Any, batch_size: int = 64, workers: int = 2
) -> tuple[list[int], Tensor]:
    """Features ``[M, D]`` of the images that can be read, on all processes.

    A warning names the others. Returned are the numbers of the images in the
    data set, which gives one view of each, and their features.

    Raises:
        UserError: No image can be read.
    """
    numbers, features = [], []

    def keep(found: Tensor, rows: Tensor, _: Tensor) -> None:
        numbers.extend(found.tolist())
        features.append(rows)

    loader = DataLoader(
        dataset, batch_size, num_workers=workers, collate_fn=collate
    )
    visit_features(model, loader, keep, labelled=False)
    return numbers, torch.cat(features)


@contextmanager
def evaluation_mode(*roots: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; then each module has its own mode again.

    ``train()`` would not do: it overrides modules that were frozen in
    evaluation mode, and some backbones do more than switch in it.

    >>> model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3).eval())
    >>> with evaluation_mode(model):
    ...     [module.training for module in model]
    [False, False]
    >>> [module.training for module in model]
    [True, False]
    """
    modes = [(m, m.training) for root in roots for m in root.modules()]
    try:
        for root in roots:
            root.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


def select_backbone(model: nn.Module, branch: str = 'online') -> nn.Module:
    """Backbone of a branch.

    Raises:
        UserError: There is no such branch.
    """
    if branch not in ('online', 'momentum'):
        raise UserError(
            f"branch must be 'online' or 'momentum', got {branch!r}"
        )
    bare = unwrapped(model)
    if branch == 'online':
        return bare.backbone
    if not hasattr(bare, 'momentum_encoder'):
        raise UserError(
            f'{type(bare).__name__} has no momentum encoder: use '
            "branch='online'"
        )
    return bare.momentum_encoder.backbone


def pool(feature_maps: Tensor | Sequence[Tensor]) -> Tensor:
    """``[N, D]`` of what a backbone returns.

    Of several outputs the last counts: ``[N, D, h, w]``, averaged over the
    map, or ``[N, D]`` as it is.

    Raises:
        UserError: The last output has another shape.
    """
    last = (
        feature_maps if isinstance(feature_maps, Tensor) else feature_maps[-1]
    )
    if last.ndim == 4:
        return last.mean(dim=(2, 3))
    if last.ndim == 2:
        return last
    raise UserError(
        'the backbone must give maps [N, D, h, w] or vectors [N, D], got '
        f'{list(last.shape)}: for a transformer set '
        "out_type='cls_token' or 'avg_featmap'"
    )


def batches_of_rank(
    num_samples: int, batch_size: int, rank: int, world_size: int
) -> list[list[int]]:
    """Batches in the order of the data set, dealt out to the processes.

    Each process gets equally many. The last round is filled up with the
    first batches: they come after the last image and can be cut off.

    >>> batches_of_rank(5, 2, rank=0, world_size=2)
    [[0, 1], [4]]
    >>> batches_of_rank(5, 2, rank=1, world_size=2)
    [[2, 3], [0, 1]]
    """
    batches = [
        list(range(start, min(start + batch_size, num_samples)))
        for start in range(0, num_samples, batch_size)
    ]
    rounds = math.ceil(len(batches) / world_size)
    return [
        batches[i % len(batches)]
        for i in range(rank, rounds * world_size, world_size)
    ]


def _gather_rows(rows: Tensor, num_rows: int) -> list[Tensor]:
    """Rows of all processes in rank order, padded to equal length."""
    padding = [0] * (2 * rows.ndim - 1) + [num_rows - len(rows)]
    return [x.cpu() for x in all_gather(pad(rows, padding))]
