"""The trainer of a pilot run: stock nnU-Net, but told its cases, seeded per epoch, and safe to kill.

Imports torch and nnU-Net; only worker processes import this module.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from ..files import TEMPORARY
from ..sections import TrainingSettings
from .attempt import StoppedError, stopping
from .spec import PILOT
from .trainers import trainer_class

SAVE_SECONDS = 300.0
"""A killed training loses at most about this much, or the epoch it was in."""


class _Pilot:
    """What a pilot changes in any of nnU-Net's trainers.

    Their constructor must stay as it is, so the attributes below are set after construction and before
    `initialize`.
    """

    training_cases: list[str]
    validation_cases: list[str]
    seed: int
    current_epoch: int
    num_epochs: int
    num_iterations_per_epoch: int
    num_val_iterations_per_epoch: int
    oversample_foreground_percent: float
    initial_lr: float
    save_every: int
    output_folder: str
    configuration_manager: Any
    enable_deep_supervision: bool
    network: Any
    device: torch.device
    logger: Any
    weight_decay: float
    optimiser: str = "SGD"
    momentum: float | None = None
    precision: str | None = None
    ends_epochs_itself: bool = False
    on_epoch: Callable[[int, int], None] = staticmethod(lambda finished, saved: None)
    """Called with the number of finished epochs, and how many of them are in the last checkpoint."""
    before_write: Callable[[], None] = staticmethod(lambda: None)
    """Called before a checkpoint takes its place; raises where another attempt has taken over."""
    saved_epochs: int = 0
    saved_at: float = 0.0

    def configure(self, settings: TrainingSettings) -> None:
        """Take over a pilot's settings; what they leave open stays the trainer's own."""
        self.num_epochs, self.num_iterations_per_epoch = settings.epochs, settings.iterations
        self.num_val_iterations_per_epoch = 1
        self.save_every = max(1, min(50, settings.epochs // 10))
        self.optimiser, self.momentum, self.precision = settings.optimiser, settings.momentum, settings.precision
        adam = settings.optimiser == "AdamW"
        self.initial_lr = settings.learning_rate or (1e-3 if adam else self.initial_lr)
        if settings.weight_decay is not None or adam:
            self.weight_decay = 1e-2 if settings.weight_decay is None else settings.weight_decay
        if settings.foreground is not None:
            self.oversample_foreground_percent = settings.foreground

    def do_split(self) -> tuple[list[str], list[str]]:
        """Train on the pilot's cases; a model on all n cases has none left, so its losses are on its own."""
        return list(self.training_cases), list(self.validation_cases or self.training_cases)

    def configure_optimizers(self) -> tuple[Any, Any]:
        """The trainer's own, SGD of another momentum, or torch's AdamW; the latter two under polynomial decay."""
        weights = self.network.parameters()
        optimiser: torch.optim.Optimizer
        if self.optimiser == "AdamW":
            optimiser = torch.optim.AdamW(weights, self.initial_lr, weight_decay=self.weight_decay)
        elif self.momentum is not None:
            settings: dict[str, Any] = {"momentum": self.momentum, "nesterov": self.momentum > 0}
            optimiser = torch.optim.SGD(weights, self.initial_lr, weight_decay=self.weight_decay, **settings)
        else:
            return super().configure_optimizers()  # type: ignore[misc, no-any-return]
        return optimiser, PolyLRScheduler(optimiser, self.initial_lr, self.num_epochs)

    def initialize(self) -> None:
        """Stock, with the network in bfloat16 where that was asked for; weights and loss stay float32.

        A network of two stages has a single output, which nnU-Net's deep supervision would give the weight 0 / 0.
        """
        if len(self.configuration_manager.pool_op_kernel_sizes) < 3:
            self.enable_deep_supervision = False
        super().initialize()  # type: ignore[misc]
        if self.precision == "bfloat16" and self.device.type == "cpu":
            self.network.forward = _in_bfloat16(self.network.forward)

    def on_train_epoch_start(self) -> None:
        """Seed by epoch: a resumed training then draws what an uninterrupted one would have drawn.

        The first epoch goes on from the seed of the process, as nnU-Net's own would.
        """
        if self.current_epoch > 0:
            seed_everything(self.seed + 1_000_003 * (self.current_epoch + 1))
        super().on_train_epoch_start()  # type: ignore[misc]

    def on_epoch_end(self) -> None:
        """Stock bookkeeping without a redrawn figure and a `best` checkpoint that pilots never use.

        A trainer that ends its epochs in a way of its own keeps it.

        Raises:
            FloatingPointError: The training diverged; scores of such weights would mean nothing.
        """
        if not all(bool(torch.isfinite(weights).all()) for weights in self.network.parameters()):
            raise FloatingPointError(
                f"the training diverged in epoch {self.current_epoch + 1}, its weights are no longer finite: lower "
                "learning_rate of its arm"
            )
        if self.ends_epochs_itself:
            super().on_epoch_end()  # type: ignore[misc]
        else:
            self.logger.log("epoch_end_timestamps", time.time(), self.current_epoch)
            self.current_epoch += 1
        finished = self.current_epoch
        stop = stopping() and finished < self.num_epochs
        if stop or (finished < self.num_epochs and self._save_is_due()):
            self._save_latest(finished)
        self.on_epoch(finished, self.saved_epochs)
        if stop:
            raise StoppedError

    def _save_is_due(self) -> bool:
        due = self.current_epoch % self.save_every == 0 or time.monotonic() - self.saved_at > SAVE_SECONDS
        return due and self.saved_epochs < self.current_epoch  # a trainer may just have done so itself

    def _save_latest(self, finished: int) -> None:
        """Write a checkpoint to go on from; nnU-Net puts down one epoch more than it is in."""
        self.current_epoch = finished - 1
        self.save_checkpoint(os.path.join(self.output_folder, "checkpoint_latest.pth"))
        self.current_epoch = finished

    def on_train_start(self) -> None:
        """Stock; the time to the next checkpoint starts."""
        super().on_train_start()  # type: ignore[misc]
        self.saved_epochs, self.saved_at = self.current_epoch, time.monotonic()

    def save_checkpoint(self, filename: str) -> None:
        """Write a neighbour of its own name, have it on the disk, and rename: torch.save is not atomic."""
        draft = f"{filename}{TEMPORARY}{socket.gethostname()}-{os.getpid()}"
        super().save_checkpoint(draft)  # type: ignore[misc]
        with open(draft, "rb") as written:
            os.fsync(written.fileno())
        self.before_write()
        os.replace(draft, filename)
        if os.path.basename(filename) != "checkpoint_best.pth":
            self.saved_epochs, self.saved_at = self.current_epoch + 1, time.monotonic()

    def plot_network_architecture(self) -> None:
        """Not needed, and it wants graphviz."""

    def _save_debug_information(self) -> None:
        """Not needed."""


def pilot_trainer(name: str) -> Any:
    """The pilot that runs a trainer of nnU-Net's or of the user's own; see `find_trainer`."""
    base = trainer_class(name)
    own = base.on_epoch_end is not nnUNetTrainer.on_epoch_end
    return type(f"{PILOT}{base.__name__}", (_Pilot, base), {"ends_epochs_itself": own})


def _in_bfloat16(forward: Callable[[torch.Tensor], Any]) -> Callable[[torch.Tensor], Any]:
    def run(images: torch.Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            found = forward(images)
        return [one.float() for one in found] if isinstance(found, (list, tuple)) else found.float()

    return run


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
