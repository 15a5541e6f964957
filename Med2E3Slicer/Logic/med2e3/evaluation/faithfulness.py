"""Whether the scores tell what the answer rests on: the deletion test.

The highest-scored slices are blanked in the model's input, the whole model runs again (both
encoders), and its confidence in the answer that it gave before is measured; the same with slices
drawn at random and with the lowest-scored ones.  Scores that tell what the answer rests on make
confidence fall sooner for the highest-scored slices.  Knows models; knows nothing of figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch

from med2e3.asking import Done, GenerationOptions
from med2e3.data.sample import Sample
from med2e3.data.store import VolumeStore
from med2e3.evaluation.answers import Answered, Appender
from med2e3.evaluation.asked import StoredVolume, by_volume, question_of
from med2e3.evaluation.choices import chosen_letter
from med2e3.evaluation.deletions import ORDERS, RANDOM, REMOVED, Deletion, slices_to_remove
from med2e3.model import VolumeFeatures
from med2e3.session import Session

#: what a removed slice is filled with: the floor of the grey-value window
BLANK = 0.0


class DeletionTest:
    """Runs a loaded model on volumes with slices removed.

    Args:
        session: the model.
        draws: random choices of slices that are averaged.
    """

    def __init__(self, session: Session, draws: int = 3) -> None:
        self.session = session
        self.draws = draws
        self._features: dict[tuple[int, ...], VolumeFeatures] = {}
        self._features_of = ""

    def run(self, volume: StoredVolume, sample: Sample, answered: Answered) -> Deletion:
        """The curves of one sample.

        Args:
            volume: the sample's.
            sample: what was asked.
            answered: what was said about the whole volume, with its scores.
        """
        total = len(answered.scores)
        removed = tuple(count for count in REMOVED if count < total)
        confidence: dict[str, list[float]] = {}
        right: dict[str, list[float]] = {}
        for order in ORDERS:
            points = []
            for count in removed:
                draws = self.draws if order == RANDOM and count else 1
                gone = [
                    slices_to_remove(answered.scores, order, count, volume.sha256, draw)
                    for draw in range(draws)
                ]
                points.append(
                    np.mean([self._point(volume, sample, answered, part) for part in gone], axis=0)
                )
            confidence[order] = [float(point[0]) for point in points]
            if answered.choice_probabilities:
                right[order] = [float(point[1]) for point in points]
        return Deletion(sample.id, removed, confidence, right)

    def _point(
        self, volume: StoredVolume, sample: Sample, answered: Answered, gone: tuple[int, ...]
    ) -> tuple[float, float]:
        """Confidence, and whether the most probable letter is right (0 without letters)."""
        if not answered.choice_probabilities:
            return self._token_confidence(volume, sample, answered, gone), 0.0
        altered = blanked(volume, gone)
        events = self.session.ask(altered, question_of(sample), GenerationOptions(max_new_tokens=1))
        letters = next(e for e in events if isinstance(e, Done)).choice_probabilities
        before = _most_probable(answered.choice_probabilities)
        chosen = chosen_letter(answered.answer, sample.choices) or before
        return letters[chosen], float(_most_probable(letters) == sample.answer_choice)

    @torch.inference_mode()
    def _token_confidence(
        self, volume: StoredVolume, sample: Sample, answered: Answered, gone: tuple[int, ...]
    ) -> float:
        """Mean probability of the tokens given before, each after the ones before it."""
        model, processor = self.session.model, self.session.processor
        question = question_of(sample)
        prompt = processor.encode_prompt(processor.conversation(question))
        answer = list(answered.token_ids)
        reader = torch.tensor(
            [processor.encode_question(question.scoring_text)], device=model.device
        )
        image = model.image_features(self._encode(volume, gone), reader, torch.ones_like(reader))
        ids = torch.tensor([prompt + answer[:-1]], device=model.device)
        logits = model.language_model(
            inputs_embeds=model.embed(ids, image), logits_to_keep=len(answer)
        ).logits[0]
        probabilities = torch.softmax(logits.float(), dim=-1)
        said = probabilities[torch.arange(len(answer)), torch.tensor(answer)]
        return float(said.mean())

    def _encode(self, volume: StoredVolume, gone: tuple[int, ...]) -> VolumeFeatures:
        """Both encoders' features of the altered volume, kept while the volume is the same."""
        if self._features_of != volume.sha256:
            self._features, self._features_of = {}, volume.sha256
        if gone not in self._features:
            model = self.session.model
            pixels = torch.from_numpy(blanked(volume, gone).voxels)
            self._features[gone] = model.encode_volume(
                pixels.to(model.device, model.dtype)[None, None]
            )
        return self._features[gone]


def _most_probable(letters: dict[str, float]) -> str:
    return max(letters, key=letters.__getitem__)


def blanked(volume: StoredVolume, gone: tuple[int, ...]) -> StoredVolume:
    """The volume with slices filled with :data:`BLANK`, and a hash of its own."""
    if not gone:
        return volume
    voxels = volume.voxels.copy()
    voxels[list(gone)] = BLANK
    return StoredVolume(voxels, f"{volume.sha256} without {','.join(map(str, gone))}")


def run_deletions(
    test: DeletionTest,
    store: VolumeStore,
    samples: Iterable[Sample],
    answers: Mapping[str, Answered],
    appender: Appender,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Test every sample and write its curves.

    Args:
        test: the model.
        store: holds the samples' volumes.
        samples: sorted by volume; all can be tested.
        answers: by sample id.
        appender: gets one :class:`Deletion` for each sample.
        progress: called after each.
    """
    for volume, group in by_volume(store, samples):
        for sample in group:
            appender.write(test.run(volume, sample, answers[sample.id]).as_dict())
            progress()
