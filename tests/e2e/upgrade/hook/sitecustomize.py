"""Python runs this at the start of each process of a run whose PYTHONPATH names this folder (releases.py).

A process `python -m services.user` continues with the code of another release, if a file named by its module and its
first port says which.
"""

import os
import sys
from pathlib import Path

SWITCHES, SWITCHED = "UPGRADE_SWITCHES", "UPGRADE_SWITCHED"


def switch() -> None:
    arguments = sys.orig_argv
    if "-m" not in arguments or SWITCHES not in os.environ or SWITCHED in os.environ:
        return
    module = arguments[arguments.index("-m") + 1]
    setting = "HITOK_HTTP_PORTS" if module == "gateway" else f"HITOK_{module.rpartition('.')[2].upper()}_GRPC_PORT"
    chosen = Path(os.environ[SWITCHES]) / f"{module}-{os.environ.get(setting, '').partition(',')[0]}"
    if chosen.exists():
        python, folder = chosen.read_text().splitlines()
        os.chdir(folder)
        os.environ[SWITCHED] = "1"
        os.execv(python, [python, *arguments[1:]])


switch()
