"""Addresses, consent, settings, environment, and the end of a text: without any engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine_scene import settings_file


@pytest.fixture
def settings(application, tmp_path):
    from med2e3_slicer.engine import EngineSettings

    return EngineSettings(settings_file(application.qt, tmp_path))


@pytest.mark.parametrize(
    ("typed", "url", "here", "encrypted"),
    [
        ("https://gpu.hospital.example:8734/", "https://gpu.hospital.example:8734", False, True),
        ("gpu.hospital.example:8734", "https://gpu.hospital.example:8734", False, True),
        (" http://127.0.0.1:8734 ", "http://127.0.0.1:8734", True, False),
        ("http://localhost:1", "http://localhost:1", True, False),
        ("http://[::1]:80", "http://[::1]:80", True, False),
        ("https://host/med2e3/", "https://host/med2e3", False, True),
        ("http://127.0.0.1.evil.example", "http://127.0.0.1.evil.example", False, False),
        ("http://0.0.0.0:1", "http://0.0.0.0:1", False, False),
    ],
)
def test_addresses(application, typed, url, here, encrypted):
    from med2e3_slicer.engine import EngineAddress

    address = EngineAddress.parse(typed)
    assert (address.url, address.is_this_computer, address.is_encrypted) == (url, here, encrypted)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "https://",
        "ftp://host",
        "http://host:port",
        "http://a b",
        "https://me:secret@host",
        "https://host?token=secret",
        "file:///etc/passwd",
        "http://[::1",
    ],
)
def test_what_is_no_address(application, typed):
    from med2e3.errors import InputError
    from med2e3_slicer.engine import EngineAddress

    with pytest.raises(InputError) as caught:
        EngineAddress.parse(typed)
    assert "secret" not in str(caught.value)


def test_consent_is_for_one_address_and_remembered_only_if_wanted(settings):
    from med2e3_slicer.engine import ConsentNeeded, Consents, EngineAddress

    ours = EngineAddress.parse("https://a.example:1")
    other = EngineAddress.parse("https://a.example:2")
    consents = Consents(settings)
    with pytest.raises(ConsentNeeded) as caught:
        consents.check(ours)
    assert caught.value.request.address == ours.url
    consents.give(ours)
    consents.check(ours)
    assert not consents.is_given(other)
    assert not Consents(settings).is_given(ours), "not remembered"
    consents.give(ours, remember=True)
    assert Consents(settings).is_given(ours)
    consents.withdraw(ours)
    assert not consents.is_given(ours)
    assert not Consents(settings).is_given(ours)
    consents.check(EngineAddress.parse("http://127.0.0.1:1"))


def test_what_a_person_agrees_to(application):
    from med2e3_slicer.engine import EngineAddress, consent_request

    text = consent_request(EngineAddress.parse("https://gpu.example"), (32, 256, 256)).text
    assert "https://gpu.example" in text
    assert "32 slices of 256 × 256" in text
    assert "8.4 MB" in text
    assert "question" in text
    assert "not encrypted" not in text
    text = consent_request(EngineAddress.parse("http://gpu.example")).text
    assert "not encrypted" in text


def test_settings_survive_and_damage_gives_defaults(application, settings, tmp_path):
    from med2e3_slicer.engine import EngineChoice, EngineSettings

    assert settings.load() == EngineChoice()
    choice = EngineChoice(
        Path("/opt/engine/bin/python"), "big", "cuda", "int8", 5.0, "https://a.example", "secret"
    )
    settings.save(choice)
    file = tmp_path / "settings.ini"
    again = EngineSettings(settings_file(application.qt, tmp_path))
    loaded = again.load()
    assert (loaded.python, loaded.model, loaded.precision) == (choice.python, "big", "int8")
    assert loaded.remote_token == "", "the token is kept only when asked"
    settings._store.sync()
    assert "secret" not in file.read_text(encoding="utf-8")
    settings.save(choice, keep_token=True)
    assert settings.load().remote_token == "secret"
    settings.save(choice)
    assert settings.load().remote_token == ""
    settings._store.setValue("Med2E3/Engine/IdleMinutes", "many")
    settings._store.setValue("Med2E3/Engine/AgreedAddresses", "{damaged")
    assert settings.load().idle_minutes == EngineChoice().idle_minutes
    assert settings.agreed_addresses == frozenset()


def test_nothing_of_slicers_python_reaches_the_engine(application):
    from med2e3_slicer.engine.environment import engine_environment

    home = Path("/opt/Slicer-5.12")
    kept = engine_environment(
        {
            "PYTHONHOME": "/opt/Slicer-5.12/lib/Python",
            "PythonPath": "/opt/Slicer-5.12/lib",
            "QT_PLUGIN_PATH": "/opt/Slicer-5.12/lib/QtPlugins",
            "LD_LIBRARY_PATH": os.pathsep.join(["/opt/Slicer-5.12/lib", "/usr/local/cuda/lib64"]),
            "DYLD_LIBRARY_PATH": "/opt/Slicer-5.12/lib",
            "PATH": os.pathsep.join(["/opt/Slicer-5.12/bin", "/usr/bin"]),
            "HOME": "/home/someone",
            "CUDA_VISIBLE_DEVICES": "1",
        },
        home,
    )
    assert kept.pop("PYTHONIOENCODING") == "utf-8"
    assert kept.pop("PYTHONUNBUFFERED") == "1"
    assert kept.pop("PYTHONNOUSERSITE") == "1"
    assert kept == {
        "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
        "PATH": "/usr/bin",
        "HOME": "/home/someone",
        "CUDA_VISIBLE_DEVICES": "1",
    }


def test_the_end_of_a_long_text(application):
    from med2e3_slicer.engine.tail import Tail

    tail = Tail(100)
    for number in range(1000):
        tail.add(f"line {number} ü\n".encode())
    text = tail.text()
    assert text.startswith("[...]\nline ")
    assert text.endswith("line 999 ü")
    assert len(text.encode()) < 120
    tail.clear()
    tail.add(b"\xff\xfe broken")
    assert "broken" in tail.text()
