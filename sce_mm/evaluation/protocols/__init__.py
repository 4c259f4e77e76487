"""Which published protocols fit classifiers to frozen features?

All of them need scikit-learn.
"""

from ...utils.errors import import_optional

import_optional('sklearn', 'scikit-learn')
