"""The loss between places: oracle in loops, what is kept, what is refused."""

import numpy as np
import pytest
import reference
import torch
from dispatch import Watch
from mmengine.optim import build_optim_wrapper
from tiny import (
    HALF,
    TinyMapNet,
    build,
    build_dense,
    dense_options,
    pyramid_options,
    samples,
    views,
)

from sce_mm.models import SCELoss
from sce_mm.models.heads.dense_sce_head import spread_step
from sce_mm.models.utils.correspondence import sample

N, GRID = 5, 3


def maps(branch, images, level):
    """All maps of one branch that places are taken from, ``[C, h, w]``."""
    outputs = branch.backbone(images)
    chosen = [outputs[level]]
    if branch.pyramid is not None:
        chosen = branch.pyramid(outputs)
    return [[x.numpy() for x in image] for image in zip(*chosen, strict=True)]


def place(levels, y, x):
    """Mean of all maps of an image at a place."""
    return np.mean([reference.bilinear(m, y, x) for m in levels], axis=0)


def oracle(model, inputs, boxes):
    """The dense loss, one image and one point after the other."""
    targets = min(2, model.num_target_views)
    head, momentum = model.dense_head, model.momentum_encoder
    loss = head.loss_module
    settings = loss.temperature, loss.target_temperature, loss.coeff
    queue = model.dense_queue.features.numpy()
    with torch.no_grad():
        online = [maps(model, x, head.level) for x in inputs]
        target = [maps(momentum, x, head.level) for x in inputs]

        def query(row):
            (row,) = model.dense_neck((torch.as_tensor(row)[None],))
            return reference.unit(head.predictor((row,))[0].numpy())[0]

        def key(row):
            (row,) = momentum.dense_neck((torch.as_tensor(row)[None],))
            return reference.unit(row.numpy())[0]

        terms, shared_images = [], 0
        for i, image in enumerate(boxes):
            *places, shared = reference.shared_places(
                image[0], image[1], GRID, head.min_overlap
            )
            shared_images += shared
            for t in range(targets):
                for v in range(2):
                    if v == t:
                        continue
                    for here, there in zip(places[v], places[t], strict=True):
                        q = query(place(online[v][i], *here))
                        k = key(place(target[t][i], *there))
                        term = reference.sce_loss([q], [k], queue, *settings)
                        terms.append(term if shared else 0.0)
    return float(np.mean(terms)), shared_images / len(boxes)


@pytest.mark.parametrize(
    ('targets', 'options'),
    [(1, {}), (2, {}), (1, pyramid_options()), (2, pyramid_options())],
    ids=['asymmetric', 'symmetric', 'asymmetric, pyramid', 'pyramid'],
)
def test_loss_and_gradient_equal_the_loop_oracle(targets, options):
    model = build_dense(num_target_views=targets, **options).double()
    inputs = [x.double() for x in views(N)]
    found = samples(N, seed=4)
    boxes = [x.view_boxes for x in found]
    losses = model.loss(inputs, found)
    expected, shared = oracle(model, inputs, boxes)
    assert 0 < shared < 1, 'one image of each kind'
    assert losses['dense_shared'].item() == pytest.approx(shared)
    assert losses['dense_sce'].item() == pytest.approx(expected, rel=1e-10)
    total = losses['global_sce'] + 0.5 * losses['dense_sce']
    torch.testing.assert_close(losses['loss'].detach(), total)
    # The gradient of the map's first layer, by differences of the oracle.
    bias = model.backbone.first.bias
    nothing = {'loss': torch.zeros((), dtype=torch.float64)}
    model.head.loss = lambda *_: nothing
    model.eval()
    model.loss(inputs, found)['loss'].backward()
    step = 1e-5
    for number in (0, 3):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                bias[number] += sign * step
            values.append(oracle(model, inputs, boxes)[0])
            with torch.no_grad():
                bias[number] -= sign * step
        slope = 0.5 * (values[0] - values[1]) / (2 * step)
        assert bias.grad[number].item() == pytest.approx(slope, rel=1e-5)


