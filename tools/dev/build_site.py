"""Build the site of the documents into build/site.

    python tools/dev/build_site.py

mkdocs-material makes it (``pip install 'sce_mm[docs]'``); any warning, such as
a link that leads nowhere, is an error. Pages keep the paths that they have in
the repository, so their links lead to the same places in both. A link to
another file, such as a config, leads to a page with its text, and a link to a
folder to a page that lists its files.
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ('*.md', 'docs/**/*.md', 'configs/sce/README.md')
ASSETS = ('docs/images/*', 'docs/*.css', 'docs/*.js')
# The target of a link or an image in Markdown that is not an address.
# The search would show files before pages.
NOT_FOUND = '---\nsearch:\n  exclude: true\n---\n\n'
TARGET = re.compile(r'\]\((?!\w+:|#)([^)#\s]+)')


def page_of_file(path: Path) -> str:
    """Return the text of a page that shows a file of the repository."""
    language = {
        '.json': 'json',
        '.py': 'python',
        '.sh': 'bash',
        '.yml': 'yaml',
    }
    name = path.relative_to(ROOT).as_posix()
    return (
        f'{NOT_FOUND}# `{name}`\n\n```{language.get(path.suffix, "text")}\n'
        f'{path.read_text().rstrip()}\n```\n'
    )


def page_of_folder(path: Path) -> str:
    """Return the text of a page that links the files of a folder."""
    names = sorted(each.name for each in path.iterdir() if each.is_file())
    rows = [f'- [`{name}`]({path.name}/{name})' for name in names]
    name = path.relative_to(ROOT).as_posix()
    return '\n'.join([f'{NOT_FOUND}# `{name}`', '', *rows])


def gather_pages(out: Path) -> None:
    """Copy pages and images to a folder, and make pages of linked files.

    Args:
        out: Folder that is emptied and filled.
    """
    shutil.rmtree(out, ignore_errors=True)
    for pattern in (*PAGES, *ASSETS):
        for source in sorted(ROOT.glob(pattern)):
            target = out / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    pages = sorted(out.rglob('*.md'))
    for page in pages:
        folder = (ROOT / page.relative_to(out)).parent

        def point_to_page(link: re.Match, folder: Path = folder) -> str:
            source = (folder / link[1]).resolve()
            if not source.exists() or not source.is_relative_to(ROOT):
                return link[0]
            target = out / source.relative_to(ROOT)
            if target.is_file():
                return link[0]
            shown = target.with_name(f'{target.name}.md')
            if not shown.exists():
                shown.parent.mkdir(parents=True, exist_ok=True)
                make = page_of_folder if source.is_dir() else page_of_file
                shown.write_text(make(source))
                # Its links need pages too.
                pages.extend([shown] * source.is_dir())
            return f'{link[0].rstrip("/")}.md'

        page.write_text(TARGET.sub(point_to_page, page.read_text()))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.parse_args()
    if importlib.util.find_spec('material') is None:
        print(
            'error: mkdocs-material is not installed: pip install '
            "'mkdocs-material>=9.6,<10' 'mkdocs<2'",
            file=sys.stderr,
        )
        return 1
    gather_pages(ROOT / 'build' / 'site-pages')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--clean']
    config = ROOT / 'docs' / 'mkdocs.yml'
    # Its advertisement of other programs is not for this output.
    os.environ['NO_MKDOCS_2_WARNING'] = '1'
    code = subprocess.call([*command, '--config-file', str(config)])
    if code == 0:
        print(f'open {ROOT / "build" / "site" / "index.html"}')
    return code


if __name__ == '__main__':
    raise SystemExit(main())
