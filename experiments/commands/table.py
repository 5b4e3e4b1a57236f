"""The table of commands: their names, options and help, without the commands themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from experiments.command_line import Invocation, Option, Syntax
from experiments.commands import checks, options
from experiments.commands.names import check_names
from experiments.experiment.sections import SECTIONS


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a command accepts, and what does it.

    module: of this folder; it is imported when the command runs, and has a `run(invocation)` that
    returns the exit code. check: of what the syntax does not say.
    """

    module: str
    syntax: Syntax
    check: Callable[[Invocation], None] | None = None

    def run(self, invocation: Invocation) -> int:
        """Import the command and run it, if its options and names are right. Raises UsageError."""
        if self.check is not None:
            self.check(invocation)
        check_names(invocation.options)
        module = import_module(f"experiments.commands.{self.module}")
        code: int = module.run(invocation)
        return code


def _artefacts() -> str:
    from quantlab.deploy.table import ARTEFACTS

    return f"{', '.join(ARTEFACTS)}; by default all that can be made"


def _meaning(name: str) -> str:
    from quantlab.deploy.table import ARTEFACTS

    return next(row.options[name] for row in ARTEFACTS.values() if name in row.options)


def _engines() -> str:
    from quantlab.deploy.table import engine_source, engines

    chosen = ", ".join(name for name in engines() if engine_source(name).by_default)
    return f"{', '.join(engines())}; by default {chosen}, where installed, and c of a compression"