def test_the_gradient_of_a_map_is_right():
    model = build_dense(num_target_views=1).double()
    head, boxes = model.dense_head, [x.view_boxes for x in samples(2, seed=4)]
    (_, points), weights = head.locate(torch.tensor(np.stack(boxes)).double())
    keys = torch.nn.functional.normalize(torch.randn(2 * GRID**2, 5), dim=1)

    def loss(features):
        (rows,) = model.dense_neck((sample(features, points).flatten(0, 1),))
        return head.loss(
            [None, head(rows)],
            [keys.double()],
            [keys.double()],
            model.dense_queue.features,
            weights=weights,
        )['loss']

    features = torch.randn(2, 6, 4, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(loss, features.requires_grad_())


def test_weights_leave_out_rows_and_not_their_share(unit_rows):
    queries, keys = unit_rows(4, 6), unit_rows(4, 6, 1)
    queue, weights = unit_rows(9, 6, 2), torch.tensor([1.0, 0, 1, 0])
    module = SCELoss()
    pairs = [(0, 0), (0, 0)]
    plain = module([queries[::2]], [keys[::2]], pairs, queue)
    weighted = module([queries], [keys], pairs, queue, weights=weights)
    for name in ('loss', 'contrastive', 'relational', 'target_entropy'):
        torch.testing.assert_close(weighted[name], plain[name] / 2)


def test_images_whose_crops_are_apart_give_no_gradient_but_real_keys():
    model = build_dense(num_target_views=1)
    found = samples(3)
    for x in found:
        x.view_boxes[:] = [[0, 0, 10, 10, 0], [20, 30, 10, 10, 0]]
    losses = model.loss(views(3), found)
    assert losses['dense_shared'] == losses['dense_sce'] == 0
    losses['loss'].backward()
    # DistributedDataParallel stops at a parameter without a gradient.
    dense = [*model.dense_neck.parameters(), *model.dense_head.parameters()]
    assert all((p.grad == 0).all() for p in dense)
    model.after_optimizer_step(0.1)
    # Those of the lattice over the target's own crop.
    assert model.dense_queue.filled == 3 * 4
    centre = (torch.arange(GRID) + 0.5) / GRID
    features = model.momentum_encoder.backbone(views(3)[0])[0].numpy()
    place = [centre[i].item() for i in divmod(0, GRID)]
    row = torch.as_tensor(reference.bilinear(features[0], *place)).float()
    (key,) = model.momentum_encoder.dense_neck((row[None],))
    torch.testing.assert_close(
        model.dense_queue.features[0],
        torch.nn.functional.normalize(key, dim=1)[0],
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_backbone_sees_each_view_once():
    model = build_dense(num_target_views=2)
    calls = []
    for branch in (model, model.momentum_encoder):
        branch.backbone.register_forward_hook(lambda *_: calls.append(1))
    model.loss(views(4, 4), samples(4, 4))
    assert len(calls) == 4 + 2


def test_momentum_branch_has_a_copy_that_follows():
    model = build_dense()
    own = model.momentum_encoder.dense_neck
    assert torch.equal(own.fc.weight, model.dense_neck.fc.weight)
    with torch.no_grad():
        model.dense_neck.fc.weight += 1
    before = own.fc.weight.clone()
    model.after_optimizer_step(0.25)
    torch.testing.assert_close(own.fc.weight, before + 0.25)
    assert not own.fc.weight.requires_grad
    assert 'dense_queue.features' in model.state_dict()


def test_a_pyramid_learns_at_every_level_and_its_copy_follows():
    model = build_dense(**pyramid_options())
    own = model.momentum_encoder.pyramid
    model.loss(views(6), samples(6))['loss'].backward()
    assert all(p.grad.any() for p in model.pyramid.parameters())
    assert not any(p.requires_grad for p in own.parameters())
    before = [p.clone() for p in own.parameters()]
    with torch.no_grad():
        for parameter in model.pyramid.parameters():
            parameter += 1
    model.after_optimizer_step(0.25)
    for parameter, old in zip(own.parameters(), before, strict=True):
        torch.testing.assert_close(parameter, old + 0.25)


def test_each_image_keeps_other_points_and_none_twice():
    for grid, count in ((3, 4), (4, 4), (4, 8), (4, 16), (7, 5)):
        points = grid**2
        step = spread_step(points, count)
        chosen = {number * step % points for number in range(count)}
        assert len(chosen) == count
        head = build_dense(
            dense_head={'grid': grid, 'keys_per_image': count}
        ).dense_head
        numbers = torch.arange(2.0 * points)[:, None]
        kept = head.keys_to_keep([numbers]).flatten().split(count)
        assert all(len(set(x.tolist())) == count for x in kept)
        assert (kept[0] < points).all()
        assert (kept[1] >= points).all()
        assert {int(x) % points for x in kept[1]} == {
            (x + 1) % points for x in chosen
        }


def test_accumulated_keys_lie_as_those_of_the_large_batch():
    one, many = build_dense(), build_dense()
    large, found = views(8), samples(8)
    many.micro_batches_per_step = 2
    one.loss(large, found)
    for half in (slice(0, 4), slice(4, 8)):
        many.loss([x[half] for x in large], found[half])
    one.after_optimizer_step(0.1)
    many.after_optimizer_step(0.1)
    torch.testing.assert_close(
        one.dense_queue.features, many.dense_queue.features
    )


@pytest.mark.parametrize('dtype', HALF, ids=str)
def test_rows_have_length_one_under_autocast(dtype):
    model = build_dense()
    with torch.autocast('cpu', dtype):
        loss = model.loss(views(6), samples(6))['loss']
    model.after_optimizer_step(0.01)
    rows = model.dense_queue.features
    assert rows.dtype is loss.dtype is torch.float32
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))


