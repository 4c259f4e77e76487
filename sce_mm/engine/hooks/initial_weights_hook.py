"""Begin a run from the weights of another one."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...models.utils import unwrapped
from ...transfer.checkpoint import read_checkpoint
from ...transfer.initial import load_initial_weights


@HOOKS.register_module()
class InitialWeightsHook(Hook):
    """Load weights before the first iteration, and say what was loaded.

    mmengine's ``load_from`` drops what does not fit with a line in the log;
    here a tensor that is missing or left over stops the run. A resumed run
    has the weights behind it and does not load them again.

    Args:
        checkpoint: A whole SCE checkpoint, or a file with a backbone in any
            format of :mod:`sce_mm.transfer.formats`.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is damaged or no checkpoint; before training, if
            it does not fit the model.
    """

    priority = 'VERY_HIGH'

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint
        read_checkpoint(checkpoint)

    def before_train(self, runner: Runner) -> None:
        """Load the weights."""
        if runner.iter > 0:
            return
        model = unwrapped(runner.model)
        content = read_checkpoint(self.checkpoint)
        runner.logger.info(
            load_initial_weights(model, content, self.checkpoint)
        )
