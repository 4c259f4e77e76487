"""Split batch norm is plain batch norm on each share of the batch."""

import pytest
import torch
from tiny import build, views
from torch import nn

from sce_mm.models.utils.batch_norm import SplitBatchNorm2d, split_batch_norm

CONV = {'type': 'TinyConvNet'}
IN_TWO = {'simulated_devices': 2}


def images(n=12, channels=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shape = n, channels, 3, 4
    return 2 * torch.randn(shape, generator=generator, dtype=dtype) + 1


def plain_and_split(groups, affine=True, momentum=0.1):
    plain = nn.BatchNorm2d(5, affine=affine, momentum=momentum).double()
    if affine:
        torch.manual_seed(0)
        nn.init.normal_(plain.weight)
        nn.init.normal_(plain.bias)
    holder = nn.Sequential(plain)
    assert split_batch_norm(holder, groups) == 1
    return plain, holder[0]


@pytest.mark.parametrize('layout', ['contiguous_format', 'channels_last'])
@pytest.mark.parametrize('affine', [True, False])
@pytest.mark.parametrize('groups', [2, 3])
def test_equals_a_process_for_each_group(groups, affine, layout):
    layout = getattr(torch, layout)
    plain, split = plain_and_split(groups, affine, momentum=0.3)
    devices = [plain_and_split(groups, affine, 0.3)[0] for _ in range(groups)]
    for device in devices:
        device.load_state_dict(plain.state_dict())
    for step in range(3):
        batch = images(seed=step)
        got = split(batch.to(memory_format=layout))
        assert got.is_contiguous(memory_format=layout)
        for group, device in enumerate(devices):
            torch.testing.assert_close(
                got[group::groups], device(batch[group::groups])
            )
    for name in ('running_mean', 'running_var'):
        expected = torch.stack([getattr(d, name) for d in devices]).mean(0)
        torch.testing.assert_close(getattr(split, name), expected)
    assert split.num_batches_tracked == 3
    # Evaluation is plain batch norm with these statistics.
    split.eval()
    plain.load_state_dict(split.state_dict())
    plain.eval()
    assert torch.equal(split(images(n=5)), plain(images(n=5)))


def test_the_momentum_backbone_is_split_and_its_state_is_plain():
    torch.manual_seed(0)
    model = build(backbone=CONV, shuffle_bn=IN_TWO)
    norm = model.momentum_encoder.backbone[1]
    assert isinstance(norm, SplitBatchNorm2d)
    assert type(model.backbone[1]) is nn.BatchNorm2d
    assert not any(
        p.requires_grad for p in model.momentum_encoder.parameters()
    )
    plain = build(backbone=CONV)
    assert list(model.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(model.state_dict())
    model.load_state_dict(plain.state_dict())
    # The keys are those of two halves that do not know of each other.
    view = views(8)[0]
    keys, _ = model.encode_target(view)
    for group in range(2):
        torch.testing.assert_close(
            keys[group::2], plain.encode_target(view[group::2])[0]
        )


def test_a_ragged_batch_is_refused_in_training_only():
    model = build(backbone=CONV, shuffle_bn=IN_TWO)
    with pytest.raises(
        ValueError,
        match=r'batch of 5 images does not split among 2.*drop_last',
    ):
        model.encode_target(views(5)[0])
    model.eval()
    assert model.encode_target(views(5)[0])[0].shape == (5, 4)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'shuffle_bn': {'devices': 8}}, 'shuffle_bn takes simulated_dev'),
        ({'shuffle_bn': {'simulated_devices': 1}}, 'at least 2 .*got 1'),
        (
            {'backbone': {'type': 'TinyConvNet', 'norm': nn.SyncBatchNorm}},
            r"no sense with SyncBN \(backbone.1\).*dict\(type='BN'\)",
        ),
        (
            {'backbone': {'type': 'TinyBackbone'}},
            r'no BatchNorm2d in the backbone \(TinyBackbone\)',
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**{'backbone': CONV, 'shuffle_bn': IN_TWO} | options)


def test_batch_norm_without_statistics_is_refused():
    with pytest.raises(ValueError, match='running statistics and a momentum'):
        split_batch_norm(nn.Sequential(nn.BatchNorm2d(3, momentum=None)), 2)


def test_sync_batch_norm_put_in_later_is_refused():
    model = build(backbone=CONV, shuffle_bn=IN_TWO)
    model.momentum_encoder.check_batches([4, 2])
    with pytest.raises(ValueError, match='batch of 3 images does not split'):
        model.momentum_encoder.check_batches([4, 3])
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    with pytest.raises(ValueError, match='no sync_bn in the config'):
        converted.momentum_encoder.check_batches([4])


def test_shuffling_is_left_out_of_compilation():
    encoder = build(backbone=CONV).momentum_encoder
    encoder.shuffles = True
    compiled = torch.compile(encoder, backend='eager')
    with torch._dynamo.config.patch(error_on_recompile=True):
        keys = [compiled(views(4)[0]) for _ in range(4)]
    assert encoder.shuffle_count == 4
    # One process has all images: their order alone changes.
    for later in keys[1:]:
        torch.testing.assert_close(later, keys[0])
