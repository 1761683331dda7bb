//! ONNX's own test cases of single operators, run on the interpreter.
//!
//! A case is in scope when all its nodes are operators that the interpreter claims and all its tensors are float32,
//! int32, int64, uint8 or bool. Which of those do not pass stands in tests/fixtures/network/node-test-exclusions.txt
//! with the reason; an exclusion that passes or does not exist fails the test. `scripts/dump-node-tests` makes the
//! cases.
#![cfg(feature = "train")]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;
use tagpoint::{
    onnx::{
        GraphProto, ModelProto, TensorProto,
        proto::{DataType, TypeValue},
    },
    train::network::{Mode, Network, to_tensor},
};
use tch::{Device, Kind, Tensor};

const TYPES: [DataType; 5] = [DataType::Float, DataType::Int32, DataType::Int64, DataType::Uint8, DataType::Bool];
/// The tolerances of ONNX's own runner.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-7;

#[test]
fn every_case_in_scope_passes_or_is_excluded_with_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/onnx-node-tests");
    let Ok(entries) = fs::read_dir(&folder) else {
        assert!(std::env::var_os("CI").is_none(), "scripts/dump-node-tests has not run");
        println!("skipped: run scripts/dump-node-tests first");
        return;
    };
    let exclusions = exclusions();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let (mut passed, mut excluded, mut wrong) = (0, HashSet::new(), Vec::new());
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(case) = Case::load(&folder) else { continue };
        let outcome = case.run();
        match (outcome, exclusions.contains_key(&name)) {
            (Ok(()), false) => passed += 1,
            (Err(_), true) => {
                excluded.insert(name);
            }
            (Err(reason), false) => wrong.push(format!("{name}: {reason}")),
            (Ok(()), true) => wrong.push(format!("{name} passes but is excluded")),
        }
    }
    for name in exclusions.keys().filter(|name| !excluded.contains(*name)) {
        if !wrong.iter().any(|line| line.starts_with(&format!("{name} "))) {
            wrong.push(format!("{name} is excluded but no case in scope"));
        }
    }
    println!("{passed} cases passed, {} are excluded", excluded.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed > 300, "only {passed} cases were found");
}

/// Name → reason, from lines `name: reason`.
fn exclusions() -> BTreeMap<String, String> {
    let text = include_str!("fixtures/network/node-test-exclusions.txt");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, reason) = line.split_once(": ").expect("name: reason");
            assert!(!reason.trim().is_empty(), "{name} is excluded without a reason");
            (name.to_owned(), reason.to_owned())
        })
        .collect()
}

struct Case {
    model: ModelProto,
    inputs: Vec<TensorProto>,
    outputs: Vec<TensorProto>,
}

impl Case {
    /// The case, where it is in scope.
    fn load(folder: &Path) -> Option<Self> {
        let model = ModelProto::decode(&*fs::read(folder.join("model.onnx")).unwrap()).unwrap();
        let case = Self { inputs: tensors(folder, "input"), outputs: tensors(folder, "output"), model };
        case.in_scope().then_some(case)
    }

    fn graph(&self) -> &GraphProto {
        self.model.graph.as_ref().unwrap()
    }

    fn in_scope(&self) -> bool {
        let graph = self.graph();
        let claimed: HashSet<_> = Network::operators().collect();
        let nodes = graph.node.iter().all(|node| node.domain().is_empty() && claimed.contains(node.op_type()));
        let initializers = graph.initializer.iter();
        let tensors = self.inputs.iter().chain(&self.outputs).chain(initializers);
        let types = tensors.map(TensorProto::data_type).all(|data_type| TYPES.contains(&data_type));
        let infos = graph.input.iter().chain(&graph.output).all(|info| {
            matches!(info.r#type.as_ref().and_then(|kind| kind.value.as_ref()), Some(TypeValue::Tensor(_)))
        });
        nodes && types && infos
    }

    fn run(&self) -> Result<(), String> {
        let graph = self.graph();
        let imports = &self.model.opset_import;
        let opset = imports.iter().find(|import| import.domain().is_empty()).unwrap().version();
        let mut network = Network::new(graph, opset, Device::Cpu, Kind::Float).map_err(|error| error.to_string())?;
        let inputs: HashMap<_, _> = graph
            .input
            .iter()
            .zip(&self.inputs)
            .map(|(info, proto)| (info.name().to_owned(), to_tensor(proto).unwrap()))
            .collect();
        let names: Vec<&str> = graph.output.iter().map(|info| info.name()).collect();
        let outputs = network.run(inputs, &names, &Mode::Evaluate).map_err(|error| error.to_string())?;
        for (name, (output, wanted)) in names.iter().zip(outputs.iter().zip(&self.outputs)) {
            compare(output, &to_tensor(wanted).unwrap()).map_err(|reason| format!("{name}: {reason}"))?;
        }
        Ok(())
    }
}

fn tensors(folder: &Path, kind: &str) -> Vec<TensorProto> {
    let file = |index: usize| fs::read(folder.join(format!("{kind}_{index}.pb"))).ok();
    (0..).map_while(file).map(|bytes| TensorProto::decode(&*bytes).unwrap()).collect()
}

fn compare(output: &Tensor, wanted: &Tensor) -> Result<(), String> {
    if output.size() != wanted.size() || output.kind() != wanted.kind() {
        return Err(format!(
            "{:?} {:?}, expected {:?} {:?}",
            output.kind(),
            output.size(),
            wanted.kind(),
            wanted.size()
        ));
    }
    if !output.to_kind(Kind::Double).allclose(&wanted.to_kind(Kind::Double), RELATIVE, ABSOLUTE, true) {
        let difference = (output.to_kind(Kind::Double) - wanted.to_kind(Kind::Double)).abs().max();
        return Err(format!("differs by up to {}", difference.double_value(&[])));
    }
    Ok(())
}
