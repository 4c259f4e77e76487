"""Every command answers a mistake before it imports what takes seconds."""

import subprocess
import sys


def test_a_wrong_option_is_one_line_before_torch_is_imported(root):
    tools = [
        path
        for path in sorted((root / 'tools').rglob('*.py'))
        if 'run_main(main)' in path.read_text()
        # Not for users, or not without mmdet.
        and path.parent.name not in ('dev', 'speed', 'demo')
    ]
    assert len(tools) >= 15
    # All at once, as a process has little to do but to start.
    started = {
        path: subprocess.Popen(
            [sys.executable, '-X', 'importtime', path, '--no-such-option'],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for path in tools
    }
    answers = {path: each.communicate() for path, each in started.items()}
    for path, (out, err) in answers.items():
        process = started[path]
        said = [x for x in err.splitlines() if 'import time:' not in x]
        assert (process.returncode, out, len(said)) == (2, '', 1), (path, err)
        assert said[0].startswith('error: '), path
        assert 'torch' not in err, path


def answer(*words):
    """Exit code, output and imports of ``sce`` with these words."""
    done = subprocess.run(
        [sys.executable, '-X', 'importtime', '-m', 'sce_mm', *words],
        capture_output=True,
        text=True,
    )
    lines = done.stderr.splitlines()
    imports = [x for x in lines if 'import time:' in x]
    said = [x for x in lines if x not in imports]
    assert not [x for x in imports if 'torch' in x or 'numpy' in x]
    return done.returncode, done.stdout, said


def test_the_commands_are_listed_by_name(root):
    code, listed, said = answer('--help')
    assert (code, said) == (0, [])
    files = (root / 'sce_mm' / 'cli' / 'commands').glob('[!_]*.py')
    names = {path.stem.replace('_', '-') for path in files}
    assert len(names) > 20
    lines = [x.split(maxsplit=1) for x in listed.splitlines() if x[:2] == '  ']
    assert {name for name, _ in lines} == names
    assert all(text.endswith('.') for _, text in lines)


def test_a_command_that_is_none():
    code, out, (said,) = answer('trian')
    assert (code, out) == (1, '')
    assert "did you mean 'train'" in said


def test_help_names_what_was_typed(root):
    code, module, _ = answer('extract', '--help')
    assert code == 0
    assert module.startswith('usage: python -m sce_mm extract')
    assert '\n    python -m sce_mm extract CKPT OUT' in module
    tool = 'tools/model_converters/extract_backbone.py'
    words = [sys.executable, tool, '--help']
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    assert f'\n    python {tool} CKPT OUT' in done.stdout
