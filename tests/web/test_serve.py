"""Listening: the token, the errors that a user can mend, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from sparring.errors import SparringError
from sparring.web.serve import listening

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def test_a_local_server_needs_no_token_and_others_do() -> None:
    with listening("127.0.0.1", 0) as (_, here):
        assert here.token is None and here.port > 0 and here.link == f"http://127.0.0.1:{here.port}/"
    with listening("0.0.0.0", 0) as (_, everywhere):
        assert everywhere.token is not None and len(everywhere.token) > 20


def test_a_port_that_is_taken_and_a_host_that_is_elsewhere() -> None:
    taken = pytest.raises(SparringError, match=r"is taken, perhaps by another page: .* --port 0")
    with listening("127.0.0.1", 0) as (_, here), taken, listening("127.0.0.1", here.port):
        pass
    with pytest.raises(SparringError, match=r"192\.0\.2\.1.*--host 127"), listening("192.0.2.1", 0):
        pass
    with pytest.raises(SparringError, match="takes 0 to 65535, got 70000"), listening("127.0.0.1", 70000):
        pass


SERVER = """
import sys
from sparring.web.assets import routes
from sparring.web.serve import serve, site
serve(lambda address: site(routes("shared.css"), address), port=0, note=lambda line: print(line, flush=True), what="page")
print("ended", flush=True)
"""


def test_ctrl_c_ends_a_server_cleanly(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ,
    )
    try:
        assert process.stdout is not None
        link = re.search(r"http://\S+", process.stdout.readline())
        assert link is not None
        for _ in range(50):
            try:
                with urllib.request.urlopen(link[0], timeout=5) as page:
                    assert page.status == 200 and page.headers["server"] is None
                break
            except OSError:
                time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0 and out.endswith("ended\n") and err == ""
