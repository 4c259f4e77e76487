"""Write the demo's report: one page with what came out, whatever it is.

python tools/demo/report.py work_dirs/demo
"""

import json
from pathlib import Path

# Arguments are read before the imports that take seconds.
__starts_light__ = True

import sce_mm
from sce_mm.cli.arguments import ArgumentParser
from sce_mm.cli.exit import run_main


def main() -> None:
    parser = ArgumentParser(__doc__)
    parser.add_argument('out', type=Path, help='work dir of the demo')
    out = parser.parse_args().out
    sce_mm.register()
    (out / 'report.html').write_text(report(out), encoding='utf-8')


def report(out: Path) -> str:
    """The page, from what the stages left in ``out``."""
    import sections
    from mmengine.config import Config

    from sce_mm.comparison.results import last_logged
    from sce_mm.detection.comparison.task import coco_metrics
    from sce_mm.utils.text import RANDOM
    from sce_mm.visualization import page

    metadata = json.loads((out / 'metadata.json').read_text())
    cfg = Config.fromfile(next((out / 'sce').glob('*.py')))
    knn = results(out / 'knn.json', 'knn_top1_k20')
    probe = results(out / 'linear_probe.json', 'linear_top1')
    detection = {}
    for name in ('sce', 'scratch'):
        logged = last_logged(out / f'detector_{name}')
        detection[name] = coco_metrics(logged, [], masks=True)
        del detection[name]['classes']
    measured = {'kNN accuracy': knn, 'linear probe': probe} | {
        name: (detection['sce'][name], detection['scratch'][name])
        for name in ('box AP', 'mask AP')
    }
    # An option of the demo.
    segmented = (out / 'segmentor_sce').exists()
    explained = (
        'kNN accuracy: digits classified correctly by a vote of the most '
        'similar labelled tiles. Linear probe: by a linear classifier on the '
        'frozen features. Box and mask AP: how well Mask R-CNN finds '
        'digits in scenes, from 0 to 100.'
    )
    if segmented:
        measured['mIoU'] = segmentation(out)
        explained += (
            ' mIoU: how well UPerNet says of each pixel of the same scenes '
            'which digit it belongs to, from 0 to 100.'
        )
    rows = [
        [name, f'{ours:.1f}', f'{other:.1f}']
        for name, (ours, other) in measured.items()
    ]
    body = [
        page.title(
            headline(measured),
            'Does pretraining on unlabelled images make a better detector?',
        ),
        page.paragraph(answer(measured)),
        page.table(['', 'SCE', RANDOM], rows, 'What was measured'),
        page.paragraph(explained, 'soft'),
        *sections.what_was_done(out, cfg),
        *sections.curves(out, knn[1]),
        *sections.views(out, cfg),
        *sections.alike(out, cfg),
        *sections.detections(out, detection),
        *(sections.segments(out) if segmented else ()),
        *sections.next_steps(),
        *sections.how_it_was_run(cfg, metadata),
    ]
    return page.page('sce_mm: report of the demo', body)


def results(path: Path, column: str) -> tuple[float, float]:
    """An accuracy with SCE and with random initialisation."""
    random, sce = json.loads(path.read_text())
    return sce[column], random[column]


def segmentation(out: Path) -> tuple[float, float]:
    """The mIoU of UPerNet with SCE and with random initialisation."""
    from sce_mm.utils.run_commands import read_scalars

    sce, random = (
        read_scalars(out / f'segmentor_{name}')['mIoU'][-1][1]
        for name in ('sce', 'scratch')
    )
    return sce, random


def headline(measured: dict[str, tuple[float, float]]) -> str:
    """The result for the detector in one sentence."""
    return (
        f'The box AP of Mask R-CNN {change(measured, "box AP", 1)} when its '
        'backbone comes from SCE on unlabelled images instead of random '
        'initialisation.'
    )


def answer(measured: dict[str, tuple[float, float]]) -> str:
    """The other results as sentences that follow from the numbers."""
    text = (
        'Both detectors have the same few labels, the same schedule and the '
        f'same seed. The mask AP {change(measured, "mask AP", 1)}. The kNN '
        'accuracy of the frozen features '
        f'{change(measured, "kNN accuracy", 2)}, the linear probe accuracy '
        f'{change(measured, "linear probe", 2)}. '
    )
    if 'mIoU' in measured:
        text += f'The mIoU of UPerNet {change(measured, "mIoU", 1)}. '
    return f'{text}This is one run of each; another seed moves every number.'


def change(
    measured: dict[str, tuple[float, float]], name: str, margin: float
) -> str:
    """What a value does, as the rest of a sentence."""
    ours, other = measured[name]
    gap = ours - other
    if abs(gap) < margin:
        return f'stays about the same ({other:.1f}, then {ours:.1f})'
    word = 'rises' if gap > 0 else 'falls'
    return f'{word} from {other:.1f} to {ours:.1f}'


if __name__ == '__main__':
    run_main(main)
