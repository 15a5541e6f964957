"""The published layout all the way: served, downloaded, converted, verified, loaded."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from unit.weights.hub_server import Hub

from med2e3.cli.models import app
from med2e3.errors import InputError, Med2E3Error, WeightsError
from med2e3.weights import model_identity, resolve_model
from med2e3.weights.catalogue import find_entry
from med2e3.weights.manifest import read_manifest
from med2e3.weights.offline import find_source
from med2e3.weights.store import Store

NAME = "med2e3-m3d"
MODEL, TOKENIZER = "shiym2000/Med-2E3-M3D", "GoodBaiBai88/M3D-CLIP"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def oracle(shared_dir: Path) -> Path:
    return shared_dir / "oracle" / "A"


@pytest.fixture
def published(hub: Hub, oracle: Path) -> str:
    """The oracle's files under the names of the real repositories, with code beside them."""
    extra = {
        "vision3d_model/configuration_m3d_clip.py": b"raise SystemExit('remote code')\n",
        "trainer_state.json": b"{}\n",
    }
    hub.publish(TOKENIZER, {**contents(oracle / "m3d_clip_tokenizer"), "modeling_m3d.py": b"!"})
    return hub.publish(MODEL, {**contents(oracle / "checkpoint"), **extra})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def sentence(result: Result) -> Med2E3Error:
    """The error that ended a command; the program's top level prints its sentence."""
    assert isinstance(result.exception, Med2E3Error), result.exception
    return result.exception


