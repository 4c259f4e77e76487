"""Twenty steps of small models in float64: what a refactor must not change.

    python tests/oracle/golden.py

writes the curves again, after a change that is meant to alter numbers.
"""

import json
import sys
from pathlib import Path

import torch
from torch.nn.functional import normalize

# As a script, and not from `tests`: another package may have that name.
sys.path.append(str(Path(__file__).parents[1] / 'helpers'))
from tiny import build

FILE = Path(__file__).parent / 'golden_curves.json'
CASES = {
    'asymmetric': {'num_target_views': 1},
    'multi-crop': {'num_target_views': 2},
    'in-batch keys': {'in_batch_keys': True},
    'in-batch keys alone': {'in_batch_keys': True, 'queue_length': None},
    'zero logit': {'loss': {'official_zero_logit': True}},
    'ReSSL': {
        'loss': {'coeff': 0.0, 'relation_weight': 1.0, 'ceiling_weight': 0.0}
    },
}
STEPS = 20


def curve(
    case: str, device: torch.device | str = 'cpu'
) -> dict[str, list[float]]:
    """Loss, entropy of the target and spread at each step."""
    options = dict(CASES[case])
    loss_options = options.pop('loss', {})
    model = build(seed=1, batch_norm=True, **options).double()
    for name, value in loss_options.items():
        setattr(model.head.loss_module, name, value)
    # Normal numbers differ in the last digit between processors.
    generator = torch.Generator().manual_seed(2)

    def uniform(*shape: int) -> torch.Tensor:
        rows = torch.rand(*shape, generator=generator, dtype=torch.float64)
        return (2 * rows - 1).to(device)

    if model.queue is not None:
        queue = model.queue.features
        queue.copy_(normalize(uniform(*queue.shape), dim=1))
    model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    count = 4 if case == 'multi-crop' else 2
    logged: dict[str, list[float]] = {}
    for _ in range(STEPS):
        losses = model.loss([uniform(6, 3, 8, 8) for _ in range(count)])
        optimizer.zero_grad()
        losses['loss'].backward()
        optimizer.step()
        model.after_optimizer_step(0.1)
        for name in ('loss', 'target_entropy', 'embedding_std'):
            logged.setdefault(name, []).append(losses[name].item())
    return logged


if __name__ == '__main__':
    FILE.write_text(json.dumps({c: curve(c) for c in CASES}, indent=1) + '\n')
