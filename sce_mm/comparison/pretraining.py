"""What predictors start from: pretrainings, given weights, or nothing.

A :class:`Recipe` is a config of a pretraining with its overrides. With each
seed it becomes a :class:`Start`, which knows its files.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from ..checkpoints.reading import META_KEY, read_checkpoint
from ..config.check import check_config, require_pretraining
from ..config.errors import ConfigError
from ..config.overrides import fit_warmup, override
from ..config.parts import innermost_dataset
from ..config.reading import read_config, require_model
from ..config.regions import (
    Sides,
    choose_regions,
    cuts_regions,
    only_stretches,
    regions_text,
)
from ..datasets.images.levels import as_stretch
from ..transfer import Backbone, extract_backbone
from ..transfer.initial_weights import load_initial_weights
from ..transfer.metadata import describe_model
from ..utils.errors import UserError
from ..utils.option_values import as_word
from ..utils.random_state import preserve_rng
from ..utils.text import RANDOM, in_path
from .results import config_file
from .settings import Settings
from .unlabelled import Unlabelled


class Loading(NamedTuple):
    """How a pretraining loads image files.

    Attributes:
        place: Index of ``LoadImage`` in the pipeline.
        stretch: Levels that become black and white; see ``LoadImage``.
    """

    place: int
    stretch: tuple[float, float] | None


@dataclass(frozen=True)
class Recipe:
    """A way to pretrain.

    Attributes:
        source: Name of what it gives.
        config: Its file.
        overrides: Options and their ``KEY=VALUE`` words, in turn.
        regions: What its samples are, as ``--regions`` says; None for those
            of the config.
        init_from: Checkpoint that it starts from.
    """

    source: str
    config: Path
    overrides: tuple[tuple[str, tuple[str, ...]], ...]
    regions: Sides | str | None = None
    init_from: Path | None = None

    @property
    def words(self) -> list[str]:
        """All overrides."""
        return [word for _, words in self.overrides for word in words]

    @cached_property
    def cfg(self) -> Config:
        """Config with the overrides, as it was when it was first read.

        Raises:
            ConfigError: It cannot be read, or has no such key.
        """
        cfg = read_config(self.config)
        require_model(cfg, str(self.config))
        require_pretraining(cfg, str(self.config))
        before = copy.deepcopy(cfg)
        for option, words in self.overrides:
            override(cfg, words, option)
        fit_warmup(cfg, before)
        return cfg

    def own_seed(self) -> int | None:
        """Seed that the config has, None for another one each time."""
        return (self.cfg.get('randomness') or {}).get('seed')

    @property
    def cuts_regions(self) -> bool:
        """Whether its samples are regions of the images."""
        if self.regions is not None:
            return self.regions != 'none'
        return cuts_regions(self.cfg)

    def loading(self) -> Loading | None:
        """How it loads files; None if a cache of ours gives other pixels."""
        _, dataset = innermost_dataset(self.cfg)
        for place, step in enumerate(dataset.get('pipeline') or []):
            if step.get('type') == 'LoadImage':
                if only_stretches(step):
                    return Loading(place, as_stretch(step.get('stretch')))
                break
        return None

    def read_for(self, unlabelled: Unlabelled) -> Config:
        """Config on the list of images, or on the cache of them."""
        cfg = copy.deepcopy(self.cfg)
        override(cfg, self.data_words(unlabelled))
        return cfg

    def data_words(self, unlabelled: Unlabelled) -> list[str]:
        """Overrides that let it read the list of images, or the cache."""
        key, _ = innermost_dataset(self.cfg)
        words = [
            f'{key}.data_root=',
            as_word(f'{key}.ann_file', unlabelled.list_file),
        ]
        cache, loading = unlabelled.cache, self.loading()
        if cache and loading and loading.stretch == cache.stretch:
            where = f'{key}.pipeline.{loading.place}'
            words += [
                f'{where}.type=LoadCachedImage',
                as_word(f'{where}.cache', cache.folder),
                # The comparison has done so.
                f'{where}.check_source=False',
            ]
        return words

    def set_regions(
        self,
        cfg: Config,
        boxes: dict[str, Any] | None,
        predictor: Config,
        unlabelled: Unlabelled,
        per_image: int | None = None,
    ) -> list[str]:
        """Let its config take the regions; returns lines for the user."""
        if self.regions is None:
            return []
        # Others may turn or shrink them, and look at their sizes themselves.
        images = unlabelled.images() if self.loading() else None
        return choose_regions(
            cfg, self.regions, per_image, boxes, predictor, images
        )

    def option_words(
        self, unlabelled: Unlabelled, seed: int | None
    ) -> list[str]:
        """Overrides with which ``sce train`` pretrains on the images."""
        # The user's own come first: the data are those of the comparison.
        words = [*self.words, *self.data_words(unlabelled)]
        return words if seed is None else [*words, f'randomness.seed={seed}']

    def region_words(
        self, boxes: Path, predictor: Path, per_image: int | None
    ) -> list[object]:
        """Words of ``sce train`` that cut the regions."""
        if self.regions is None:
            return []
        words: list[object] = ['--regions', regions_text(self.regions)]
        if self.regions == 'auto':
            words += ['--boxes', boxes, '--detector', predictor]
        if per_image:
            words += ['--regions-per-image', per_image]
        return words

    def check(
        self,
        unlabelled: Unlabelled,
        work_dir: Path,
        boxes: dict[str, Any] | None,
        predictor: Config,
    ) -> Backbone:
        """Find what would end the pretraining.

        Returns:
            The backbone of the network that is not trained yet.

        Raises:
            ConfigError: All that is wrong in the config.
            UserError: No regions can be cut.
        """
        cfg = copy.deepcopy(self.cfg)
        _, dataset = innermost_dataset(cfg)
        dataset.data_root = list(map(str, unlabelled.folders))
        dataset.pop('ann_file', None)
        cfg.work_dir = str(work_dir)
        self.set_regions(cfg, boxes, predictor, unlabelled)
        try:
            check_config(cfg)
        except ConfigError as error:
            raise ConfigError(
                f'{error} (in the pretraining of {self.source})'
            ) from error
        with (
            preserve_rng(),
            DefaultScope.overwrite_default_scope('mmpretrain'),
        ):
            # The page shows it: the same one whenever it is made.
            torch.manual_seed(0)
            model: Any = MODELS.build(cfg.model)
        meta = {META_KEY: describe_model(model, 0)}
        state = {k: v.clone() for k, v in model.state_dict().items()}
        if given := self.init_from:
            try:
                load_initial_weights(model, read_checkpoint(given), str(given))
            except UserError as error:
                raise type(error)(f'--init-from: {error}') from error
        return extract_backbone({'state_dict': state, 'meta': meta})


class Start(NamedTuple):
    """What the backbone of a predictor starts from.

    Attributes:
        source: Name in the table.
        key: Name of its files.
        out: Output folder of the comparison.
        recipe: Its pretraining, if it is ours.
        seed: Seed of that; None for that of the config.
        factor: How many times as long the predictor trains.
        weights: Backbone file, if it is given.
    """

    source: str
    key: str
    out: Path
    recipe: Recipe | None = None
    seed: int | None = None
    factor: float = 1
    weights: Path | None = None

    @property
    def folder(self) -> Path:
        """Where its pretraining writes."""
        return self.out / 'runs' / self.key

    @property
    def result(self) -> Path:
        """How its pretraining was run, once it is done."""
        return self.folder / 'pretraining.json'

    @property
    def backbone(self) -> Path:
        """File that the predictor starts from."""
        return self.weights or self.out / 'backbones' / f'{self.key}.pth'

    @property
    def config(self) -> Path:
        """Config of the predictor that starts from it."""
        key = self.key if self.factor == 1 else in_path(RANDOM)
        return config_file(self.out, key)

    def is_done(self) -> bool:
        """Whether it is pretrained."""
        return self.backbone.is_file() and self.result.is_file()

    def __str__(self) -> str:
        seed = '' if self.seed is None else f', seed {self.seed}'
        return f'pretraining of {self.source}{seed}'


# What is compared: by source one start, or one for each pretraining.
Starts = Mapping[str, Sequence[Start]]


def list_starts(settings: Settings) -> Starts:
    """What is compared.

    The pretraining with the seed that its config has anyway is called as the
    only one would be, so that a folder with one pretraining can get more.
    """
    out = settings.out
    found = {RANDOM: [Start(RANDOM, in_path(RANDOM), out)]}
    if factor := settings.longer_random:
        name = f'{RANDOM}, {factor:g} x as long'
        found[name] = [Start(name, in_path(name), out, factor=factor)]
    for name, file in settings.weights.items():
        found[name] = [Start(name, in_path(name), out, weights=file)]
    for recipe in _recipes(settings):
        name, key = recipe.source, in_path(recipe.source)
        if settings.pretraining_seeds is None:
            found[name] = [Start(name, key, out, recipe)]
            continue
        found[name] = []
        for seed in settings.pretraining_seeds:
            more = '' if seed == recipe.own_seed() else f'_pretraining{seed}'
            found[name].append(Start(name, key + more, out, recipe, seed))
    return found


def _recipes(settings: Settings) -> list[Recipe]:
    shared = '--pretraining-options', tuple(settings.pretraining_options)
    return [
        Recipe(
            name,
            variant.config or settings.pretraining,
            (shared, (f'--variant {name}', tuple(variant.overrides))),
            variant.regions or settings.regions,
            variant.init_from,
        )
        for name, variant in settings.pretrainings.items()
    ]
