"""The order of one step: who sees which view, what is kept, what follows."""

import pytest
import torch
from mmpretrain.registry import MODELS
from tiny import HALF, TinyBackbone, build, views
from torch.nn.functional import normalize

from sce_mm.models.heads.sce_head import embedding_std
from sce_mm.models.utils.widths import output_shapes, pooled_width
from sce_mm.utils.errors import UserError


def train_step(model, inputs, momentum):
    model.loss(inputs)['loss'].backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    model.after_optimizer_step(momentum)


def count_forwards(module):
    sizes = []
    module.register_forward_pre_hook(
        lambda _, args: sizes.append(tuple(args[0].shape))
    )
    return sizes


@pytest.mark.parametrize(
    ('targets', 'count', 'online', 'pairs'),
    [(1, 2, 1, 1), (2, 2, 2, 2), (2, 6, 6, 10), (1, 4, 3, 3)],
    ids=['asymmetric', 'symmetric', 'multi-crop', 'asymmetric multi-crop'],
)
def test_which_views_meet(targets, count, online, pairs):
    model = build(num_target_views=targets)
    seen_online = count_forwards(model.backbone)
    seen_target = count_forwards(model.momentum_encoder.backbone)
    asked = []
    module = model.head.loss_module
    forward = module.forward
    module.forward = lambda *args, **kwargs: (
        asked.append(args[2]),
        forward(*args, **kwargs),
    )[1]
    model.loss(views(5, count))
    assert len(seen_online) == online
    assert len(seen_target) == targets
    assert len(asked[0]) == len(set(asked[0])) == pairs


def test_loss_of_six_views_is_the_mean_over_ten_pairs():
    model = build(num_target_views=2)
    inputs = views(5, 6)
    keys = [model.encode_target(x)[0] for x in inputs[:2]]
    queries = [model.encode_online(x)[0] for x in inputs]
    queue = model.queue.features.clone()
    module = model.head.loss_module
    terms = [
        module([queries[v]], [keys[t]], [(0, 0)], queue)['loss']
        for t in range(2)
        for v in range(6)
        if v != t
    ]
    assert len(terms) == 10
    torch.testing.assert_close(
        model.loss(inputs)['loss'], torch.stack(terms).mean()
    )


def test_momentum_branch_starts_as_a_copy_and_stays_one_after_init():
    model = build(batch_norm=True)
    model.init_weights()
    for name, value in model.momentum_encoder.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name])
    assert not any(
        p.requires_grad for p in model.momentum_encoder.parameters()
    )
    assert not any(
        'predictor' in n for n in model.momentum_encoder.state_dict()
    )


def test_momentum_branch_averages_parameters_and_keeps_its_buffers():
    model = build(batch_norm=True)
    before = {
        k: v.clone() for k, v in model.momentum_encoder.state_dict().items()
    }
    train_step(model, views(6), momentum=0.25)
    online = dict(model.named_parameters())
    for name, value in model.momentum_encoder.named_parameters():
        expected = 0.75 * before[name] + 0.25 * online[name]
        torch.testing.assert_close(value, expected)
    # Two target views went through it, and nothing else touched its counts.
    count = model.momentum_encoder.backbone[3].num_batches_tracked
    assert count == 2
    assert model.backbone[3].num_batches_tracked == 2


def test_keys_are_enqueued_after_the_step_in_the_order_of_views():
    model = build()
    inputs = views(5)
    keys = [model.encode_target(x)[0] for x in inputs]
    before = model.queue.features.clone()
    model.loss(inputs)['loss'].backward()
    torch.testing.assert_close(model.queue.features, before)
    model.after_optimizer_step(0.01)
    torch.testing.assert_close(model.queue.features[:10], torch.cat(keys))
    torch.testing.assert_close(model.queue.features[10:], before[10:])


def test_accumulated_keys_lie_as_those_of_the_large_batch():
    one, many = build(), build()
    large = views(8)
    many.micro_batches_per_step = 2
    one.loss(large)
    for half in (slice(0, 4), slice(4, 8)):
        many.loss([x[half] for x in large])
    one.after_optimizer_step(0.1)
    many.after_optimizer_step(0.1)
    torch.testing.assert_close(one.queue.features, many.queue.features)


