"""What a process loads: no more than its work needs, for start-up is paid by each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("alembic", "gdcm", "numpy", "pydicom", "rich.live")


@pytest.mark.parametrize(
    ("lines", "unwanted"),
    [
        ("import node.cli.status, node.status", HEAVY),
        ("import node.forward.role", HEAVY),
        ("import node.web.role", HEAVY),
        ("from node.cli import roles; roles._leave_codecs_out(); import node.receive.role",
         ("alembic", "gdcm", "numpy", "sqlalchemy")),
    ],
    ids=["status", "forward", "web", "receive"],
)  # fmt: skip
def test_nothing_is_loaded_that_is_not_needed(lines: str, unwanted: tuple[str, ...]) -> None:
    """No codec where no pixel is decoded, no Alembic where nothing is migrated."""
    told = f"import sys; {lines}; print([m for m in {unwanted} if sys.modules.get(m)])"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_job_does_not_run_the_command_again(tmp_path: Path) -> None:
    """A role that was started as `deid-node process` loads the verbs; its jobs do not."""
    script = tmp_path / "deid-node"
    script.write_text(
        "from node.cli import roles\n"
        "from node.pool import Limits, Pool\n"
        "if __name__ == '__main__':\n"
        "    roles._forget_script()\n"
        "    pool = Pool(1)\n"
        '    ask = \'"click" in __import__("sys").modules\'\n'
        "    pool.start(1, eval, ask, 60, Limits(2**30, 60))\n"
        "    print([ended.reply for ended in pool.collect(60)])\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[False]"


def test_a_shell_completes_verbs() -> None:
    """As docs/operations.md sets it up, by click."""
    done = subprocess.run(
        [sys.executable, "-m", "node"], capture_output=True, text=True, check=True, timeout=60,
        env=os.environ | {"_DEID_NODE_COMPLETE": "bash_complete", "COMP_WORDS": "deid-node stu",
                          "COMP_CWORD": "1"},
    )  # fmt: skip
    assert done.stdout.split() == ["plain,studies"]
