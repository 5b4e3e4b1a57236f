"""Models in a database: loaded, listed, rolled back, removed, and read back."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.store.calibration import measured_ms
from quantlab.deploy.clickhouse.store.derived import (
    align,
    drop,
    interface_in,
    own_functions,
    store_module,
    sweep,
)
from quantlab.deploy.clickhouse.store.described import Rows, layer_rows, model_row
from quantlab.deploy.clickhouse.store.header import program_of
from quantlab.deploy.clickhouse.store.layers import layer_of, operation_of
from quantlab.deploy.clickhouse.store.modules import Interface, compiled
from quantlab.deploy.clickhouse.store.names import check_name
from quantlab.deploy.clickhouse.store.parameters import PARTS, read_layers, write_layers
from quantlab.deploy.clickhouse.store.query import delete, one, rows
from quantlab.deploy.clickhouse.store.tables import DATABASE, TABLES, creation
from quantlab.errors import UsageError, VerificationError, check_kind, did_you_mean
from quantlab.integer.file import to_bytes
from quantlab.integer.program import Program

_MODELS = (
    "SELECT name, version, program, num_bytes, toString(created) AS created "
    f"FROM {DATABASE}.models ORDER BY name, version LIMIT 1 BY name, version"
)
_NUM_LAYERS = (
    "SELECT name, version, uniqExact(position) AS n "
    f"FROM {DATABASE}.model_layers GROUP BY name, version"
)
_ACTIVE = f"SELECT name, argMax(version, number) AS v FROM {DATABASE}.releases GROUP BY name"
_LAST = f"SELECT max(number) AS n FROM {DATABASE}.releases WHERE name = {{name:String}}"
_LAST_VERSION = f"SELECT max(version) AS n FROM {DATABASE}.releases WHERE name = {{name:String}}"
_CALIBRATIONS = (
    "SELECT name, version, argMax(fixed_ms, time) AS fixed, argMax(image_ms, time) AS image "
    f"FROM {DATABASE}.calibration WHERE plan = 'wasm' GROUP BY name, version"
)
_VERSION = "name = {name:String} AND version = {version:UInt32}"
_HEADER = f"SELECT header FROM {DATABASE}.models WHERE {_VERSION} LIMIT 1"
_LAYERS = (
    f"SELECT layer, path, inputs, output FROM {DATABASE}.model_layers WHERE {_VERSION} "
    "ORDER BY position LIMIT 1 BY position"
)
_ORPHANS = f"layer NOT IN (SELECT layer FROM {DATABASE}.model_layers)"


@dataclass(frozen=True, kw_only=True)
class Model:
    """A version of a model. program: the SHA-256 of its program's file. is_active: whether the
    model's functions run this version. num_bytes: of its constants, packed as in that file.
    fixed_ms, image_ms: what a query takes, if it was measured."""

    name: str
    version: int
    program: str
    is_active: bool
    num_layers: int
    num_bytes: int
    created: str
    fixed_ms: float | None = None
    image_ms: float | None = None


class Store:
    """The models of a database.

    What is inserted last makes the rest valid: a layer's row follows its parameters, a model's row
    its layers, and a release the model. So a process that is killed anywhere loses nothing that was
    there, and the next `load` completes what it began.
    """

    def __init__(self, connection: Connection) -> None:
        """Make the tables that are missing, and functions that are not those of the active
        versions."""
        self._connection = connection
        connection.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        for name in TABLES:
            connection.execute(creation(name))
        for model in self.models():
            if model.is_active:
                align(connection, model.name, self._interface(model))

    def models(self) -> Sequence[Model]:
        """Return all versions of all models, by name, oldest first."""
        active: Mapping[str, int] = dict(rows(self._connection, _ACTIVE))
        layers = {(name, v): count for name, v, count in rows(self._connection, _NUM_LAYERS)}
        took = {(name, v): ms for name, v, *ms in rows(self._connection, _CALIBRATIONS)}
        return [
            Model(
                name=name,
                version=version,
                program=program,
                is_active=active.get(name) == version,
                num_layers=layers.get((name, version), 0),
                num_bytes=num_bytes,
                created=created,
                fixed_ms=took.get((name, version), (None, None))[0],
                image_ms=took.get((name, version), (None, None))[1],
            )
            for name, version, program, num_bytes, created in rows(self._connection, _MODELS)
        ]

    def model(self, name: str, version: int | None = None) -> Model:
        """Return a version of a model, the active one by default. Raises UsageError where there is
        none."""
        own = self._versions(check_name(name))
        for model in own:
            if model.is_active if version is None else model.version == version:
                return model
        allowed = ", ".join(str(model.version) for model in own)
        raise UsageError(f"model '{name}': version {version} given, {allowed} allowed")

    def load(self, name: str, program: Program) -> Model:
        """Store a program as a new version of a model, and have its functions run it.

        A program that the model has already becomes its active version, nothing else. Raises
        UsageError for a name that is no word or whose functions exist, and for a program that no
        module can hold; then the store stays as it is.
        """
        check_name(name)
        check_kind("program", program, Program, "a Program")
        digest = hashlib.sha256(to_bytes(program)).hexdigest()
        own = [model for model in self.models() if model.name == name]
        same = [model for model in own if model.program == digest]
        if same:
            return self._release(same[-1])
        if not own:
            self._check_functions(name)
        interface, code = compiled(program)
        released = one(self._connection, _LAST_VERSION, {"name": name})
        version = 1 + max([released, *(model.version for model in own)])
        self._insert_layers(name, version, program)
        store_module(self._connection, digest, interface, code)
        row = model_row(name, version, program, digest)
        self._connection.insert(f"{DATABASE}.models", row)
        return self._release(self.model(name, version))

    def rollback(self, name: str, version: int | None = None) -> Model:
        """Have a model's functions run another version: by default the one before the active one.

        Raises UsageError where there is none.
        """
        active = self.model(name)
        if version is not None:
            return self._release(self.model(name, version))
        older = [model for model in self._versions(name) if model.version < active.version]
        if not older:
            raise UsageError(
                f"model '{name}': version {active.version} is active, and none is before it"
            )
        return self._release(older[-1])

    def remove(self, name: str, version: int | None = None) -> Sequence[Model]:
        """Remove a version, or all; return those removed. Layers that others have stay.

        Raises UsageError where there is none, and for the active version beside others.
        """
        own = self._versions(check_name(name))
        chosen = own if version is None else [self.model(name, version)]
        is_whole = len(chosen) == len(own)
        if not is_whole and chosen[0].is_active:
            raise UsageError(
                f"model '{name}': version {version} is active; roll back to another one first"
            )
        if is_whole:
            drop(self._connection, name)
            for table in ("releases", "model_layers"):  # also of a load that was killed
                self._delete(table, "name = {name:String}", name=name)
        for model in chosen:
            for table in ("models", "model_layers", "calibration"):
                self._delete(table, _VERSION, name=name, version=model.version)
        for table in ("layers", *PARTS):
            self._delete(table, _ORPHANS)
        sweep(self._connection)
        return chosen

    def calibrate(self, name: str) -> Model:
        """Measure what a query of a model's active version takes, and keep it. Raises UsageError
        where there is none."""
        model = self.model(name)
        fixed_ms, image_ms = measured_ms(self._connection, name, self._interface(model))
        row: Rows = {
            "name": [name],
            "version": [model.version],
            "plan": ["wasm"],
            "fixed_ms": [fixed_ms],
            "image_ms": [image_ms],
        }
        self._connection.insert(f"{DATABASE}.calibration", row)
        return self.model(name)

    def program(self, name: str, version: int | None = None) -> Program:
        """Return the program of a version, read from its parameters.

        Raises VerificationError, with the layer, unless it has the hash that it was loaded with.
        """
        return self._program(self.model(name, version))

    def interface(self, name: str, version: int | None = None) -> Interface:
        """Return how a version's module is called. One that is damaged or missing is made anew."""
        return self._interface(self.model(name, version))

    def _program(self, model: Model) -> Program:
        key = {"name": model.name, "version": model.version}
        source = f"model '{model.name}', version {model.version}"
        found = rows(self._connection, _LAYERS, key)
        layers = read_layers(self._connection, [layer for layer, *_ in found])
        operations = []
        for layer, path, inputs, output in found:
            if layer not in layers:
                raise VerificationError(f"{source}: layer {layer[:16]} ('{output}') is missing")
            operations.append(
                operation_of(layers[layer], inputs=tuple(inputs), output=output, path=path)
            )
        try:
            program = program_of(one(self._connection, _HEADER, key), operations)
        except (ValueError, KeyError, TypeError) as error:
            raise VerificationError(f"{source}: no program can be made of it: {error}") from error
        if hashlib.sha256(to_bytes(program)).hexdigest() != model.program:
            raise VerificationError(
                f"{source}: its rows are not the program that was loaded; remove it and load it "
                "anew"
            )
        return program

    def _interface(self, model: Model) -> Interface:
        return interface_in(
            self._connection,
            model.program,
            lambda: self._program(model),
            f"model '{model.name}', version {model.version}",
        )

    def _versions(self, name: str) -> Sequence[Model]:
        """Return the versions of a model, oldest first. Raises UsageError where there is none."""
        found = self.models()
        own = [model for model in found if model.name == name]
        if not own:
            names = sorted({model.name for model in found})
            allowed = f"{', '.join(names)} allowed" if names else "none is stored"
            raise UsageError(f"model '{name}' given, {allowed}{did_you_mean(name, names)}")
        return own

    def _check_functions(self, name: str) -> None:
        """Raise UsageError where functions of a model's names are there without the model."""
        releases = one(self._connection, _LAST, {"name": name})
        others = own_functions(self._connection, name)
        if others and not releases:
            raise UsageError(
                f"model '{name}': the function {min(others)} is there; drop it, or choose another "
                "name"
            )

    def _insert_layers(self, name: str, version: int, program: Program) -> None:
        layers = [layer_of(operation) for operation in program.operations]
        write_layers(self._connection, layers)
        self._delete("model_layers", _VERSION, name=name, version=version)
        self._connection.insert(
            f"{DATABASE}.model_layers", layer_rows(name, version, program, layers)
        )

    def _release(self, model: Model) -> Model:
        """Have a model's functions run a version."""
        if not model.is_active:
            last = one(self._connection, _LAST, {"name": model.name})
            self._connection.insert(
                f"{DATABASE}.releases",
                {"name": [model.name], "number": [last + 1], "version": [model.version]},
            )
        align(self._connection, model.name, self._interface(model))
        return self.model(model.name, model.version)

    def _delete(self, table: str, where: str, **values: object) -> None:
        delete(self._connection, f"{DATABASE}.{table}", where, values)
