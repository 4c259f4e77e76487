"""Say in one sentence what a comparison found, and what to try next.

All follows from :class:`Facts`, numbers of the comparison, by rules that are
one table: :data:`RULES`.
"""

from collections.abc import Callable, Mapping
from statistics import mean
from typing import NamedTuple

from .differences import LEARNED, Gap, difference
from .results import RANDOM, SCE, Results

# Who asks for more runs of each start will not get them.
MANY_SEEDS = 30
# Sentences of advice that are read.
SHOWN = 4
# Scenes of fewer objects are one thing and its ground.
SEVERAL = 3.0
# Pretraining of fewer steps has hardly begun.
FEW_STEPS = 500


class Facts(NamedTuple):
    """What the headline and the advice follow from.

    Attributes:
        source: The pretraining that is asked about.
        unlabelled: Number of its images.
        percent: Smallest part of the labels.
        images: Number of images of that part.
        theirs: Box AP from random initialisation with that part.
        ours: Box AP from the pretraining.
        gap: Between them.
        others: The gap with each larger part of the labels.
        rivals: Gap to each other start with the smallest part, theirs minus
            ours.
        longer: Gap to random initialisation that trains longer, for each part
            of the labels, theirs minus ours; by its name, if it was compared.
        objects: Objects in a labelled image, on average.
        regions: Whether the pretraining cuts regions out of the images.
        steps: Training steps of the pretraining, if they are known.
    """

    source: str
    unlabelled: int
    percent: float
    images: int
    theirs: float
    ours: float
    gap: Gap
    others: Mapping[float, Gap]
    rivals: Mapping[str, Gap]
    longer: Mapping[str, Mapping[float, Gap]]
    objects: float
    regions: bool
    steps: int | None

    @property
    def learned(self) -> bool:
        """Whether a detector has learned anything."""
        return max(self.theirs, self.ours) >= LEARNED


def pretrained(results: Results) -> str:
    """The start that the question is about."""
    if SCE in results:
        return SCE
    return next(name for name in results if not name.startswith(RANDOM))


def box_ap(results: Results, source: str, percent: float) -> list[float]:
    """Box AP of each seed."""
    return [run['box AP'] for run in results[source][percent]]


def gap(results: Results, ours: str, theirs: str, percent: float) -> Gap:
    """The gap between two starts with a part of the labels.

    Where both have several pretrainings, detectors of one seed come from
    those of one number, so that pairs of pretrainings are independent.
    """
    runs = results[ours][percent], results[theirs][percent]
    keys = [
        tuple(run.get('pretraining') for run in pair)
        for pair in zip(*runs, strict=True)
    ]
    known = None if set(keys) == {(None, None)} else keys
    return difference(
        box_ap(results, ours, percent),
        box_ap(results, theirs, percent),
        known,
    )


def part_size(images: int, percent: float) -> int:
    """Number of images of a part of the labels, as coco_subset.py cuts it."""
    return max(1, round(images * percent / 100))


def facts(
    results: Results,
    images: int,
    unlabelled: int,
    objects: float,
    regions: bool,
    steps: int | None,
) -> Facts:
    """The facts of a comparison; ``images`` is the number of labelled ones."""
    source = pretrained(results)
    percents = smallest, *larger = sorted(results[RANDOM])
    longer = [name for name in results if name.startswith(f'{RANDOM}, ')]
    return Facts(
        source,
        unlabelled,
        smallest,
        part_size(images, smallest),
        mean(box_ap(results, RANDOM, smallest)),
        mean(box_ap(results, source, smallest)),
        gap(results, source, RANDOM, smallest),
        {p: gap(results, source, RANDOM, p) for p in larger},
        {
            name: gap(results, name, source, smallest)
            for name in results
            if name not in (source, RANDOM, *longer)
        },
        {
            name: {p: gap(results, name, source, p) for p in percents}
            for name in longer
        },
        objects,
        regions,
        steps,
    )


