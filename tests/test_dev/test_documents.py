"""What is made for the documents: the page of options, and the site."""

import re
import runpy
import subprocess
import sys

import pytest

from sce_mm.__main__ import command_files


def test_the_page_of_options_is_that_of_the_parsers(root):
    """``python tools/dev/commands_page.py`` renews it."""
    script = runpy.run_path(str(root / 'tools/dev/commands_page.py'))
    assert (root / 'docs/commands.md').read_text() == script['page']()


def test_each_argument_says_what_it_is(root):
    script = runpy.run_path(str(root / 'tools/dev/commands_page.py'))
    silent = [
        f'{name} {action.dest}'
        for name, file in command_files().items()
        for action in script['parser_of'](name, file.stem)._actions
        if action.help is None
    ]
    assert not silent


def test_linked_files_become_pages(root, tmp_path):
    script = runpy.run_path(str(root / 'tools/dev/build_site.py'))
    script['gather_pages'](tmp_path)
    page = (tmp_path / 'docs/datasets.md').read_text()
    assert '](../configs/_base_/datasets/folder_sce.py.md)' in page
    shown = tmp_path / 'configs/_base_/datasets/folder_sce.py.md'
    assert 'UnlabelledImages' in shown.read_text()
    # A folder becomes a list of its files, which are pages too.
    folder = (tmp_path / 'docs/evidence.md').read_text()
    assert '](evidence/cells.json.md)' in folder
    assert '"seed"' in (tmp_path / 'docs/evidence/cells.json.md').read_text()
    assert '](evidence.md)' in (tmp_path / 'docs/transfer.md').read_text()
    # Pages and images keep their places.
    assert (tmp_path / 'docs/images/demo_scenes.png').exists()
    assert '](docs/faq.md)' in (tmp_path / 'README.md').read_text()


@pytest.mark.integration
def test_the_site_builds_without_a_warning(root):
    script = root / 'tools/dev/build_site.py'
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    page = (root / 'build/site/docs/faq.html').read_text()
    # It opens without a network.
    assert not re.findall(r'(?:src|<link[^>]* href)="(?:https?:)?//', page)
