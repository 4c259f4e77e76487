"""Verify a transfer: did the weights arrive, and will they be trained?

``VerifyTransferHook`` and ``sce verify`` both call
:func:`verify_transfer`; the hook raises its problems, the command prints
them. Nothing of mmdet is needed.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.logging import MMLogger
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ...utils.errors import UserError
from ..backbone import Backbone
from ..formats import PYRAMID
from ..metadata import (
    PIXELS,
    norm_modes,
    settings_equal,
    settings_of,
)
from .channels import channel_problems
from .load_report import (
    LoadReport,
    compare_with_file,
    modules_of,
    parts_that_load,
    prefix_of,
)
from .notes import notes_on
from .pipelines import pipeline_problems
from .problems import (
    frozen_problems,
    pretrained_path,
    rate_problems,
    setting_problems,
    tensor_problems,
)

# The norm that the C4 protocol adds behind the fifth stage is new, and so is
# where the second backbone of a recursive pyramid takes in the features. The
# offsets of deformable convolutions and the blocks of mmcv that a ResNet takes
# as plugins are new too; they start at zero, or add zero.
EXPECTED_MISSING = (
    'roi_head.shared_head.norm.',
    '*.rfp_conv.',
    '*.conv_offset.',
    '*.context_block.',
    '*.gen_attention_block.',
)


class VerifyOptions(NamedTuple):
    """What a verification accepts.

    Attributes:
        allow_frozen: Accept frozen stages, a learning rate of zero and batch
            norm in evaluation mode. Weights of self-supervised learning do
            worse with them in a detector; a linear evaluation wants them.
        allow_unknown: Accept a file that does not say what pixels it expects.
        expected_missing: Prefixes of names in the model of tensors that are
            new beside the pretrained ones; ``*`` stands for anything. They
            add to ``EXPECTED_MISSING``.
        settings_only: Accept any tensors, as those of a run that is resumed
            have moved.
    """

    allow_frozen: bool = False
    allow_unknown: bool = False
    expected_missing: tuple[str, ...] = ()
    settings_only: bool = False


class VerificationResult(NamedTuple):
    """Problems and load report of a verification.

    Attributes:
        total: Tensors that the model has to have.
        load: Where each tensor stands.
        settings: Name, what the file asks for, what the model has.
        frozen: Parameters of the parts that are not trained.
        norms: Batch norm layers of the parts by what they do in training.
        problems: Everything that is not as it should be, as text.
        notes: Lines on what the model loads from other files, on what of this
            file it does not load, and on what cannot be compared.
    """

    total: int
    load: LoadReport
    settings: tuple[tuple[str, Any, Any], ...]
    frozen: tuple[str, ...]
    norms: dict[str, int]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Everything that was compared, as text."""
        yield 'tensors'
        for kind, names in self.load._asdict().items():
            if kind == 'expected_missing':
                # What starts at random is named, all of it.
                some = ', '.join(modules_of(names))
            else:
                dots = ', ...' if len(names) > 2 else ''
                some = ', '.join(names[:2]) + dots
            yield f'  {kind.replace("_", " "):<17}{len(names):>4}  {some}'
        yield 'settings           pretraining / here'
        for name, expected, value in self.settings:
            mark = 'ok' if settings_equal(value, expected) else 'DIFFERENT'
            mark = 'unknown' if expected is None else mark
            yield f'  {name:<17}{expected} / {value}  {mark}'
        yield 'training'
        yield f'  frozen           {len(self.frozen)} parameters'
        for mode, count in self.norms.items():
            yield f'  batch norm       {count} x {mode}'


def verify_transfer(
    model: Any,
    backbone: Backbone,
    cfg: Mapping[str, Any],
    groups: Iterable[Mapping[str, Any]],
    options: VerifyOptions,
    in_training: bool = False,
) -> VerificationResult:
    """Compare a model that is about to be trained with a backbone.

    Args:
        model: Initialised; it is put into training mode, unless it trains.
        backbone: Backbone that the model should have loaded.
        cfg: Config of the whole run.
        groups: Parameter groups of the optimiser, if there are any.
        options: Options that say what is accepted.
        in_training: The first step is about to be made, and the model has the
            mode in which it makes it.

    Raises:
        UserError: The model loads no backbone file.
    """
    path = pretrained_path(model)
    parts = parts_that_load(model, path)
    tensors, notes = backbone.tensors, []
    if backbone.pyramid and not any(map(prefix_of, parts.values())):
        tensors = backbone.weights
        notes.append(
            f'the file has a feature pyramid too ({len(backbone.pyramid)} '
            'tensors), which no part of the model loads: for the same neck '
            f"set model.neck.init_cfg = dict(type='Pretrained', checkpoint="
            f'{path!r}, prefix={PYRAMID!r})'
        )
    expected = (*EXPECTED_MISSING, *options.expected_missing)
    load = compare_with_file(parts, tensors, expected)
    # A preprocessor that has no say in pixels is a problem here.
    here = dict.fromkeys(PIXELS)
    here |= settings_of(parts, model.data_preprocessor)
    frozen = tuple(
        f'{part}.{name}'
        for part, module in parts.items()
        for name, parameter in module.named_parameters()
        if not parameter.requires_grad
    )
    if not in_training:
        model.train()
    norms = norm_modes(parts)
    problems: list[str] = []
    if not options.settings_only:
        problems += tensor_problems(
            model, parts, path, backbone.meta['arch'], tensors, load
        )
    if not (in_training or options.settings_only):
        problems += channel_problems(model)
    problems += [
        *setting_problems(backbone.meta, here, options.allow_unknown),
        *pipeline_problems(cfg),
    ]
    if not options.allow_frozen:
        problems += frozen_problems(frozen, norms)
        problems += rate_problems(parts, groups)
    if problems and cfg.get('load_from'):
        problems.append(
            f'load_from={cfg.get("load_from")!r} is read after the backbone '
            'file and replaces it: remove one of them'
        )
    notes += notes_on(model, parts, path, cfg, backbone)
    return VerificationResult(
        len(tensors),
        load,
        tuple((n, backbone.meta[n], value) for n, value in here.items()),
        frozen,
        norms,
        tuple(problems),
        tuple(notes),
    )


def parameter_groups(
    model: nn.Module, optim_wrapper: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Groups of parameters as the optimiser of a config has them.

    No wrapper, and one of several optimisers, give no groups.

    Raises:
        UserError: The optimiser cannot be built.
    """
    if not optim_wrapper or 'optimizer' not in optim_wrapper:
        return []
    default = 'DefaultOptimWrapperConstructor'
    # Without the scaler of mixed precision, which wants a GPU.
    plain = {'type': 'OptimWrapper', 'optimizer': optim_wrapper['optimizer']}
    constructor = {
        'type': optim_wrapper.get('constructor', default),
        'optim_wrapper_cfg': plain,
        'paramwise_cfg': optim_wrapper.get('paramwise_cfg'),
    }
    # Some constructors log a line for each parameter.
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)
    except Exception as error:
        raise UserError(f'optim_wrapper cannot be built: {error}') from error
    finally:
        logger.setLevel(level)
    return wrapper.param_groups
