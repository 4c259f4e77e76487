"""Numbers of a comparison that its headline and its advice follow from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from mmengine.config import Config

from ..config.parts import innermost_dataset, samples_of_an_image
from ..datasets.labels.subsets import part_size
from ..utils.text import RANDOM
from .differences import Gap, difference
from .results import SCE, Results, longer_random, pretraining_config
from .task import Measure

if TYPE_CHECKING:
    from .comparison import Comparison


class Facts(NamedTuple):
    """What the headline and the advice follow from.

    Attributes:
        measure: The value that was compared.
        maker: Tool that makes a config for a backbone file.
        source: The pretraining that is asked about.
        unlabelled: Number of its images.
        percent: Smallest part of the labels.
        images: Number of images of that part.
        theirs: Measured from random initialisation with that part.
        ours: Measured from the pretraining.
        gap: Between them.
        others: The gap with each larger part of the labels.
        rivals: Gap to each other start with the smallest part, theirs minus
            ours.
        gains: Gap of each of these to random initialisation.
        longer: Gap to random initialisation that trains longer, for each part
            of the labels, theirs minus ours; by its name, if it was compared.
        objects: Objects in a labelled image, on average; 0 if none are
            labelled.
        regions: Whether the pretraining cuts regions out of the images.
        regions_tried: Whether any start is pretrained on regions.
        steps: Training steps of the pretraining, if they are known.
        seeds: Seeds of the predictors.
        pretraining_seeds: Seeds of the pretrainings, if there are several.
        unlearned: Larger parts of the labels with which neither of both has
            learned anything.
    """

    measure: Measure
    maker: str
    source: str
    unlabelled: int
    percent: float
    images: int
    theirs: float
    ours: float
    gap: Gap
    others: Mapping[float, Gap]
    rivals: Mapping[str, Gap]
    gains: Mapping[str, Gap]
    longer: Mapping[str, Mapping[float, Gap]]
    objects: float
    regions: bool
    regions_tried: bool
    steps: int | None
    seeds: Sequence[int]
    pretraining_seeds: Sequence[int]
    unlearned: Sequence[float] = ()

    @property
    def has_learned(self) -> bool:
        """Whether a predictor has learned anything."""
        return max(self.theirs, self.ours) >= self.measure.least


def gap(
    measure: Measure, results: Results, ours: str, theirs: str, percent: float
) -> Gap:
    """The gap between two starts with a part of the labels.

    Over the seeds that they share. Where both have several pretrainings,
    predictors of one seed come from those of one number, so that pairs of
    pretrainings are independent.
    """
    seeds = {run['seed']: run for run in results[theirs][percent]}
    pairs = [
        (run, seeds[run['seed']])
        for run in results[ours][percent]
        if run['seed'] in seeds
    ]
    keys = [tuple(run.get('pretraining') for run in pair) for pair in pairs]
    known = None if set(keys) == {(None, None)} else keys
    mine, others = (
        [run[measure.name] for run in runs]
        for runs in zip(*pairs, strict=True)
    )
    return difference(mine, others, known, measure.step)


def starts_that_learned(
    measure: Measure, results: Results, percent: float
) -> set[str]:
    """Starts whose predictors have learned something."""
    return {
        source
        for source in results
        if mean(measure.of(results, source, percent)) >= measure.least
    }


def facts_of(comparison: Comparison, results: Results) -> Facts:
    """The facts of a comparison."""
    task, measure = comparison.task, comparison.task.measure
    unlabelled = len(comparison.unlabelled.paths)
    lengths = {}
    for source in results:
        if cfg := pretraining_config(comparison.out, results, source):
            lengths[source] = length_of(cfg, unlabelled)
    regions, steps = lengths.get(SCE, (False, None))

    def between(ours: str, theirs: str, percent: float) -> Gap:
        return gap(measure, results, ours, theirs, percent)

    percents = smallest, *larger = sorted(results[RANDOM])
    longer = longer_random(results)
    rivals = [n for n in results if n not in (SCE, RANDOM, *longer)]
    return Facts(
        measure=measure,
        maker=task.maker,
        source=SCE,
        unlabelled=unlabelled,
        percent=smallest,
        images=part_size(len(task.train_images()), smallest),
        theirs=mean(measure.of(results, RANDOM, smallest)),
        ours=mean(measure.of(results, SCE, smallest)),
        gap=between(SCE, RANDOM, smallest),
        others={p: between(SCE, RANDOM, p) for p in larger},
        rivals={name: between(name, SCE, smallest) for name in rivals},
        gains={name: between(name, RANDOM, smallest) for name in rivals},
        longer={
            name: {p: between(name, SCE, p) for p in percents}
            for name in longer
        },
        objects=task.objects,
        regions=regions,
        regions_tried=any(cut for cut, _ in lengths.values()),
        steps=steps,
        seeds=[run['seed'] for run in results[RANDOM][smallest]],
        pretraining_seeds=[
            s.seed for s in comparison.starts[SCE] if s.seed is not None
        ],
        unlearned=[
            p
            for p in larger
            if not {SCE, RANDOM} & starts_that_learned(measure, results, p)
        ],
    )


def length_of(cfg: Config, unlabelled: int) -> tuple[bool, int | None]:
    """Whether a pretraining cuts regions, and how many steps it takes."""
    pipeline = innermost_dataset(cfg)[1].pipeline
    regions = any(step['type'] == 'CutRegion' for step in pipeline)
    if 'max_epochs' not in cfg.train_cfg:
        return regions, cfg.train_cfg.get('max_iters')
    samples = unlabelled * samples_of_an_image(cfg)
    batches = samples // cfg.train_dataloader.batch_size
    return regions, batches * cfg.train_cfg.max_epochs
