"""Which pretraining the predictors of a seed start from.

All starts pair seeds and pretrainings by number alike: then differences of
starts are independent from one pretraining to the next. Pretrainings that are
added later get new seeds, or seeds of those that have more than their share;
no other predictor is trained again.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..utils.durable_files import write_json
from .pretraining import Starts


def choose_pairs(
    out: Path,
    seeds: Sequence[int],
    pretrainings: Sequence[int],
    starts: Starts,
) -> tuple[dict[int, int], str]:
    """Choose the pretraining of each seed, and remember it in ``pairs.json``.

    Args:
        out: Output folder of the comparison.
        seeds: Seeds of the predictors.
        pretrainings: Seeds of the pretrainings of each start.
        starts: What is compared, by source.

    Returns:
        By seed the number of its pretraining, and a sentence for the user if
        predictors are trained again.
    """
    file, places = (
        out / 'pairs.json',
        {s: n for n, s in enumerate(pretrainings)},
    )
    before = json.loads(file.read_text()) if file.is_file() else {}
    made = predictors_made(out / 'runs', starts)
    known = {seed: [*made.get(seed, [])] for seed in seeds}
    for seed, numbers in known.items():
        if (pretraining := before.get(str(seed))) in places:
            numbers.insert(0, places[pretraining])
    pairs = pair_seeds(seeds, len(pretrainings), known)
    chosen = {str(seed): pretrainings[n] for seed, n in pairs.items()}
    write_json(file, before | chosen)
    return pairs, trained_again(pairs, made)


def pair_seeds(
    seeds: Sequence[int],
    pretrainings: int,
    known: Mapping[int, Collection[int]],
) -> dict[int, int]:
    """Number of the pretraining that each seed takes.

    Each pretraining gets as many seeds, or one more. As many seeds as that
    permits stay with a pretraining that they have; the others take
    pretrainings in turn.

    >>> pair_seeds([0, 1, 2, 3], 3, {})
    {0: 0, 1: 1, 2: 2, 3: 0}
    >>> pair_seeds([0, 1, 2, 3], 4, {0: [0], 1: [1], 2: [2], 3: [0]})
    {0: 0, 1: 1, 2: 2, 3: 3}
    >>> pair_seeds([0, 1, 2, 3, 4], 2, {0: [0], 2: [0], 3: [1]})
    {0: 0, 1: 1, 2: 0, 3: 1, 4: 0}

    Args:
        seeds: Seeds of the predictors.
        pretrainings: How many there are.
        known: By seed, numbers of pretrainings that it has, the best first.
    """
    share, larger = divmod(len(seeds), pretrainings)
    counts, pairs = [0] * pretrainings, dict[int, int]()

    def has_room(number: int) -> bool:
        if counts[number] < share:
            return True
        full = sum(count > share for count in counts) == larger
        return counts[number] == share and not full

    def take(seed: int, numbers: Collection[int]) -> None:
        for number in numbers:
            if seed not in pairs and has_room(number):
                pairs[seed] = number
                counts[number] += 1

    for seed in seeds:
        take(seed, known.get(seed, []))
    for place, seed in enumerate(seeds):
        emptiest = sorted(range(pretrainings), key=counts.__getitem__)
        take(seed, [place % pretrainings, *emptiest])
    return {seed: pairs[seed] for seed in seeds}


def predictors_made(runs: Path, starts: Starts) -> dict[int, list[int]]:
    """By seed, numbers of the pretrainings from which there are predictors.

    Those with most predictors come first.

    Args:
        runs: Folder of all trainings.
        starts: What is compared, by source.
    """
    numbers = {
        start.key: number
        for several in starts.values()
        for number, start in enumerate(several)
        if start.recipe
    }
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for file in runs.glob('*/result.json'):
        result = json.loads(file.read_text())
        if (key := result.get('pretraining')) in numbers:
            found[result['seed']][numbers[key]] += 1
    return {
        seed: [number for number, _ in counts.most_common()]
        for seed, counts in found.items()
    }


def trained_again(
    pairs: Mapping[int, int], made: Mapping[int, Sequence[int]]
) -> str:
    """One sentence on seeds whose predictors are trained again, if any are.

    Args:
        pairs: Returned by :func:`pair_seeds`.
        made: Returned by :func:`predictors_made`.
    """
    moved = [s for s, n in pairs.items() if n not in made.get(s, [n])]
    if not moved:
        return ''
    had = Counter(made[seed][0] for seed in pairs if seed in made)
    needed = max(had.values()) * (1 + max(pairs.values()))
    return (
        '--pretraining-seeds: --seeds '
        f'{" ".join(map(str, moved))} are trained again, from other '
        'pretrainings than before, so that each pretraining has as many; '
        f'none would be with {needed} --seeds'
    )
