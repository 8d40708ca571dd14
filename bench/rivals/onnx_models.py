"""Writes the networks of one-sample inference as ONNX files: onnx_models.py FOLDER"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(1)


class Model:
    """A graph that grows node by node; arrays are drawn at random."""

    def __init__(self):
        self.nodes, self.arrays, self.last = [], [], "x"

    def array(self, *shape):
        name = f"w{len(self.arrays)}"
        values = random.uniform(-0.1, 0.1, shape).astype(np.float32)
        self.arrays.append(numpy_helper.from_array(values, name))
        return name

    def add(self, op, *arrays, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.last, *arrays], [name], **attributes))
        self.last = name

    def dense(self, inputs, outputs, relu=True):
        self.add("Gemm", self.array(outputs, inputs), self.array(outputs), transB=1)
        if relu:
            self.add("Relu")

    def conv(self, inputs, outputs, pad):
        self.add("Conv", self.array(outputs, inputs, 5, 5), self.array(outputs), pads=[pad] * 4)
        self.add("Relu")
        self.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])

    def save(self, path, shape, state=()):
        value = lambda name, of: helper.make_tensor_value_info(name, TensorProto.FLOAT, of)
        before = [value(name, of) for name, of in state]
        after = [value(name + "_next", of) for name, of in state]
        graph = helper.make_graph(self.nodes, "net", [value("x", shape), *before],
                                  [value(self.last, None), *after], self.arrays)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        onnx.save(onnx.shape_inference.infer_shapes(model, strict_mode=True), path)


folder = sys.argv[1] + "/"

mlp = Model()
mlp.dense(784, 128)
mlp.dense(128, 10, relu=False)
mlp.save(folder + "predict-mlp.onnx", [1, 784])

small = Model()
small.dense(16, 32)
small.dense(32, 32)
small.dense(32, 1, relu=False)
small.save(folder + "predict-small.onnx", [1, 16])

lenet = Model()
lenet.conv(1, 6, 2)
lenet.conv(6, 16, 0)
lenet.add("Flatten")
lenet.dense(400, 120)
lenet.dense(120, 84)
lenet.dense(84, 10, relu=False)
lenet.save(folder + "predict-lenet.onnx", [1, 1, 28, 28])

lstm = Model()
units = 20
inputs = ["x", lstm.array(1, 4 * units, 1), lstm.array(1, 4 * units, units), lstm.array(1, 8 * units)]
lstm.nodes.append(helper.make_node("LSTM", [*inputs, "", "h", "c"], ["", "h_next", "c_next"],
                                   hidden_size=units))
lstm.arrays.append(numpy_helper.from_array(np.array([1, units]), "row"))
lstm.last = "h_next"
lstm.add("Reshape", "row")
lstm.dense(units, 1, relu=False)
lstm.save(folder + "predict-lstm.onnx", [1, 1, 1], [("h", [1, 1, units]), ("c", [1, 1, units])])
