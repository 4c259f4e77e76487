"""Features: what they are, and that taking them changes nothing."""

import io
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_toys import ToyImages, build_model
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from sce_mm.datasets.images.near_duplicates import find_copies
from sce_mm.evaluation import extract_features, nearest
from sce_mm.evaluation.features import (
    batches_of_rank,
    labelled_features,
    pool,
)
from sce_mm.evaluation.samples import NO_LABEL, collate


def loader(size: int = 10, batch_size: int = 4, **kwargs) -> DataLoader:
    return DataLoader(
        ToyImages(size, **kwargs), batch_size, collate_fn=collate
    )


def features_by_hand(backbone: nn.Module, dataset: ToyImages) -> Tensor:
    """One image at a time, normalised and pooled in NumPy."""
    mean = np.array([123.675, 116.28, 103.53]).reshape(3, 1, 1)
    std = np.array([58.395, 57.12, 57.375]).reshape(3, 1, 1)
    rows = []
    for sample in (dataset[i] for i in range(len(dataset))):
        rgb = sample['inputs'].numpy()[::-1]
        image = torch.tensor((rgb - mean) / std, dtype=torch.float32)
        feature_map = backbone(image[None])[-1][0].detach().numpy()
        rows.append(feature_map.reshape(len(feature_map), -1).mean(axis=1))
    return torch.tensor(np.stack(rows))


