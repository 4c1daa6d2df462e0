"""Hyperparameter search: many short runs, with settings suggested and runs pruned by Optuna.

SWEEP/sweep.db          every trial, in SQLite: a stopped search resumes from it
SWEEP/00003-trial       the run folder of a trial
SWEEP/trials.csv        the table, best first
SWEEP/trials.png        each setting against the metric, and the best so far
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from signal import SIGTERM
from typing import Any

from ganforge import system
from ganforge.callbacks import default_callbacks
from ganforge.callbacks.best_checkpoint import CheckpointMetric, ScoreCallback
from ganforge.callbacks.log import read_rows
from ganforge.catalogue import Model, find
from ganforge.console import Say, silent
from ganforge.data.synthetic.choose import choose_embedded
from ganforge.draw import mix
from ganforge.engine import Engine
from ganforge.errors import ModelError, NotFiniteError, OptionError
from ganforge.evaluation import selection
from ganforge.inference.load import load_part
from ganforge.run import to_fields
from ganforge.runs.folder import RunFolder, is_run
from ganforge.serialize import to_plain
from ganforge.training.plan import plan, resolve_config
from ganforge.training.train import plan_resume, run_training
from ganforge.tuning.space import Setting, parse_settings
from ganforge.tuning.table import Sweep, Trial, format_value, plot_trials, write_csv

WARM = 5  # random trials without pruning, before the sampler and the pruner start
EVALUATIONS = 8  # per trial, unless --eval-every sets the interval


def sweep(
    model: str,
    data: str | Path = "",
    preset: str = "small",
    *,
    over: Sequence[str],
    trials: int = 20,
    metric: str = "",
    config: Mapping[str, Any] | Any = None,
    outdir: str | Path = "runs",
    name: str = "",
    data_home: str | Path | None = None,
    prune: bool = True,
    trust: bool = False,
    say: Say = silent,
    **run: Any,
) -> Sweep:
    """Search `over` settings for the best `metric`: `over=["lr=1e-5..1e-3", "batch=32,64"]`.

    The default of `data` is the synthetic set for such a model, that of `metric` the first that --select has for it:
    fid, or psnr for translators of pairs.

    Each trial is a run with the options `run` (fields of `Run`), evaluated every `eval_every` steps as with --select;
    a trial that falls behind the median of the others at the same step is pruned unless `prune` is off.  The same
    call resumes a stopped search, and a larger number of `trials` extends it.  `trust` runs the code of pretrained
    parts that were not trained here.

    Raises OptionError where Optuna is missing, for settings that cannot be searched, for a folder that holds another
    search, and where every trial failed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise OptionError("A sweep runs one trial after another in one process: start it without torchrun.")
    if trials < 1:
        raise OptionError(f"--trials {trials} is too small: ask for one or more.")
    entry = find(model)
    chosen_preset, data = entry.preset(preset), data or choose_embedded(entry.game)
    run, space = to_fields(run), parse_settings(over, entry.game.Config)
    own = {**to_plain(chosen_preset.config), **to_plain(config if config is not None else {})}
    settings = resolve_config(entry, chosen_preset.config, own)
    if run.pop("patience", 0):
        raise OptionError("A sweep prunes trials itself: leave --patience out.")
    fixed = {
        "keep": 1,
        "save_every": 0,
        **run,
        "select": metric or next(iter(selection.list_metrics(entry.game, settings)), "fid"),
    }
    load = partial(load_part, trust=trust)
    own_plan = plan(model, data, preset, config=own, data_home=data_home, load=load, say=say, adapt=False, **fixed)
    fixed["every"] = fixed.get("every") or max(1, own_plan.run.steps // EVALUATIONS)
    options = {"model": model, "data": str(data), "preset": preset, "over": [*over], "config": own, "run": fixed}
    folder = Path(outdir) / f"sweep-{name or '-'.join([Path(entry.name).stem, Path(str(data)).stem or 'data'])}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = RunFolder(folder)
    lock.lock()
    try:
        with open_study(folder, options, selection.metric_direction(str(fixed["select"])), prune) as study:
            return TrialRunner(entry, space, options, data_home, folder, study, say, trust).run(trials)
    finally:
        lock.unlock()


class TrialRunner:
    """Runs the trials of one study, one after another."""

    def __init__(
        self,
        model: Model,
        space: Sequence[Setting],
        options: Mapping[str, Any],
        data_home: str | Path | None,
        folder: Path,
        study: Any,
        say: Say,
        trust: bool = False,
    ) -> None:
        self.model, self.space, self.options, self.data_home = model, space, options, data_home
        self.folder, self.study, self.say, self.trust = folder, study, say, trust
        self.metric = str(options["run"]["select"])

    def run(self, trials: int) -> Sweep:
        """Run until `trials` are finished; writes the table and the plot.  Raises OptionError where all failed."""
        self.requeue_unfinished()
        while len(self.list_finished()) < trials:
            self.run_next()
            self.write_table()
        result = self.write_table()
        if result.best.value is None:
            raise OptionError(f"None of the {trials} trials could be evaluated; one failed with: {result.best.why}")
        plot_trials(result, self.space)
        return result

    def requeue_unfinished(self) -> None:
        """Requeue trials that were interrupted: a new trial with the same settings resumes their run folder."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.name == "RUNNING":
                self.study.tell(trial.number, state=trial_states().FAIL)
                self.study.enqueue_trial(trial.params, {"run": trial.user_attrs.get("run", "")})

    def run_next(self) -> None:
        """Run one trial to its end.  Raises KeyboardInterrupt where it was stopped."""
        import optuna  # pyright: ignore[reportMissingImports]

        # The sampler's state is not stored: seeded by the number of finished trials, a resumed search repeats the same.
        seed = mix(int(self.options["run"].get("seed", 0)), len(self.list_finished())) % 2**32
        self.study.sampler = optuna.samplers.TPESampler(n_startup_trials=WARM, seed=seed)
        trial = self.study.ask()
        values = {(s.of_run, s.name): s.to_field(s.suggest(trial)) for s in self.space}
        summary = "  ".join(f"{s.name} {format_value(trial.params[s.name])}" for s in self.space)
        try:
            value, pruned = self.run_trial(trial, values)
        except (ModelError, OptionError, NotFiniteError) as error:
            trial.set_user_attr("why", str(error))
            self.study.tell(trial, state=trial_states().FAIL)
            self.say(f"Trial {trial.number}: {summary}: failed. {error}")
            return
        trial.set_user_attr("value", value)
        self.study.tell(trial, None if pruned else value, trial_states().PRUNED if pruned else trial_states().COMPLETE)
        self.say(f"Trial {trial.number}: {summary}: {self.metric} {value:.4g}{', pruned' if pruned else ''}")

    def run_trial(self, trial: Any, values: Mapping[tuple[bool, str], Any]) -> tuple[float, bool]:
        """(the best value of the trial's metric, whether it was pruned)."""
        run = {**self.options["run"], **{name: value for (of_run, name), value in values.items() if of_run}}
        own = {**self.options["config"], **{name: value for (of_run, name), value in values.items() if not of_run}}
        system.keep_memory()
        previous = trial.user_attrs.get("run", "")
        if previous and is_run(Path(previous)):
            folder = RunFolder.open(previous)
            resolved = plan_resume(folder, None, None, None, None, None, self.data_home, "", 0, trust=self.trust)
        else:
            arguments = (self.model.name, self.options["data"], self.options["preset"])
            load = partial(load_part, trust=self.trust)
            resolved = plan(*arguments, config=own, data_home=self.data_home, load=load, adapt=False, **run)
            folder = RunFolder.create(self.folder, "trial", resolved.run_config())
        trial.set_user_attr("run", str(folder.path))
        pruning = PruningCallback(trial, folder.path / "scores.jsonl", self.metric)
        callbacks = [*default_callbacks(folder.path, tensorboard=False, bar=False, doctor=False), pruning]
        device = system.pick_device(resolved.run.device)
        trained = run_training(resolved, folder, "latest", device, callbacks, silent)
        if trained.step < resolved.run.steps and not pruning.pruned:
            self.say("The same command resumes this sweep.")
            raise SystemExit(128 + trained.stopped_by) if trained.stopped_by == SIGTERM else KeyboardInterrupt
        worth = CheckpointMetric(self.metric, selection.metric_direction(self.metric), lambda game: 0.0).rank
        return max((row[pruning.name] for row in read_rows(folder.path / "scores.jsonl")), key=worth), pruning.pruned

    def list_finished(self) -> list[Trial]:
        """The outcome of every finished trial, except for those that were requeued."""
        outcomes = []
        for trial in self.study.get_trials(deepcopy=False):
            why, value = trial.user_attrs.get("why", ""), trial.user_attrs.get("value")
            if trial.state.is_finished() and (why or value is not None):
                state = "failed" if why else trial.state.name.lower()
                outcomes.append(
                    Trial(trial.number, state, value, dict(trial.params), trial.user_attrs.get("run", ""), why)
                )
        return outcomes

    def write_table(self) -> Sweep:
        """The result so far, also written to trials.csv."""
        better, outcomes = selection.metric_direction(self.metric), self.list_finished()
        sign = 1 if better == "lower" else -1
        outcomes.sort(key=lambda trial: (trial.value is None, sign * (trial.value or 0.0)))
        result = Sweep(self.folder, self.metric, better, tuple(outcomes))
        write_csv(result, [s.name for s in self.space])
        return result


class PruningCallback(ScoreCallback):
    """Reports a trial's scores to Optuna, and stops the run where Optuna prunes it."""

    def __init__(self, trial: Any, record: Path, metric: str) -> None:
        self.trial, self.record, self.name = trial, record, metric.partition(":")[0]
        self.pruned, self.reported = False, set[int]()

    def start(self, engine: Engine) -> None:
        """Report the scores from before an interruption."""
        for row in read_rows(self.record):
            if row["step"] <= engine.step:
                self.report(int(row["step"]), row[self.name])

    def score(self, engine: Engine, metric: str, value: float) -> None:
        """Report the trial's newest score."""
        self.report(engine.step, value)
        if engine.step < engine.run.steps and self.trial.should_prune():
            self.pruned = True
            engine.stopping = "It fell behind the other trials."

    def report(self, step: int, value: float) -> None:
        """Report each step once."""
        if step not in self.reported:
            self.trial.report(value, step)
            self.reported.add(step)


@contextmanager
def open_study(folder: Path, options: Mapping[str, Any], better: str, prune: bool) -> Iterator[Any]:
    """The Optuna study of a sweep folder, new or existing.  Raises OptionError where its options differ."""
    try:
        import optuna  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        raise OptionError("A sweep needs Optuna: pip install 'ganforge[sweep]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=WARM) if prune else optuna.pruners.NopPruner()
    storage = optuna.storages.RDBStorage(f"sqlite:///{(folder / 'sweep.db').resolve()}")
    try:
        direction = "minimize" if better == "lower" else "maximize"
        study = optuna.create_study(
            storage=storage, pruner=pruner, study_name="sweep", direction=direction, load_if_exists=True
        )
        before, now = study.user_attrs.get("asked"), json.loads(json.dumps(options))
        if before is not None and before != now:
            differs = ", ".join(key for key in now if now[key] != before.get(key))
            raise OptionError(
                f"{folder} holds a sweep of another kind (its {differs} differs): give this one a --name of its own, "
                "or repeat its options to resume it."
            )
        study.set_user_attr("asked", now)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def trial_states() -> Any:
    """Optuna's enumeration of trial states."""
    import optuna  # pyright: ignore[reportMissingImports]

    return optuna.trial.TrialState
