"""BLEU-1 and ROUGE-1 against sacrebleu and rouge-score."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from med2e3.evaluation.overlap import bleu_1, rouge_1, tokenize_13a

PAIRS = [
    ("The lungs are clear.", "The lungs are clear. No pleural effusion."),
    ("A mass of 3.5 cm, in the right lobe.", "Mass: 3,5cm (right lobe)"),
    ("the the the the", "the cat"),
    ("A. axial", "A. axial"),
    ("A. axial", "B. coronal"),
    ("1-2 mm; L4-L5 &quot;stable&quot; &amp; small", 'L4-L5 "stable" & small: 1-2mm'),
    ("don't", "do not"),
    ("Ödem, Größe 3 µm", "Ödem Größe 3 µm"),
    ("line one\nline two-\nthree", "line one line twothree"),
    ("<skipped> ... ,,, 5.", "5 ."),
    ("肺", "肺 clear"),
]
TEXT = st.text(
    st.one_of(st.sampled_from("ab cd. ,-0123'&;\n(){}[]/\"<>$%µé"), st.characters(codec="utf-8")),
    max_size=40,
)


def their_bleu(answer: str, reference: str) -> float:
    metric = BLEU(max_ngram_order=1, smooth_method="none", tokenize="13a", effective_order=False)
    return metric.sentence_score(answer, [reference]).score / 100


def their_rouge(answer: str, reference: str) -> float:
    return RougeScorer(["rouge1"], use_stemmer=False).score(reference, answer)["rouge1"].fmeasure


@pytest.mark.parametrize(("answer", "reference"), PAIRS)
def test_fixture_gives_the_libraries_numbers(answer: str, reference: str) -> None:
    assert bleu_1(answer, reference) == pytest.approx(their_bleu(answer, reference), abs=1e-12)
    assert rouge_1(answer, reference) == pytest.approx(their_rouge(answer, reference), abs=1e-12)


@given(TEXT)
@settings(deadline=None, max_examples=150)
def test_any_text_is_tokenized_as_sacrebleu_does(text: str) -> None:
    # sacrebleu strips the text of a line before its tokenizer sees it
    assert tokenize_13a(text) == Tokenizer13a()(text).split()


@given(TEXT, TEXT)
@settings(deadline=None, max_examples=150)
def test_any_texts_give_the_libraries_numbers(answer: str, reference: str) -> None:
    if tokenize_13a(answer) and tokenize_13a(reference):
        assert bleu_1(answer.strip(), reference.strip()) == pytest.approx(
            their_bleu(answer, reference), abs=1e-12
        )
    assert rouge_1(answer, reference) == pytest.approx(their_rouge(answer, reference), abs=1e-12)


@given(TEXT)
@settings(deadline=None, max_examples=30)
def test_no_answer_is_worth_nothing(reference: str) -> None:
    assert bleu_1("", reference) == rouge_1(" \n", reference) == 0


def test_short_answers_are_penalised_by_bleu_only() -> None:
    assert bleu_1("a b", "a b c d") == pytest.approx(0.36787944117144233)  # exp(1 - 4/2)
    assert rouge_1("a b", "a b c d") == pytest.approx(2 / 3)