@pytest.mark.parametrize('branch', ['online', 'momentum'])
def test_features_are_the_pooled_last_map_in_evaluation_mode(branch: str):
    model = build_model()
    for parameter in model.momentum_encoder.parameters():
        parameter.data += 0.01
    data = loader()

    features, labels = extract_features(model, data, branch)

    twin = build_model()
    twin.load_state_dict(model.state_dict())
    twin.eval()
    backbone = {
        'online': twin.backbone,
        'momentum': twin.momentum_encoder.backbone,
    }[branch]
    expected = features_by_hand(backbone, data.dataset)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert (features.dtype, labels.dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize(
    'options',
    [dict(shuffle=True, drop_last=True), dict(num_workers=1)],
)
def test_sampler_and_workers_of_the_loader_do_not_count(options: dict):
    model = build_model()
    other = DataLoader(ToyImages(10), 4, collate_fn=collate, **options)

    features, labels = extract_features(model, other)

    expected_features, expected_labels = extract_features(model, loader())
    assert features.equal(expected_features)
    assert labels.equal(expected_labels)


def test_modes_statistics_queue_and_weights_stay():
    model = build_model().train()
    model.backbone.layer1.eval()  # frozen by hand
    model.backbone.layer2[0].bn1.eval()
    modes = [module.training for module in model.modules()]
    before = {key: x.clone() for key, x in model.state_dict().items()}

    extract_features(model, loader())
    extract_features(model, loader(), branch='momentum')
    with pytest.raises(ValueError, match='views'):
        extract_features(model, loader(views=2))

    after = model.state_dict()
    assert [module.training for module in model.modules()] == modes
    assert all(x.equal(after[key]) for key, x in before.items())
    assert all(p.grad is None for p in model.parameters())


class DrawsEverywhere(ToyImages):
    """A pipeline that uses up all the global generators."""

    def __getitem__(self, index: int) -> dict:
        random.random()
        np.random.rand()
        torch.rand(1)
        return super().__getitem__(index)


def test_global_generators_stay():
    data = DataLoader(DrawsEverywhere(5), 2, shuffle=True, collate_fn=collate)

    def draws() -> tuple[float, float, float]:
        return random.random(), np.random.rand(), torch.rand(1).item()

    seen = []
    for work in (build_model, lambda: extract_features(build_model(), data)):
        for generator in (random.seed, np.random.seed, torch.manual_seed):
            generator(7)
        work()
        seen.append(draws())

    assert seen[0] == seen[1]


def test_autocast_and_memory_layout_outside_do_not_matter():
    model = build_model()
    expected, _ = extract_features(model, loader())

    with torch.autocast('cpu', dtype=torch.bfloat16):
        features, _ = extract_features(model, loader())
    model.to(memory_format=torch.channels_last)
    in_other_layout, _ = extract_features(model, loader())

    assert features.equal(expected)
    torch.testing.assert_close(in_other_layout, expected, atol=1e-5, rtol=1e-4)


def test_images_without_label_are_marked():
    _, labels = extract_features(build_model(), loader(labelled=False))

    assert labels.tolist() == [NO_LABEL] * 10
    with pytest.raises(ValueError, match='10 of 10 images of the bank have'):
        labelled_features(build_model(), loader(labelled=False), 'bank')


@pytest.mark.parametrize('num_samples', [1, 4, 13])
@pytest.mark.parametrize('batch_size', [1, 4])
@pytest.mark.parametrize('world_size', [1, 2, 4])
def test_ranks_in_turn_give_the_order_of_the_data_set(
    num_samples: int, batch_size: int, world_size: int
):
    ranks = [
        batches_of_rank(num_samples, batch_size, rank, world_size)
        for rank in range(world_size)
    ]

    rounds = list(zip(*ranks, strict=True))
    seen = []
    for batch in (batch for batches in rounds for batch in batches):
        # Short batches are padded to full length when they are gathered.
        seen += batch + [None] * (batch_size - len(batch))
    assert seen[:num_samples] == list(range(num_samples))


def test_maps_are_averaged_and_vectors_taken_as_they_are():
    maps = torch.arange(24.0).reshape(2, 3, 2, 2)

    assert pool((torch.zeros(1), maps)).tolist() == [
        [1.5, 5.5, 9.5],
        [13.5, 17.5, 21.5],
    ]
    assert pool(maps[:, :, 0, 0]).equal(maps[:, :, 0, 0])
    with pytest.raises(ValueError, match=r'got \[2, 3, 2\]: for a transf'):
        pool(maps[..., 0])


class OfTwoSizes(ToyImages):
    def __getitem__(self, index: int) -> dict:
        self.side = 16 + index
        return super().__getitem__(index)


class OfSeveralClasses(ToyImages):
    def __getitem__(self, index: int) -> dict:
        sample = super().__getitem__(index)
        sample['data_samples'].set_gt_label([0, 2])
        return sample


@pytest.mark.parametrize(
    ('dataset', 'message'),
    [
        (ToyImages(4, views=2), "'inputs', got 2 views: use a pipeline"),
        ([torch.zeros(3, 4, 4)] * 2, 'got Tensor: use a pipeline without'),
        (OfTwoSizes(4), 'differ in size .* centre crop to one size'),
        (OfSeveralClasses(4), r'has the labels \[0, 2\]: .* one class'),
        (Subset(ToyImages(4), []), 'the data set Subset is empty'),
    ],
)
def test_unusable_data_are_explained(dataset, message: str):
    data = DataLoader(dataset, batch_size=2, collate_fn=collate)

    with pytest.raises(ValueError, match=message):
        extract_features(build_model(), data)


def test_absent_batch_size_and_branches_are_refused():
    model = build_model()
    data = DataLoader(ToyImages(4), batch_sampler=[[0, 1], [2, 3]])
    with pytest.raises(ValueError, match='give the dataloader a batch_size'):
        extract_features(model, data)
    with pytest.raises(ValueError, match="'online' or 'momentum', got 'ema'"):
        extract_features(model, loader(), branch='ema')

    del model.momentum_encoder
    with pytest.raises(ValueError, match='SCE has no momentum encoder'):
        extract_features(model, loader(), branch='momentum')


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    'work',
    [
        lambda: extract_features(build_model(), loader()),
        lambda: nearest(torch.eye(4), torch.eye(4), 3),
        lambda: find_copies([__file__], [__file__]),
    ],
)
def test_long_work_shows_its_progress(
    work: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
):
    # Done of all, and the time it took or that is left.
    bar, line = r'(\d+)/\1\b.*\d:\d\d', r'(\d+) of \1, 0:00:00 left\n'
    for stream, seconds, shown in (
        (Screen(), 30, bar),
        (io.StringIO(), 0, line),
        # In logs short work has none.
        (io.StringIO(), 30, '^$'),
    ):
        monkeypatch.setattr('sys.stderr', stream)
        monkeypatch.setattr('sce_mm.utils.progress.LINE_SECONDS', seconds)
        work()
        assert re.search(shown, stream.getvalue())
