"""Every tool answers a wrong option before it imports what takes seconds."""

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
