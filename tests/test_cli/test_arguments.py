"""What the parser of all commands adds to help texts."""

from sce_mm.cli.arguments import ArgumentParser


def test_help_says_the_default_where_its_text_does_not():
    parser = ArgumentParser('A command.')
    parser.add_argument('--rows', default=6, help='number of rows')
    parser.add_argument('--parts', nargs='+', default=[1, 2], help='parts')
    parser.add_argument('--side', default=8, help='side, 8 by default')
    parser.add_argument('--quick', action='store_true', help='fast')
    # Arguments of a group go another way.
    parser.add_argument_group('more').add_argument(
        '--share', default='5%', help='100 %% at most'
    )
    lines = [
        ' '.join(line.split()) for line in parser.format_help().split('\n')
    ]
    text = ' '.join(lines)
    assert 'number of rows (default: 6)' in text
    assert 'parts (default: 1 2)' in text
    assert 'side, 8 by default --quick fast' in text
    assert '100 % at most (default: 5%)' in text
