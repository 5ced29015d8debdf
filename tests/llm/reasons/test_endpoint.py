"""An OpenAI-compatible server that misbehaves: nothing is lost, and nothing counted twice."""

import json
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from feint.llm.reasons.backend import Sampling
from feint.llm.reasons.endpoint import Endpoint, Unavailable
from feint.llm.reasons.run import Design, load_run, run

HOW = Sampling(max_new_tokens=20)
HELLO = [{"role": "user", "content": "hello"}]
DESIGN = Design(arms=("refusal", "rebuttal", "natural"), wordings=2, samples=2, sampling=HOW)


class Server(ThreadingHTTPServer):
    """Answers with the seed; `faults` are used up first, one a request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: list[str] = []
        self.asked: list[dict] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(body)
            self.server.keys.append(self.headers.get("Authorization"))
            fault = self.server.faults.pop(0) if self.server.faults else None
        text = f"Reasoning: seed {body.get('seed')} was drawn for this reply.\nMessage: Dear Peter."
        message = {"role": "assistant", "content": text}
        answer = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
        if fault == "slow":
            threading.Event().wait(1.5)
        if fault == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status = int(fault) if fault and fault.isdigit() else 200
        answer = {"no json": b"<html>busy</html>", "no choice": b'{"choices": []}',
                  "number": b'{"choices": [{"message": {"content": 7}}]}',
                  "thought": b'{"choices": [{"message": {"content": "Yes.", '
                  b'"reasoning_content": "It is so."}, "finish_reason": "length"}]}',
                  }.get(fault or "", answer)  # fmt: skip
        self.send_response(status)
        if fault == "429":
            self.send_header("Retry-After", "3")
        self.send_header("Content-Length", str(len(answer) + (99 if fault == "cut" else 0)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def server():
    made = Server()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def endpoint(server, pauses=None, **changes):
    settings = {"timeout": 0.5, "attempts": 4, "pause": 0.1, "workers": 3, **changes}
    waits = [] if pauses is None else pauses
    return Endpoint(server.url, "fake", sleep=waits.append, **settings)


@pytest.mark.parametrize(
    "fault",
    ["429", "500", "503", "408", "slow", "drop", "cut", "no json", "no choice", "number"],
)
def test_what_passes_is_tried_again(server, fault):
    server.faults, pauses = [fault, fault], []
    reply = endpoint(server, pauses).ask(HELLO, 5, HOW)
    assert "seed 5 was drawn" in reply.text and reply.finished
    assert len(server.asked) == 3 and len(pauses) == 2
    if fault == "429":
        assert pauses == [3.0, 3.0]  # as Retry-After says
    else:
        assert 0.05 <= pauses[0] <= 0.15 and 0.1 <= pauses[1] <= 0.3  # doubled, with jitter


@pytest.mark.parametrize("status", ["400", "401", "404"])
def test_what_does_not_pass_is_an_error_at_once(server, status):
    server.faults = [status]
    with pytest.raises(ValueError, match=f"refuses: HTTP {status}"):
        endpoint(server).ask(HELLO, 5, HOW)
    assert len(server.asked) == 1


def test_the_request_says_what_is_asked_and_carries_the_key(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    endpoint(server, extra={"stop": ["x"]}).ask(HELLO, 7, Sampling(0.5, 0.9, 33))
    assert server.asked == [
        {"model": "fake", "messages": HELLO, "temperature": 0.5, "top_p": 0.9, "max_tokens": 33,
         "seed": 7, "stop": ["x"]}
    ]  # fmt: skip
    assert server.keys == ["Bearer secret"]


def test_native_reasoning_comes_in_think_tags(server):
    server.faults = ["thought"]
    reply = endpoint(server).ask(HELLO, 1, HOW)
    assert reply.text == "<think>It is so.</think>\nYes." and not reply.finished


def test_a_run_through_a_bad_server_loses_nothing_and_counts_nothing_twice(server, tmp_path):
    server.faults = ["429", "drop", "no json", "500", "cut", "slow", "no choice", "503"]
    found = run(DESIGN, endpoint(server, attempts=9), tmp_path / "bad")
    clean = run(DESIGN, endpoint(server), tmp_path / "good")
    assert found == clean and len(found) == 3 * 3 * 2 * 2
    assert [f"seed {t['seed']} was" in t["reply"] for t in found] == [True] * len(found)
    lines = (tmp_path / "bad/transcripts.jsonl").read_text().splitlines()
    assert set(Counter(json.loads(line)["id"] for line in lines).values()) == {1}


def test_a_dead_server_ends_the_run_and_the_next_call_goes_on(server, tmp_path):
    calls = []
    server.faults = [*[""] * 12, *["503"] * 200]  # six turns and six replies, then nothing more
    with pytest.raises(Unavailable, match=r"gave no answer in 2 tries.*the same command goes on"):
        run(DESIGN, endpoint(server, attempts=2), tmp_path, lambda *at: calls.append(at))
    kept = load_run(tmp_path)[1]
    assert len(kept) == 6 and calls[-1] == (6, 36)
    server.faults, server.asked = [], []
    found = run(DESIGN, endpoint(server), tmp_path)
    assert len(server.asked) == 30 and len(found) == 36
    assert {t["id"]: t for t in kept}.items() <= {t["id"]: t for t in found}.items()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "localhost:80"}, "url must begin with http"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"timeout": 0.0}, "timeout must be > 0"),
    ],
)
def test_settings_out_of_range_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        Endpoint(**{"url": "http://x", "model": "m", **changes})
