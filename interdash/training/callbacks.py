"""Recording from Lightning and from the Hugging Face Trainer: one callback each, around a `Recorder`.

What does not fit is refused before the training; an error later, such as a full disk, is logged and ends no training.
Both libraries are optional and are imported only when their callback is made.
"""

import contextlib
import logging
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from interdash.training.recorder import Recorder
from interdash.training.spec import Spec

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from lightning.pytorch import Callback
    from transformers import TrainerCallback


def lightning_callback(
    name: str,
    spec: Spec | Callable[[], Spec] | str,
    *,
    network: Callable[[Any], nn.Module] = lambda module: module,
    train_loss: str | None = None,
    test_loss: str | None = None,
    **options: Any,
) -> "Callback":
    """Returns a Lightning callback that records a training: `L.Trainer(callbacks=[lightning_callback("run", spec)])`.

    Args:
        name: the run's name.
        spec: see `Recorder`.
        network: the part of the LightningModule that the spec builds, such as `lambda module: module.net`. Not needed
            if it is the whole module, or its only part with weights, called `model`.
        train_loss: name of the logged metric; computed from the spec's data if None, not logged yet, or at epoch 0.
        test_loss: the same for the testing split.
        options: root, and those of `RecordOptions`; `epochs` is the Trainer's `max_epochs` unless given, or, with
            `unit="step"`, the number of its steps. Of steps the chosen ones are recorded, with losses computed.

    Raises:
        ImportError: lightning is not installed.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError as error:
        raise ImportError("the Lightning callback needs lightning: `pip install 'interdash[lightning]'`") from error

    by_step = options.get("unit") == "step"

    class InterdashCallback(Callback):
        recorder: Recorder | None = None
        step = 0  # the last one recorded
        validated = False  # since the last epoch; else the Trainer still has the metrics of an earlier one

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            self.validated = not trainer.sanity_checking

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            if not trainer.is_global_zero:
                return
            planned = trainer.estimated_stepping_batches if by_step else trainer.max_epochs
            epochs = options.get("epochs", planned)
            if epochs is None or not 1 <= epochs < math.inf:
                unit = "steps" if by_step else "epochs"
                raise ValueError(f"the Trainer plans {epochs} {unit}; give the planned number of {unit} as epochs=…")
            self.recorder = Recorder(name, spec, **{**options, "epochs": epochs})
            if trainer.global_step == 0:  # else resumed
                self.recorder.record(0, network(pl_module))

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any, **kwargs: Any) -> None:
            if by_step and self.recorder is not None and trainer.global_step in self.recorder.chosen:
                self._record(trainer.global_step, pl_module)

        def _record(self, step: int, pl_module: Any) -> None:
            if self.recorder is not None and step > self.step:  # several batches may be one step
                self.step = step
                with _ending_no_training(f"step {step}"):
                    self.recorder.record(step, network(pl_module))

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if self.recorder is not None and not by_step:
                logged = trainer.callback_metrics
                stale = bool(trainer.val_dataloaders) and not self.validated
                losses = [_logged(logged, train_loss), None if stale else _logged(logged, test_loss)]
                self.validated = False
                with _ending_no_training(f"epoch {trainer.current_epoch + 1}"):
                    self.recorder.record(trainer.current_epoch + 1, network(pl_module), *losses)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            if self.recorder is not None:
                if by_step:
                    self._record(trainer.global_step, pl_module)
                with _ending_no_training("the end"):
                    self.recorder.close()

    return InterdashCallback()


def _logged(metrics: dict[str, Any], name: str | None) -> Any:
    """Returns a logged metric; None, so that it is computed instead, if none is named or it was not logged yet."""
    if name is not None and name not in metrics:
        logger.warning(
            "no metric %r was logged yet, so that it is computed from the spec's data; there are %s",
            name,
            ", ".join(metrics) or "none",
        )
    return None if name is None else metrics.get(name)


@contextlib.contextmanager
def _ending_no_training(place: str) -> Iterator[None]:
    """Logs an error inside the block instead of raising it."""
    try:
        yield
    except Exception as error:
        logger.warning("interdash could not record %s of the training, which goes on: %s", place, error)


def trainer_callback(
    name: str,
    spec: Spec | Callable[[], Spec] | str,
    *,
    network: Callable[[Any], nn.Module] = lambda model: model,
    **options: Any,
) -> "TrainerCallback":
    """Returns a callback for the Hugging Face Trainer: `Trainer(…, callbacks=[trainer_callback("run", spec)])`.

    Losses are computed from the spec's data, since the Trainer logs its own by steps.

    Args:
        name: the run's name.
        spec: see `Recorder`.
        network: the part of the model that the spec builds, if that is not the whole.
        options: root, and those of `RecordOptions`; `epochs` is the Trainer's number of epochs unless given, or, with
            `unit="step"`, of its steps. Of steps the chosen ones alone are recorded, losses included.

    Raises:
        ImportError: transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise ImportError("the Trainer callback needs transformers: `pip install 'interdash[hf]'`") from error

    by_step = options.get("unit") == "step"

    class InterdashCallback(TrainerCallback):
        recorder: Recorder | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not state.is_world_process_zero:
                return
            epochs = options.get("epochs", state.max_steps if by_step else math.ceil(state.num_train_epochs))
            self.recorder = Recorder(name, spec, **{**options, "epochs": epochs})
            if state.global_step == 0:  # else resumed
                self.recorder.record(0, network(kwargs["model"]))

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            last = control.should_training_stop or state.global_step >= state.max_steps
            if by_step and self.recorder is not None and (last or state.global_step in self.recorder.chosen):
                with _ending_no_training(f"step {state.global_step}"):
                    self.recorder.record(state.global_step, network(kwargs["model"]))

        def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not by_step and self.recorder is not None:  # a fraction: training ended within the epoch
                epoch = math.ceil(state.epoch - 1e-3)
                with _ending_no_training(f"epoch {epoch}"):
                    self.recorder.record(epoch, network(kwargs["model"]))

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if self.recorder is not None:
                with _ending_no_training("the end"):
                    self.recorder.close()

    return InterdashCallback()
