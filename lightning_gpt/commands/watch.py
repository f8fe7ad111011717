"""watch: shows a run on a local page while it trains, and stops it when asked to."""

import os
from functools import partial

from lightning_gpt.arguments.program import program_name
from lightning_gpt.runs.folders import newest_run
from lightning_gpt.watch.server import Server


def watch(folder: str = "runs", /, port: int = 6007) -> None:
    """Show a run on a local page while it trains: curves, samples, attention, time left; stop and save it.

    Args:
        folder: The folder of a run, or of several: then always the newest is shown.
        port: To serve the page at, on this machine alone; 0 for any that is free.
    """
    find = partial(newest_run, folder)
    run = find()
    with Server(find, port, program_name()) as server:
        print(f"{run} is shown at  {server.address}\nfor this machine alone; Ctrl-C ends the page, and no run")
        serve(server)


def serve(server: Server) -> None:
    """Answers until Ctrl-C, and lets whoever trains go first."""
    if hasattr(os, "nice"):
        os.nice(10)
    server.serve_forever()
