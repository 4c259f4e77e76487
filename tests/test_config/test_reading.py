"""A config file that cannot be read is explained."""

import gc
import os
import warnings

import pytest

from sce_mm.config import ConfigError, read_config


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('a.py', 'model = dict(\n', 'cannot be read: SyntaxError'),
        ('a.py', "_base_ = 'none.py'\n", r'cannot be read: .*none\.py'),
        ('a.json', '{"model": ', 'cannot be read: JSONDecodeError'),
        ('a.txt', 'model', r'cannot be read: .*py/yml/yaml/json'),
        (
            'a.py',
            "custom_imports = dict(imports=['needs_more'])",
            "custom_imports: .*No module named 'not_there'",
        ),
        ('a.py', 'custom_imports = dict(import_=[])', 'must be dict'),
    ],
)
def test_a_broken_file(tmp_path, monkeypatch, name, text, message):
    (tmp_path / 'needs_more.py').write_text('import not_there\n')
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_config(path)
    assert error.match(message)
    # mmengine leaves its copy of such a file open.
    del error
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ResourceWarning)
        gc.collect()


def test_modules_are_imported(tmp_path, monkeypatch):
    (tmp_path / 'mine.py').write_text('import os; os.environ["MINE"] = "1"\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv('MINE', raising=False)
    path = tmp_path / 'config.py'
    path.write_text("custom_imports = dict(imports=['mine'])\nx = 3\n")
    assert read_config(path).x == 3
    assert os.environ['MINE'] == '1'