def test_no_step_waits():
    model = build_dense()
    optim_wrapper = build_optim_wrapper(
        model, {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 1}}
    )
    data = {'inputs': views(6), 'data_samples': samples(6)}
    with Watch() as watch:
        for _ in range(2):
            model.train_step(data, optim_wrapper)
            model.after_optimizer_step(0.01)
    assert watch.reads == []


def test_what_is_logged():
    losses = build_dense().loss(views(6), samples(6))
    assert [k for k in losses if 'loss' in k] == ['loss']
    assert all(not v.requires_grad for k, v in losses.items() if k != 'loss')
    dense = {name for name in losses if name.startswith('dense_')}
    of_images = set(losses) - dense - {'loss', 'global_sce'}
    expected = {f'dense_{name}' for name in of_images}
    assert dense == expected | {'dense_sce', 'dense_shared'}


NECK = dense_options()['dense_neck']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'dense_neck': None}, 'dense_neck, dense_head .* belong together'),
        ({'dense_queue': None}, 'dense_queue.*needs something to compare'),
        ({'dense_queue': {'size': 4}}, 'dense_queue takes length and dim'),
        (
            {'dense_neck': NECK | {'in_channels': 8}},
            'dense_neck.in_channels is 8, .* of width 6',
        ),
        (
            {'dense_queue': {'length': 80, 'dim': 4}},
            'dense_queue.dim is 4, .* of width 5',
        ),
        ({'dense_head': {'level': 2}}, 'level=2 is no feature map'),
        ({'dense_head': {'grid': 0}}, 'grid must be an integer >= 1'),
        (
            {'dense_head': {'keys_per_image': 10}},
            r'keys_per_image must be an integer in \[1, 9\]',
        ),
        ({'dense_head': {'min_overlap': 2}}, 'min_overlap must be a number'),
        (
            {
                'dense_neck': {
                    'type': 'NonLinearNeck',
                    'in_channels': 6,
                    'hid_channels': 4,
                    'out_channels': 5,
                    'norm_cfg': {'type': 'BN1d'},
                }
            },
            'dense_neck.with_avg_pool=False',
        ),
    ],
    ids=lambda x: '',
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_dense(**options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (pyramid_options(dense_head={'level': 0}), 'leave one of the two out'),
        (
            pyramid_options(pyramid={'in_channels': (6, 9)}),
            r'pyramid.in_channels is \[6, 9\], but .* set .*=\[6, 8\]',
        ),
        (
            pyramid_options(pyramid={'out_channels': 7}),
            'dense_neck.in_channels is 6, but the pyramid .* of width 7',
        ),
    ],
    ids=['level', 'stages', 'width'],
)
def test_wrong_pyramids_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_dense(**options)
    alone = {'pyramid': options['pyramid']}
    with pytest.raises(ValueError, match='the loss between places trains the'):
        build(**alone)


@pytest.mark.parametrize('given', [None, [0, 1, 2], samples(3, 1)])
def test_views_of_unknown_place_are_refused(given):
    with pytest.raises(ValueError, match=r'meta_keys=.*view_boxes'):
        build_dense().loss(views(3), given)


def test_a_global_neck_gets_the_last_map_alone():
    model = build_dense()
    x = views(3)[0]
    query, places = model.encode_online(x)
    assert places is None
    (embedding,) = model.neck((TinyMapNet.forward(model.backbone, x)[1],))
    torch.testing.assert_close(query, model.head(embedding))
