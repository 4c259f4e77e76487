"""Say in one sentence what a comparison found, and what to try next.

All follows from :class:`Facts` by rules that are one table: :data:`RULES`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..utils.text import RANDOM
from .differences import Gap, holm
from .facts import Facts

# Who asks for more runs of each start will not get them.
MANY_SEEDS = 30
# Sentences of advice that are read.
SHOWN = 4
# Fewer independent runs do not tell how large the noise is.
MEASURED = 5
# Scenes of fewer objects are one thing and its ground.
SEVERAL = 3.0
# Pretraining of fewer steps has hardly begun.
FEW_STEPS = 500
# Goes on in the same folder.
_REGIONS = '--variant "SCE, regions" regions=auto'


def shown_starts(f: Facts) -> list[str]:
    """Starts of which examples are drawn: random, ours, the best other."""
    names = [RANDOM, f.source]
    if f.rivals:
        names.append(max(f.rivals, key=lambda n: f.rivals[n].value))
    return names


def headline(f: Facts) -> str:
    """The answer in one sentence."""
    name, predictor = f.measure.name, f.measure.predictor
    ours = f'{f.source} pretraining on your {f.unlabelled} images'
    with_part = f'With {f.percent:g} % of the labels ({_images(f.images)})'
    if not f.has_learned:
        return (
            f'{with_part}, neither {predictor} has learned anything ({name} '
            f'{f.theirs:.1f} and {f.ours:.1f}{f.measure.note}), so nothing '
            f'can be said about {ours}.'
        )
    change = f'{name} from {f.theirs:.1f} to {f.ours:.1f}'
    if f.gap.seeds < 2:
        return (
            f'{with_part}, one seed of the {predictor} went from {name} '
            f'{f.theirs:.1f} to {f.ours:.1f} with {ours}: one seed says '
            'nothing about the noise.'
        )
    if f.gap.seen:
        verb = 'raises' if f.gap.seen > 0 else 'lowers'
        text = f'{with_part}, {ours} {verb} {change}'
    else:
        text = (
            f'{with_part}, no difference can be seen beyond the noise of '
            f'{f.gap.units} {_units(f.gap)}: {name} is {f.ours:.1f} with '
            f'{ours}, and {f.theirs:.1f} from {RANDOM}'
        )
    verdicts = {1: 'which is more', 0: 'and the noise hides which is better'}
    for longer, g in _unbeaten(f, f.percent).items():
        text += (
            f'; {_trained(longer)} reaches {f.ours + g.value:.1f}, '
            f'{verdicts[g.seen]}'
        )
    return f'{text}.'


def each_part(f: Facts) -> list[str]:
    """A sentence about each part of the labels: verdict, gap and test.

    The headline has the verdict of the smallest part, so its gap is enough.
    """
    first = []
    if f.has_learned and f.gap.seeds > 1:
        first = [f'With {f.percent:g} % of the labels: {f.gap}.']
    return first + [_other_part(f, p, g) for p, g in f.others.items()]


def _other_part(f: Facts, percent: float, g: Gap) -> str:
    if percent in f.unlearned:
        return (
            f'With {percent:g} %, neither {f.measure.predictor} has learned '
            'anything.'
        )
    if g.seeds < 2:
        return f'With {percent:g} %: {g}.'
    verdicts = {1: 'better', 0: 'no difference can be seen', -1: 'worse'}
    text = f'With {percent:g} %: {verdicts[g.seen]} ({g})'
    texts = {1: 'is better still', 0: 'does as well, within the noise'}
    if g.seen < 1:
        texts[1] = 'is better'
    for name, other in _unbeaten(f, percent).items():
        text += f'; {_trained(name)} {texts[other.seen]}'
    return f'{text}.'


def _images(count: int) -> str:
    return f'{count} image{"s" * (count != 1)}'


def _scenes(f: Facts) -> bool:
    return f.objects >= SEVERAL and not f.regions_tried


def _better(f: Facts) -> str | None:
    """The start that is better than ours by most, beyond the noise.

    After Holm's correction for the number of starts, of which this is the
    best, and if it is better than random initialisation as well.
    """
    names = list(f.rivals)
    kept = holm([f.rivals[name].p for name in names])
    better = [
        names[index]
        for index in kept
        if f.rivals[names[index]].seen > 0 and f.gains[names[index]].seen > 0
    ]
    return max(better, key=lambda name: f.rivals[name].value, default=None)


def _unbeaten(f: Facts, percent: float) -> dict[str, Gap]:
    """Longer trainings that are better, or explain a gain: no worse.

    Where the pretraining gains nothing over an equal training, a longer one
    that does as well explains nothing.
    """
    gain = {f.percent: f.gap, **f.others}[percent]
    found = {n: gaps[percent] for n, gaps in f.longer.items()}
    return {
        name: g
        for name, g in found.items()
        if g.seeds > 1 and (g.seen > 0 or (g.seen == 0 and gain.seen > 0))
    }


def _trained(name: str) -> str:
    """Random initialisation that trains longer, as part of a sentence."""
    return name.replace(f'{RANDOM}, ', f'{RANDOM} trained ', 1)


def _longer(f: Facts, seen: int) -> dict[float, str]:
    """Where a longer training is better, or (0) does as well, with the gap."""
    return {
        percent: f'{percent:g} % of the labels ({name}: {g})'
        for percent in (f.percent, *f.others)
        for name, g in _unbeaten(f, percent).items()
        if g.seen == seen
    }


def _unseen(f: Facts) -> bool:
    return f.has_learned and f.gap.units >= MEASURED and not f.gap.seen


def _last(f: Facts) -> Gap:
    """The gap with the largest part of the labels."""
    return f.others[max(f.others)] if f.others else f.gap


def _hidden(f: Facts) -> bool:
    """Whether the largest part may have the gain of the smallest."""
    last = _last(f)
    return last.seen == 0 and last.value + last.half_width >= f.gap.value


def _options(units: int, f: Facts) -> str:
    """Options that repeat a comparison so many times, with what it has."""
    options = {'--seeds': (f.seeds, units * f.gap.seeds_of_a_unit)}
    if f.gap.pretrainings > 1:
        options['--pretraining-seeds'] = f.pretraining_seeds, units
    return ' '.join(
        f'{name} {" ".join(map(str, _more(*numbers)))}'
        for name, numbers in options.items()
    )


def _more(seeds: Sequence[int], count: int) -> list[int]:
    """Seeds with others after them, so that there are so many."""
    others = (n for n in range(count + len(seeds)) if n not in seeds)
    return [*seeds, *others][: max(count, len(seeds))]


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
        lambda f: not f.has_learned,
        lambda f: (
            f'Train the {f.measure.predictor}s longer first '
            '(`--min-iterations N`; the section of the configs says how many '
            'there were), and check in the examples below that the labels '
            'lie on their objects.'
        ),
    ),
    Rule(
        'few seeds',
        lambda f: f.has_learned and not f.gap.seen and f.gap.units < MEASURED,
        lambda f: (
            f'Repeat with `{_options(MEASURED, f)}`: fewer {_units(f.gap)} do '
            'not show how large the noise is. The same command runs only '
            'what is missing.'
        ),
    ),
    Rule(
        'longer training is better',
        lambda f: bool(_longer(f, 1)),
        lambda f: (
            f'Train longer without {f.source} where that is better: with '
            f'{" and ".join(_longer(f, 1).values())}. There the pretraining '
            'gives nothing that a longer training of the '
            f'{f.measure.predictor} does not.'
        ),
    ),
    Rule(
        'longer training does as well',
        lambda f: bool(_longer(f, 0)),
        lambda f: (
            f'{f.source} may only save training time of the '
            f'{f.measure.predictor}: a longer training without it cannot be '
            'told from it, with '
            f'{" and ".join(_longer(f, 0).values())}. Compare the hours.'
        ),
    ),
    Rule(
        'another start is better',
        lambda f: _better(f) is not None,
        lambda f: (
            f'Take {_better(f)}: it is better than {f.source} by '
            f'{f.rivals[_better(f) or ""]}, and than {RANDOM} by '
            f'{f.gains[_better(f) or ""]}.'
        ),
    ),
    Rule(
        'worse',
        lambda f: f.has_learned and f.gap.seeds > 1 and f.gap.seen < 0,
        lambda f: (
            'Look at the loss of the pretraining: if it jumps or stays where '
            'it started, use a third of the learning rate '
            '(`--pretraining-options optim_wrapper.optimizer.lr=...`, with '
            'another OUT).'
        ),
    ),
    Rule(
        'scenes without regions',
        lambda f: _scenes(f) and f.gap.seen <= 0,
        lambda f: (
            f'Pretrain on regions (`{_REGIONS}`): your images show '
            f'{f.objects:.0f} objects each, and two crops of such a scene '
            'show different ones.'
        ),
    ),
    Rule(
        'short pretraining',
        lambda f: f.gap.seen <= 0 and f.steps is not None
        and f.steps < FEW_STEPS,
        lambda f: (
            f'Pretrain longer: {f.steps} steps are very few '
            '(`--pretraining-options train_cfg.max_epochs=...`, with another '
            'OUT).'
        ),
    ),
    Rule(
        'too few seeds',
        lambda f: _unseen(f) and _enough(f),
        lambda f: (
            f'A gap of {f.gap.value:+.1f} is within the noise of '
            f'{f.gap.units} {_units(f.gap)}. If it is real, about '
            f'{f.gap.units_needed} would show it four times out of five '
            f'(`{_options(f.gap.units_needed, f)}`).'
        ),
    ),
    Rule(
        'gap too small',
        lambda f: _unseen(f) and not _enough(f),
        lambda f: (
            f'More {_units(f.gap)} will not help: to see a gap of '
            f'{f.gap.value:+.1f} in this noise takes more than {MANY_SEEDS} '
            f'{f.measure.predictor}s of each start. Change the pretraining: '
            'more images, more epochs, other sizes, with another OUT.'
        ),
    ),
    Rule(
        'gain with few labels only',
        lambda f: f.gap.seen > 0 and _last(f).seen < 1 and not _hidden(f),
        lambda f: (
            'There is a gain with few labels only: use it where labels are '
            'scarce. Parts in between (`--percent`) show how far it reaches.'
        ),
    ),
    Rule(
        'noise with more labels',
        lambda f: f.gap.seen > 0 and _hidden(f),
        lambda f: (
            f'With {max(f.others):g} % of the labels the noise hides a gain '
            'of this size: it takes more `--seeds` to see whether it lasts.'
        ),
    ),
    Rule(
        'gain',
        lambda f: f.gap.seen > 0
        and _better(f) is None
        and f.percent not in _longer(f, 1),
        lambda f: (
            f'Use it: `{f.maker}` makes your config with the '
            f'backbone file of {f.source}, which lies in `backbones` beside '
            'this page.'
        ),
    ),
    Rule(
        'gain, and more to be had',
        lambda f: f.gap.seen > 0,
        lambda f: (
            'Pretrain longer, or on more images, with another OUT, and see '
            'whether the gain grows.'
            + (
                f' Regions (`{_REGIONS}`) are worth trying: your images show '
                f'{f.objects:.0f} objects each.'
                if _scenes(f)
                else ''
            )
        ),
    ),
)  # fmt: skip


def what_next(f: Facts) -> list[str]:
    """Sentences of advice, the most pressing first."""
    return [r.advice(f) for r in RULES if r.applies(f)][:SHOWN]
