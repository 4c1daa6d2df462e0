"""A search for the settings that a measure likes best: many short runs, chosen and cut short by Optuna.

SWEEP/sweep.db          every trial, in SQLite: the search goes on from it after a stop
SWEEP/00003-trial       the run folder of a trial
SWEEP/trials.csv        the table, best first
SWEEP/trials.png        each setting against the measure, and the best so far
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ganforge import system
from ganforge.callbacks import watchers
from ganforge.callbacks.best_checkpoint import CheckpointMetric, ScoreCallback
from ganforge.callbacks.log import rows
from ganforge.catalogue import Model, find
from ganforge.console import Say, silent
from ganforge.data.synthetic.domains import embedded
from ganforge.draw import mix
from ganforge.engine import Engine
from ganforge.errors import ModelError, NotFiniteError, OptionError
from ganforge.evaluation import selection
from ganforge.inference.load import load_part
from ganforge.runs.folder import RunFolder
from ganforge.serialize import to_plain
from ganforge.training.plan import plan
from ganforge.training.train import carry_out, plan_resume
from ganforge.tuning.space import Setting, settings
from ganforge.tuning.table import Sweep, Trial, drawn, short, written

WARM = 5  # trials that are drawn at random and played to their end, before the search trusts what it knows
LOOKS = 8  # measurements a trial, unless --every says otherwise


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
    say: Say = silent,
    **run: Any,
) -> Sweep:
    """Search `over` settings for the best `metric`: `over=["lr=1e-5..1e-3", "batch=32,64"]`.

    Without `data` it is what the program draws for such a model, without `metric` the first that --select has for it:
    fid, or psnr for translators of pairs.

    Each trial is a run of the length that `run` says (fields of `Run`), measured `every` so many rounds as --select
    does; one that falls behind the median of the others at the same round is cut short unless `prune` is off.  The
    same call goes on with a search that was stopped, and with a larger number of `trials` it makes more.

    Raises OptionError where Optuna is missing, for settings that cannot be chosen, for a folder that holds another
    search, and where every trial failed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise OptionError("A sweep plays one trial after another in one process: start it without torchrun.")
    if trials < 1:
        raise OptionError(f"{trials} trials find nothing: ask for one or more.")
    found = find(model)
    chosen, data = found.preset(preset), data or embedded(found.game.batch_type.columns())
    space = settings(over, found.game.Config)
    own = {**to_plain(chosen.config), **to_plain(config if config is not None else {})}
    if run.pop("patience", 0):
        raise OptionError("A sweep cuts trials short by itself: leave --patience away.")
    fixed = {"keep": 1, "save_every": 0, **run, "select": metric or next(iter(selection.measures(found.game)), "fid")}
    steps = plan(model, data, preset, config=own, data_home=data_home, load=load_part, say=say, **fixed).run.steps
    fixed["every"] = fixed.get("every") or max(1, steps // LOOKS)
    asked = {"model": model, "data": str(data), "preset": preset, "over": [*over], "config": own, "run": fixed}
    folder = Path(outdir) / f"sweep-{name or '-'.join([Path(found.name).stem, Path(str(data)).stem or 'data'])}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = RunFolder(folder)
    lock.hold()
    try:
        with study_in(folder, asked, selection.better(str(fixed["select"])), prune) as study:
            search = Search(found, space, asked, data_home, folder, study, say)
            search.take_up()
            while len(search.finished()) < trials:
                search.next()
                search.table()
            found = search.table()
            if found.best.value is None:
                raise OptionError(f"None of the {trials} trials could be measured; one says: {found.best.why}")
            drawn(found, space)
            return found
    finally:
        lock.release()


class Search:
    """The trials of one study, one after another."""

    def __init__(
        self,
        model: Model,
        space: Sequence[Setting],
        asked: Mapping[str, Any],
        data_home: str | Path | None,
        folder: Path,
        study: Any,
        say: Say,
    ) -> None:
        self.model, self.space, self.asked, self.data_home = model, space, asked, data_home
        self.folder, self.study, self.say = folder, study, say
        self.metric = str(asked["run"]["select"])

    def take_up(self) -> None:
        """Trials that a stop left unfinished go on in a trial of the same settings, in their own run folder."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.name == "RUNNING":
                self.study.tell(trial.number, state=states().FAIL)
                self.study.enqueue_trial(trial.params, {"run": trial.user_attrs.get("run", "")})

    def next(self) -> None:
        """Play one trial to its end.  Raises KeyboardInterrupt where a person stopped it."""
        import optuna  # pyright: ignore[reportMissingImports]

        # A sampler's own state is not stored: seeded by how many trials are over, the next one follows from what is.
        seed = mix(int(self.asked["run"].get("seed", 0)), len(self.finished())) % 2**32
        self.study.sampler = optuna.samplers.TPESampler(n_startup_trials=WARM, seed=seed)
        trial = self.study.ask()
        values = {(s.of_run, s.name): s.field(s.suggested(trial)) for s in self.space}
        words = "  ".join(f"{s.name} {short(trial.params[s.name])}" for s in self.space)
        try:
            value, pruned = self.play(trial, values)
        except (ModelError, OptionError, NotFiniteError) as error:
            trial.set_user_attr("why", str(error))
            self.study.tell(trial, state=states().FAIL)
            self.say(f"Trial {trial.number}: {words}: failed. {error}")
            return
        trial.set_user_attr("value", value)
        self.study.tell(trial, None if pruned else value, states().PRUNED if pruned else states().COMPLETE)
        self.say(f"Trial {trial.number}: {words}: {self.metric} {value:.4g}{', cut short' if pruned else ''}")

    def play(self, trial: Any, values: Mapping[tuple[bool, str], Any]) -> tuple[float, bool]:
        """(the best of a trial's measurements, whether it was cut short)."""
        run = {**self.asked["run"], **{name: value for (of_run, name), value in values.items() if of_run}}
        own = {**self.asked["config"], **{name: value for (of_run, name), value in values.items() if not of_run}}
        system.keep_memory()
        begun = trial.user_attrs.get("run", "")
        if begun and (Path(begun) / "config.yaml").is_file():
            folder = RunFolder.open(begun)
            thought = plan_resume(folder, None, None, None, None, None, self.data_home, "", 0)
        else:
            asked = (self.model.name, self.asked["data"], self.asked["preset"])
            thought = plan(*asked, config=own, data_home=self.data_home, load=load_part, **run)
            folder = RunFolder.create(self.folder, "trial", thought.card())
        trial.set_user_attr("run", str(folder.path))
        judge = Pruning(trial, folder.path / "scores.jsonl", self.metric)
        seen_by = [*watchers(folder.path, tensorboard=False, bar=False, doctor=False), judge]
        device = system.pick_device(thought.run.device)
        trained = carry_out(thought, folder, "latest", device, seen_by, silent)
        if trained.step < thought.run.steps and not judge.pruned:
            self.say("The same command goes on with this sweep.")
            raise KeyboardInterrupt
        worth = CheckpointMetric(self.metric, selection.better(self.metric), lambda game: 0.0).worth
        return max((row[judge.name] for row in rows(folder.path / "scores.jsonl")), key=worth), judge.pruned

    def finished(self) -> list[Trial]:
        """What became of every trial that is over, but for those that went on as another."""
        over = []
        for trial in self.study.get_trials(deepcopy=False):
            why, value = trial.user_attrs.get("why", ""), trial.user_attrs.get("value")
            if trial.state.is_finished() and (why or value is not None):
                state = "failed" if why else trial.state.name.lower()
                over.append(Trial(trial.number, state, value, dict(trial.params), trial.user_attrs.get("run", ""), why))
        return over

    def table(self) -> Sweep:
        """What was found so far, as a value and in trials.csv."""
        better, over = selection.better(self.metric), self.finished()
        sign = 1 if better == "lower" else -1
        over.sort(key=lambda trial: (trial.value is None, sign * (trial.value or 0.0)))
        found = Sweep(self.folder, self.metric, better, tuple(over))
        written(found, [s.name for s in self.space])
        return found


class Pruning(ScoreCallback):
    """Reports a trial's measurements to Optuna, and ends the run when it says so."""

    def __init__(self, trial: Any, record: Path, metric: str) -> None:
        self.trial, self.record, self.name = trial, record, metric.partition(":")[0]
        self.pruned, self.reported = False, set[int]()

    def start(self, engine: Engine) -> None:
        """What was measured before a stop."""
        for row in rows(self.record):
            if row["step"] <= engine.step:
                self.report(int(row["step"]), row[self.name])

    def score(self, engine: Engine, measure: str, value: float) -> None:
        """The trial's newest figure."""
        self.report(engine.step, value)
        if engine.step < engine.run.steps and self.trial.should_prune():
            self.pruned = True
            engine.stopping = "It fell behind the other trials."

    def report(self, step: int, value: float) -> None:
        """Each step once."""
        if step not in self.reported:
            self.trial.report(value, step)
            self.reported.add(step)


@contextmanager
def study_in(folder: Path, asked: Mapping[str, Any], better: str, prune: bool) -> Iterator[Any]:
    """Optuna's study of a sweep folder; a new one, or the one that is there.  Raises OptionError for another's."""
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
        before, now = study.user_attrs.get("asked"), json.loads(json.dumps(asked))
        if before is not None and before != now:
            differs = ", ".join(key for key in now if now[key] != before.get(key))
            raise OptionError(
                f"{folder} holds a sweep of another kind (its {differs} differs): give this one a --name of its own, "
                "or say what that one said to go on with it."
            )
        study.set_user_attr("asked", now)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def states() -> Any:
    """Optuna's names for what becomes of a trial."""
    import optuna  # pyright: ignore[reportMissingImports]

    return optuna.trial.TrialState
