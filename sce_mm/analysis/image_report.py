"""Report what a folder of images holds before anything trains on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ..datasets.images import inspection
from ..datasets.images.near_duplicates import Fingerprint, group_copies
from ..utils.text import counted, printable

# Shorter sides, in pixels, of which no crop shows anything.
TINY = 32
# More images take minutes to be compared with each other: a million, hours.
MOST_COMPARED = 200_000
# Images, sizes and groups of copies that the text names.
_NAMED, _GROUPS = 3, 3
_MEANING = {
    inspection.GREY: 'without colour, whatever the file format',
    inspection.DEEP: 'of more than 8 bits',
    inspection.FLAT: 'of these in so narrow a range of levels that they come '
    'out black or flat',
    inspection.CMYK: 'in CMYK, made for printing: check how they look',
    inspection.PALETTE: 'with a palette',
    inspection.ALPHA: 'with transparency, which becomes white',
    inspection.FRAMES: 'with several frames or pages, of which the first one '
    'is taken',
    inspection.TURNED: 'turned by an EXIF tag, as viewers show them; boxes '
    'from a program that ignores the tag do not fit',
}


@dataclass
class ImageReport:
    """What some images are.

    Attributes:
        paths: Images that can be read, in their order.
        sizes: Their heights and widths.
        unreadable: Paths of the others, and why.
        kinds: By constant of :mod:`~sce_mm.datasets.images.inspection` the
            paths of images that are of it.
        copies: Groups of paths that show the same, the largest first.
        equal_files: Number of groups whose files are equal.
        compared: Whether near copies were looked for.
        file_bytes: Size of all files.
        seconds: What decoding the median image took.
    """

    paths: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, list[str]] = field(default_factory=dict)
    copies: list[list[str]] = field(default_factory=list)
    equal_files: int = 0
    compared: bool = True
    file_bytes: int = 0
    seconds: float = 0.0

    @property
    def spare(self) -> int:
        """Images that could go, so that one of each group of copies stays."""
        return sum(len(group) - 1 for group in self.copies)

    @property
    def tiny(self) -> list[str]:
        """Images with a side below :data:`TINY`."""
        pairs = zip(self.paths, self.sizes, strict=True)
        return [path for path, size in pairs if min(size) < TINY]

    @property
    def pixels(self) -> int:
        """Pixels of all images."""
        return sum(height * width for height, width in self.sizes)

    def kept(self) -> list[str]:
        """Readable images that are large enough, one of each group."""
        spare = {path for group in self.copies for path in group[1:]}
        spare.update(self.tiny)
        return [path for path in self.paths if path not in spare]


def look_at(paths: Sequence[str], workers: int = 1) -> ImageReport:
    """Decode all images once and compare them with each other.

    Args:
        paths: Paths of the images.
        workers: Processes that decode.

    Raises:
        UserError: A process was killed, as happens without enough memory.
    """
    report = ImageReport()
    prints: list[Fingerprint] = []
    seconds = []
    for facts in inspection.inspect_images(paths, workers):
        report.file_bytes += facts.file_bytes
        if facts.problem:
            report.unreadable[facts.path] = facts.problem
            continue
        report.paths.append(facts.path)
        report.sizes.append((facts.height, facts.width))
        for kind in facts.kinds:
            report.kinds.setdefault(kind, []).append(facts.path)
        prints.append(facts.print)
        seconds.append(facts.seconds)
    report.seconds = median(seconds) if seconds else 0.0
    if len(prints) > MOST_COMPARED:
        report.compared = False
        prints = [Fingerprint(print_.content, None) for print_ in prints]
    for group in group_copies(prints):
        report.copies.append([report.paths[index] for index in group])
        contents = {prints[index].content for index in group}
        report.equal_files += len(contents) == 1
    return report


def report_text(report: ImageReport) -> str:
    """What a report says, one line for each thing that was found."""
    count = len(report.paths) + len(report.unreadable)
    total = f'{count:,}, {report.file_bytes / 1e6:,.1f} MB'
    lines = [f'{"images":11} {total}', *_size_lines(report)]
    if report.unreadable:
        shown = [
            f'{_name(path)} ({printable(reason)})'
            for path, reason in [*report.unreadable.items()][:_NAMED]
        ]
        lines.append(
            f'{"unreadable":11} {_listed(shown, len(report.unreadable))}'
        )
    if tiny := report.tiny:
        lines.append(f'{"tiny":11} a side below {TINY} px: {_names(tiny)}')
    lines += [
        f'{"kind":11} {len(report.kinds[kind]):,} {meaning}'
        for kind, meaning in _MEANING.items()
        if kind in report.kinds
    ]
    lines.append(f'{"copies":11} {_copies_text(report)}')
    return '\n'.join(lines)


def report_json(report: ImageReport) -> dict[str, Any]:
    """A report as plain values; copies and odd images with their paths."""
    sizes = Counter(f'{w} x {h}' for h, w in report.sizes)
    return {
        'images': len(report.paths) + len(report.unreadable),
        'file_bytes': report.file_bytes,
        'sizes': dict(sizes.most_common()),
        'unreadable': report.unreadable,
        'tiny': report.tiny,
        'kinds': report.kinds,
        'copies': report.copies,
        'near_copies_compared': report.compared,
        'decoding_seconds': report.seconds,
    }


def _size_lines(report: ImageReport) -> list[str]:
    if not report.sizes:
        return []
    short, long = (
        sorted(side(size) for size in report.sizes) for side in (min, max)
    )
    common = Counter(report.sizes).most_common()
    several = [
        f'{width} x {height} ({counted(number, "image")})'
        for (height, width), number in common[:_NAMED]
    ]
    text = _listed(several, len(common), 'sizes')
    return [
        f'{"size":11} {text}',
        f'{"sides":11} shorter {_spread(short)}, longer {_spread(long)}',
    ]


def _spread(sides: list[int]) -> str:
    if sides[0] == sides[-1]:
        return f'{sides[0]} px'
    return f'{sides[0]} to {sides[-1]} px (median {median(sides):.0f})'


def _copies_text(report: ImageReport) -> str:
    if not report.copies:
        return (
            'none'
            if report.compared
            else (
                f'no equal files; of more than {MOST_COMPARED:,} images near '
                'copies are not looked for'
            )
        )
    groups = [
        ' = '.join(map(_name, group[:2]))
        + (f' = {len(group) - 2} more' if group[2:] else '')
        for group in report.copies[:_GROUPS]
    ]
    near = len(report.copies) - report.equal_files
    kinds = [
        f'{number:,} of {what}'
        for number, what in (
            (report.equal_files, 'equal files'),
            (near, 'near copies'),
        )
        if number
    ]
    return (
        f'{counted(report.spare, "image")} too many, in '
        f'{counted(len(report.copies), "group")} ({", ".join(kinds)}): '
        f'{_listed(groups, len(report.copies), "groups")}'
    )


def _names(paths: Sequence[str]) -> str:
    return _listed([_name(path) for path in paths[:_NAMED]], len(paths))


def _listed(shown: Sequence[str], count: int, things: str = '') -> str:
    more = count - len(shown)
    text = f'{count:,}: ' * (not things) + ', '.join(shown)
    return text + f' and {more:,} more {things}'.rstrip() * (more > 0)


def _name(path: str) -> str:
    """The file and the folder that it lies in."""
    return printable('/'.join(Path(path).parts[-2:]))
