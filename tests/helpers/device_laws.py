"""Laws that hold on every device: their bodies, without the device."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from deferred_views import STATISTICS
from dispatch import Watch
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from resumable import loader
from tiny import dense_options, sce_config
from tiny_runner import build_runner
from torch import Tensor, nn

from sce_mm.cli.quiet_runner import QuietRunner
from sce_mm.models import SCELoss

Rows = Callable[[int, int, int], Tensor]


class Size(NamedTuple):
    """Size of the inputs of a loss."""

    rows: int = 6
    queue: int = 300
    width: int = 16


SMALL = Size()
# Two targets, three queries, in no particular order.
PAIRS = [(1, 0), (2, 0), (0, 1), (2, 1)]
LOSS_OPTIONS: list[dict[str, Any]] = [
    {},
    {'official_zero_logit': True},
    {'coeff': 0.0, 'relation_weight': 1.0, 'ceiling_weight': 0.0},
    {'coeff': 0.2, 'relation_weight': 0.7, 'ceiling_weight': 2.0},
    # Too cold for exponents without a shift, on either side.
    {'temperature': 0.02},
    {'target_temperature': 0.004, 'temperature': 0.005},
]


def loss_inputs(
    unit_rows: Rows,
    where: str = 'both',
    dtype: torch.dtype = torch.float64,
    size: Size = SMALL,
) -> dict[str, Any]:
    """Arguments of the loss, on the CPU; the queries are leaves.

    Args:
        unit_rows: The fixture.
        where: Where the candidates are: ``queue``, ``batch`` or ``both``.
        dtype: Type of all rows.
        size: Their numbers.
    """
    count, width = size.rows, size.width
    queries = [unit_rows(count, width, seed) for seed in range(3)]
    keys = [unit_rows(count, width, seed) for seed in (3, 4)]
    # This process is the second of two.
    others = [torch.cat([unit_rows(count, width, 5), k]) for k in keys]
    queue = unit_rows(size.queue, width, 6)
    queries, keys, others, (queue,) = (
        [x.to(dtype) for x in rows]
        for rows in (queries, keys, others, [queue])
    )
    return {
        'queries': [x.requires_grad_() for x in queries],
        'keys': keys,
        'pairs': PAIRS,
        'queue': None if where == 'batch' else queue,
        'batch_keys': None if where == 'queue' else others,
        'first_row': count,
    }


def converted(arguments: dict[str, Any], *to: Any) -> dict[str, Any]:
    """Arguments of the loss with another type or on another device."""

    def move(x: Any) -> Any:
        if isinstance(x, Tensor):
            return x.detach().to(*to).requires_grad_(x.requires_grad)
        if isinstance(x, list):
            return [move(each) for each in x]
        return x

    return {name: move(value) for name, value in arguments.items()}


def run_loss(
    arguments: dict[str, Any], chunk_size: Any = 'auto', **options: Any
) -> tuple[dict[str, Tensor], Tensor]:
    """What the loss returns, and the gradient of all queries."""
    losses = SCELoss(**options, chunk_size=chunk_size)(**arguments)
    gradients = torch.autograd.grad(losses['loss'], arguments['queries'])
    return losses, torch.stack(gradients)


def check_chunks(
    arguments: dict[str, Any],
    chunk_sizes: Sequence[Any],
    device: torch.device | str = 'cpu',
    **options: Any,
) -> None:
    """In chunks on a device, the loss is the plain one of the CPU."""
    plain, plain_gradient = run_loss(arguments, None, **options)
    there = converted(arguments, device)
    for chunk_size in chunk_sizes:
        losses, gradient = run_loss(there, chunk_size, **options)
        assert set(losses) == set(plain)
        for name, value in plain.items():
            torch.testing.assert_close(
                losses[name].cpu(), value, rtol=1e-11, atol=1e-12, msg=name
            )
        torch.testing.assert_close(
            gradient.cpu(), plain_gradient, rtol=1e-10, atol=1e-13
        )


def check_precision(
    rounded: dict[str, Any],
    device: torch.device | str = 'cpu',
    slack: float = 5e-7,
    **options: Any,
) -> None:
    """Three ways: in chunks and plain, both against the CPU's float64.

    Args:
        rounded: Arguments of the loss in a type of lower precision.
        device: The device to compute on.
        slack: A few roundings: either form may be the luckier one.
        **options: Those of the loss.
    """
    dtype = rounded['queries'][0].dtype
    loss, gradient = run_loss(
        converted(rounded, torch.float64), None, **options
    )
    there = converted(rounded, device)

    def errors(chunk_size: Any) -> tuple[Tensor, Tensor]:
        got, got_gradient = run_loss(there, chunk_size, **options)
        assert got['loss'].dtype is torch.float32
        assert got_gradient.dtype is dtype
        return (
            (got['loss'].cpu() - loss['loss']).abs() / loss['loss'],
            (got_gradient.cpu() - gradient).norm() / gradient.norm(),
        )

    chunked = errors('auto')
    for error, plain_error in zip(chunked, errors(None), strict=True):
        assert error <= 1.01 * plain_error + slack
    assert chunked[0] < 20 * slack


@contextmanager
def nothing_waits(device: torch.device | str = 'cpu') -> Iterator[None]:
    """Fail if the host reads a value of the device, or waits for it."""
    if torch.device(device).type == 'cuda':
        torch.cuda.set_sync_debug_mode('error')
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode('default')
        return
    with Watch(torch.device(device).type) as watch:
        yield
    assert watch.reads == [], f'the host reads: {watch.reads}'


# What has to be noticed, of rows on the device.
WAITS: dict[str, Callable[[Tensor], object]] = {
    'number': lambda rows: rows.sum().item(),
    'mask': lambda rows: rows[rows > 0],
    'list': lambda rows: rows[:, [1, 0]],
}


def check_wait_is_noticed(
    name: str, device: torch.device | str = 'cpu'
) -> None:
    """``nothing_waits`` fails if something does."""
    rows = torch.ones(2, 2, device=device)
    with (
        pytest.raises((AssertionError, RuntimeError), match=r'reads|synchron'),
        nothing_waits(device),
    ):
        WAITS[name](rows)


def check_no_step_waits(
    model: BaseModel,
    inputs: Any,
    optim_wrapper: dict[str, Any],
    device: torch.device | str = 'cpu',
    data_samples: Any = None,
) -> None:
    """No step of a model, with optimiser, average and queue, waits.

    On ``meta``, where nothing has a value, it also stays on the device.
    """
    model = model.to(device).train()
    wrapper = build_optim_wrapper(model, optim_wrapper)

    def step() -> None:
        data = {'inputs': list(inputs), 'data_samples': data_samples}
        model.train_step(data, wrapper)
        model.after_optimizer_step(0.01)

    if torch.device(device).type == 'cuda':
        # The first batch is checked, and libraries get ready.
        step()
    with nothing_waits(device):
        step()
        step()


def narrow_resnet(channels_last: bool) -> BaseModel:
    """SCE on a narrow ResNet-18, with the one layer that sees the layout."""
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
        shuffle_bn={'simulated_devices': 2},
        channels_last=channels_last,
        data_preprocessor={
            'type': 'ViewPreprocessor',
            'non_blocking': True,
            **STATISTICS,
        },
    )
    return MODELS.build(config)


def check_channels_last(
    device: torch.device | str = 'cpu',
    dtype: torch.dtype = torch.float64,
    steps: int = 2,
    **tolerances: float,
) -> None:
    """The layout holds in every layer, and steps are the same with it.

    In float64 the weights too; few images in batch norm make whole digits of
    the roundings of float32.
    """
    plain, model = (
        narrow_resnet(channels_last).to(device, dtype)
        for channels_last in (False, True)
    )
    layouts = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.register_forward_hook(
                lambda _, __, out: layouts.append(
                    out.is_contiguous(memory_format=torch.channels_last)
                )
            )
    inputs = [torch.randn(4, 3, 64, 64, dtype=dtype) for _ in range(2)]
    inputs = [view.to(device) for view in inputs]
    # As a resume does: what is loaded takes the layout of the model.
    model.load_state_dict(plain.state_dict())
    losses = []
    for each in (plain, model):
        optimizer = torch.optim.SGD(each.parameters(), lr=0.1, momentum=0.9)
        for _ in range(steps):
            loss = each.loss(inputs)['loss']
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            each.after_optimizer_step(0.1)
        losses.append(loss.detach())
    # 20 convolutions and 20 norms, two branches, two views.
    assert len(layouts) == 40 * 2 * 2 * steps
    assert all(layouts)
    torch.testing.assert_close(*losses, **tolerances)
    if dtype is not torch.float64:
        return
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(
            model.state_dict()[name], value, msg=name, **tolerances
        )


SCHEDULE = (
    {'type': 'MomentumUpdateHook', 'momentum': 0.1},
    {
        'type': 'ScheduledValueHook',
        'attribute': 'head.loss_module.target_temperature',
        'schedule': {'kind': 'linear', 'start': 0.04, 'end': 0.07},
    },
)


def check_compiled_training(
    folder: Path, backend: str, places: bool, **tolerances: float
) -> None:
    """A compiled training is the plain one, and resumes."""
    model = dense_options() if places else {'batch_norm': True}
    data = {'train_dataloader': loader(12, boxes=True)} if places else {}

    def run(name: str, **options: Any) -> tuple[Any, Tensor]:
        runner, record = build_runner(
            folder / name,
            hooks=SCHEDULE,
            model=model,
            images=12,
            kind=QuietRunner,
            **data,
            **options,
        )
        runner.train()
        return runner, torch.stack(record.losses)

    compiler = {'compile': {'backend': backend}}
    plain, plain_losses = run('plain')
    compiled, losses = run('compiled', cfg=compiler)
    torch.testing.assert_close(losses, plain_losses, **tolerances)
    assert (
        compiled.model.state_dict().keys() == plain.model.state_dict().keys()
    )
    _, resumed_losses = run(
        'resumed',
        cfg=compiler,
        seed=1,
        resume=True,
        load_from=str(folder / 'compiled' / 'epoch_1.pth'),
    )
    torch.testing.assert_close(resumed_losses, losses[3:], **tolerances)
