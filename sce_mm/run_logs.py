"""What a run of mmengine left in its work directory."""

import json
from collections import defaultdict
from pathlib import Path


def scalars(work_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """Every logged number of a run, as pairs of step and value.

    Resumed runs log into a further file: all are read, the oldest first.
    """
    series = defaultdict(list)
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            step = entry.get('step', entry.get('iter', 0))
            for name, value in entry.items():
                if isinstance(value, int | float):
                    series[name].append((step, value))
    return dict(series)
