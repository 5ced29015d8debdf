"""A headless Chromium, driven over a pipe by the DevTools protocol: no driver, no package."""

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PATIENCE = 90.0  # seconds for one answer, on a busy machine
_KEYS = {
    "Enter": {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
    "Tab": {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
}


def chromium() -> str | None:
    """Path of an installed one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


#: It reads commands from descriptor 3, and answers on 4.
_ON_3_AND_4 = """
import os, sys
for given, wanted in zip(sys.argv[1:3], (3, 4)):
    os.dup2(int(given), wanted)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab.

    Attributes:
        errors: exceptions, errors on the console, refused or failed requests, dialogs.
        requested: addresses of all that was asked for.
    """

    def __init__(self, binary: str, profile: Path):
        theirs_in, self._out = _pipe()
        self._in, theirs_out = _pipe()
        flags = (
            "--headless --no-sandbox --disable-gpu --no-first-run --disable-extensions "
            "--disable-background-networking --disable-component-update --disable-dev-shm-usage "
            "--disable-sync --remote-debugging-pipe"
        )
        command = [binary, *flags.split(), f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ON_3_AND_4, str(theirs_in), str(theirs_out), *command],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._count, self._session = b"", 0, None
        self._seen: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.requested: list[str] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None
        try:
            self("Browser.close")
            self._process.wait(20)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its answer."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self._in, 1 << 20) if ready else b""
            if not data:
                raise RuntimeError("the browser does not answer")
            self._buffer += data
        text, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message:
            self._note(message["method"], message["params"])
        return message

    def _note(self, event: str, told: dict[str, Any]) -> None:
        self._seen.append({"event": event, **told})
        if event == "Network.requestWillBeSent":
            self.requested.append(told["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(str(told["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
            self.errors.append(str(told["args"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif event == "Page.javascriptDialogOpening":
            self.errors.append(f"dialog: {told['message']}")
            message = {"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            message["sessionId"] = self._session
            os.write(self._out, json.dumps(message).encode() + b"\0")

    # -- what a reader does ----------------------------------------------------------------------

    def goto(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._seen.clear()
        self("Page.navigate", url=url)
        self._wait_for_load()

    def follow(self, selector: str) -> None:
        """Click a link, and wait until its page is loaded."""
        self._seen.clear()
        self.click(selector)
        self._wait_for_load()

    def _wait_for_load(self) -> None:
        while not any(seen["event"] == "Page.loadEventFired" for seen in self._seen):
            self._next()

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = self(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def click(self, selector: str) -> None:
        """Press the mouse on the middle of an element, as it lies in the window."""
        spot = self.js(
            f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: "center", inline: "center", behavior: "instant"}});
            const r = e.getBoundingClientRect();
            return [r.x + r.width / 2, r.y + r.height / 2]; }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            self(
                "Input.dispatchMouseEvent",
                type=kind, x=spot[0], y=spot[1], button="left", clickCount=1,
            )  # fmt: skip

    def press(self, key: str) -> None:
        """Press a key: Enter or Tab."""
        self("Input.dispatchKeyEvent", type="keyDown", **_KEYS[key])
        self("Input.dispatchKeyEvent", type="keyUp", **(_KEYS[key] | {"text": ""}))

    def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.click(selector)
        self("Input.insertText", text=text)

    def choose(self, selector: str, value: str) -> None:
        """Choose from a list."""
        self.js(
            f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.value = {json.dumps(value)};
            e.dispatchEvent(new Event("input", {{bubbles: true}})); }})()"""
        )

    def window(self, width: int, height: int = 800, phone: bool = False) -> None:
        """Give the page a window of this size."""
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip

    def prefer(self, scheme: str) -> None:
        """What the system prefers: "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self("Emulation.setEmulatedMedia", features=features)

    def scripts(self, on: bool) -> None:
        """Let pages run scripts, or not."""
        self("Emulation.setScriptExecutionDisabled", value=not on)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are out of the way of 3 and 4."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
