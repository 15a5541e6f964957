"""The logic with an engine that runs already: consent, what travels, broken connections, TLS."""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import threading

import pytest

from engine_scene import TOKEN, Heard, choice, running_engine, settings_file, until
from engine_wire import Wire


@pytest.fixture(scope="module")
def engine():
    """The address of an engine that is there before Slicer asks, as a department's is."""
    with running_engine() as address:
        yield address


@pytest.fixture
def logic(application, tmp_path):
    from med2e3_slicer.engine import EngineSettings
    from med2e3_slicer.logic import Med2E3Logic

    settings = EngineSettings(settings_file(application.qt, tmp_path))
    settings.save(choice(python=None))
    made = Med2E3Logic(settings)
    yield made
    made.shutdown()


@pytest.fixture
def wire(engine):
    made = Wire(engine)
    yield made
    made.close()


def add_patient(application):
    """A volume as DICOM import leaves it: the patient's data are in the scene."""
    volume = application.add_volume((42, 68, 72), name="Doe^Jane 1970-01-01")
    hierarchy = application.slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(
        application.scene
    )
    item = hierarchy.GetItemByDataNode(volume)
    item = item or hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume)
    for name, value in (("PatientName", "Doe^Jane"), ("PatientBirthDate", "19700101")):
        hierarchy.SetItemAttribute(item, f"DICOM.{name}", value)
    return volume


def ask(application, logic, heard, volume=None, **options):
    volume = volume or application.add_volume()
    run = logic.ask_async(volume, "Which organ is this?", listener=heard, **options)
    until(application, lambda: run.is_over)


def test_an_engine_that_runs_on_this_computer_needs_no_consent(application, logic, engine):
    from med2e3_slicer.engine import EngineState

    logic.use_remote(engine, TOKEN)
    volume = application.add_volume()
    report = logic.report(volume, max_new_tokens=4)
    assert report.answer
    assert logic.exchanges(volume) == [report]
    assert logic.engine.pid == 0, "none was started"
    assert logic.state is EngineState.REMOTE
    logic.unload()
    assert logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2).answer, (
        "it is not ours to end"
    )


def test_nothing_is_sent_before_somebody_agreed(application, logic):
    # every address of this computer; not a loopback address, so it counts as elsewhere
    wire = Wire(None, "0.0.0.0")
    logic.use_remote(wire.address, TOKEN)
    heard = Heard()
    ask(application, logic, heard)
    assert heard.error.code == "consent"
    assert wire.address in heard.error.request.text
    application.wait(200)
    assert wire.connections == 0
    logic.use_remote(wire.address, TOKEN, consent=True)
    heard = Heard()
    ask(application, logic, heard)
    assert wire.connections > 0
    assert heard.error.code == "unreachable"
    wire.close()


def test_only_the_model_input_and_the_question_travel(application, logic, wire):
    logic.use_remote(wire.address, TOKEN)
    heard = Heard()
    volume = add_patient(application)
    ask(application, logic, heard, volume, max_new_tokens=3)
    sent = bytes(wire.sent)
    assert b"Which organ is this?" in sent
    for private in (b"Doe", b"Jane", b"1970", b"DICOM", b"vtkMRML", b"/home", b"/tmp"):
        assert private not in sent
    size = 4 * 32 * 64 * 64
    assert size < len(sent) < size + 8000, "the picture once, and little else"
    before = len(wire.sent)
    again = logic.ask(volume, "Is there a focal lesion?", max_new_tokens=2)
    assert again.answer
    assert len(wire.sent) - before < 4000, "the picture is there already"


def test_the_connection_is_cut_in_the_middle_of_an_answer(application, logic, wire):
    logic.use_remote(wire.address, TOKEN)
    cuts = []
    wire.cut = lambda data: b"event: token" in data and len(cuts) < 2 and not cuts.append(1)
    heard = Heard()
    ask(application, logic, heard, max_new_tokens=12)
    assert cuts
    assert "".join(heard.words) == heard.exchange.answer, "nothing is lost and nothing twice"
    assert "restarted" not in heard.calls


def test_the_network_goes_away_and_stays_away(application, logic, wire):
    logic.use_remote(wire.address, TOKEN)
    heard = Heard()
    wire.cut = lambda data: b"event: scores" in data and not wire.close()
    ask(application, logic, heard, max_new_tokens=200)
    assert heard.stages[-1] in ("sending", "encoding", "scoring")
    assert heard.error.code == "unreachable"
    assert heard.calls.count("failed") == 1
    assert logic.exchanges() == []


def test_a_wrong_token_and_a_wrong_address_are_told_apart(application, logic, engine):
    cases = [
        (engine, "wrong-token-wrong-token", "not-authorized"),
        ("http://127.0.0.1:1", TOKEN, "unreachable"),
        (engine + "/elsewhere", TOKEN, ""),
        ("http://no-such-host.invalid", TOKEN, "unreachable"),
    ]
    said = set()
    for address, token, code in cases:
        logic.use_remote(address, token, consent=True)
        heard = Heard()
        ask(application, logic, heard)
        assert not code or heard.error.code == code
        assert token not in str(heard.error) + heard.error.detail
        said.add(heard.error.sentence)
    assert len(said) == len(cases)


def test_what_is_no_engine_is_told(application, logic):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    logic.use_remote(f"http://127.0.0.1:{server.server_port}", TOKEN)
    heard = Heard()
    ask(application, logic, heard)
    server.shutdown()
    assert "not a Med2E3 engine" in str(heard.error)


def test_a_redirection_is_not_followed(application, logic):
    elsewhere = Wire(None)

    class Redirects(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(307)
            self.send_header("Location", elsewhere.address)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirects)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    logic.use_remote(f"http://127.0.0.1:{server.server_port}", TOKEN)
    heard = Heard()
    ask(application, logic, heard)
    server.shutdown()
    elsewhere.close()
    assert heard.error is not None
    assert elsewhere.connections == 0


def test_a_certificate_that_nobody_vouches_for(application, logic, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))
    got = []

    def serve():
        while listening.fileno() >= 0:
            try:
                client, _ = listening.accept()
                with context.wrap_socket(client, server_side=True) as encrypted:
                    got.append(encrypted.recv(100))
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    logic.use_remote(f"https://127.0.0.1:{listening.getsockname()[1]}", TOKEN)
    heard = Heard()
    ask(application, logic, heard)
    listening.close()
    assert "No encrypted connection" in str(heard.error)
    assert not any(got), "neither the token nor a picture"
