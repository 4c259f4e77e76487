"""Data and weights of a command line in place of those of a config."""

import re
from pathlib import Path

from mmengine.config import Config

from .training_data import innermost_dataset
from .transfer.surroundings import named_weights


def set_data(cfg: Config, folders: list[str]) -> None:
    """Point the innermost training data set to other folders.

    Raises:
        ValueError: The config trains on something else than a folder.
    """
    _, dataset = innermost_dataset(cfg)
    if dataset.type != 'UnlabelledImages':
        raise ValueError(
            f'--data takes a folder of unlabelled images, but this config '
            f'trains on {dataset.type}: use a config that ends in _folder, '
            'or set train_dataloader.dataset through --cfg-options'
        )
    dataset.data_root = folders if len(folders) > 1 else folders[0]
    dataset.pop('ann_file', None)


def set_pretrained(cfg: Config, path: str) -> None:
    """Point all that takes pretrained weights to another file.

    In classifiers that is a hook; in detectors the backbone, in those of the
    C4 kind the head of the regions as well, and whatever else loads the file
    of the backbone.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The config loads no backbone.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'no backbone file at {path}')
    for hook in cfg.get('custom_hooks', []):
        if hook['type'] == 'PretrainedBackboneHook':
            hook['checkpoint'] = path
            return
    parts = [cfg.model.get('backbone')]
    if shared := (cfg.model.get('roi_head') or {}).get('shared_head'):
        parts.append(shared)
    before = ((parts[0] or {}).get('init_cfg') or {}).get('checkpoint')
    for part in parts:
        init_cfg = (part or {}).get('init_cfg') or {}
        if init_cfg.get('type') != 'Pretrained':
            raise ValueError(
                '--pretrained is for configs that load a backbone, but '
                f'{(part or {}).get("type")} of this one has init_cfg='
                f'{init_cfg or None}: make one that does with '
                'tools/make_detection_config.py'
            )
        init_cfg['checkpoint'] = path
    same = [where for where, value in named_weights(cfg) if value == before]
    cfg.merge_from_dict(
        {re.sub(r'\[(\d+)\]', r'.\1', where): path for where in same}
    )