def test_evaluation_leaves_no_trace():
    model = build(batch_norm=True).eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for _ in range(3):
        model.loss(views(4))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_a_frozen_target_stops_the_training():
    model = build()
    model.loss(views(4))['loss'].backward()
    with pytest.raises(UserError, match='MomentumUpdateHook'):
        model.loss(views(4))


@pytest.mark.parametrize('dtype', HALF, ids=str)
@pytest.mark.parametrize('predictor', [True, False])
def test_rows_have_length_one_under_autocast(dtype, predictor):
    model = build(batch_norm=True, predictor=predictor)
    inputs = views(12)
    with torch.autocast('cpu', dtype):
        loss = model.loss(inputs)['loss']
        queries, _ = model.encode_online(inputs[0])
    model.after_optimizer_step(0.01)
    for rows in (queries, model.queue.features):
        assert rows.dtype is torch.float32
        ones = torch.ones(len(rows))
        torch.testing.assert_close(rows.norm(dim=1), ones, rtol=0, atol=1e-6)
    assert loss.dtype is torch.float32


def test_what_is_logged():
    losses = build().loss(views(6))
    assert set(losses) == {
        'loss',
        'contrastive',
        'relational',
        'target_entropy',
        'neighbours',
        'embedding_std',
        'queue_filled',
        'coeff',
        'target_temperature',
    }
    # mmengine adds up every key that contains this word.
    assert [k for k in losses if 'loss' in k] == ['loss']
    assert all(not v.requires_grad for k, v in losses.items() if k != 'loss')


def test_spread_is_one_on_the_sphere_and_zero_at_a_point():
    rows = normalize(torch.randn(4000, 16), dim=1)
    assert embedding_std([rows]).item() == pytest.approx(1, abs=0.02)
    assert embedding_std([rows[:1].repeat(8, 1)]).item() == pytest.approx(
        0, abs=1e-6
    )


def test_views_that_do_not_fit_are_refused():
    model = build()
    image = torch.zeros(2, 3, 8, 8)
    with pytest.raises(ValueError, match=r'at least 2 views.*got a list of 1'):
        model.loss([image])
    with pytest.raises(ValueError, match='got a Tensor'):
        model.loss(image)
    with pytest.raises(ValueError, match=r'batches of \[2, 1\]'):
        model.loss([image, image[:1]])


PREDICTOR = {'type': 'TinyNeck', 'in_channels': 4, 'out_channels': 4}


def head(predictor=PREDICTOR, **options):
    loss = {'type': 'SCELoss', **options.pop('loss', {})}
    return {
        'type': 'SCEHead',
        'loss': loss,
        'predictor': predictor,
        **options,
    }


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'num_target_views': 0}, 'num_target_views must be at least 1'),
        ({'queue': {'size': 10}}, 'queue takes length and dim'),
        ({'momentum': 0.99}, 'MomentumUpdateHook.* 0.99 write 0.01'),
        ({'queue': None}, 'needs something to compare with'),
        (
            {
                'head': head(
                    in_batch_keys=True, loss={'official_zero_logit': True}
                )
            },
            'official_zero_logit has no meaning with in_batch_keys',
        ),
        (
            {'queue': {'length': 8, 'dim': 6}},
            'queue.dim is 6, .* of width 4: set model.queue.dim=4',
        ),
        (
            {'neck': PREDICTOR},
            'neck.in_channels is 4, but the backbone .* of width 8: set',
        ),
        (
            {'head': head(PREDICTOR | {'in_channels': 5})},
            'head.predictor.in_channels is 5, .* of width 4',
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_measuring_the_width_of_a_resnet_changes_nothing():
    backbone = MODELS.build({'type': 'ResNet', 'depth': 18})
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    state = torch.get_rng_state()
    (shape,) = output_shapes(backbone)
    assert pooled_width(shape, pools=True) == 512
    # What takes the pixels too knows their number when it sees them.
    assert pooled_width(shape, pools=False) is None
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in backbone.modules())
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_backbone_that_needs_real_pixels_is_taken_as_it_is():
    class Reading(TinyBackbone):
        def forward(self, images):
            assert images.sum().item() is not None
            return super().forward(images)

    (shape,) = output_shapes(TinyBackbone())
    assert pooled_width(shape, pools=False) == 8
    assert output_shapes(Reading()) is None
