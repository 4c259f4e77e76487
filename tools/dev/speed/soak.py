"""Does a training that goes on and on keep to its memory?

    python tools/dev/speed/soak.py soak.json --minutes 60 CONFIG \\
        [words for tools/train.py ...]

Starts ``tools/train.py`` on the config and looks at it every few seconds, with
its workers: memory, open files, processes, threads, size of the work dir. When
the time is up the training is told to stop (SIGTERM: it saves and exits with
75). Memory is the proportional set size, which counts a page that several
processes share once. The slopes are of straight lines through all samples
after the first quarter, in which caches fill; exit status 1 if memory, files,
processes or threads grow by more than 1 % in an hour. Checkpoints hold the
history of all logged values, as mmengine writes it, and so grow a little.

Linux only: elsewhere there is no proportional set size.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import time
from pathlib import Path

import psutil
from measuring import machine

TRAIN = Path(__file__).resolve().parents[2] / 'train.py'
EXIT_PREEMPTED = 75
WARM_UP = 0.25
MUST_NOT_GROW = ('memory_mb', 'open_files', 'processes', 'threads')
Sample = dict[str, float]


def main() -> None:
    """Train, watch, and say what grew."""
    args, words = parse_args()
    command = [sys.executable, '-W', 'ignore', str(TRAIN), *words]
    report = {'machine': machine(), 'words': words, 'every': args.every}
    training = psutil.Popen([*command, '--work-dir', str(args.work_dir)])
    try:
        samples = watch(training, args.work_dir, 60 * args.minutes, args.every)
    finally:
        training.send_signal(signal.SIGTERM)
        status = training.wait()
    if status not in (0, EXIT_PREEMPTED):
        sys.exit(f'error: the training ended with {status}')
    report |= {'samples': samples, **growth(samples)}
    args.out.write_text(json.dumps(report, indent=1) + '\n')
    for line in in_words(report):
        print(line)
    sys.exit(0 if report['flat'] else 1)


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('out', type=Path, help='JSON file to write')
    parser.add_argument('--minutes', type=float, default=60)
    parser.add_argument('--every', type=float, default=10, help='seconds')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/soak')
    )
    args, words = parser.parse_known_args()
    if not words:
        parser.error('which config? Name it after the other arguments')
    return args, words


def watch(
    training: psutil.Popen, work_dir: Path, seconds: float, every: float
) -> list[Sample]:
    """Samples until the time is up or the training has ended."""
    start = time.monotonic()
    samples = []
    while training.poll() is None and time.monotonic() - start < seconds:
        passed = (time.monotonic() - start) / 60
        sample = look(training, work_dir)
        if sample:
            samples.append({'minutes': passed} | sample)
        time.sleep(every)
    return samples


def look(training: psutil.Process, work_dir: Path) -> Sample:
    """Counts of a process with its descendants; empty if one just ended."""
    try:
        family = [training, *training.children(recursive=True)]
        return {
            'memory_mb': sum(p.memory_full_info().pss for p in family) / 1e6,
            'open_files': sum(p.num_fds() for p in family),
            'processes': len(family),
            'threads': sum(p.num_threads() for p in family),
            'checkpoints_mb': sum(
                file.stat().st_size for file in work_dir.rglob('*.pth')
            )
            / 1e6,
        }
    except (psutil.Error, FileNotFoundError):
        return {}


def growth(samples: list[Sample]) -> dict[str, object]:
    """Level, spread and slope of each count after the first quarter."""
    end = samples[-1]['minutes']
    late = [s for s in samples if s['minutes'] >= WARM_UP * end]
    hours = [s['minutes'] / 60 for s in late]
    counts = {}
    for name in samples[0].keys() - {'minutes'}:
        values = [s[name] for s in late]
        slope = statistics.linear_regression(hours, values).slope
        counts[name] = {
            'median': statistics.median(values),
            'lowest': min(values),
            'highest': max(values),
            'growth_in_an_hour': slope,
            'share_in_an_hour': slope / max(statistics.median(values), 1e-9),
        }
    flat = all(counts[n]['share_in_an_hour'] < 0.01 for n in MUST_NOT_GROW)
    return {'counts': counts, 'flat': flat, 'minutes': end}


def in_words(report: dict) -> list[str]:
    """A line for each count, and the conclusion."""
    lines = [
        f'{name:15s} median {c["median"]:9.1f}, {c["lowest"]:.1f} to '
        f'{c["highest"]:.1f}, {c["growth_in_an_hour"]:+.2f} an hour '
        f'({c["share_in_an_hour"]:+.2%})'
        for name, c in sorted(report['counts'].items())
    ]
    what = ', '.join(MUST_NOT_GROW)
    verdict = f'{what}: {"none grows" if report["flat"] else "GROWING"}'
    return [*lines, f'{report["minutes"]:.0f} minutes; {verdict}']


if __name__ == '__main__':
    __starts_light__ = True
    from sce_mm.cli.exit import run_main

    run_main(main)
