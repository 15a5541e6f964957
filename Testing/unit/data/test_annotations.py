"""Annotation files: M3D-Cap, M3D-VQA, conversations, and the volumes and slices they mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.data.training_files import VQA_COLUMNS, write_json, write_vqa

from med2e3.asking import REPORT_QUESTION, Turn
from med2e3.data import TOPICS, Sample, json_array
from med2e3.data.annotations import Assembler, recognise, slices_of, split_of_name
from med2e3.data.conversations import read_conversations
from med2e3.data.json_array import iterate_array
from med2e3.data.keys import KeyFinder, volume_key
from med2e3.data.m3d_cap import REPORT_QUESTIONS, read_m3d_cap, report_text
from med2e3.data.m3d_vqa import read_m3d_vqa
from med2e3.data.refusals import Refusal
from med2e3.errors import InputError

ROW = ("ct_case/1/Axial.npy", "a report", 3, "Which organ?", "Liver", "Lung", "Heart", "Skin",
       "Lung", "B")  # fmt: skip


def changed(**values: Any) -> tuple[Any, ...]:
    row = dict(zip(VQA_COLUMNS, ROW, strict=True))
    row.update({name.replace("_", " "): value for name, value in values.items()})
    return tuple(row.values())


# ---- M3D-Cap ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("title: x\nstudy_findings: A mass\nin the liver.\n", "A mass in the liver."),
        ("study_findings:\ndiscussion:\nA cyst is seen.", "discussion: A cyst is seen."),
        ("study_findings: \n . \n", "study_findings:   ."),
        ("discussion: A cyst is seen.", "A cyst is seen."),
        ("discussion: A cyst is seen.\nstudy_findings: no", "A cyst is seen. study_findings: no"),
        ("A report by itself.", "A report by itself."),
        ("  \n ", ""),
        ("abc", ""),
    ],
)
def test_the_report_of_a_text(text: str, report: str) -> None:
    assert report_text(text) == report


def cap_folder(tmp_path: Path) -> Path:
    for case in ("ct_case/000001", "ct_quizze/000001"):
        folder = tmp_path / "M3D_Cap" / case
        folder.mkdir(parents=True)
        (folder / "text.txt").write_text(f"study_findings: Findings of {case}.", encoding="utf-8")
    return tmp_path / "M3D_Cap"


def cap_entry(case: str) -> dict[str, str]:
    return {
        "image": f"M3D_Cap_npy/{case}/Axial.npy",
        "text": f"M3D_Cap_npy/{case}/text.txt",
    }


def test_m3d_cap_gives_reports_by_split(tmp_path: Path) -> None:
    entries = {
        "train": [cap_entry("ct_case/000001"), cap_entry("ct_case/999999"), {"image": 3}],
        "test1k": [cap_entry("ct_quizze/000001")],
    }
    file = write_json(tmp_path / "M3D_Cap.json", entries)
    bad: list[Refusal] = []
    train, test = read_m3d_cap(file, cap_folder(tmp_path), refuse=bad.append)
    assert (train.split, test.split) == ("train", "test1k")
    assert train.task == "report"
    assert train.answer == "Findings of ct_case/000001."
    assert test.answer == "Findings of ct_quizze/000001."
    assert [str(row) for row in bad] == [
        "M3D_Cap.json: train 2: Its text file is not there.",
        "M3D_Cap.json: train 3: The entry has no image and text.",
    ]


def test_a_text_of_another_folder_is_never_taken(tmp_path: Path) -> None:
    """ct_case/000001 and ct_quizze/000001 are different patients."""
    file = write_json(tmp_path / "cap.json", {"train": [cap_entry("ct_quizze/000001")]})
    bad: list[Refusal] = []
    assert not list(read_m3d_cap(file, cap_folder(tmp_path) / "ct_case", refuse=bad.append))
    assert len(bad) == 1


def test_questions_for_reports_vary_and_are_the_same_in_every_run(tmp_path: Path) -> None:
    file = write_json(tmp_path / "cap.json", {"train": [cap_entry("ct_case/000001")] * 200})
    texts = cap_folder(tmp_path)

    def questions(asking: Any) -> list[str]:
        found = read_m3d_cap(file, texts, refuse=pytest.fail, asking=asking)
        return [sample.question for sample in found]

    assert questions("drawn") == questions("drawn")
    assert set(questions("drawn")) == set(REPORT_QUESTIONS)
    assert set(questions("default")) == {REPORT_QUESTION}
    assert set(questions("none")) == {""}


@pytest.mark.parametrize("content", ["", "[1]", '{"train": 3}', '{"train": ['])
def test_other_json_is_no_m3d_cap(tmp_path: Path, content: str) -> None:
    file = tmp_path / "cap.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"cap\.json"):
        list(read_m3d_cap(file, tmp_path, refuse=pytest.fail))


# ---- M3D-VQA ---------------------------------------------------------------------------------


def test_a_row_gives_an_open_and_a_closed_question(tmp_path: Path) -> None:
    file = write_vqa(tmp_path / "M3D_VQA_train.csv", [ROW])
    opened, closed = read_m3d_vqa(file, split="train", refuse=pytest.fail)
    assert (opened.task, closed.task) == ("open_vqa", "closed_vqa")
    assert opened.question == closed.question == "Which organ?"
    assert opened.target == "Lung"
    assert closed.target == "B. Lung"
    assert closed.as_question().with_choices == (
        "Which organ? Choices: A. Liver B. Lung C. Heart D. Skin"
    )
    assert opened.topic == closed.topic == "organ"
    assert opened.id != closed.id
    assert Sample.from_json(closed.to_json()) == closed
    for form in ("open", "closed"):
        found = list(read_m3d_vqa(file, split="x", refuse=pytest.fail, form=form))
        assert [sample.task for sample in found] == [f"{form}_vqa"]


def test_types_1_to_5_are_the_topics(tmp_path: Path) -> None:
    rows = [changed(Question_Type=number) for number in (1, "2", 3.0, " 4 ", 5)]
    file = write_vqa(tmp_path / "vqa.csv", rows)
    found = read_m3d_vqa(file, split="test", refuse=pytest.fail, form="open")
    assert tuple(sample.topic for sample in found) == TOPICS


def test_yes_no_files_with_and_without_columns_of_choices(tmp_path: Path) -> None:
    short = ("Image Path", "Text", "Question Type", "Question", "Answer")
    file = write_vqa(tmp_path / "yn.csv", [("a.npy", "r", 4, "Is there a mass?", "Yes")], short)
    (sample,) = read_m3d_vqa(file, split="train", refuse=pytest.fail)
    assert (sample.task, sample.answer, sample.choices) == ("open_vqa", "Yes", ())
    rows = [changed(Choice_A="Yes", Choice_B="No", Choice_C="NA", Choice_D="NA", Answer="No")]
    file = write_vqa(tmp_path / "yn_train.csv", rows)
    _, closed = read_m3d_vqa(file, split="train", refuse=pytest.fail)
    assert closed.choices == ("Yes", "No")
    assert closed.target == "B. No"


def test_bad_rows_are_told_with_their_line_and_the_others_are_read(tmp_path: Path) -> None:
    rows = [
        ROW,
        changed(Text="a report\nof two lines"),
        changed(Question=" "),
        changed(Question_Type=6),
        changed(Question_Type="organ"),
        changed(Answer_Choice="E"),
        changed(Answer_Choice="A"),
        changed(Choice_C=""),
        ROW[:7],
        changed(Answer="LUNG."),
    ]
    file = write_vqa(tmp_path / "vqa.csv", rows)
    with file.open("ab") as stream:
        stream.write(b'a.npy,r,3,"Caf\xe9?",A,B,C,D,B,B\r\n')
    bad: list[Refusal] = []
    found = list(read_m3d_vqa(file, split="train", refuse=bad.append, form="closed"))
    assert [sample.id for sample in found] == ["vqa/2/closed", "vqa/3/closed", "vqa/12/closed"]
    assert [(row.line, row.reason) for row in bad] == [
        (5, "Question is empty."),
        (6, "Question Type is not a number from 1 to 5."),
        (7, "Question Type is not a number from 1 to 5."),
        (8, "Answer Choice is not a letter from A to D."),
        (9, "Answer Choice A is another text than Answer."),
        (10, "A choice is empty."),
        (11, "The row has 7 columns in place of 10."),
        (13, "Question is not UTF-8 text."),
    ]


def test_a_quote_that_is_never_closed_costs_no_memory_and_is_told(tmp_path: Path) -> None:
    file = write_vqa(tmp_path / "vqa.csv", [ROW])
    with file.open("a", encoding="utf-8") as stream:
        stream.write('a.npy,"never closed')
        stream.writelines(",".join(map(str, ROW)) + "\n" for _ in range(30_000))
    bad: list[Refusal] = []
    found = list(read_m3d_vqa(file, split="train", refuse=bad.append, form="open"))
    assert bad[0].line == 3
    assert "The line is not CSV" in bad[0].reason
    assert len(found) > 10_000, "what comes after the damage is read"


def test_a_file_of_other_columns_is_refused_at_once(tmp_path: Path) -> None:
    file = write_vqa(tmp_path / "train.csv", [("a", "b")], ("Image", "Answer"))
    with pytest.raises(InputError, match="no column 'Image Path'"):
        recognise(file)


# ---- conversations ---------------------------------------------------------------------------


def record(*values: str, **changes: Any) -> dict[str, Any]:
    said = [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(values)]
    base = {"id": "7", "conversations": said, "vision3d": ["ct/1/A.npy"], "question": "Where?"}
    return base | changes


def read(tmp_path: Path, *records: Any) -> tuple[list[Sample], list[Refusal]]:
    bad: list[Refusal] = []
    file = write_json(tmp_path / "train.json", list(records))
    return list(read_conversations(file, split="train", refuse=bad.append)), bad


def test_one_turn_and_the_forms_of_questions(tmp_path: Path) -> None:
    samples, bad = read(
        tmp_path,
        record("<image3d>\nWhere is it?", "In the liver.", question_type=5),
        record("<image3d>\nWhat? Choices: A. cyst with E. coli B. B. coli C. mass", "C. mass"),
        record(f"<image3d>\n{REPORT_QUESTION}", "A report.", id=3),
        record("<image3d>", "A caption."),
        record("Look <image3d> here", "Yes.", question_type="caption"),
    )
    assert bad == []
    opened, closed, report, alone, inside = samples
    assert (opened.id, opened.volume, opened.split) == ("7", "ct/1/A.npy", "train")
    assert (opened.question, opened.answer) == ("Where is it?", "In the liver.")
    assert (opened.topic, opened.task) == ("location", "open_vqa")
    assert opened.scoring_text == "Where?"
    assert opened.as_question().user_turns == ("<image3d>\nWhere is it?",)
    assert (closed.task, closed.target) == ("closed_vqa", "C. mass")
    assert closed.choices == ("cyst with E. coli", "B. coli", "mass")
    assert (report.id, report.task) == ("3", "report")
    assert (alone.question, alone.task) == ("", "report")
    assert inside.as_question().user_turns == ("Look <image3d> here",)
    assert inside.task == "report"


def test_choices_are_taken_apart(tmp_path: Path) -> None:
    text = "Which plane? Choices: A. axial B. coronal C. sagittal D. oblique"
    (sample,), bad = read(tmp_path, record(f"<image3d>\n{text}", "B. coronal", question_type=1))
    assert bad == []
    assert sample.task == "closed_vqa"
    assert sample.choices == ("axial", "coronal", "sagittal", "oblique")
    assert (sample.answer, sample.target) == ("coronal", "B. coronal")
    assert sample.as_question().with_choices == text


def test_every_answer_is_learned_with_the_turns_before_it(tmp_path: Path) -> None:
    samples, bad = read(tmp_path, record("<image3d>\nOne?", "1", "Two?", "2", "Three?", "3"))
    assert bad == []
    assert [sample.id for sample in samples] == ["7#1", "7#2", "7#3"]
    assert samples[2].history == (Turn("One?", "1"), Turn("Two?", "2"))
    assert samples[2].as_question().user_turns == ("<image3d>\nOne?", "Two?", "Three?")
    assert {sample.scoring_text for sample in samples} == {"Where?"}


def test_bad_records_are_told_with_their_number(tmp_path: Path) -> None:
    good = record("<image3d>\nWhere?", "Here.")
    samples, bad = read(
        tmp_path,
        good,
        record("<image3d>\nWhere?", "Here.", question=None),
        record("<image3d>\nWhere?"),
        record("<image3d>\nWhere?", "Here.", vision3d=["a.npy", "b.npy"]),
        record("<image3d>\nWhere?", " "),
        record("<image3d>\nWhat is <image>?", "That."),
        record("<image3d>\nWhat? Choices: A. x B. y", "A. y"),
        3,
        good,
    )
    assert len(samples) == 2
    assert [str(row) for row in bad] == [
        "train.json: record 2: The record has no question, which TG-IS reads.",
        "train.json: record 3: The conversation is not questions and answers in turn.",
        "train.json: record 4: The record has 2 volumes; one can be used.",
        "train.json: record 5: An answer is empty.",
        "train.json: record 6: The conversation holds <image>, a 2D picture.",
        "train.json: record 7: The answer A is another text than choice A.",
        "train.json: record 8: The record is no object.",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values=st.lists(json_values), block=st.integers(1, 12), indent=st.sampled_from([None, 1]))
def test_a_list_is_read_whatever_the_size_of_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], block: int, indent: int | None
) -> None:
    file = tmp_path_factory.mktemp("json") / "list.json"
    file.write_text(json.dumps(values, indent=indent), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_BLOCK", block)
        assert list(iterate_array(file)) == values


@pytest.mark.parametrize("text", ["", "{}", "[1, 2", "[1 2]", "[1,]", "[1, tru]", '["a'])
def test_a_damaged_list_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"list\.json"):
        list(iterate_array(tmp_path / "list.json"))


# ---- keys, splits, slices --------------------------------------------------------------------


def test_keys_are_paths_without_suffix_and_accents() -> None:
    assert volume_key("./ct_case/1/Axial_Pöschl–view.npy") == "ct_case/1/Axial_Poschl-view"
    assert volume_key(r"a\b\scan.NII.GZ") == "a/b/scan"
    assert volume_key("../../up.npy") == "up"
    assert volume_key("Axial_1.5") == "Axial_1.5"


def test_volumes_are_found_under_another_root_but_never_of_another_patient() -> None:
    whole = KeyFinder(["ct_case/1/Axial", "ct_quizze/1/Axial"], ["M3D_Cap"])
    assert whole.find("M3D_Cap_npy/ct_quizze/1/Axial.npy") == "ct_quizze/1/Axial"
    assert whole.find("./ct_case/1/Axial.npy") == "ct_case/1/Axial"
    assert whole.find("1/Axial.npy") is None, "it may be either"
    assert whole.find("") is None
    part = KeyFinder(["1/Axial"], ["ct_case"])
    assert part.find("M3D_Cap/ct_case/1/Axial.npy") == "1/Axial"
    assert part.find("M3D_Cap/ct_quizze/1/Axial.npy") is None
    assert KeyFinder(["case/1/Axial"], ["x"]).find("1/Axial.npy") == "case/1/Axial"


@pytest.mark.parametrize(
    ("stem", "split"),
    [("M3D_VQA_train", "train"), ("M3D_VQA_val", "validation"), ("M3D_VQA_test5k", "test5k"),
     ("M3D_VQA_yn_train", "train"), ("latest", ""), ("questions", "")],
)  # fmt: skip
def test_the_name_of_a_file_tells_its_split(stem: str, split: str) -> None:
    assert split_of_name(stem) == split


def test_a_file_that_tells_no_split_or_is_something_else_is_refused(tmp_path: Path) -> None:
    file = write_vqa(tmp_path / "questions.csv", [ROW])
    with pytest.raises(InputError, match="does not tell"):
        recognise(file)
    assert recognise(file, "test").split == "test"
    with pytest.raises(InputError, match="of a kind known here"):
        recognise(write_json(tmp_path / "train.json", "text"))
    with pytest.raises(InputError, match="has no meaning"):
        recognise(write_json(tmp_path / "cap.json", {}), "train")
    with pytest.raises(InputError, match="cannot be read"):
        recognise(tmp_path / "none.csv")


def vqa(question: str, answer: str, **changes: Any) -> Sample:
    return Sample("1", "v", "train", changes.pop("task", "open_vqa"), answer, question, **changes)


def test_the_slices_of_an_answer_follow_from_labels() -> None:
    both = {"liver": [3, 4, 5, 6], "left_kidney": [8, 9], "lesion": [5]}
    healthy = {"liver": [3, 4, 5, 6]}
    assert slices_of(vqa("Is there a lesion in the liver?", "Yes"), both) == (5,)
    assert slices_of(vqa("Is there a lesion in the liver?", "No"), healthy) == (3, 4, 5, 6)
    assert slices_of(vqa("Where is the lesion?", "In the left kidney"), both) == (8, 9)
    assert slices_of(vqa("Are there lesions?", "Yes"), both) == (5,)
    assert slices_of(vqa("What is delivered?", "Nothing"), both) is None
    assert slices_of(vqa("Which plane?", "axial"), both) is None
    assert slices_of(vqa("", "A lesion of the liver.", task="report"), both) is None


def test_samples_get_keys_and_what_has_no_volume_is_told_once() -> None:
    bad: list[Refusal] = []
    assembler = Assembler(KeyFinder(["a"]), {"a": {"label_slices": {"liver": [1]}}}, bad.append)
    given = [
        Sample("1", "a.npy", "train", "open_vqa", "liver", "Which organ?"),
        Sample("1", "a.npy", "train", "open_vqa", "liver", "Which organ?"),
        Sample("2", "a.npy", "test", "open_vqa", "axial", "Which plane?", slices=(2,)),
        Sample("3", "b.npy", "test", "open_vqa", "axial", "Which plane?"),
        Sample("4", "b.npy", "test", "open_vqa", "axial", "Which plane?"),
    ]
    first, second = assembler.assemble("x.csv", iter(given))
    assert (first.volume, first.slices) == ("a", (1,))
    assert second.slices == (2,)
    assert assembler.splits == {"a": {"train", "test"}}
    assert [row.reason for row in bad] == [
        "Another sample has the id '1', too.",
        "There is no volume 'b.npy', so 2 sample(s) were left out.",
    ]
