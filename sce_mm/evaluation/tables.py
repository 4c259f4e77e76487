"""Results for people and for programs."""

import json
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process


def report(rows: list[dict[str, Any]], heading: str, out: str | None) -> None:
    """Print a table and write the json file, on the main process.

    Args:
        rows: Results of the networks, all with the same keys.
        heading: What was measured, on what.
        out: Path of the json file.
    """
    if not is_main_process():
        return
    table = [list(rows[0])]
    for row in rows:
        table.append(
            [
                f'{x:.4g}' if isinstance(x, float) else str(x)
                for x in row.values()
            ]
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print(heading)
    for line in table:
        cells = zip(line, widths, strict=True)
        print('  '.join(cell.ljust(width) for cell, width in cells).rstrip())
    if out is not None:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(json.dumps(rows, indent=2) + '\n')
