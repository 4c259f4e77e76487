"""Options that make a step faster leave its numbers alone."""

import pytest
import torch
from mmpretrain.registry import MODELS
from resumable import loader
from tiny import dense_options, sce_config
from tiny_runner import build_runner
from torch import nn
from torch._dynamo.utils import counters

SCHEDULE = (
    {'type': 'MomentumUpdateHook', 'momentum': 0.1},
    {
        'type': 'ScheduledValueHook',
        'attribute': 'head.loss_module.target_temperature',
        'schedule': {'kind': 'linear', 'start': 0.04, 'end': 0.07},
    },
)


def narrow_resnet(channels_last):
    torch.manual_seed(0)
    config = sce_config(
        backbone={
            'type': 'ResNet',
            'depth': 18,
            'stem_channels': 8,
            'base_channels': 8,
            'zero_init_residual': False,
        },
        neck={
            'type': 'NonLinearNeck',
            'in_channels': 64,
            'hid_channels': 8,
            'out_channels': 4,
            'norm_cfg': {'type': 'BN1d'},
        },
        predictor=False,
        # The one layer that looks at the layout itself.
        shuffle_bn={'simulated_devices': 2},
        channels_last=channels_last,
    )
    return MODELS.build(config).double()


def test_channels_last_holds_everywhere_and_changes_nothing():
    plain, model = narrow_resnet(False), narrow_resnet(True)
    layouts = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.register_forward_hook(
                lambda _, __, out: layouts.append(
                    out.is_contiguous(memory_format=torch.channels_last)
                )
            )
    inputs = [torch.randn(4, 3, 64, 64, dtype=torch.float64) for _ in range(2)]
    # As a resume does: what is loaded takes the layout of the model.
    model.load_state_dict(plain.state_dict())
    losses = []
    for each in (plain, model):
        optimizer = torch.optim.SGD(each.parameters(), lr=0.1, momentum=0.9)
        for _ in range(2):
            loss = each.loss(inputs)['loss']
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            each.after_optimizer_step(0.1)
        losses.append(loss.detach())
    # 20 convolutions and 20 norms, two branches, two views, two steps.
    assert len(layouts) == 40 * 2 * 2 * 2
    assert all(layouts)
    torch.testing.assert_close(*losses)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, msg=name)


@pytest.mark.integration
# The compiler warns of what it does itself.
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('places', [False, True])
def test_compiled_training_is_the_same_and_resumes(tmp_path, places):
    model = dense_options() if places else {'batch_norm': True}
    data = {'train_dataloader': loader(12, boxes=True)} if places else {}

    def run(name, **options):
        runner, record = build_runner(
            tmp_path / name,
            hooks=SCHEDULE,
            model=model,
            images=12,
            **data,
            **options,
        )
        runner.train()
        return runner, torch.stack(record.losses)

    # The tracing, and what it makes of state; code for a processor takes
    # minutes to make.
    compiler = {'compile': {'backend': 'eager'}}
    plain, plain_losses = run('plain')
    counters.clear()
    compiled, losses = run('compiled', cfg=compiler)
    torch.testing.assert_close(losses, plain_losses)
    assert (
        compiled.model.state_dict().keys() == plain.model.state_dict().keys()
    )
    _, resumed_losses = run(
        'resumed',
        cfg=compiler,
        seed=1,
        resume=True,
        load_from=str(tmp_path / 'compiled' / 'epoch_1.pth'),
    )
    torch.testing.assert_close(resumed_losses, losses[3:])
    # Two runs of six graphs, or of eight with those around the places: none
    # is compiled again when a schedule moves.
    assert counters['stats']['unique_graphs'] <= (16 if places else 12)
