"""Refuse an output folder whose results come from other inputs."""

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ...config.errors import ConfigError
from ...config.reading import read_config
from ..adapt import load_source


def check_inputs(args: argparse.Namespace) -> None:
    """Compare the inputs with those that the output folder was made from.

    Labels, weights and configs are known by their content, images by their
    folders. Seeds, parts of the labels, starts and threads may be others.

    Args:
        args: Arguments of tools/compare.py.

    Raises:
        ConfigError: The folder holds trainings on other inputs.
    """
    path: Path = args.out / 'inputs.json'
    before = json.loads(path.read_text()) if path.is_file() else {}
    now = _inputs(args)
    other = [
        name for name in before if now.get(name, before[name]) != before[name]
    ]
    if other and (args.out / 'runs').exists():
        raise ConfigError(
            f'{args.out} holds another comparison, of other {", ".join(other)}'
            ': name another OUT, or give what was given then'
        )
    if other:
        # No training has begun; what is made from labels and images is small.
        shutil.rmtree(args.out / 'labels', ignore_errors=True)
        (args.out / 'copies.json').unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(before | now, indent=2))


def _inputs(args: argparse.Namespace) -> dict[str, Any]:
    """What decides the results, by the option that gives it."""
    found = {
        '--images': sorted(map(str, args.images)),
        '--train': _hash(args.train.read_bytes()),
        '--train-images': str(args.train_images),
        '--val': _hash(args.val.read_bytes()),
        '--val-images': str(args.val_images),
        '--detector': _hash_of_config(load_source(args.detector)[0]),
        '--pretraining': _hash_of_config(read_config(args.pretraining)),
        '--pretraining-options': args.pretraining_options,
        '--detector-options': args.detector_options,
    }
    for name, file in args.weights.items():
        found[f'--weights {name}'] = _hash(file.read_bytes())
    if args.init_from:
        found['--init-from'] = _hash(args.init_from.read_bytes())
    return found


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash_of_config(cfg: Any) -> str:
    text = json.dumps(cfg._cfg_dict.to_dict(), default=str)
    return _hash(text.encode())
