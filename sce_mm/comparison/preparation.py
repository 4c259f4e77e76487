"""Write the configs of a comparison; find what does not fit before the hours.

The networks before their pretraining go the way that the pretrained ones will
go, weights that are given become configs, and data sets and metric of the
predictor are used once.
"""

import tempfile
from pathlib import Path

from mmengine.config import Config

from ..config.overrides import override
from ..config.parts import samples_of_an_image
from ..downstream import (
    AdaptError,
    ConfigEdits,
    load_base,
    make_config,
    start_at_random,
    write_config,
)
from ..transfer import save_backbone
from ..utils.errors import UserError
from ..utils.text import RANDOM, in_path
from .pretraining import Starts
from .progress import say
from .results import SCE, config_file
from .task import Task
from .unlabelled import Unlabelled


def prepare_configs(
    task: Task, starts: Starts, unlabelled: Unlabelled
) -> Config:
    """Write all configs of the predictor that can be written already.

    Returns:
        That of random initialisation.

    Raises:
        UserError: The predictor, a pretraining or weights do not fit.
    """
    name, out = task.predictor, task.settings.out
    initial = out / 'backbones' / 'initial.pth'
    cfg, base = load_base(task.config)
    edits = ConfigEdits(cfg)
    try:
        task.use_labels(edits)
    except AdaptError as error:
        raise AdaptError(f'--{name}: {error}') from error
    title = f'The {name} on the labels of this comparison.'
    write_config(edits, base, initial, config_file(out, 'data'), title)

    _try_pretrainings(task, starts, unlabelled, initial)
    for start, *_ in starts.values():
        if start.weights:
            try:
                configure(task, start.backbone, start.config)
            except UserError as error:
                message = f'--weights {start.source}: {error}'
                raise type(error)(message) from error
    cfg, base = load_base(str(config_file(out, 'initial')))
    edits = ConfigEdits(cfg)
    start_at_random(edits)
    title = f'The {name} from {RANDOM}; nothing else differs.'
    file = config_file(out, in_path(RANDOM))
    write_config(edits, base, initial, file, title)
    return Config.fromfile(file)


def configure(task: Task, backbone: Path, out: Path) -> None:
    """Write the config of the predictor that starts from a backbone file."""
    data = config_file(task.settings.out, 'data')
    make_config(str(data), backbone, out, task.adapt, overwrite=True)


def _try_pretrainings(
    task: Task, starts: Starts, unlabelled: Unlabelled, initial: Path
) -> None:
    """Let each network go through the transfer before it is trained.

    That of the plain pretraining becomes the file ``initial``.
    """
    out = task.settings.out
    predictor = Config.fromfile(config_file(out, 'data'))
    override(predictor, task.options, f'--{task.predictor}-options')
    predictor.dump(task.overridden)
    for start, *more in starts.values():
        if not (recipe := start.recipe):
            continue
        backbone = recipe.check(unlabelled, out, task.boxes, predictor)
        with tempfile.TemporaryDirectory(dir=out) as folder:
            file, config = (
                Path(folder, 'initial.pth'),
                Path(folder, 'initial.py'),
            )
            if start.source == SCE:
                file, config = initial, config_file(out, 'initial')
            save_backbone(file, backbone)
            configure(task, file, config)
        text = f'seeds {", ".join(str(s.seed) for s in (start, *more))}'
        if start.seed is None:
            text = f'the seed of its config, {recipe.own_seed()}'
        say(f'{start.source} is pretrained with {text}')


def plan_regions(
    task: Task, starts: Starts, unlabelled: Unlabelled
) -> int | None:
    """Say what each pretraining sees.

    All get as many samples of an image as the plain one, which comes first,
    so that none is trained for longer.

    Returns:
        The number of these samples.
    """
    per_image = task.settings.regions_per_image
    predictor = Config.fromfile(task.overridden)
    for start, *_ in starts.values():
        if not (recipe := start.recipe):
            continue
        cfg = recipe.read_for(unlabelled)
        for line in recipe.set_regions(
            cfg, task.boxes, predictor, unlabelled, per_image
        ):
            say(f'{start.source}: {line}')
        if per_image is None:
            per_image = samples_of_an_image(cfg)
    return per_image
