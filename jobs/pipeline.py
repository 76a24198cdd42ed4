"""`ray job submit --working-dir . -- python jobs/pipeline.py CONFIG.yaml section.key=value`"""

import sys

from steper_ray.cli import main

if __name__ == "__main__":
    sys.exit(main(["pipeline", *sys.argv[1:]]))