def headline(f: Facts) -> str:
    """The answer in one sentence."""
    ours = f'{f.source} pretraining on your {f.unlabelled} images'
    with_part = f'With {f.percent:g} % of the labels ({_images(f.images)})'
    if not f.learned:
        return (
            f'{with_part}, neither detector has learned anything (box AP '
            f'{f.theirs:.1f} and {f.ours:.1f}), so nothing can be said about '
            f'{ours}.'
        )
    change = f'box AP from {f.theirs:.1f} to {f.ours:.1f}'
    if f.gap.seeds < 2:
        return (
            f'{with_part}, one seed of the detector went from box AP '
            f'{f.theirs:.1f} to {f.ours:.1f} with {ours}: one seed says '
            'nothing of the noise.'
        )
    if f.gap.seen:
        verb = 'raises' if f.gap.seen > 0 else 'lowers'
        return f'{with_part}, {ours} {verb} {change} ({f.gap}).'
    return (
        f'{with_part}, no difference can be seen between {ours} and random '
        f'initialisation: box AP {f.ours:.1f} and {f.theirs:.1f} '
        f'({f.gap}).'
    )


def other_parts(f: Facts) -> str:
    """Sentences about the larger parts of the labels, if there are any."""
    verdicts = {1: 'better', 0: 'no difference can be seen', -1: 'worse'}
    return ' '.join(
        f'With {percent:g} %: {verdicts[g.seen]} ({g}).'
        if g.seeds > 1
        else f'With {percent:g} %: {g}.'
        for percent, g in f.others.items()
    )


def _images(count: int) -> str:
    return f'{count} image{"s" * (count != 1)}'


def _scenes(f: Facts) -> bool:
    return f.objects >= SEVERAL and not f.regions


def _better(f: Facts) -> str | None:
    """The start that is better than ours by most, beyond the noise."""
    better = [name for name, g in f.rivals.items() if g.seen > 0]
    return max(better, key=lambda name: f.rivals[name].value, default=None)


def _longer(f: Facts, seen: int) -> dict[float, str]:
    """Where a longer training is better, or (0) does as well, with the gap.

    Where the pretraining gains nothing over an equal training, a longer one
    that does as well explains nothing.
    """
    gains = {f.percent: f.gap, **f.others}
    return {
        percent: f'{percent:g} % of the labels ({name}: {g})'
        for name, gaps in f.longer.items()
        for percent, g in gaps.items()
        if g.seeds > 1 and g.seen == seen and (seen or gains[percent].seen > 0)
    }


def _unseen(f: Facts) -> bool:
    return f.learned and f.gap.seeds > 1 and not f.gap.seen


def _options(units: int, g: Gap) -> str:
    """Options that repeat a comparison so many times."""
    options = {'--seeds': units * g.seeds_of_a_unit}
    if g.pretrainings > 1:
        options['--pretraining-seeds'] = units
    return ' '.join(
        f'{name} {" ".join(map(str, range(count)))}'
        for name, count in options.items()
    )


def _enough(f: Facts) -> bool:
    """Whether so many runs would show the gap as somebody will make."""
    return f.gap.units_needed * f.gap.seeds_of_a_unit <= MANY_SEEDS


def _units(g: Gap) -> str:
    return 'pretrainings' if g.pretrainings > 1 else 'seeds'


class Rule(NamedTuple):
    """What to try, and when."""

    name: str
    applies: Callable[[Facts], bool]
    advice: Callable[[Facts], str]


