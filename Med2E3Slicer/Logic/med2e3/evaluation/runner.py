"""One evaluation in one folder: ask what is missing, then write the results.

Knows the order of the steps and which process does what; the steps themselves are elsewhere.
Whatever is finished is kept, so a killed evaluation goes on where it stopped and ends with the
same files.  Knows nothing of the command line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import med2e3
from med2e3.atomic import write_bytes, write_text
from med2e3.data.sample import Sample, read_samples
from med2e3.data.store import VolumeStore
from med2e3.errors import InputError
from med2e3.evaluation import deletion_curves, report
from med2e3.evaluation.answers import Answered, Log, Shard
from med2e3.evaluation.measure import BlindAnswers, Result, measure
from med2e3.evaluation.plan import PLAN_FILE, Selection, data_sha256, keep_plan, select, share
from med2e3.evaluation.radiology import RadiologyMetrics
from med2e3.evaluation.summary import Figure, summarise
from med2e3.evaluation.text_metrics import TextMetricOptions, TextMetrics

if TYPE_CHECKING:
    from med2e3.session import Session

_TRAIN = "train"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """How a model is evaluated.

    Args:
        selection: which samples.
        max_new_tokens: longest answer.
        faithfulness: run the deletion test too.
        faithfulness_limit: on at most so many samples, chosen by a hash of their ids.
        draws: random choices of slices in that test.
        seed: of the intervals.
    """

    selection: Selection = field(default_factory=Selection)
    max_new_tokens: int = 256
    faithfulness: bool = False
    faithfulness_limit: int = 200
    draws: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for value, name in (
            (self.max_new_tokens, "longest answer"),
            (self.faithfulness_limit, "number of samples of the faithfulness test"),
            (self.draws, "number of random draws"),
        ):
            if value < 1:
                raise InputError(f"The {name} must be at least 1.")


@dataclass(frozen=True)
class EvaluatedModel:
    """The model as results name it.

    Args:
        name, sha256: of its record.
        input_size: (slices, rows, columns).
        device, dtype: as they were asked for.
        notice: what must accompany its answers.
    """

    name: str
    sha256: str
    input_size: tuple[int, int, int]
    device: str
    dtype: str
    notice: str


class Evaluation:
    """A model, data, settings and the folder of their results.

    Args:
        model: what is evaluated.
        store: the data.
        settings: how.
        output: folder of the results; created when something is written.
        restart: delete what the folder holds of an earlier evaluation.

    Raises:
        InputError: when the data do not fit, or the folder holds another evaluation.
    """

    def __init__(
        self,
        model: EvaluatedModel,
        store: VolumeStore,
        settings: Settings,
        output: Path,
        *,
        restart: bool = False,
    ) -> None:
        self.model = model
        self.store = store
        self.settings = settings
        self.output = output
        if tuple(store.size) != tuple(model.input_size):
            raise InputError(
                f"The data hold volumes of {store.size}, but the model takes {model.input_size}.",
                hint="Prepare the data with the model's own input size.",
            )
        self.samples, self.passed_over = select(store, settings.selection)
        self._answers = Log(output, "answers")
        self._deletions = Log(output, f"faithfulness-{settings.draws}-draws")
        if restart:
            self._answers.clear()
            Log(output, "faithfulness").clear()
            (output / PLAN_FILE).unlink(missing_ok=True)
        keep_plan(output, self._plan())

    def _plan(self) -> dict[str, Any]:
        """What decides the answers; metrics can be computed anew without asking again."""
        return {
            "med2e3": med2e3.__version__,
            "model": self.model.sha256,
            "device": self.model.device,
            "number format": self.model.dtype,
            "samples": data_sha256(self.store, self.samples),
            "longest answer": self.settings.max_new_tokens,
        }

    # ---- asking --------------------------------------------------------------------------

    @cached_property
    def _tested_ids(self) -> frozenset[str]:
        """The samples of the deletion test, as far as they can be tested."""
        if not self.settings.faithfulness:
            return frozenset()
        ids = sorted(
            (sample.id for sample in self.samples),
            key=lambda name: hashlib.sha256(name.encode()).digest(),
        )
        return frozenset(ids[: self.settings.faithfulness_limit])

    def counts(self) -> tuple[int, int]:
        """Finished and all pieces of work: answers, and tests of faithfulness."""
        done = len(self._answered()) + len(self._deletions.read().keys() & self._tested_ids)
        return done, len(self.samples) + len(self._tested_ids)

    def remaining(self, shard: Shard) -> int:
        """How many pieces of work a part still has."""
        own = {sample.id for sample in share(self.samples, shard)}
        answered = self._answered()
        tested = self._deletions.read().keys() | {
            key for key, row in answered.items() if not row.can_be_tested
        }
        return len(own - answered.keys()) + len((own & self._tested_ids) - tested)

    def work(self, shard: Shard, get_session: Callable[[], Session], progress: Progress) -> None:
        """Do what a part still has to do.

        Args:
            shard: the part.
            get_session: gives the loaded model; called only if there is something to do.
            progress: gets finished and all pieces of this part's work.

        Raises:
            InputError: when another process is at the same part.
            Med2E3Error: when the model cannot be loaded.
        """
        if not self.remaining(shard):
            return
        from med2e3.evaluation.asked import ask_samples  # noqa: PLC0415 (imports torch)
        from med2e3.evaluation.faithfulness import (  # noqa: PLC0415
            DeletionTest,
            run_deletions,
        )

        own = share(self.samples, shard)
        steps = _steps(self.remaining(shard), progress)
        with self._answers.append(shard) as answers, self._deletions.append(shard) as deletions:
            done = self._answered()
            waiting = [sample for sample in own if sample.id not in done]
            session = get_session()
            ask_samples(
                session,
                self.store,
                waiting,
                self.settings.max_new_tokens,
                answers,
                lambda: next(steps),
            )
            done, tested = self._answered(), self._deletions.read().keys()
            waiting = [
                sample
                for sample in own
                if sample.id in self._tested_ids - tested and done[sample.id].can_be_tested
            ]
            test = DeletionTest(session, self.settings.draws)
            run_deletions(test, self.store, waiting, done, deletions, lambda: next(steps))

    def _answered(self) -> dict[str, Answered]:
        ids = {sample.id for sample in self.samples}
        rows = self._answers.read()
        return {key: Answered.of_dict(row) for key, row in rows.items() if key in ids}

    # ---- results -------------------------------------------------------------------------

    def finish(self, metrics: TextMetricOptions, sections: tuple[str, ...] = ()) -> list[Figure]:
        """Compute every figure and write the table, the summary and the report.

        Args:
            metrics: what the text metrics need.
            sections: further parts of the report.

        Returns:
            The figures, for whoever wants to show them.

        Raises:
            InputError: when samples are not answered yet, or a metric's folder is wrong.
        """
        answers = self._answered()
        waiting = len(self.samples) - len(answers)
        if waiting:
            raise InputError(
                f"{waiting} of {len(self.samples)} samples are not answered yet.",
                hint="Run the other parts (--shard), or run without --shard.",
            )
        text_metrics = TextMetrics(metrics)
        blind = self._blind_answers()
        radiology = RadiologyMetrics(metrics.radiology) if metrics.radiology else None
        results = measure(self.samples, answers, text_metrics, blind, radiology)
        figures = summarise(results, seed=self.settings.seed)
        heading = report.Heading(
            model=self.model.name,
            model_sha256=self.model.sha256,
            data=self.store.root.resolve().name,
            split=self.settings.selection.split,
            prior_source=blind.source,
            notes=(*self._notes(results), *text_metrics.notes),
            notice=self.model.notice,
        )
        extra: dict[str, Any] = {}
        if self._tested_ids:
            section, extra["faithfulness"] = self._write_curves()
            sections = (section, *sections)
        write_text(self.output / report.SAMPLES_FILE, report.samples_table(results, heading))
        write_text(self.output / report.SUMMARY_FILE, report.summary_text(figures, heading, extra))
        write_text(self.output / report.REPORT_FILE, report.report_text(figures, heading, sections))
        return figures

    def _blind_answers(self) -> BlindAnswers:
        selection = self.settings.selection
        if selection.split != _TRAIN:
            train = [s for s in self._all_samples() if s.split == _TRAIN]
            if train:
                return BlindAnswers(train, f"the {len(train)} samples of the train split")
        return BlindAnswers(
            self.samples,
            "the evaluated samples themselves, since there is no train split beside them; "
            "this flatters the prior",
        )

    def _all_samples(self) -> Iterator[Sample]:
        return read_samples(self.store.root / "samples.jsonl")

    def _notes(self, results: list[Result]) -> Iterator[str]:
        reasons = [result.answered.finish_reason for result in results]
        volumes = len({result.sample.volume for result in results})
        yield f"{len(results)} samples about {volumes} volumes."
        if self.passed_over:
            yield f"{self.passed_over} samples without a question were passed over."
        if long := reasons.count("too_long"):
            yield f"{long} questions do not fit into the model's context and count as unanswered."
        if cut := reasons.count("length"):
            yield f"{cut} answers reached the longest length allowed and were cut off."

    def _write_curves(self) -> tuple[str, dict[str, Any]]:
        from med2e3.evaluation.deletions import Deletion  # noqa: PLC0415

        samples = {sample.id: sample for sample in self.samples}
        rows = self._deletions.read()
        deletions = [Deletion.of_dict(rows[s.id]) for s in self.samples if s.id in rows]
        deletions = [d for d in deletions if d.id in self._tested_ids]
        if not deletions:
            text = "The model gives no slice scores, so their faithfulness cannot be tested."
            return f"## Faithfulness of the scores\n\n{text}", {}
        curves, areas = deletion_curves.curves_of(samples, deletions, seed=self.settings.seed)
        notice = self.model.notice
        write_text(
            self.output / deletion_curves.CURVES_FILE,
            deletion_curves.curves_table(curves, notice),
        )
        write_bytes(
            self.output / deletion_curves.PICTURE_FILE, deletion_curves.picture(curves, notice)
        )
        return deletion_curves.section(areas), deletion_curves.as_json(curves, areas)


def _steps(total: int, progress: Progress) -> Iterator[None]:
    """Tell of one more finished piece each time."""
    for done in range(1, total + 1):
        progress(done, total)
        yield
