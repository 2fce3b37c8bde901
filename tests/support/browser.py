"""A headless Chromium, driven through a pipe: no driver, no package."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-pipe",
)

# The browser expects its pipes in the files 3 and 4.
_START = """
import os, sys
pipes = [os.dup(int(number)) for number in sys.argv[1:3]]
for place, pipe in enumerate(pipes, 3):
    os.dup2(pipe, place)
    os.set_inheritable(place, True)  # Also where it was there already.
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_browser():
    """Give the path of a browser, or `None`."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def opened(page, profile):
    """Open a page in a browser that ends with the block.

    Args:
        page: `pathlib.Path` of an HTML file.
        profile: Folder for what the browser keeps.

    Yields:
        `Tab`.
    """
    to_browser, write_end = os.pipe()
    read_end, from_browser = os.pipe()

    process = subprocess.Popen(
        [
            *(sys.executable, "-I", "-c", _START),
            *(str(to_browser), str(from_browser), find_browser()),
            *_FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
        ],
        stderr=subprocess.DEVNULL,
        pass_fds=(to_browser, from_browser),
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        with open(write_end, "wb", 0) as out, open(read_end, "rb") as answers:
            tab = Tab(out, answers)
            tab.open(page.as_uri())
            yield tab
    finally:
        process.terminate()
        process.wait(30)


class Tab:
    """A tab of the browser.

    Attributes:
        messages: What the console of the page and its errors said.
    """

    def __init__(self, out, answers):
        self._out, self._answers = out, answers
        self._numbers = itertools.count(1)
        self._session = None
        self.messages = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call(
            "Target.attachToTarget", targetId=target, flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def open(self, url):
        """Open an address, and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        self.run(
            "new Promise(done => document.readyState === 'complete' "
            "&& location.href !== 'about:blank' ? done() : "
            "addEventListener('load', () => done()))"
        )

    def call(self, method, **params):
        """Call a method of the DevTools protocol, and give its result."""
        number = next(self._numbers)
        request = {"id": number, "method": method, "params": params}
        if self._session:
            request["sessionId"] = self._session
        self._out.write(json.dumps(request).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if answer.get("method") in (
                "Runtime.exceptionThrown",
                "Runtime.consoleAPICalled",
                "Log.entryAdded",
            ):
                self.messages.append(answer["params"])

    def _read(self):
        found = bytearray()
        while byte := self._answers.read(1):
            if byte == b"\0":
                return json.loads(found)
            found += byte
        raise RuntimeError("The browser has ended.")

    def run(self, code):
        """Run code in the page, and give its value."""
        result = self.call(
            "Runtime.evaluate",
            expression=code,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def look(self, width, height, scheme="light", touch=False):
        """Show the page in a size, in a colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def press(self, key):
        """Press a key where the focus is."""
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, " ": 32}
        code = codes.get(key, ord(key[0].upper()))
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        event = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def wheel(self, x, y, delta):
        """Turn the wheel at a place."""
        self.call(
            "Input.dispatchMouseEvent",
            type="mouseWheel",
            x=x,
            y=y,
            deltaX=0,
            deltaY=delta,
        )

    def pinch(self, x, y, before, after):
        """Move two fingers apart, or together, around a place.

        Args:
            x, y: The place between them.
            before, after: How far they are apart in pixels.
        """
        for kind, spread in (
            ("touchStart", before),
            ("touchMove", (before + after) / 2),
            ("touchMove", after),
            ("touchEnd", None),
        ):
            fingers = [] if spread is None else [-spread / 2, spread / 2]
            points = [
                {"x": x + aside, "y": y, "id": number}
                for number, aside in enumerate(fingers)
            ]
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def screenshot(self, path):
        """Write what is seen as PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))