COMMANDS: Mapping[str, Command] = {
    "train": Command(
        module="train",
        syntax=Syntax(
            help="train a new experiment and test it",
            options={
                "problem": options.PROBLEM,
                "topology": options.TOPOLOGY,
                "config": Option(help="a name in the topology's configs/, or a YAML file"),
                "quick": Option(
                    help="a few batches of everything, to see whether it runs", is_flag=True
                ),
                "dist": options.DIST,
            },
            required=("problem", "topology"),
            sections=SECTIONS,
        ),
    ),
    "resume": Command(
        module="resume",
        syntax=Syntax(
            help="go on with a run that was killed or interrupted, or make one longer",
            options={
                "problem": options.PROBLEM,
                "topology": options.TOPOLOGY,
                "exp_id": options.EXP_ID,
                "experiment.epochs": Option(help="train up to this many in all", at_least=1),
                "experiment.max_steps": Option(help="or up to this many steps", at_least=1),
                "changed_code": options.CHANGED_CODE,
                "dist": options.DIST,
            },
            required=("problem", "exp_id"),
        ),
    ),
    "test": Command(
        module="test",
        syntax=Syntax(
            help="test a run's network",
            options={
                **options.STORED_NETWORK,
                "pack": Option(help="test the pack that `generate` wrote", is_flag=True),
                "json": options.JSON,
                "dist": options.DIST,
            },
            required=("problem", "exp_id"),
        ),
    ),
    "predict": Command(
        module="predict",
        syntax=Syntax(
            help="predict what is in images, tables or .npz files with a run's network",
            options={
                **options.STORED_NETWORK,
                "top": Option(
                    help="how many classes to tell of each sample; by default 3", at_least=0
                ),
                "backend": Option(
                    help="clickhouse: the network's integer program, computed in a database",
                    allowed=("clickhouse",),
                ),
                "json": options.JSON,
            },
            required=("problem", "exp_id"),
            operands="FILE ...",
        ),
    ),
    "report": Command(
        module="report",
        check=checks.check_report,
        syntax=Syntax(
            help="what each layer of a run's integer program costs and loses",
            options={
                **options.STORED_NETWORK,
                **options.LOWERING,
                "samples": Option(
                    help="how many test images to measure on; 256 by default", at_least=1
                ),
                "html": Option(
                    help="where to write the page; by default report.html beside layers.jsonl"
                ),
                "json": options.JSON,
            },
            required=("problem", "exp_id"),
        ),
    ),
    "verify": Command(
        module="verify",
        check=checks.check_verify,
        syntax=Syntax(
            help="prove that a run's integer program is computed alike everywhere",
            options={
                **options.STORED_NETWORK,
                **options.LOWERING,
                "backends": Option(help=_engines),
                "samples": Option(help="how many images; 1000 by default, 8 photos", at_least=1),
                "tested": Option(
                    help="how many images, or all, for the accuracy; by default as many"
                ),
                "torchvision": Option(
                    help="instead of a run: a network of torchvision's, weights random"
                ),
                "images": Option(help="with --torchvision: a folder of photos"),
            },
        ),
    ),
    "generate": Command(
        module="generate",
        syntax=Syntax(
            help="write a run's network as one small file, weights as their codes",
            options={
                **options.STORED_NETWORK,
                "floats": Option(
                    help="how scales, biases and plain weights are kept: float32, the default, "
                    "float16 or int8",
                    allowed=("float32", "float16", "int8"),
                ),
                "entropy": Option(
                    help="whether codes are entropy-coded: yes, the default, or no",
                    allowed=("yes", "no"),
                ),
            },
            required=("problem", "exp_id"),
        ),
    ),
    "export": Command(
        module="export",
        syntax=Syntax(
            help="write a run's integer program, as a program file and for other tools",
            options={
                **options.STORED_NETWORK,
                **options.LOWERING,
                "to": Option(help=_artefacts),
                **{
                    name: Option(
                        help=partial(_meaning, name),
                        is_flag=name in options.FLAGS_OF_ARTEFACTS,
                        at_least=least,
                    )
                    for name, least in options.OF_ARTEFACTS.items()
                },
            },
            required=("problem", "exp_id"),
        ),
    ),
    "store": Command(
        module="store",
        check=checks.check_store,
        syntax=Syntax(
            help="keep models in a database: load, list, rollback, calibrate, remove",
            options={
                **options.STORED_NETWORK,
                **options.LOWERING,
                "model": Option(help="its name, a word: functions NAME_class, NAME_scores get it"),
                "version": Option(
                    help="of the model; to roll back to, by default the one before, or to remove, "
                    "by default all",
                    at_least=1,
                ),
                "store": Option(
                    help="the folder of the database; by default clickhouse on the storage of logs"
                ),
                "json": options.JSON,
            },
            operands="ACTION [FILE]",
        ),
    ),
    "compress": Command(
        module="compress",
        syntax=Syntax(
            help="compress a run's float network until its C fits a budget of bytes, in a new run",
            options={
                **options.STORED_NETWORK,
                "budget.flash": Option(help="bytes of flash for all objects of the C: 20000, 20KB"),
                "budget.ram": Option(help="bytes of RAM for arena, inputs and outputs"),
                "floor": Option(help="the least accuracy on validation samples, in percent"),
                "board": Option(
                    help="whose compiler makes the objects that are measured, as of export; c-m3 "
                    "by default, host is this machine"
                ),
            },
            required=("problem", "exp_id"),
            sections=("recipe",),
            values="see docs/compression.md: --recipe.epochs=60 --recipe.encodings=[small,auto]",
        ),
    ),
    "data": Command(
        module="data",
        syntax=Syntax(
            help="fetch a problem's data set and verify it",
            options={"problem": options.PROBLEM},
            required=("problem",),
        ),
    ),
    "list": Command(
        module="list_runs",
        syntax=Syntax(
            help="list the runs of one problem, or of all",
            options={
                "problem": options.PROBLEM,
                "topology": options.TOPOLOGY,
                "json": options.JSON,
            },
        ),
    ),
    "clean": Command(
        module="clean",
        syntax=Syntax(
            help="show what takes disk; with --apply, remove what may go",
            options={
                "problem": options.PROBLEM,
                "apply": Option(help="remove it", is_flag=True),
            },
        ),
    ),
}
