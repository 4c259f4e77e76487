import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, '-W', 'ignore', 'tools/demo/run.py']


def demo(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*RUN, *map(str, words)], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.integration
def test_the_whole_story_in_small(tmp_path):
    from plan import STAGES

    done = demo('--fast', '--work-dir', tmp_path, '--seed', 1)
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads((tmp_path / 'facts.json').read_text())
    keys = [stage['key'] for stage in facts['stages']]
    assert keys == STAGES
    text = (tmp_path / 'report.html').read_text()
    for what in ('kNN', 'inear probe', 'box AP', 'mask AP', 'tools/train.py'):
        assert what in text
    # Words on pictures are words of the page, and it says how to go on.
    assert text.count('<figcaption>') > 100
    assert 'your own images' in text
    words = re.sub(r'<style>.*?</style>|<details.*?</details>', '', text)
    assert not re.findall(r'\b(?:nats|target|online)\b', _prose(words))
    # Nothing is loaded from anywhere.
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    # The weights arrived: the hook says so in the log.
    assert (
        'transfer verified: 120/120 tensors'
        in next((tmp_path / 'detector_sce').glob('*/*.log')).read_text()
    )


def _prose(html: str) -> str:
    """What is read on a page, without its commands and pictures."""
    html = re.sub(r'<pre>.*?</pre>', '', html, flags=re.DOTALL)
    return re.sub(r'<[^>]*>', ' ', html)


def test_a_stage_whose_input_is_missing_is_refused(tmp_path):
    from plan import Demo
    from run import start_facts

    with pytest.raises(FileNotFoundError, match='from its first stage'):
        start_facts(Demo(tmp_path, 0, False), ['data', 'pretrain'])
    facts = {'stages': [{'key': 'data'}], 'seed': 1, 'fast': True}
    (tmp_path / 'facts.json').write_text(json.dumps(facts))
    with pytest.raises(RuntimeError, match=r'run with .*1.*True'):
        start_facts(Demo(tmp_path, 2, True), ['data'])
