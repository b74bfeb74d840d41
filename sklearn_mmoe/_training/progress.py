"""What a fit shows of itself while it runs: one bar for all epochs, or a table with a line for each."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from multiprocessing import parent_process
from typing import Any

from skorch.callbacks import Callback, PrintLog

# Of what tqdm knows. With all figures this fits in 80 columns: tqdm cuts what does not, in the middle of a number
BAR = "Epoch {n_fmt}/{total_fmt} |{bar}| [{elapsed}<{remaining}{postfix}]"
FULL_BAR = BAR.replace("<{remaining}", "")
NOTEBOOK_COLUMNS = 80
LINE = "{n_fmt} epochs [{elapsed}{postfix}]"  # where there can be no bar


class EpochBar(Callback):
    """One tqdm bar per fit; one line when the fit is over where output is no terminal or comes from several processes.

    Its total is `max_epochs`, since nobody knows when training will stop; a training that stops before ends the bar at
    the epochs that it took. A net that is told how many epochs to train, as `partial_fit` does, shows no bar: who calls
    it counts the calls.
    """

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        if net.told_epochs_:
            return
        self.started_, self.n_epochs_ = time.perf_counter(), 0
        self.bar_ = _bar(total=net.max_epochs, bar_format=BAR)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if not hasattr(self, "bar_"):
            return
        self.n_epochs_ += 1
        if not self.bar_.disable:
            self.bar_.set_postfix_str(_figures(net), refresh=False)
            self.bar_.update()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        if not hasattr(self, "bar_"):
            return
        shown, n_epochs = _kept(net) + _figures(net), self.n_epochs_
        if self.bar_.disable:
            elapsed = time.perf_counter() - self.started_
            line = self.bar_.format_meter(n_epochs, n_epochs, elapsed, postfix=shown, bar_format=LINE)
            self.bar_.write(line, file=sys.stderr)
        else:
            self._end_at(n_epochs)
            self.bar_.bar_format = FULL_BAR
            self.bar_.set_postfix_str(shown, refresh=False)
        self.close()

    def _end_at(self, n_epochs: int) -> None:
        """Make the bar as long as the epochs that were run."""
        if n_epochs < self.bar_.total:
            started = self.bar_.start_t
            self.bar_.reset(total=n_epochs)  # the one way that a notebook's bar learns of it; it also resets the clock
            self.bar_.start_t = started
            self.bar_.update(n_epochs)

    def close(self) -> None:
        """Leave the bar as it is and its line; also for a training that fails, which skorch's callbacks do not see."""
        if hasattr(self, "bar_"):
            self.bar_.close()
            del self.bar_


class EpochTable(PrintLog):
    """skorch's table, a line per epoch; a call of `partial_fit` that goes on with it does not repeat its head."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        if net.told_epochs_ and net.history:
            self.first_iteration_ = False


def _bar(**how: Any) -> Any:
    """tqdm's bar; in notebooks its widget, or a bar of text where ipywidgets, which draws it, is not installed."""
    from tqdm import tqdm

    if parent_process() is not None:  # processes share one cursor and know nothing of each other's bars
        return tqdm(disable=True, **how)
    if not _in_notebook():
        return tqdm(disable=None, dynamic_ncols=True, **how)  # None: unless it is no terminal
    if find_spec("ipywidgets"):
        from tqdm.notebook import tqdm as widget

        return widget(**how)
    # A cell goes back to the start of a line as a terminal does; what goes to stderr it shows as an error
    return tqdm(ncols=NOTEBOOK_COLUMNS, file=sys.stdout, **how)


def _in_notebook() -> bool:
    """Whether this runs in a kernel of Jupyter's."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config


def shown_by(verbose: int) -> list[tuple[str, Callback]]:
    """The callbacks that `verbose` asks for, by name. None at 0: PrintLog would format its table all the same."""
    if not verbose:
        return []
    if verbose == 1:
        return [("epoch_bar", EpochBar())]
    return [("print_log", EpochTable(keys_ignored=["train_losses", "valid_losses", "task_weights"]))]


def _figures(net: Any) -> str:
    """Training loss and, if there is a validation part, the score of what is watched there, of the last epoch."""
    row = net.history[-1]
    figures = {"loss": row["train_loss"], **({"valid_score": row["valid_score"]} if "valid_score" in row else {})}
    return ", ".join(f"{name}={f'{value:#.3g}'.removesuffix('.')}" for name, value in figures.items())


def _kept(net: Any) -> str:
    """Which epochs the weights are of, where the best come back; each member has its own."""
    if not net.restore_best:
        return ""
    first, last = net.kept_epochs_.min(), net.kept_epochs_.max()
    return f"kept epoch {first}, " if first == last else f"kept epochs {first}-{last}, "
