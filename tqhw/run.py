"""The door of the main job, which is in :mod:`tqhw.pipeline.run`.

``python -m tqhw.run [EXPERIMENT.yaml] [--out DIR] [--backend NAME] [--set key=value]`` is ``tqhw run``.
"""

import sys

from tqhw.pipeline.run import default_experiment, run

__all__ = ["default_experiment", "run"]

if __name__ == "__main__":
    from tqhw.cli import main

    main(["run", *sys.argv[1:]])
