"""The wording of a conversation, as the released models were trained on it.

Knows the system sentence, the role words and what ends an answer for each language model family.
Knows nothing of token ids.  It is *not* the chat template of the language models themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions."
)

#: prompt name → what follows an answer in the text
END_OF_ANSWER = {
    "phi": "<|endoftext|>",
    "llama": "</s>",
    "llama3": "<|eot_id|>",
    "qwen2": "<|im_end|>",
}


def conversation(name: str, questions: Sequence[str], answers: Sequence[str]) -> str:
    """The text that the language model continues with its answer.

    Args:
        name: a key of :data:`END_OF_ANSWER`.
        questions: what the user said, oldest first, image mark included; outer blanks are
            dropped.
        answers: the answers to all but the last; an empty one leaves no end mark, as in training.

    Raises:
        ValueError: for an unknown name, or when the numbers do not fit.
    """
    if name not in END_OF_ANSWER:
        raise ValueError(f"unknown prompt {name!r}; known: {', '.join(END_OF_ANSWER)}")
    if len(questions) != len(answers) + 1:
        raise ValueError(f"{len(questions)} questions need {len(questions) - 1} answers")
    text = SYSTEM + " "
    for question, answer in zip(questions, answers, strict=False):
        said = answer.strip()
        text += f"USER: {question.strip()} ASSISTANT:"
        text += f" {said}{END_OF_ANSWER[name]}" if said else ""
    return text + f"USER: {questions[-1].strip()} ASSISTANT:"
