"""Small tokenizers learned from the training texts, for a model made from scratch.

Knows how both tokenizers of a Med-2E3 are made: a BPE one for the language model and a lower-casing
word one for the question encoder.  Knows nothing of data sets.  Every printable ASCII character
has a token of its own, so that anything can be asked, if not understood.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import BertTokenizer, PreTrainedTokenizerFast

from med2e3.model.prompt import END_OF_ANSWER

_PRINTABLE = [chr(code) for code in range(33, 127)]
_WORD = re.compile(r"[a-z]+")


def learn_language_tokenizer(
    texts: Iterable[str], vocabulary: int, prompt: str = "phi"
) -> PreTrainedTokenizerFast:
    """A BPE tokenizer.

    Args:
        texts: what it is to write well.
        vocabulary: tokens at most.
        prompt: wording whose end of an answer becomes the end and padding token.
    """
    end = END_OF_ANSWER[prompt]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="always"), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[end, "<unk>"],
        initial_alphabet=_PRINTABLE,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=end,
        pad_token=end,
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


def learn_question_tokenizer(texts: Iterable[str], vocabulary: int) -> BertTokenizer:
    """A lower-casing word tokenizer; words it does not know are spelled.

    Args:
        texts: what it is to read well.
        vocabulary: tokens at most.
    """
    words = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [c for c in _PRINTABLE if c == c.lower()]
    entries += [*letters, *(f"##{c}" for c in letters)]
    common = sorted(words, key=lambda word: (-words[word], word))
    entries += [word for word in common if word not in letters][: vocabulary - len(entries)]
    return BertTokenizer(vocab={w: i for i, w in enumerate(entries)}, do_lower_case=True)
