//! How much of what policies come to rests on the constants: one of them at a time is another.

use damon_ops_sim::tiering::{Costs, Kind, Spec};
use serde_json::{Map, Value};

use super::{Comparison, compare};

/// Constants by their fields, and what else they may be: what is published or measured, half and twice of what is assumed.
const VARIED: [(&str, [f64; 2]); 14] = [
    ("cxl_ns", [140.0, 410.0]),
    ("far_ns", [400.0, 1_000.0]),
    ("socket_ns", [50.0, 140.0]),
    ("dram_gbps", [100.0, 400.0]),
    ("cxl_gbps", [12.0, 50.0]),
    ("far_gbps", [5.0, 20.0]),
    ("queueing", [0.1, 0.4]),
    ("migrate_ns", [1_000.0, 10_000.0]),
    ("check_ns", [1_000.0, 2_000.0]),
    ("walk_ns", [20.0, 500.0]),
    ("lru_ns", [250.0, 1_000.0]),
    ("arm_hint_ns", [25.0, 100.0]),
    ("hint_fault_ns", [1_000.0, 2_000.0]),
    ("shootdown_ns", [300.0, 1_500.0]),
];

/// What policies came to with some constants.
#[derive(Debug)]
pub struct Varied {
    /// What is other than it was, as `--costs` of `simulate tiering` takes it: `{"cxl_ns":410.0}`.
    pub change: String,
    /// What came of it.
    pub comparison: Comparison,
}

/// Why there is no sweep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// A run failed.
    #[error("{change}: {source}")]
    Run {
        /// With which constants.
        change: String,
        /// Why.
        source: damon_ops_sim::tiering::RunError,
    },
    /// There is no such constant to vary.
    #[error("no constant {field:?} is varied: it must be one of {}", VARIED.map(|v| v.0).join(", "))]
    Unknown {
        /// What was asked for.
        field: String,
    },
    /// Constants and their names do not fit.
    #[error("{change}: {source}")]
    Costs {
        /// Which.
        change: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// Compares the policies with `costs`, and with each constant that matters to the machine at other values, or those of these `fields`
/// alone; two at a time.
///
/// # Errors
/// Where a field is none of those that are varied, and of the first run that failed.
pub fn sweep(spec: &Spec, costs: Costs, seeds: u64, fields: &[String]) -> Result<Vec<Varied>, SweepError> {
    if let Some(field) = fields.iter().find(|f| !VARIED.iter().any(|v| v.0 == f.as_str())) {
        return Err(SweepError::Unknown { field: field.clone() });
    }
    let wanted = |field: &str| fields.is_empty() || fields.iter().any(|f| f == field);
    let mut changes = vec![Map::new()];
    for (field, values) in VARIED.iter().filter(|v| matters(spec, v.0) && wanted(v.0)) {
        changes.extend(values.map(|value| Map::from_iter([((*field).to_owned(), Value::from(value))])));
    }
    let one = |change: &Map<String, Value>| {
        let name = Value::from(change.clone()).to_string();
        let costs = changed(costs, change).map_err(|source| SweepError::Costs { change: name.clone(), source })?;
        match compare(spec, costs, seeds) {
            Ok(comparison) => Ok(Varied { change: name, comparison }),
            Err(source) => Err(SweepError::Run { change: name, source }),
        }
    };
    let mut out = Vec::new();
    for pair in changes.chunks(2) {
        let done = std::thread::scope(|scope| {
            let threads: Vec<_> = pair.iter().map(|change| scope.spawn(|| one(change))).collect();
            let join =
                |t: std::thread::ScopedJoinHandle<'_, _>| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p));
            threads.into_iter().map(join).collect::<Vec<_>>()
        });
        for varied in done {
            out.push(varied?);
        }
    }
    Ok(out)
}

fn matters(spec: &Spec, field: &str) -> bool {
    match field {
        "far_ns" | "far_gbps" => spec.nodes.iter().any(|n| n.kind == Kind::Far),
        "socket_ns" => spec.nodes.iter().any(|n| n.socket != spec.nodes[0].socket),
        _ => true,
    }
}

fn changed(costs: Costs, change: &Map<String, Value>) -> serde_json::Result<Costs> {
    let mut all = serde_json::to_value(costs)?;
    if let Value::Object(fields) = &mut all {
        fields.extend(change.clone());
    }
    serde_json::from_value(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_constant_is_varied_around_what_it_is_and_none_is_left_out() {
        let Value::Object(fields) = serde_json::to_value(Costs::default()).unwrap() else { panic!("no object") };
        for (name, value) in &fields {
            let varied = VARIED.iter().find(|v| v.0 == name);
            // DRAM's latency is what the others are relative to.
            assert!(varied.is_some() || name == "dram_ns", "{name}");
            let value = value.as_f64().unwrap();
            assert!(varied.is_none_or(|v| v.1[0] < value && value < v.1[1]), "{name} is {value}");
        }
        assert!(VARIED.iter().all(|v| fields.contains_key(v.0)));
    }

    #[test]
    fn a_constant_that_is_not_varied_is_refused_with_those_that_are() {
        let spec = super::super::compare::tests::small().spec;
        let refused = sweep(&spec, Costs::default(), 1, &["cxl".into()]).unwrap_err().to_string();
        assert!(refused.starts_with("no constant \"cxl\" is varied: it must be one of cxl_ns, "), "{refused}");
    }

    #[test]
    fn a_change_changes_that_constant_alone() {
        let change = Map::from_iter([("cxl_ns".to_owned(), Value::from(410.0))]);
        assert_eq!(changed(Costs::default(), &change).unwrap(), Costs { cxl_ns: 410.0, ..Costs::default() });
        assert!(changed(Costs::default(), &Map::from_iter([("cxl".to_owned(), Value::from(1))])).is_err());
    }
}
