//! Runs conformance vectors: what Linux computes, against what this library computes. One JSON object a line, with `op`,
//! `in` and `out`; `damon-core/vectors/README.md` has the format.

mod schemes;

use std::time::Duration;

use damon_core::control::{feed_loop, moving_sum};
use damon_core::{AddrRange, Attrs, AttrsSpec, Bp, IntervalsGoal, Region, classic};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A vector: an operation, its input, and the kernel's output.
#[derive(Debug, Deserialize)]
pub struct Vector {
    /// Which operation.
    pub op: String,
    /// What it is given.
    #[serde(rename = "in")]
    pub input: Value,
    /// What the kernel makes of it.
    pub out: Value,
}

/// Why a vector could not be run.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// Nobody knows the operation here.
    #[error("unknown op {op:?}; known are {}", OPS.map(|(name, _)| name).join(", "))]
    UnknownOp {
        /// Its name.
        op: String,
    },
    /// The input is not what the operation takes.
    #[error("bad input of op {op:?}: {why}")]
    BadInput {
        /// Its name.
        op: String,
        /// What is wrong.
        why: String,
    },
}

/// Computes an operation's output from its input.
type Run = fn(&Value) -> Result<Value, String>;

/// The operations, by name.
pub const OPS: [(&str, Run); 12] = [
    ("feed_loop", run_feed_loop),
    ("tune_intervals", run_tune_intervals),
    ("moving_sum", run_moving_sum),
    ("merge", run_merge),
    ("set_regions", run_set_regions),
    ("change_intervals", run_change_intervals),
    ("enforce_min_regions", run_enforce_min_regions),
    ("three_regions", run_three_regions),
    ("priority_score", schemes::run_priority_score),
    ("watermarks", schemes::run_watermarks),
    ("core_filters", schemes::run_core_filters),
    ("scheme", schemes::run_scheme),
];

/// What this library makes of the vector's input.
///
/// # Errors
/// Where the operation is unknown, or its input is not what it takes.
pub fn run(v: &Vector) -> Result<Value, VectorError> {
    let unknown = || VectorError::UnknownOp { op: v.op.clone() };
    let (_, run) = OPS.iter().find(|(name, _)| *name == v.op).ok_or_else(unknown)?;
    run(&v.input).map_err(|why| VectorError::BadInput { op: v.op.clone(), why })
}

fn read<T: DeserializeOwned>(v: &Value) -> Result<T, String> {
    T::deserialize(v).map_err(|e| e.to_string())
}

fn run_feed_loop(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        last_input: u64,
        score: u64,
    }
    let i: In = read(v)?;
    Ok(json!(feed_loop::next_input(i.last_input, i.score)))
}

fn run_tune_intervals(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        sample_us: u64,
        aggr_us: u64,
        access_bp: u32,
        aggrs: u32,
        min_sample_us: u64,
        max_sample_us: u64,
        regions: Numbers,
    }
    let i: In = read(v)?;
    let mut spec = intervals(i.sample_us, i.aggr_us);
    spec.intervals_goal = Some(IntervalsGoal {
        access_bp: Bp(i.access_bp),
        aggregations: i.aggrs,
        min_sampling: Duration::from_micros(i.min_sample_us),
        max_sampling: Duration::from_micros(i.max_sample_us),
    });
    let mut attrs = checked(spec)?;
    let mut regions = regions(&i.regions, &attrs)?;
    classic::tune_intervals(&mut regions, &mut attrs);
    let us = |d: Duration| d.as_micros();
    Ok(json!({ "sample_us": us(attrs.sampling()), "aggr_us": us(attrs.aggregation()), "regions": numbers(&regions) }))
}

fn run_moving_sum(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        nr_accesses: u32,
        last_nr_accesses: u32,
        sample_us: u32,
        aggr_us: u32,
        passed_samples: u32,
        window_ends_at_sample: u32,
    }
    let i: In = read(v)?;
    let left = i.window_ends_at_sample.saturating_sub(i.passed_samples);
    Ok(json!(moving_sum(i.nr_accesses, i.last_nr_accesses, left, i.aggr_us / i.sample_us)))
}

fn run_merge(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        sample_us: u64,
        aggr_us: u64,
        min_nr_regions: usize,
        max_nr_regions: usize,
        threshold: u64,
        max_region_sz: u64,
        regions: Numbers,
    }
    let i: In = read(v)?;
    let spec = intervals(i.sample_us, i.aggr_us);
    let attrs = checked(AttrsSpec { min_nr_regions: i.min_nr_regions, max_nr_regions: i.max_nr_regions, ..spec })?;
    let mut regions = regions(&i.regions, &attrs)?;
    classic::merge(&mut regions, i.threshold, i.max_region_sz, &attrs);
    Ok(json!(numbers(&regions)))
}

