"""Find out what a runner trains: whether it does, and its SCE model."""

from mmengine.runner import BaseLoop, Runner

from ...models import SCE
from ...utils.distributed import unwrapped
from ...utils.errors import UserError


def is_training(runner: Runner) -> bool:
    """Whether a runner trains, not only validates or tests.

    A config of a training is tested and validated by itself too: mmengine
    builds the loop of the training in ``Runner.train`` alone, and
    ``runner.train_loop`` would build it.
    """
    return isinstance(runner._train_loop, BaseLoop)


def unwrap_sce(runner: Runner, who: str) -> SCE:
    """The SCE model of a runner.

    Args:
        runner: The runner.
        who: Class of the hook that needs it, for the message.

    Raises:
        UserError: The runner has another model.
    """
    model = unwrapped(runner.model)
    if not isinstance(model, SCE):
        raise UserError(
            f'{who} works on a model of type SCE, got {type(model).__name__}: '
            'remove the hook, or change model.type'
        )
    return model
