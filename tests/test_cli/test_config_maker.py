"""What sce detector and sce segmentor say is typed next."""

from pathlib import Path

from sce_mm.cli.config_maker import training_command


def test_several_processes_need_no_clone(root, tmp_path, monkeypatch):
    config = Path('my_config.py')
    monkeypatch.chdir(root)
    assert training_command(config, 1) == 'sce train my_config.py'
    assert training_command(config, 4) == 'tools/dist_train.sh my_config.py 4'
    monkeypatch.chdir(tmp_path)
    assert training_command(config, 4) == (
        'torchrun --nproc_per_node 4 -m sce_mm train my_config.py '
        '--launcher pytorch'
    )


def test_a_name_with_a_blank_is_typed_in_quotes():
    command = training_command(Path('my config.py'), 1)
    assert command == "sce train 'my config.py'"
