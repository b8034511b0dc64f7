//! Builder of an ONNX graph.

use prost::Message;

use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_proto::DataType;
use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::type_proto;
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
};

/// Version of the file format.
const IR_VERSION: i64 = 10;
/// Version of the standard operators.
const OPSET: i64 = 21;
/// ONNX Runtime's own operators.
const OWN_DOMAIN: &str = "com.microsoft";

/// Name of a value in a graph.
pub type ValueName = String;

/// Size of one dimension of an input or output.
#[derive(Clone, Copy, Debug)]
pub enum Dim {
    /// A constant size.
    Fixed(usize),
    /// A variable size; equal names are equal sizes.
    Any(&'static str),
}

/// A graph under construction.
#[derive(Default)]
pub struct Graph {
    proto: GraphProto,
    names: usize,
}

impl Graph {
    /// Adds an input.
    pub fn input(&mut self, name: &str, kind: DataType, shape: &[Dim]) -> ValueName {
        self.proto.input.push(value_info(name, kind, shape));
        name.to_owned()
    }

    /// Makes `value` an output called `name`.
    pub fn output(&mut self, name: &str, value: &str, kind: DataType, shape: &[Dim]) {
        self.push("Identity", &[value], Vec::new(), vec![name.to_owned()]);
        self.proto.output.push(value_info(name, kind, shape));
    }

    /// Makes the value called `name` an output under that name.
    pub fn export(&mut self, name: &str, kind: DataType, shape: &[Dim]) {
        self.proto.output.push(value_info(name, kind, shape));
    }

    /// A constant tensor of `f32`.
    pub fn floats(&mut self, name: &str, shape: &[usize], data: &[f32]) -> ValueName {
        let raw = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(name, DataType::Float, shape, raw)
    }

    /// A constant tensor of `f16`, rounded from `data`.
    pub fn halves(&mut self, name: &str, shape: &[usize], data: &[f32]) -> ValueName {
        let half = |&x: &f32| half::f16::from_f32(x).to_le_bytes();
        let raw = data.iter().flat_map(half).collect();
        self.constant(name, DataType::Float16, shape, raw)
    }

    /// A constant tensor of bytes.
    pub fn bytes(&mut self, name: &str, shape: &[usize], data: Vec<u8>) -> ValueName {
        self.constant(name, DataType::Uint8, shape, data)
    }

    /// A constant tensor of `f64`.
    pub fn doubles(&mut self, name: &str, shape: &[usize], data: &[f64]) -> ValueName {
        let raw = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(name, DataType::Double, shape, raw)
    }

    /// A constant list of integers.
    pub fn integers(&mut self, data: &[i64]) -> ValueName {
        let name = self.fresh("integers");
        let raw = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(&name, DataType::Int64, &[data.len()], raw)
    }

    /// A constant integer, without dimensions.
    pub fn integer(&mut self, value: i64) -> ValueName {
        let name = self.fresh("integer");
        self.constant(&name, DataType::Int64, &[], value.to_le_bytes().to_vec())
    }

    /// A constant `f32`, without dimensions.
    pub fn float(&mut self, value: f32) -> ValueName {
        let name = self.fresh("float");
        self.floats(&name, &[], &[value])
    }

