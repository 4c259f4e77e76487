"""The high-water mark of the resident memory."""

import mmap

import pytest

from sce_mm.analysis import peak_memory


def test_the_mark_rises_and_can_be_set_back():
    before = peak_memory.reset_peak()
    with mmap.mmap(-1, 50_000_000) as pages:
        pages.write(bytes(50_000_000))
        assert peak_memory.peak_bytes() - before >= 49_000_000
    assert peak_memory.peak_bytes() - before >= 49_000_000
    # The kernel adds up what threads touched only now and then.
    assert peak_memory.reset_peak() - before < 25_000_000


def test_a_system_that_does_not_tell(monkeypatch, tmp_path):
    status = tmp_path / 'status'
    status.write_text('VmRSS: 7 kB\n')
    monkeypatch.setattr(peak_memory, '_STATUS', status)
    with pytest.raises(OSError, match='no VmHWM'):
        peak_memory.peak_bytes()
