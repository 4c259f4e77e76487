"""The set-up's modules, away from this checkout and its cache."""

import shutil
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

NAMES = ('steps', 'preflight', 'mmcv_wheel', 'environment', 'setup_env')


@pytest.fixture
def dev(root, tmp_path, monkeypatch):
    """The modules of the set-up, with a checkout and cache of their own."""
    monkeypatch.syspath_prepend(root / 'tools' / 'dev')
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    modules = SimpleNamespace(**{n: import_module(n) for n in NAMES})
    checkout = tmp_path / 'checkout'
    shutil.copytree(root / 'requirements', checkout / 'requirements')
    (checkout / 'sce_mm' / '.mim' / 'configs').mkdir(parents=True)
    (checkout / 'sce_mm' / 'version.py').touch()
    (checkout / 'setup.py').touch()
    monkeypatch.setattr(modules.environment, 'ROOT', checkout)
    for name in ('preflight', 'mmcv_wheel', 'environment'):
        monkeypatch.setattr(
            getattr(modules, name), 'CACHE', tmp_path / 'cache'
        )
    yield modules
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.fixture
def steps_only(dev, monkeypatch):
    """No check of the machine; the steps are recorded, not run."""
    steps = []
    env = dev.environment
    monkeypatch.setattr(env, 'check_compiler', lambda: None)
    monkeypatch.setattr(env, 'check_disk', lambda folder, gigabytes: None)
    monkeypatch.setattr(env, 'find_uv', lambda: 'uv')
    monkeypatch.setattr(env, 'build_wheel', lambda *args: None)
    monkeypatch.setattr(
        env,
        'run',
        lambda command, **options: steps.append([str(w) for w in command]),
    )
    return steps


@pytest.fixture
def executable():
    """``executable(path, script)`` writes a shell script that runs."""

    def write(path, script):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\n{script}\n')
        path.chmod(0o755)

    return write


@pytest.fixture
def kept_wheel(dev):
    """Folder of a compiled mmcv that is in the cache already."""
    pins = {'onedl-mmcv': '2.3.6', 'torch': '2.10.0'}
    folder = dev.mmcv_wheel.wheel_folder(pins)
    folder.mkdir(parents=True)
    (folder / 'a.whl').touch()
    return folder
