"""Makes the small model once, with the inference service's own command; `make run` and the e2e tests serve it."""

import os
import subprocess

from tandem_local.checkout import ROOT, program
from tandem_local.complaint import ComplaintError
from tandem_local.run_settings import SMALL_MODEL, small_model_dir


def make_small_model() -> None:
    """Make the model's folder when it is not there; takes under a minute and is safe to interrupt.

    Raises:
        ComplaintError: The conversion failed; its words are on the terminal.
    """
    if small_model_dir().exists():  # it appears complete or not at all
        return
    print(f"Making the model {SMALL_MODEL}, once.", flush=True)
    command = [
        str(program("inference", "tandem-inference")),
        "make-small-model",
        "--to",
        str(small_model_dir()),
    ]
    quiet = {**os.environ, "TQDM_DISABLE": "1"}  # progress bars fill a log file with one endless line
    done = subprocess.run(command, cwd=ROOT, env=quiet, check=False)
    if done.returncode != 0:
        raise ComplaintError(
            f"The small model could not be made: `{' '.join(command)}` ended with {done.returncode}."
        )