    fn constant(&mut self, name: &str, kind: DataType, shape: &[usize], raw: Vec<u8>) -> ValueName {
        self.proto.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(kind as i32),
            dims: shape.iter().map(|&d| d as i64).collect(),
            raw_data: Some(raw),
            ..TensorProto::default()
        });
        name.to_owned()
    }

    /// A node with one output.
    pub fn op(&mut self, kind: &str, inputs: &[&str]) -> ValueName {
        self.op_with(kind, inputs, Vec::new())
    }

    /// A node with attributes and one output.
    pub fn op_with(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> ValueName {
        let out = self.fresh(kind);
        self.push(kind, inputs, attributes, vec![out.clone()]);
        out
    }

    /// A node of ONNX Runtime's own operators. Its first output gets a new name, the others have
    /// the names `more`.
    pub fn own_op(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        more: &[String],
    ) -> ValueName {
        let out = self.fresh(kind);
        let all = std::iter::once(out.clone()).chain(more.iter().cloned());
        self.push(kind, inputs, attributes, all.collect());
        if let Some(node) = self.proto.node.last_mut() {
            node.domain = Some(OWN_DOMAIN.into());
        }
        out
    }

    /// Splits `value` along `axis` into parts of these sizes.
    pub fn split<const N: usize>(
        &mut self,
        value: &str,
        axis: i64,
        sizes: [usize; N],
    ) -> [ValueName; N] {
        let parts = self.integers(&sizes.map(|s| s as i64));
        let out: [ValueName; N] = std::array::from_fn(|_| self.fresh("Split"));
        self.push(
            "Split",
            &[value, &parts],
            vec![int("axis", axis)],
            out.to_vec(),
        );
        out
    }

    fn push(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        output: Vec<ValueName>,
    ) {
        self.proto.node.push(NodeProto {
            name: output.first().map(|o| format!("{o}.node")),
            op_type: Some(kind.to_owned()),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output,
            attribute,
            ..NodeProto::default()
        });
    }

    fn fresh(&mut self, kind: &str) -> ValueName {
        self.names += 1;
        format!("{kind}_{}", self.names)
    }

    /// The bytes of an ONNX file.
    pub fn finish(mut self, name: &str, metadata: &[(&str, String)]) -> Vec<u8> {
        self.proto.name = Some(name.to_owned());
        let metadata_props = metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto {
                key: Some((*key).to_owned()),
                value: Some(value.clone()),
            })
            .collect();
        let own = self.proto.node.iter().any(|node| node.domain.is_some());
        let domains = [("", OPSET), (OWN_DOMAIN, 1)];
        let opset_import = domains[..if own { 2 } else { 1 }]
            .iter()
            .map(|&(domain, version)| OperatorSetIdProto {
                domain: Some(domain.to_owned()),
                version: Some(version),
            })
            .collect();
        ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("continuo-trainer".into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            opset_import,
            graph: Some(self.proto),
            metadata_props,
            ..ModelProto::default()
        }
        .encode_to_vec()
    }
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Int as i32),
        i: Some(value),
        ..AttributeProto::default()
    }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Float as i32),
        f: Some(value),
        ..AttributeProto::default()
    }
}

/// An attribute that is a list of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Ints as i32),
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

fn value_info(name: &str, kind: DataType, shape: &[Dim]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|&size| Dimension {
            value: Some(match size {
                Dim::Fixed(n) => dimension::Value::DimValue(n as i64),
                Dim::Any(name) => dimension::Value::DimParam(name.to_owned()),
            }),
            ..Dimension::default()
        })
        .collect();
    let tensor = type_proto::Tensor {
        elem_type: Some(kind as i32),
        shape: Some(TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected bytes come from ONNX's own onnx-ml.proto (1.23.2). A value equal to its type's
    /// default, such as axis 0, is part of the file.
    #[test]
    fn graph_is_written_byte_for_byte() {
        let mut graph = Graph::default();
        graph.input("x", DataType::Float, &[Dim::Any("n"), Dim::Fixed(2)]);
        let two = graph.float(2.0);
        let [a, b] = graph.split("x", 0, [1, 1]);
        let joined = graph.op_with("Concat", &[&a, &b], vec![ints("axes", &[0, -1])]);
        let scaled = graph.own_op("Scale", &[&joined, &two], vec![float("by", 0.0)], &[]);
        graph.output("y", &scaled, DataType::Float16, &[]);
        let bytes = graph.finish("g", &[("key", String::new())]);

        let version = env!("CARGO_PKG_VERSION").as_bytes();
        let expected = [
            b"\x08\n\x12\x10continuo-trainer\x1a".as_slice(),
            &[version.len() as u8],
            version,
            b":\xdf\x02",
            b"\nC\n\x01x\n\nintegers_2\x12\x07Split_3\x12\x07Split_4\x1a\x0cSplit_3.node",
            b"\"\x05Split*\x0b\n\x04axis\x18\x00\xa0\x01\x02",
            b"\nK\n\x07Split_3\n\x07Split_4\x12\x08Concat_5\x1a\rConcat_5.node\"\x06Concat",
            b"*\x16\n\x04axes@\x00@\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xa0\x01\x07",
            b"\nN\n\x08Concat_5\n\x07float_1\x12\x07Scale_6\x1a\x0cScale_6.node\"\x05Scale",
            b"*\x0c\n\x02by\x15\x00\x00\x00\x00\xa0\x01\x01:\rcom.microsoft",
            b"\n\x1e\n\x07Scale_6\x12\x01y\x1a\x06y.node\"\x08Identity\x12\x01g",
            b"*\x11\x10\x01B\x07float_1J\x04\x00\x00\x00@",
            b"*\"\x08\x02\x10\x07B\nintegers_2",
            b"J\x10\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00",
            b"Z\x14\n\x01x\x12\x0f\n\r\x08\x01\x12\t\n\x03\x12\x01n\n\x02\x08\x02",
            b"b\x0b\n\x01y\x12\x06\n\x04\x08\n\x12\x00",
            b"B\x04\n\x00\x10\x15B\x11\n\rcom.microsoft\x10\x01r\x07\n\x03key\x12\x00",
        ];
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(shown(&bytes), shown(&expected.concat()));
    }
}
