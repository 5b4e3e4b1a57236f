"""Options that several commands share."""

from experiments.command_line import Option

PROBLEM = Option(help="a folder of problems/")
TOPOLOGY = Option(help="a folder of problems/<problem>/")
EXP_ID = Option(help="the number of a run: 7 for exp007", at_least=0)
DIST = Option(help="horovod, torch, slurm or single; by default found out")
JSON = Option(help="print JSON", is_flag=True)
CHECKPOINT = Option(help="last, best, or epoch0005; by default the best, else the last")
FOLD = Option(help="the fold of a cross-validation, from 0", at_least=0)
CHANGED_CODE = Option(
    help="accept: go on although the problem's code is not that of the run", allowed=("accept",)
)

# How a network becomes an integer program.
LOWERING = {
    "memory_bits": Option(
        help="of what outlives its layer: 8, 16 or 32, the default", allowed=("8", "16", "32")
    ),
    "sum_bits": Option(
        help="of the sums of a rescaling: 32, or 64, the default", allowed=("32", "64")
    ),
}

# What artefacts can be asked for, with the least of what is a number. The table of artefacts says
# what each means.
OF_ARTEFACTS = {
    "encoding": None,
    "ram": 1,
    "flash": 1,
    "vectors": 1,
    "board": None,
    "intermittent": None,
    "energy": 1,
}
FLAGS_OF_ARTEFACTS = ("intermittent",)

# Which network of which run.
STORED_NETWORK = {
    "problem": PROBLEM,
    "topology": TOPOLOGY,
    "exp_id": EXP_ID,
    "changed_code": CHANGED_CODE,
    "checkpoint": CHECKPOINT,
    "fold": FOLD,
}
