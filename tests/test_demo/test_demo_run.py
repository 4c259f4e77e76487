import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, '-W', 'ignore', 'tools/demo/run.py']


@pytest.mark.integration
def test_the_whole_story_in_small(tmp_path):
    words = (*RUN, '--fast', '--segmentation', '--seed', '1')
    words += ('--work-dir', str(tmp_path))
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith('[demo] make the data')
    metadata = json.loads((tmp_path / 'metadata.json').read_text())
    assert len(metadata['stages']) == 7
    text = (tmp_path / 'report.html').read_text()
    for what in (
        'kNN',
        'inear probe',
        'box AP',
        'mask AP',
        'mIoU',
        'sce train',
    ):
        assert what in text
    # Words on images are words of the page, and it says how to go on.
    assert text.count('<figcaption>') > 100
    assert 'your own images' in text
    words = re.sub(r'<style>.*?</style>|<details.*?</details>', '', text)
    assert not re.findall(r'\b(?:nats|target|online)\b', _prose(words))
    # Nothing is loaded from anywhere.
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    # The weights arrived: the hook says so in the log.
    for name in ('detector_sce', 'segmentor_sce'):
        (log,) = (tmp_path / name).glob('*/*.log')
        assert 'transfer verified: 120/120 tensors' in log.read_text()


def _prose(html: str) -> str:
    """What is read on a page, without its commands and images."""
    html = re.sub(r'<pre>.*?</pre>', '', html, flags=re.DOTALL)
    return re.sub(r'<[^>]*>', ' ', html)
