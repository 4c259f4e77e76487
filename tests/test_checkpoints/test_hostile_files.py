"""Damaged and hostile files: the right words, and nothing else happens."""

import io
import pickle
import sys
import tarfile
import zipfile
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transfer_files import pretraining, run_tool, trained

from sce_mm.transfer import (
    CheckpointError,
    extract_backbone,
    read_checkpoint,
    save_backbone,
)
from sce_mm.transfer.detectron2_names import to_detectron2

WEIGHTS = trained(width=8)
TRUST = 'If you trust its origin, pass --trust. What it asks for: '


class Attack:
    """Makes a folder if it is ever unpickled freely."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        import os

        return (os.mkdir, (str(self.trace),))


class AttackThroughNumPy(Attack):
    """The same through a function that is part of NumPy."""

    def __reduce__(self):
        from numpy.testing._private.utils import runstring

        code = f'import os; os.mkdir({str(self.trace)!r})'
        return (runstring, (code, {}))


def as_torch(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def changed(**tensors):
    """A file with some tensors replaced; None takes one away."""
    state = WEIGHTS | {k.replace('__', '.'): v for k, v in tensors.items()}
    return as_torch({k: v for k, v in state.items() if v is not None})


def cut(content, share):
    return content[: int(len(content) * share)]


def archive(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', **options) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def tar(content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as file:
        entry = tarfile.TarInfo('../pickle')
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def tampered():
    weights, meta = extract_backbone(WEIGHTS)
    weights['layer3.0.conv1.weight'] = weights['layer3.0.conv1.weight'] + 1e-3
    return as_torch({'state_dict': weights, 'meta': meta})


def safetensors_file(tmp_path):
    path = tmp_path / 'whole'
    save_file({k: v.clone() for k, v in WEIGHTS.items()}, path)
    content = path.read_bytes()
    path.unlink()
    return content


def object_array(trace):
    array = np.empty(1, object)
    array[0] = Attack(trace)
    return array


def prefixed(prefix):
    return as_torch({prefix + k: v for k, v in WEIGHTS.items()})


def arrays(content):
    return pickle.dumps({'model': content, '__author__': 'x'}, protocol=2)


NUMPY = {to_detectron2(k): v.numpy() for k, v in WEIGHTS.items()}
VIT = {
    'cls_token': torch.ones(1, 1, 8),
    'patch_embed.proj.weight': torch.ones(8, 3, 16, 16),
    'blocks.0.attn.qkv.weight': torch.ones(24, 8),
}
NAN = torch.full((8,), float('nan'))

# Name, content from (tmp_path, trace), what the message says.
CASES = {
    # Programs.
    'program': (
        lambda p, t: as_torch({'x': Attack(t)}),
        TRUST + 'posix.mkdir',
    ),
    'program, old format': (
        lambda p, t: as_torch(
            {'x': Attack(t)}, _use_new_zipfile_serialization=False
        ),
        TRUST + 'posix.mkdir',
    ),
    'program in a pickle': (
        lambda p, t: pickle.dumps({'model': NUMPY, 'x': Attack(t)}),
        TRUST + 'posix.mkdir',
    ),
    'program in a text pickle': (
        lambda p, t: pickle.dumps({'x': Attack(t)}, protocol=0),
        TRUST + 'posix.mkdir',
    ),
    'program through NumPy': (
        lambda p, t: arrays({'x': AttackThroughNumPy(t)}),
        TRUST + 'numpy.testing._private.utils.runstring',
    ),
    'program in an object array': (
        lambda p, t: arrays({'x': object_array(t)}),
        TRUST,
    ),
    'program in an array of torch': (
        lambda p, t: as_torch({'x': object_array(t)}),
        TRUST,
    ),
    'program in a NumPy file': (
        lambda p, t: (
            b'\x93NUMPY\x01\x00v\x00'
            + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n"
            + pickle.dumps(object_array(t))
        ),
        'is a single NumPy array',
    ),
    'torch tensors in a plain pickle': (
        lambda p, t: pickle.dumps({'model': {'w': torch.ones(2)}}),
        TRUST + 'torch._utils._rebuild_tensor_v2',
    ),
    'memo larger than any memory': (
        lambda p, t: b'\x80\x02}r\xff\xff\xff\x7f.',
        'memo index 2147483647',
    ),
    'array larger than any memory': (
        lambda p, t: b'\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R.',
        'damaged or cut short',
    ),
    # Archives.
    'member outside': (
        lambda p, t: archive(
            {'a/data.pkl': pickle.dumps({}), '../../ran/x': b'x'}
        ),
        'has a member that points out of it',
    ),
    'absolute member': (
        lambda p, t: archive({'a/data.pkl': b'', f'{t}/x': b'x'}),
        'has a member that points out of it',
    ),
    'compressed archive': (
        lambda p, t: archive(
            {'a/data.pkl': b'0' * 10**6}, compression=zipfile.ZIP_DEFLATED
        ),
        'is a compressed archive',
    ),
    'other archive': (
        lambda p, t: archive({'photo.jpg': b'x'}),
        'is an archive that torch.save did not write',
    ),
    'tar': (lambda p, t: tar(pickle.dumps(Attack(t))), 'is a tar archive'),
    # Damage.
    'empty': (lambda p, t: b'', 'is empty'),
    'web page': (
        lambda p, t: b'\n<!DOCTYPE html><html>Sign in\xe9</html>',
        'text or a web page',
    ),
    'text': (lambda p, t: b'Quota exceeded\n', 'text or a web page'),
    'pointer': (
        lambda p, t: b'version https://git-lfs.github.com/spec/v1\noid ...',
        'is a pointer of git-lfs',
    ),
    'picture': (lambda p, t: b'\xff\xd8\xff\xe0\x00\x10JFIF', 'no checkpoint'),
    **{
        f'cut at {share}': (
            lambda p, t, share=share: cut(as_torch(WEIGHTS), share),
            'damaged or cut short',
        )
        for share in (0.02, 0.5, 0.999)
    },
    'old format, cut': (
        lambda p, t: cut(
            as_torch(WEIGHTS, _use_new_zipfile_serialization=False), 0.6
        ),
        'damaged or cut short',
    ),
    'pickle, cut': (
        lambda p, t: cut(arrays(NUMPY), 0.7),
        'damaged or cut short',
    ),
    'safetensors, cut': (
        lambda p, t: cut(safetensors_file(p), 0.7),
        'damaged or cut short',
    ),
    'safetensors, header cut': (
        lambda p, t: safetensors_file(p)[:100],
        'damaged or cut short',
    ),
    # Whole files with the wrong things in them.
    'not a dict': (lambda p, t: as_torch([1, 2]), 'holds a list'),
    'optimizer': (
        lambda p, t: as_torch({'state': {}, 'param_groups': []}),
        'the state of an optimizer',
    ),
    'no tensors': (lambda p, t: as_torch({'epoch': 3}), 'no tensors in'),
    'head alone': (
        lambda p, t: as_torch({'head.fc.weight': torch.ones(2, 2)}),
        'only a head',
    ),
    'unknown prefix': (
        lambda p, t: prefixed('student.'),
        'begin with student',
    ),
    'prefix that only resembles': (
        lambda p, t: prefixed('backbone_x.'),
        'begin with backbone_x.',
    ),
    'vision transformer': (
        lambda p, t: as_torch(VIT),
        'this is a vision transformer',
    ),
    'vision transformer under a prefix': (
        lambda p, t: as_torch({f'backbone.{k}': v for k, v in VIT.items()}),
        'this is a vision transformer',
    ),
    'deep stem': (
        lambda p, t: changed(
            conv1__weight=None, conv1__0__weight=torch.ones(4, 3, 3, 3)
        ),
        'a ResNet with a deep stem',
    ),
    'NaN': (lambda p, t: changed(bn1__bias=NAN), 'bn1.bias has values that'),
    'infinite': (
        lambda p, t: changed(bn1__bias=torch.full((8,), float('inf'))),
        'bn1.bias has values that are not finite',
    ),
    'half precision': (
        lambda p, t: changed(conv1__weight=WEIGHTS['conv1.weight'].half()),
        'conv1.weight is float16',
    ),
    'swapped shape': (
        lambda p, t: changed(
            layer2__0__conv1__weight=WEIGHTS[
                'layer2.0.conv1.weight'
            ].transpose(0, 1)
        ),
        'layer2.0.conv1.weight [8, 16, 3, 3] instead of [16, 8, 3, 3]',
    ),
    'missing tensor': (
        lambda p, t: changed(layer4__1__bn2__running_var=None),
        '1 missing in the file: layer4.1.bn2.running_var',
    ),
    'extra tensor': (
        lambda p, t: changed(layer1__0__se__weight=torch.ones(2)),
        'has no place for: layer1.0.se.weight',
    ),
    'missing block': (
        lambda p, t: as_torch(
            {k: v for k, v in WEIGHTS.items() if not k.startswith('layer3.1')}
        ),
        'stages of 2, 2, 1, 2 blocks',
    ),
    'repeated memory': (
        lambda p, t: changed(bn1__bias=torch.zeros(1).expand(10**12)),
        'bn1.bias has 1000000000000 values and the file only 4 bytes',
    ),
    'no memory': (
        lambda p, t: changed(bn1__bias=torch.empty(8, device='meta')),
        'bn1.bias is a torch.strided tensor on meta',
    ),
    'other stem': (
        lambda p, t: changed(conv1__weight=torch.ones(8, 3, 5, 5)),
        'the stem is a 5 x 5 convolution',
    ),
    'claims that cannot be': (
        lambda p, t: as_torch(pretraining(WEIGHTS, mean='dark')),
        "says mean='dark', which it cannot be",
    ),
    'tampered': (lambda p, t: tampered(), 'its hash says so'),
}


@pytest.fixture
def export(root, capsys, monkeypatch):
    tool = root / 'tools' / 'model_converters' / 'export_backbone.py'
    return lambda *words: run_tool(
        tool, capsys, monkeypatch, *words, '--to', 'mmpretrain'
    )


@pytest.mark.parametrize('case', CASES)
def test_refused_by_name_and_nothing_happens(tmp_path, export, case):
    make, message = CASES[case]
    folder, trace = tmp_path / 'files', tmp_path / 'ran'
    folder.mkdir()
    path = folder / 'file.pth'
    path.write_bytes(make(folder, trace))
    before = path.read_bytes()
    code, text = export(path, folder / 'out.pth')
    assert code == 1
    assert text.startswith('error: ')
    assert message in text
    assert 'Traceback' not in text
    assert path.read_bytes() == before
    assert [*tmp_path.rglob('*')] == [folder, path]


def test_bytes_that_are_wrong_in_any_way(tmp_path):
    weights, meta = extract_backbone(pretraining(WEIGHTS))
    kinds = [
        as_torch({'state_dict': weights, 'meta': meta}),
        as_torch(WEIGHTS, _use_new_zipfile_serialization=False),
        arrays(NUMPY),
        safetensors_file(tmp_path),
    ]
    generator = np.random.default_rng(0)
    path, refused = tmp_path / 'file.pth', 0
    for count in range(400):
        content = bytearray(kinds[count % 4])
        # Most of them where the structure is, not the numbers.
        reach = [64, 4000, len(content)][count % 3]
        for at in generator.integers(0, reach, 1 + count % 7):
            content[at] = generator.integers(256)
        path.write_bytes(content)
        try:
            extract_backbone(read_checkpoint(path))
        except CheckpointError:
            refused += 1
    assert refused > 200


def test_folders_and_missing_files(tmp_path, export):
    code, text = export(tmp_path, tmp_path / 'out.pth')
    assert (code, 'is a folder' in text) == (1, True)
    code, text = export(tmp_path / 'none.pth', tmp_path / 'out.pth')
    assert (code, 'no checkpoint at' in text) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_the_file_that_all_of_these_were_made_of_is_read(tmp_path, export):
    path, out = tmp_path / 'file.pth', tmp_path / 'out.pth'
    torch.save(WEIGHTS, path)
    code, text = export(path, out, '--imagenet')
    assert code == 0, text
    assert 'channel_order: rgb' in text


@pytest.mark.parametrize('protocol', [0, 1, 2, 3, 4, 5])
def test_arrays_of_every_protocol_are_read(tmp_path, export, protocol):
    path = tmp_path / 'file.pkl'
    with path.open('wb') as file:
        pickle.dump({'model': NUMPY}, file, protocol=protocol)
    code, text = export(path, tmp_path / 'out.pth')
    assert code == 0, text
    again = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert all(torch.equal(again[k], v) for k, v in WEIGHTS.items())


def test_trust_reads_what_it_has_to(tmp_path, export):
    path, trace = tmp_path / 'file.pth', tmp_path / 'ran'
    torch.save({'state_dict': WEIGHTS, 'x': Attack(trace)}, path)
    code, text = export(path, tmp_path / 'out.pth', '--trust')
    assert code == 0, text
    assert trace.is_dir()


def test_objects_of_a_package_that_is_not_installed(
    tmp_path, export, monkeypatch
):
    # As Lightning keeps the configuration of the official code.
    module = ModuleType('omegaconf')
    module.DictConfig = type(
        'DictConfig', (dict,), {'__module__': 'omegaconf'}
    )
    monkeypatch.setitem(sys.modules, 'omegaconf', module)
    path, out = tmp_path / 'last.ckpt', tmp_path / 'out.pth'
    trunk = {f'trunk.{k}': v for k, v in WEIGHTS.items()}
    hyper = {'hyper_parameters': module.DictConfig(lr=1)}
    torch.save({'state_dict': trunk, 'callbacks': {}} | hyper, path)
    code, text = export(path, out)
    assert (code, TRUST + 'omegaconf.DictConfig' in text) == (1, True)
    code, text = export(path, out, '--trust')
    assert code == 0, text
    out.unlink()
    monkeypatch.delitem(sys.modules, 'omegaconf')
    code, text = export(path, out, '--trust')
    assert (code, 'pip install omegaconf' in text) == (1, True)
    assert not out.exists()


def test_a_later_version_and_another_branch_of_our_file(tmp_path, export):
    weights, meta = extract_backbone(pretraining(WEIGHTS), 'momentum')
    path, out = tmp_path / 'file.pth', tmp_path / 'out.pth'
    save_backbone(path, weights, meta | {'branch': 'online'})
    code, text = export(path, out, '--branch', 'momentum')
    assert (code, 'holds the online branch alone' in text) == (1, True)
    # Whoever wrote it left out what is not hashed.
    known = {k: meta[k] for k in ('format', 'version', 'sha256')}
    save_backbone(path, weights, known)
    code, text = export(path, out)
    assert (code, 'source: unknown' in text) == (0, True)
    out.unlink()
    save_backbone(path, weights, meta | {'version': 99})
    code, text = export(path, out)
    assert (code, 'version 99 of its format' in text) == (1, True)
    assert not out.exists()