def test_download_verify_load_remove(hub: Hub, store: Store, published: str) -> None:
    hub.plant("vision3d_model/pytorch_model.bin", "cut", after=700_000)
    hub.plant("llm/pytorch_model.bin", "corrupt")
    result = run("download", NAME, "--accept-licence", "--mirror", hub.url)
    assert result.exit_code == 0, result.exception
    assert "Apache-2.0" in result.stderr
    assert "non-commercial" in result.stderr
    assert published[:12] in result.stderr
    assert "remote code" not in result.output

    folder = resolve_model(NAME)
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".bin", ".py", ".pt", ".pkl"))]
    assert not store.partial(NAME).exists()
    assert not any(r.path.endswith(".py") for r in hub.requests)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.revision == published
    assert manifest.converted["tensors"] > 0
    assert [origin.repo for origin in manifest.origins] == [MODEL, TOKENIZER]

    listed = json.loads(run("list", "--json").output)["models"]
    (row,) = [row for row in listed if row["name"] == NAME]
    assert row["installed"] is True
    assert row["revision"] == published
    assert row["bytes_on_disk"] > 1_000_000

    hub.requests.clear()
    again = run("download", NAME, "--accept-licence", "--mirror", hub.url)
    assert again.exit_code == 0
    assert "installed already" in again.output
    assert hub.requests == []

    from med2e3.model import Med2E3ForConditionalGeneration

    model = Med2E3ForConditionalGeneration.from_pretrained(folder)
    assert sum(parameter.numel() for parameter in model.parameters()) > 1_000_000
    identity = model_identity(folder)
    assert (identity.name, identity.revision) == (NAME, published)

    assert run("verify", NAME).exit_code == 0
    weights = next(folder.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    damaged = run("verify", NAME, "--json")
    assert damaged.exit_code == 1
    assert weights.name in sentence(damaged).sentence
    assert list(json.loads(damaged.stdout)["damaged"]) == [weights.name]

    assert run("remove", NAME, "--yes").exit_code == 0
    assert not folder.exists()
    assert isinstance(sentence(run("verify", NAME)), InputError)


def test_originals_are_kept_when_asked(hub: Hub, oracle: Path, published: str) -> None:
    result = run("download", NAME, "--accept-licence", "--mirror", hub.url, "--keep-originals")
    assert result.exit_code == 0, result.exception
    kept = resolve_model(NAME) / "originals" / "checkpoint" / "llm" / "pytorch_model.bin"
    assert kept.read_bytes() == (oracle / "checkpoint" / "llm" / "pytorch_model.bin").read_bytes()
    assert run("verify", NAME).exit_code == 0


def test_offline_folder(hub: Hub, oracle: Path, tmp_path: Path, published: str) -> None:
    copy = tmp_path / "usb stick"
    shutil.copytree(oracle, copy, ignore=shutil.ignore_patterns("expected"))
    before = contents(copy)
    result = run("download", NAME, "--accept-licence", "--from", str(copy))
    assert result.exit_code == 0, result.exception
    assert hub.requests == []
    assert contents(copy) == before
    identity = model_identity(resolve_model(NAME))
    assert identity.revision is None
    from_folder = identity.sha256

    run("remove", NAME, "--yes", "--forget")
    assert run("download", NAME, "--accept-licence", "--mirror", hub.url).exit_code == 0
    assert model_identity(resolve_model(NAME)).sha256 == from_folder

    # Now the revision is known, and the folder's files are recognised as belonging to it.
    run("remove", NAME, "--yes")
    assert run("download", NAME, "--accept-licence", "--from", str(copy)).exit_code == 0
    assert model_identity(resolve_model(NAME)).revision == published

    run("remove", NAME, "--yes")
    vocabulary = copy / "m3d_clip_tokenizer" / "vocab.txt"
    vocabulary.write_bytes(vocabulary.read_bytes()[::-1])
    refused = sentence(run("download", NAME, "--accept-licence", "--from", str(copy)))
    assert isinstance(refused, WeightsError)
    assert "vocab.txt" in refused.sentence
    assert "usb stick" not in str(refused)


def test_cache_of_the_hub_is_understood_as_offline_folder(oracle: Path, tmp_path: Path) -> None:
    for repo, folder in ((MODEL, "checkpoint"), (TOKENIZER, "m3d_clip_tokenizer")):
        target = tmp_path / f"models--{repo.replace('/', '--')}" / "snapshots" / ("a" * 40)
        shutil.copytree(oracle / folder, target)
    entry = find_entry(NAME)
    found = [find_source(tmp_path, source) for source in entry.sources]
    assert [path.parents[1].name for path in found] == [
        "models--shiym2000--Med-2E3-M3D",
        "models--GoodBaiBai88--M3D-CLIP",
    ]


def test_offline_folder_that_lacks_or_doubles_files(oracle: Path, tmp_path: Path) -> None:
    result = run("download", NAME, "--accept-licence", "--from", str(tmp_path / "none"))
    assert "does not exist" in sentence(result).sentence
    shutil.copytree(oracle / "checkpoint", tmp_path / "one")
    result = run("download", NAME, "--accept-licence", "--from", str(tmp_path))
    assert TOKENIZER in sentence(result).sentence
    assert "vocab.txt" in sentence(result).hint
    shutil.copytree(oracle / "checkpoint", tmp_path / "two")
    result = run("download", NAME, "--accept-licence", "--from", str(tmp_path))
    assert "more than once" in sentence(result).sentence


def test_files_that_make_no_model_are_kept_but_not_installed(
    hub: Hub, store: Store, oracle: Path, published: str
) -> None:
    files = contents(oracle / "checkpoint")
    files["vision3d_connector/pytorch_model.bin"] = b"no pickle at all"
    hub.publish(MODEL, files)
    failed = run("download", NAME, "--accept-licence", "--mirror", hub.url)
    assert "vision3d_connector" in str(sentence(failed)) + sentence(failed).detail
    assert not store.is_installed(NAME)
    assert not store.model(NAME).exists()
    hub.requests.clear()
    assert run("download", NAME, "--accept-licence", "--mirror", hub.url).exit_code != 0
    assert not [r for r in hub.requests if "/resolve/" in r.path]
    run("remove", NAME, "--yes")
    hub.branches[MODEL] = published
    assert run("download", NAME, "--accept-licence", "--mirror", hub.url).exit_code == 0


def test_licence_must_be_accepted(hub: Hub, store: Store, published: str) -> None:
    result = run("download", NAME, "--mirror", hub.url)
    assert sentence(result).exit_code == 2
    assert "--accept-licence" in sentence(result).hint
    assert "Phi-3-mini-128k-instruct (Microsoft): MIT" in result.stderr
    assert hub.requests == []
    assert not store.root.exists()


def test_options_that_contradict(tmp_path: Path) -> None:
    for option in (("--mirror", "https://x.example"), ("--revision", "main")):
        result = run("download", NAME, "--from", str(tmp_path), *option)
        assert isinstance(sentence(result), InputError)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_ends_with_a_sentence_and_keeps_what_is_here(
    hub: Hub, store: Store, published: str
) -> None:
    large = "vision3d_model/pytorch_model.bin"
    hub.plant(large, "pause", after=1_500_000)
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"sys.argv[1:] = ['models', 'download', '{NAME}', '--accept-licence', '--mirror', "
        f"'{hub.url}']; from med2e3.cli.main import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert hub.paused.wait(120)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0].decode()
    hub.resume.set()
    assert process.returncode == 130, output
    assert "what was downloaded is kept" in output
    assert "Traceback" not in output
    assert not store.is_installed(NAME)
    hub.requests.clear()
    assert run("download", NAME, "--accept-licence", "--mirror", hub.url).exit_code == 0
    assert hub.bodies("llm/pytorch_model.bin") == []
    assert store.is_installed(NAME)


def test_list_says_what_is_not_pinned() -> None:
    output = run("list").output
    assert "embedded" in output
    assert "revision not pinned yet: will be recorded at download" in output
    assert "about 8.7 GB to download" in output


def test_embedded_model_cannot_be_removed_or_verified() -> None:
    assert "cannot be removed" in sentence(run("remove", "embedded", "--yes")).sentence
    assert "no checksums" in sentence(run("verify", "embedded")).sentence


def test_remove_asks(store: Store) -> None:
    store.model(NAME).mkdir(parents=True)
    assert "--yes" in sentence(run("remove", NAME)).hint
    assert store.model(NAME).exists()


def test_convert(oracle: Path, tmp_path: Path) -> None:
    source, tokenizer = oracle / "checkpoint", oracle / "m3d_clip_tokenizer"
    target = tmp_path / "model"
    result = run(
        "convert", str(source), str(target), "--question-tokenizer", str(tokenizer), "--json"
    )
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["tensors"] > 0
    assert resolve_model(str(target)) == target
    identity = model_identity(target)
    assert (identity.name, identity.revision) == ("Med-2E3", None)
    assert run("verify", str(target)).exit_code == 0
    (target / "config.json").write_text("{}")
    assert "config.json" in sentence(run("verify", str(target))).sentence


def test_listing_and_naming_load_no_torch(store: Store) -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from med2e3.cli.models import app;"
        "assert CliRunner().invoke(app, ['list']).exit_code == 0;"
        "import med2e3.weights.install; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