# From the top; the first that apply are shown.
RULES = (
    Rule(
        'nothing learned',
        lambda f: not f.learned,
        lambda f: (
            'Train the detectors longer first (--detector-options '
            'train_cfg.max_epochs=...), and check in the examples below that '
            'the boxes of the labels lie on their objects.'
        ),
    ),
    Rule(
        'one seed',
        lambda f: f.learned and f.gap.seeds < 2,
        lambda f: (
            f'Repeat with {_options(5, f.gap)}: the same command runs only '
            'what is missing.'
        ),
    ),
    Rule(
        'longer training is better',
        lambda f: bool(_longer(f, 1)),
        lambda f: (
            f'Train longer without {f.source} where that is better: with '
            f'{" and ".join(_longer(f, 1).values())}. The pretraining gives '
            'nothing there that a longer training of the detector does not.'
        ),
    ),
    Rule(
        'longer training does as well',
        lambda f: bool(_longer(f, 0)),
        lambda f: (
            f'{f.source} may only save training of the detector: no '
            'difference can be seen to a longer one without it, with '
            f'{" and ".join(_longer(f, 0).values())}. Compare the hours.'
        ),
    ),
    Rule(
        'another start is better',
        lambda f: _better(f) is not None,
        lambda f: (
            f'Take {_better(f)}: it is better than {f.source} by '
            f'{f.rivals[_better(f) or ""]}.'
        ),
    ),
    Rule(
        'worse',
        lambda f: f.learned and f.gap.seeds > 1 and f.gap.seen < 0,
        lambda f: (
            'Look at the loss of the pretraining: if it jumps or stays where '
            'it began, take a third of the learning rate '
            '(--pretraining-options optim_wrapper.optimizer.lr=...).'
        ),
    ),
    Rule(
        'scenes without regions',
        lambda f: _scenes(f) and f.gap.seen <= 0,
        lambda f: (
            f'Pretrain on regions (--regions auto): your images show '
            f'{f.objects:.0f} objects each, and two crops of such a scene '
            'show different ones.'
        ),
    ),
    Rule(
        'short pretraining',
        lambda f: f.gap.seen <= 0 and f.steps is not None
        and f.steps < FEW_STEPS,
        lambda f: (
            f'Pretrain longer: {f.steps} steps are hardly a beginning '
            '(--pretraining-options train_cfg.max_epochs=...).'
        ),
    ),
    Rule(
        'too few seeds',
        lambda f: _unseen(f) and _enough(f),
        lambda f: (
            f'A gap of {f.gap.value:+.1f} is within the noise of '
            f'{f.gap.units} {_units(f.gap)}; about {f.gap.units_needed} would '
            'show it four times out of five '
            f'({_options(f.gap.units_needed, f.gap)}).'
        ),
    ),
    Rule(
        'gap too small',
        lambda f: _unseen(f) and not _enough(f),
        lambda f: (
            f'More {_units(f.gap)} will not help: to see a gap of '
            f'{f.gap.value:+.1f} in this noise takes more than {MANY_SEEDS} '
            'detectors of each start. Change the pretraining: more images, '
            'more epochs, other sizes.'
        ),
    ),
    Rule(
        'gain with few labels only',
        lambda f: f.gap.seen > 0
        and any(g.seen < 1 for g in f.others.values()),
        lambda f: (
            'The gain is one of few labels: use it where labels are scarce. '
            'Parts in between (--percent) show up to how many it lasts.'
        ),
    ),
    Rule(
        'gain',
        lambda f: f.gap.seen > 0
        and _better(f) is None
        and f.percent not in _longer(f, 1),
        lambda f: (
            f'Use it: tools/make_detection_config.py makes your config with '
            f'the backbone file of {f.source}, which lies in backbones beside '
            'this page.'
        ),
    ),
    Rule(
        'gain, and more to be had',
        lambda f: f.gap.seen > 0,
        lambda f: (
            'Pretrain longer, or on more images, and see whether the gain '
            'grows.'
            + (
                f' Regions (--regions auto) are worth a trial: your images '
                f'show {f.objects:.0f} objects each.'
                if _scenes(f)
                else ''
            )
        ),
    ),
)  # fmt: skip


def what_next(f: Facts) -> list[str]:
    """Sentences of advice, the most pressing first."""
    return [r.advice(f) for r in RULES if r.applies(f)][:SHOWN]
