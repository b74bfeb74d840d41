"""A graph as it is built: nodes, constants, parts that others made, and tables whose columns lie in several tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sklearn_mmoe._version import __version__

ML_DOMAIN = "ai.onnx.ml"
OPSETS = {"": 18, ML_DOMAIN: 4}  # torch's exporter is written for 18; from 4 on there are look-ups by keys of any type
PREFIX = "sklearn_mmoe_"  # of all names inside, so that those of inputs and outputs are the user's to choose
ROWS = "n_rows"
FLOAT_TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}  # by the dtype of an estimator

NUMPY_TYPES: dict[int, Any] = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.INT64: np.int64,
    TensorProto.BOOL: np.bool_,
    TensorProto.STRING: object,
}


@dataclass(frozen=True)
class Columns:
    """Neighbouring columns of a table: a tensor of shape (n_rows, width)."""

    tensor: str
    type: int  # of TensorProto.DataType
    width: int


Table = tuple[Columns, ...]


class Graph:
    """Nodes in the order in which they are added, each of which may read what stands before it."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._n_names = 0
        self._taken: set[str] = set()  # by inputs and outputs, which share their names

    def free_name(self, wished: str) -> str:
        """A name for an input or output: the wished one, with a number behind it where that is taken."""
        wished = wished or "_"
        numbered = (f"{wished}_{n}" for n in count(2))
        name = next(name for name in chain([wished], numbered) if name not in self._taken)
        self._taken.add(name)
        return name

    def new_name(self) -> str:
        self._n_names += 1
        return f"{PREFIX}{self._n_names}"

    def constant(self, values: Any) -> str:
        """Numbers, booleans, or strings as objects."""
        name = self.new_name()
        self._constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output, and return its name."""
        output = output or self.new_name()
        self._nodes.append(helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        return output

    def input(self, name: str, type: int, width: int) -> Columns:
        self._inputs.append(helper.make_tensor_value_info(name, type, [ROWS, width]))
        return Columns(self.node("Identity", name), type, width)

    def output(self, name: str, tensor: str, type: int, shape: Sequence[int] = ()) -> None:
        """Make a tensor of shape (n_rows, *shape) an output of this name."""
        self.node("Identity", tensor, output=name)
        self._outputs.append(helper.make_tensor_value_info(name, type, [ROWS, *shape]))

    def embed(self, part: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
        """Take over a graph whose inputs have the names of tensors of this one, and return its outputs."""
        if foreign := {opset.domain for opset in part.opset_import} - set(OPSETS):
            domains = ", ".join(map(repr, sorted(foreign)))
            raise ValueError(f"it becomes operators that are not ONNX's own, of the domain {domains}")
        inside = onnx.compose.add_prefix_graph(part.graph, f"{self.new_name()}_", rename_inputs=False)
        for node in inside.node:
            node.ClearField("metadata_props")  # traces of torch's with the paths of this machine
        self._nodes.extend(inside.node)
        self._constants.extend(inside.initializer)
        return list(inside.output)

    # ----------------------------------------------------------------------------------------------------------------
    # Tables

    def take(self, table: Table, columns: Sequence[int]) -> Table:
        """Some columns of a table, in their order."""
        places = [(part, i) for part in table for i in range(part.width)]
        taken = []
        for part, group in groupby((places[column] for column in columns), key=lambda place: place[0]):
            own = [i for _, i in group]
            if own != list(range(part.width)):
                part = Columns(self.node("Gather", part.tensor, self.constant(own), axis=1), part.type, len(own))
            taken.append(part)
        return tuple(taken)

    def as_matrix(self, table: Table, type: int) -> Columns:
        """All columns in one tensor of a type."""
        tensors = [self.cast(part, type).tensor for part in table]
        tensor = tensors[0] if len(tensors) == 1 else self.node("Concat", *tensors, axis=1)
        return Columns(tensor, type, sum(part.width for part in table))

    def cast(self, part: Columns, type: int) -> Columns:
        return part if part.type == type else Columns(self.node("Cast", part.tensor, to=type), type, part.width)

    # ----------------------------------------------------------------------------------------------------------------
    # What comes out

    def model(self, **metadata: str) -> onnx.ModelProto:
        """The model with all outputs, without the inputs that nothing reads."""
        return self._model(self._outputs, metadata)

    def values(self, table: Table, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """What stands in the tensors of a table when the graph is run on some rows."""
        outputs = [helper.make_tensor_value_info(part.tensor, part.type, [ROWS, part.width]) for part in table]
        return run(self._model(outputs, {}), feeds)

    def _model(self, outputs: Sequence[onnx.ValueInfoProto], metadata: Mapping[str, str]) -> onnx.ModelProto:
        nodes, read = [], {output.name for output in outputs}
        for node in reversed(self._nodes):
            if read & set(node.output):
                nodes.append(node)
                read |= _read_by(node)
        graph = helper.make_graph(
            nodes[::-1],
            "sklearn_mmoe",
            [value for value in self._inputs if value.name in read],
            outputs,
            [constant for constant in self._constants if constant.name in read],
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="sklearn_mmoe",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(metadata))
        return model


def _read_by(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, also in the graphs that loops and branches hold."""
    inner = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)]
    return set(node.input).union(
        *({output.name for output in graph.output} | _read_by(own) for graph in inner for own in graph.node)
    )


def run(model: onnx.ModelProto, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """What a model answers in onnxruntime, which gets the inputs that it asks for."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised as an error, too
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {own.name: feeds[own.name] for own in session.get_inputs()})
