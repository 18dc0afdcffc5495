"""What the README tells a new user to type does what it says."""

import re
import subprocess
from pathlib import Path

from tests.support.chat_user import ChatUser
from tests.support.stack import Stack

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)


def test_the_two_commands_stand_at_the_top_and_exist() -> None:
    commands = [line.split("#")[0].strip() for line in BLOCKS[0].splitlines()]
    assert commands == ["make run", "make test"]
    for command in commands:
        subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_the_curl_example_gets_an_answer_and_asks_for_feedback(stack: Stack, user: ChatUser) -> None:
    script = BLOCKS[1].replace("http://127.0.0.1:8000", stack.chat_url)
    script = script.replace("http://127.0.0.1:8800", stack.inference_url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "event: delta" in done.stdout
    assert "HTTP/1.1 202" in done.stdout
    location = re.search(r"^location: (\S+)", done.stdout, flags=re.MULTILINE | re.IGNORECASE)
    assert location is not None
    assert user.wait_for_feedback(location[1].rsplit("/", 1)[1])["state"] == "completed"
    assert '"smollm2-135m-instruct"' in done.stdout


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120
