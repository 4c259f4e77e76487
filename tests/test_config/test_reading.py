"""A config file that cannot be read is explained."""

import gc
import os
import warnings

import pytest

from sce_mm.config.names import ConfigError
from sce_mm.config.reading import read_config


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('a.py', 'model = dict(\n', 'SyntaxError'),
        ('a.py', 'x = 1 / 0\n', 'ZeroDivisionError'),
        ('a.py', "_base_ = 'none.py'\n", r'none\.py'),
        ('a.json', '{"model": ', 'JSONDecodeError'),
        ('a.txt', 'model', r'py/yml/yaml/json'),
    ],
)
def test_a_broken_file(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_config(path)
    assert error.match(rf'the config .*{name} cannot be read: .*{message}')
    # mmengine leaves its copy of such a file open.
    del error
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ResourceWarning)
        gc.collect()


@pytest.mark.parametrize(
    ('imports', 'message'),
    [
        (['sce_m'], r"sce_m \(ModuleNotFoundError: No module named 'sce_m'\)"),
        (['needs_more'], "needs_more .*No module named 'not_there'"),
        (['raises'], 'KeyError'),
        (('os',), 'must be a list'),
        ([3], 'cannot be imported'),
    ],
)
def test_modules_that_cannot_be_imported(
    tmp_path, monkeypatch, imports, message
):
    (tmp_path / 'needs_more.py').write_text('import not_there\n')
    (tmp_path / 'raises.py').write_text('{}["a"]\n')
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / 'config.py'
    path.write_text(f'custom_imports = dict(imports={imports!r})\n')
    with pytest.raises(ConfigError, match=f'custom_imports: .*{message}'):
        read_config(path)


def test_misspelt_custom_imports(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("custom_imports = dict(import_=['os'])\n")
    with pytest.raises(ConfigError, match=r'custom_imports: must be dict\('):
        read_config(path)


def test_modules_are_imported(tmp_path, monkeypatch):
    (tmp_path / 'mine.py').write_text('import os; os.environ["MINE"] = "1"\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv('MINE', raising=False)
    path = tmp_path / 'config.py'
    path.write_text("custom_imports = dict(imports=['mine'])\nx = 3\n")
    assert read_config(path).x == 3
    assert os.environ['MINE'] == '1'
