r"""Pretrain one config under several settings and seeds, and compare.

    sce sweep CONFIG OUT --seeds 0 1 2 \
        --setting InfoNCE model.head.loss.coeff=1 \
        --setting SCE model.head.loss.coeff=0.5

Each run is a training by sce train and an evaluation (kNN and linear
probe) by sce knn and sce linear-probe, on the labelled images of --knn or of
the config's OnlineKNNHook; the network before training is evaluated for each
seed too. What --cfg-options set is the same in every run. What is finished is
not done again and what was interrupted is resumed, so the same command goes
on, also with more seeds and settings. OUT gets results.json, results.md and a
folder a run.
"""

import copy
import json
from argparse import Namespace
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from ... import register
from ...utils.checks import require_own_folder
from ...utils.errors import UserError
from ...utils.run_commands import Command, run_together
from ...utils.text import RANDOM, in_path
from ..argument_types import (
    config_name,
    output_folder,
    positive_number,
    seed_number,
)
from ..arguments import ArgumentParser, add_knn, add_overrides

TABLE = 'results.md'
# Of which configs the results are.
SETTINGS = 'settings.json'
EVALUATIONS = ('knn', 'linear-probe')
# Accuracies by setting, seed and metric.
Results = dict[str, dict[int, dict[str, float]]]


def parse_args(argv: Sequence[str] | None) -> Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument('config', type=config_name, help='pretraining config')
    parser.add_argument(
        'out', type=output_folder, help='folder of the results'
    )
    parser.add_argument(
        '--setting',
        nargs='+',
        action='append',
        required=True,
        metavar='WORD',
        help='a name, and the overrides (key=value) that make it; repeatable',
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=seed_number,
        default=[0],
        help='seeds with which each setting is trained, 0 by default',
    )
    add_knn(parser)
    parser.add_argument(
        '--threads',
        type=positive_number,
        default=1,
        help='processor threads of a run',
    )
    add_overrides(parser)
    args = parser.parse_args(argv)
    for name, *_ in args.setting:
        if '=' in name:
            parser.error(
                f'--setting begins with a name, got {name}: for example '
                f'--setting A {name}'
            )
    names = [RANDOM, *(name for name, *_ in args.setting)]
    if len({in_path(name, '.') for name in names}) < len(names):
        parser.error(f'each --setting needs a name of its own, got {names}')
    return args


def measure(
    args: Namespace, name: str, words: list[str], seed: int
) -> dict[str, float]:
    """Train and evaluate one setting with one seed; its accuracies."""
    folder = args.out / f'{in_path(name, ".")}_seed{seed}'
    options = ['--cfg-options', f'randomness.seed={seed}', *args.cfg_options]

    def start(program: str, *words: object) -> None:
        command = Command(program, words, threads=args.threads)
        print(f'[sweep] {command.shown()}', flush=True)
        run_together([command], folder)

    results = {
        command: folder / f'{command.replace("-", "_")}.json'
        for command in EVALUATIONS
    }
    missing = [name for name, path in results.items() if not path.is_file()]
    source = '--random-init'
    if missing and name != RANDOM:
        place = '--work-dir', folder, '--resume'
        labelled = ['--knn', *args.knn] if args.knn else []
        start('sce train', args.config, *place, *labelled, *options, *words)
        source = (folder / 'last_checkpoint').read_text().strip()
    for command in missing:
        out = ['--out', results[command]]
        if args.knn:
            out += ['--bank', args.knn[0], '--query', args.knn[1]]
        start(f'sce {command}', args.config, source, *out, *options, *words)
    accuracies: dict[str, float] = {}
    for path in results.values():
        (row,) = json.loads(path.read_text())
        accuracies |= {k: v for k, v in row.items() if 'top1' in k}
    return accuracies


def adopt_settings(out: Path, settings: dict[str, str]) -> None:
    """Compare the settings with those of the output folder; remember them.

    Args:
        out: Folder of the results.
        settings: Hash of the config of each setting, by its name.

    Raises:
        UserError: The folder has results of another config under a name.
    """
    from ...utils.durable_files import write_json

    path = out / SETTINGS
    before = json.loads(path.read_text()) if path.is_file() else {}
    other = [n for n in settings if before.get(n, settings[n]) != settings[n]]
    if other:
        raise UserError(
            f'{out} holds results of {", ".join(other)} from another CONFIG '
            'or other overrides: name another OUT, or give what was given then'
        )
    write_json(path, before | settings)


def as_table(results: Results) -> str:
    """Markdown: mean and, of several seeds, standard deviation."""
    metrics = list(next(iter(next(iter(results.values())).values())))
    lines = [['setting', *metrics, 'seeds'], ['---'] * (len(metrics) + 2)]
    for name, by_seed in results.items():
        cells = []
        for metric in metrics:
            values = [row[metric] for row in by_seed.values()]
            spread = f' ± {stdev(values):.1f}' if len(values) > 1 else ''
            cells.append(f'{mean(values):.1f}{spread}')
        lines.append([name, *cells, str(len(by_seed))])
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    require_own_folder(args.out, TABLE, 'sweep')
    register()
    from ...config.check import check_config, require_pretraining
    from ...config.overrides import fit_warmup, override
    from ...config.reading import hash_of_config, read_config, require_model
    from ...evaluation.loaders import knn_settings
    from ...utils.durable_files import write_durably, write_json
    from ..config_edits import set_knn

    settings = {RANDOM: [], **{name: words for name, *words in args.setting}}
    configs, hashes = {}, {}
    for name, words in settings.items():
        option = f'--setting {name}' if words else '--cfg-options'
        cfg = configs[option] = read_config(args.config)
        require_model(cfg, args.config)
        require_pretraining(cfg, args.config)
        before = copy.deepcopy(cfg)
        override(cfg, args.cfg_options + words, option)
        # As the training does, which says so.
        fit_warmup(cfg, before)
        if args.knn:
            bank, query = args.knn
            set_knn(cfg, bank, query, options=('--knn BANK', '--knn QUERY'))
        hashes[name] = hash_of_config(cfg)
    for option, cfg in configs.items():
        # The first training would find it out after an evaluation.
        try:
            # Without it, the trainings have to be there already.
            if cfg.get('train_cfg'):
                check_config(cfg)
                knn_settings(cfg, '--knn BANK QUERY')
        except ValueError as error:
            text = str(error).replace(
                '--data DIR',
                '--cfg-options train_dataloader.dataset.data_root=DIR',
            )
            typed = option != '--cfg-options' or args.cfg_options
            raise UserError(f'{option}: {text}' if typed else text) from error
    args.out.mkdir(parents=True, exist_ok=True)
    # Says whose folder it is, before there are results.
    (args.out / TABLE).touch()
    adopt_settings(args.out, hashes)
    results: Results = defaultdict(dict)
    # Seeds outermost: after one round every setting has a first result.
    for seed in args.seeds:
        for name, words in settings.items():
            results[name][seed] = measure(args, name, words, seed)
            write_json(args.out / 'results.json', results)
            write_durably(args.out / TABLE, as_table(results).encode())
    print(as_table(results), end='')
