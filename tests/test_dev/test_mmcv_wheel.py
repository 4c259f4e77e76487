"""The compiled mmcv: what is kept, under which name."""

import os
import sys

import pytest


def build(dev, monkeypatch, folder, ops_work):
    commands = []

    def run(command, **options):
        commands.append([str(word) for word in command])
        if 'wheel' in commands[-1]:
            (folder / 'building').mkdir()
            (folder / 'building' / 'a.whl').touch()
        if commands[-1][-1] == dev.mmcv_wheel.OPS and not ops_work:
            raise dev.steps.SetupError('No module named mmcv._ext')

    monkeypatch.setattr(dev.mmcv_wheel, 'run', run)
    dev.mmcv_wheel.build_wheel(folder, 'onedl-mmcv==2.3.6', folder)
    return commands


def test_the_wheel_is_kept_by_torch_python_platform_and_version(dev):
    pins = {'onedl-mmcv': '2.3.6', 'torch': '2.10.0'}
    folder = dev.mmcv_wheel.wheel_folder(pins)
    assert folder.name.startswith('mmcv2.3.6-torch2.10.0-')
    assert sys.implementation.cache_tag in folder.name
    assert folder.name.endswith(os.uname().machine.lower())
    assert dev.mmcv_wheel.cached_wheel(folder) is None


def test_a_wheel_is_kept_once_its_ops_import(dev, tmp_path, monkeypatch):
    folder = tmp_path / 'wheels'
    assert len(build(dev, monkeypatch, folder, ops_work=True)) == 3
    assert dev.mmcv_wheel.cached_wheel(folder) == folder / 'a.whl'
    assert not (folder / 'building').exists()
    # Whoever waited for the lock finds it.
    assert build(dev, monkeypatch, folder, ops_work=True) == []


def test_a_wheel_without_ops_is_not_kept(dev, tmp_path, monkeypatch):
    folder = tmp_path / 'wheels'
    with pytest.raises(dev.steps.SetupError, match='its ops do not work'):
        build(dev, monkeypatch, folder, ops_work=False)
    assert dev.mmcv_wheel.cached_wheel(folder) is None
    # What an interrupted build has left does not disturb the next.
    assert build(dev, monkeypatch, folder, ops_work=True)
