"""All text metrics of many answers at once, and what could not be computed.

Knows which metrics there are, what they are called in results, and that METEOR without WordNet
must not be called METEOR.  Knows nothing of tasks or files of results.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from med2e3.errors import InputError
from med2e3.evaluation import meteor, overlap
from med2e3.evaluation.wordnet import WordNet

BLEU, ROUGE, BERTSCORE = "bleu_1", "rouge_1", "bertscore_f1"
METEOR, METEOR_NO_SYNONYMS = "meteor", "meteor_without_synonyms"
#: names for people
TITLES = {
    BLEU: "BLEU-1",
    ROUGE: "ROUGE-1",
    METEOR: "METEOR",
    METEOR_NO_SYNONYMS: "METEOR without synonyms",
    BERTSCORE: "BERTScore F1",
}


@dataclass(frozen=True)
class TextMetricOptions:
    """What the metrics need besides the texts.

    Args:
        wordnet: folder of WordNet's database; None computes METEOR without synonyms.
        bertscore: folder of the encoder; None leaves BERTScore out.
        bertscore_layer: see :class:`~med2e3.evaluation.bertscore.BertScore`.
        device: where the encoder runs: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        radiology: metrics of :mod:`med2e3.evaluation.radiology`, for reports.
    """

    wordnet: Path | None = None
    bertscore: Path | None = None
    bertscore_layer: int | None = None
    device: str = "cpu"
    radiology: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse what will not do later, before anything heavy is loaded.

        Raises:
            InputError: for a folder that does not hold what it should.
        """
        if self.wordnet is not None:
            WordNet(self.wordnet)
        if self.bertscore is not None and not (self.bertscore / "config.json").is_file():
            raise InputError(
                f"The folder {self.bertscore.name!r} holds no encoder for BERTScore.",
                hint="Give a folder of transformers with model.safetensors, such as roberta-large.",
            )
        if self.radiology and importlib.util.find_spec("radeval") is None:
            raise InputError(
                "Radiology metrics need the package radeval, which is not installed.",
                hint="See docs/evaluation.md, or leave --radiology-metric out.",
            )


class TextMetrics:
    """Computes every metric that can be computed here.

    Attributes:
        notes: a sentence for each metric that is missing or computed otherwise.

    Raises:
        InputError: when a folder that was given does not hold what it should.
    """

    def __init__(self, options: TextMetricOptions) -> None:
        self.notes: list[str] = []
        wordnet = WordNet(options.wordnet) if options.wordnet else None
        self._meteor = meteor.Meteor(wordnet) if meteor.available() else None
        self._meteor_name = METEOR if wordnet else METEOR_NO_SYNONYMS
        if self._meteor is None:
            self.notes.append("METEOR was left out: the package nltk is not installed.")
        elif wordnet is None:
            self.notes.append(
                "METEOR was computed without synonyms, since no WordNet folder was given "
                "(--wordnet); it is lower than the paper's METEOR and not comparable with it."
            )
        self._bertscore = None
        if options.bertscore is None:
            self.notes.append(
                "BERTScore was left out, since no encoder was given (--bertscore-model)."
            )
        else:
            from med2e3.evaluation.bertscore import BertScore  # noqa: PLC0415 (imports torch)
            from med2e3.session.devices import choose_device  # noqa: PLC0415

            self._bertscore = BertScore(
                options.bertscore, options.bertscore_layer, device=choose_device(options.device)
            )
            self.notes.append(
                f"BERTScore used the encoder {options.bertscore.name!r}, "
                f"layer {self._bertscore.layer}."
            )

    def compute(
        self, answers: Sequence[str], references: Sequence[str]
    ) -> dict[str, dict[tuple[str, str], float]]:
        """Every metric, 0 to 1, of each pair of an answer and its reference.

        Returns:
            For each metric's name the value of each different (answer, reference); an answer
            without a word has 0 throughout.
        """
        pairs = list(dict.fromkeys(zip(answers, references, strict=True)))
        scores = {
            BLEU: {pair: overlap.bleu_1(*pair) for pair in pairs},
            ROUGE: {pair: overlap.rouge_1(*pair) for pair in pairs},
        }
        if self._meteor is not None:
            scores[self._meteor_name] = {pair: self._meteor(*pair) for pair in pairs}
        if self._bertscore is not None:
            values = self._bertscore.f1([a for a, _ in pairs], [r for _, r in pairs])
            scores[BERTSCORE] = dict(zip(pairs, values, strict=True))
        return scores