fn run_set_regions(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        min_region_sz: u64,
        regions: Numbers,
        ranges: Vec<(u64, u64)>,
    }
    let i: In = read(v)?;
    let mut regions = regions(&i.regions, &Attrs::default())?;
    Ok(match classic::set_regions(&mut regions, &i.ranges, i.min_region_sz) {
        Ok(()) => json!({ "regions": numbers(&regions) }),
        Err(_) => json!({ "error": true }),
    })
}

fn run_change_intervals(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        old_sample_us: u64,
        old_aggr_us: u64,
        new_sample_us: u64,
        new_aggr_us: u64,
        mid_aggregation: bool,
        regions: Numbers,
    }
    let i: In = read(v)?;
    let old = checked(intervals(i.old_sample_us, i.old_aggr_us))?;
    let new = checked(intervals(i.new_sample_us, i.new_aggr_us))?;
    let mut regions = regions(&i.regions, &old)?;
    classic::change_intervals(&mut regions, &old, &new, i.mid_aggregation);
    Ok(json!(numbers(&regions)))
}

fn run_enforce_min_regions(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        min_nr_regions: usize,
        min_region_sz: u64,
        regions: Numbers,
    }
    let i: In = read(v)?;
    let spec = AttrsSpec { min_nr_regions: i.min_nr_regions, granule: i.min_region_sz, ..AttrsSpec::default() };
    let attrs = checked(spec)?;
    let mut regions = regions(&i.regions, &attrs)?;
    let max_region_sz = classic::enforce_min_regions(&mut regions, &attrs);
    Ok(json!({ "max_region_sz": max_region_sz, "regions": numbers(&regions) }))
}

fn run_three_regions(v: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct In {
        mappings: Vec<(u64, u64)>,
    }
    let i: In = read(v)?;
    let range = |&(start, end): &(u64, u64)| AddrRange::new(start, end).ok_or(format!("empty mapping at {start:#x}"));
    let mappings: Vec<_> = i.mappings.iter().map(range).collect::<Result<_, _>>()?;
    Ok(match damon_ops_vaddr::linux::three_regions(&mappings) {
        Ok(three) => json!({ "ranges": three.map(|r| [r.start(), r.end()]) }),
        Err(_) => json!({ "error": true }),
    })
}

/// Regions as the vectors write them: start, end, nr_accesses, last_nr_accesses, age.
type Numbers = Vec<[u64; 5]>;

fn regions(numbers: &Numbers, attrs: &Attrs) -> Result<Vec<Region>, String> {
    numbers.iter().map(|&n| classic::region(n, attrs).ok_or(format!("no region: {n:?}"))).collect()
}

fn numbers(regions: &[Region]) -> Numbers {
    let row = |r: &Region| {
        let range = r.range();
        [range.start(), range.end(), r.nr_accesses().into(), r.last_nr_accesses().into(), r.age().into()]
    };
    regions.iter().map(row).collect()
}

fn intervals(sample_us: u64, aggr_us: u64) -> AttrsSpec {
    let (sampling, aggregation) = (Duration::from_micros(sample_us), Duration::from_micros(aggr_us));
    AttrsSpec { sampling, aggregation, max_nr_regions: usize::MAX, ..AttrsSpec::default() }
}

fn checked(spec: AttrsSpec) -> Result<Attrs, String> {
    Attrs::try_from(spec).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(line: &str) -> Vector {
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn every_vector_passes() {
        let file = include_str!("../../../damon-core/vectors/linux-7.3.jsonl");
        let mut passed = 0;
        for line in file.lines() {
            let v = vector(line);
            assert_eq!(run(&v).unwrap(), v.out, "{line}");
            passed += 1;
        }
        assert_eq!(passed, 40 * OPS.len());
    }

    #[test]
    fn a_wrong_result_and_bad_input_are_told_apart() {
        let wrong = vector(r#"{"op": "feed_loop", "in": {"last_input": 20000, "score": 5000}, "out": 30001}"#);
        assert_ne!(run(&wrong).unwrap(), wrong.out);
        let bad = vector(r#"{"op": "feed_loop", "in": {"last_input": 20000}, "out": 1}"#);
        assert_eq!(run(&bad).unwrap_err().to_string(), r#"bad input of op "feed_loop": missing field `score`"#);
        let unknown = vector(r#"{"op": "feel_poop", "in": {}, "out": 1}"#);
        assert!(run(&unknown).unwrap_err().to_string().starts_with(r#"unknown op "feel_poop"; known are feed_loop"#));
    }
}
