"""Values of KEY=VALUE words: mmengine's, and texts of any kind."""

from pathlib import Path

import pytest

from sce_mm.utils.errors import UserError
from sce_mm.utils.option_values import as_word, parse_value


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        # As mmengine reads them.
        ('-1', -1),
        ('1e5', 1e5),
        ('True', True),
        ('None', None),
        ('SCE', 'SCE'),
        ('', ''),
        ('1,2,3', [1, 2, 3]),
        ('cat,dog', ['cat', 'dog']),
        ('[]', []),
        ('(1)', (1,)),
        ('(0, 4095)', (0, 4095)),
        ('[(V1,V2),[1, None]]', [('V1', 'V2'), [1, None]]),
        # Texts that it takes apart, shortens or does not read.
        ('/tmp/my out/u.json', '/tmp/my out/u.json'),
        ('/tmp/a,b', '/tmp/a,b'),
        ('a b,c', 'a b,c'),
        ('x(1,2', 'x(1,2'),
        ('(a)(b)', '(a)(b)'),
        ("it's", "it's"),
        ('[a/b,c d]', ['a/b', 'c d']),
        # Lists without brackets, of lists.
        ('(1,2),(3,4)', [(1, 2), (3, 4)]),
        # Quotes make a text.
        ("'1'", '1'),
        ('"a,b"', 'a,b'),
        ("['/a,b',\"it's\"]", ['/a,b', "it's"]),
    ],
)
def test_values(text, value):
    read = parse_value(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    'value',
    [
        *('a,b', '1e5', 'None', 'true', '(', '[x', '(1,2)', "'q'", "it's"),
        *('', ' x', 'my out', '/a, b/c', 'two\nlines', 'caf\udce9,'),
        *([(1, 2)], (1,), [], ['a', 'b,c'], None, True, 1e-5, -3),
    ],
)
def test_what_is_written_is_read_again(value):
    key, _, text = as_word('a.b', value).partition('=')
    assert (key, parse_value(text)) == ('a.b', value)


def test_a_path_stays_as_typed_where_nothing_takes_it_apart():
    assert as_word('k', Path('/my out/a,b')) == 'k=/my out/a,b'
    assert as_word('k', Path('a,b')) == "k='a,b'"


def test_a_bracket_that_nothing_closes():
    with pytest.raises(UserError, match=r'brackets .*\[a; in quotes'):
        parse_value('[a')
