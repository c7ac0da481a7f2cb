//! Machines and programs as files say them: `tiering/README.md` beside this crate has the format.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PAGE;
use crate::trace::TraceError;

/// A machine and what runs on it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// What is placed and moved as one, in MiB: a power of two. All pages of a block are accessed alike.
    pub block_mib: u64,
    /// How long it takes.
    pub seconds: f64,
    /// From when on throughput counts.
    pub measure_from_s: f64,
    /// CPUs, of all sockets together.
    pub cpus: u32,
    /// Memory.
    pub nodes: Vec<NodeSpec>,
    /// Nodes that go offline.
    #[serde(default)]
    pub offline: Vec<Offline>,
    /// Memory that changes places whatever the policy does.
    #[serde(default)]
    pub exchange: Option<Exchange>,
    /// Programs.
    pub processes: Vec<ProcessSpec>,
}

/// A node of memory.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Its number.
    pub id: u16,
    /// Its capacity.
    pub gib: f64,
    /// What it is, which says its tier, its latency and its bandwidth.
    pub kind: Kind,
    /// The socket that it is attached to.
    #[serde(default)]
    pub socket: u8,
    /// Its bandwidth, if not that of its kind.
    pub gb_per_s: Option<f64>,
}

/// A kind of memory, the upper tier first.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Beside the CPUs.
    Dram,
    /// Attached over CXL.
    Cxl,
    /// Behind that.
    Far,
}

/// A node that goes offline: what is on it goes elsewhere, and nothing comes to it any more.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Offline {
    /// Which.
    pub node: u16,
    /// When.
    pub at_s: f64,
}

/// A thread of the kernel that takes memory, chosen by chance, out of the upper tier, and other memory in: so that other memory is in
/// the wrong place, while programs access what they did before. Free memory is taken, too, which moves nothing, so that the nodes
/// come to be equally full.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// How much each way, at most.
    pub gib: f64,
    /// How often. Down first, and up half of that later.
    pub every_s: f64,
}

/// A program.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// Its name.
    pub name: String,
    /// How much it matters, relative to the others. 0: its throughput does not count.
    #[serde(default = "one")]
    pub weight: f64,
    /// Where its threads run.
    #[serde(default)]
    pub socket: u8,
    /// Threads, always busy. 0: it only has memory.
    pub threads: f64,
    /// Accesses that a thread has under way at once.
    #[serde(default = "one")]
    pub mlp: f64,
    /// Computing in an operation.
    #[serde(default)]
    pub cpu_ns: f64,
    /// Accesses of an operation that reach memory.
    #[serde(default)]
    pub accesses: f64,
    /// When it begins to touch its memory, in order.
    #[serde(default)]
    pub start_s: f64,
    /// How long that takes. It runs meanwhile, with what it has.
    #[serde(default)]
    pub load_s: f64,
    /// Its memory, in order of address and of first touch.
    pub memory: Vec<AreaSpec>,
}

const fn one() -> f64 {
    1.0
}

/// A part of a program's memory.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AreaSpec {
    /// Its size.
    pub gib: f64,
    /// Its part of the program's accesses, relative to the other areas'.
    #[serde(default = "one")]
    pub share: f64,
    /// Which of it is accessed.
    pub pattern: PatternSpec,
}

/// Which blocks of an area are accessed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PatternSpec {
    /// None.
    Idle {},
    /// All alike.
    Uniform {},
    /// Items of a Zipf distribution. YCSB's `zipfian` is scrambled, with theta 0.99.
    Zipf {
        /// The exponent.
        theta: f64,
        /// How large an item is.
        item_bytes: u64,
        /// Items are in no order; otherwise the most popular is first.
        scrambled: bool,
    },
    /// Items of a Zipf distribution by how long ago they were written, as YCSB's `latest`. What is written is new memory, touched first
    /// then; for it the oldest is freed, so that writing goes around.
    Latest {
        /// The exponent.
        theta: f64,
        /// How large an item is.
        item_bytes: u64,
        /// How much is written in a second.
        mib_per_s: f64,
    },
    /// Some spots get most of the accesses, the rest of memory the rest.
    Spots {
        /// The size of a spot.
        spot_mib: u64,
        /// The part of memory that is hot.
        memory: f64,
        /// The part of accesses that goes there.
        accesses: f64,
        /// How long a spot stays hot, in the mean, until another one is instead. Absent: for ever.
        life_s: Option<f64>,
    },
    /// From the start to the end, again and again.
    Scan {
        /// How long a pass takes.
        pass_s: f64,
    },
    /// One after the other, again from the first at the end.
    Phases {
        /// These.
        phases: Vec<PhaseSpec>,
    },
    /// What a trace of a real program tells: its pages, in order of address, are spread over the area.
    Trace {
        /// The trace, relative to the file that names it.
        file: PathBuf,
        /// It is cut into so many parts, which the run goes through once.
        parts: usize,
    },
}

/// A phase of a pattern.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSpec {
    /// How long it holds.
    pub seconds: f64,
    /// What holds.
    pub pattern: PatternSpec,
}

/// Why a machine cannot be made of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not JSON of this format: line and column are in the source's message.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A value breaks a rule.
    #[error("{name}: {field} is {value}, but must be {rule}")]
    Bad {
        /// The machine's name.
        name: String,
        /// The field.
        field: String,
        /// What it was.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A trace that it names cannot be used.
    #[error("{}: {source}", path.display())]
    Trace {
        /// The trace.
        path: PathBuf,
        /// What is wrong with it.
        source: TraceError,
    },
}

impl Spec {
    /// What the file at `path` says. Traces that it names are looked for beside it.
    ///
    /// # Errors
    /// Where the file cannot be read, is not of the format, or breaks a rule.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, SpecError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| SpecError::Read { path: path.into(), source })?;
        let mut spec: Self =
            serde_json::from_str(&text).map_err(|source| SpecError::Parse { path: path.into(), source })?;
        let beside = path.parent().unwrap_or(Path::new(""));
        spec.processes.iter_mut().flat_map(|p| &mut p.memory).for_each(|area| area.pattern.locate(beside));
        spec.check()?;
        Ok(spec)
    }

    /// Holds it to the rules.
    ///
    /// # Errors
    /// Where it breaks one.
    pub fn check(&self) -> Result<(), SpecError> {
        let bad =
            |field: String, value: String, rule| Err(SpecError::Bad { name: self.name.clone(), field, value, rule });
        if !self.block_mib.is_power_of_two() {
            return bad("block_mib".into(), self.block_mib.to_string(), "a power of two");
        }
        if !(self.measure_from_s >= 0.0 && self.measure_from_s < self.seconds && self.seconds <= 1e6) {
            return bad("measure_from_s".into(), self.measure_from_s.to_string(), "at least 0, and less than seconds");
        }
        if self.cpus == 0 {
            return bad("cpus".into(), "0".into(), "at least 1");
        }
        if self.nodes.is_empty() || self.nodes.len() > 16 || !self.nodes.iter().any(|n| n.kind == Kind::Dram) {
            return bad("nodes".into(), format!("{} nodes", self.nodes.len()), "1 to 16 of them, one of kind dram");
        }
        for (i, node) in self.nodes.iter().enumerate() {
            if !(node.gib > 0.0 && node.gib <= 65_536.0) {
                return bad(format!("nodes[{i}].gib"), node.gib.to_string(), "above 0, at most 65,536");
            }
            if node.gb_per_s.is_some_and(|b| !(b > 0.0 && b.is_finite())) {
                return bad(format!("nodes[{i}].gb_per_s"), format!("{:?}", node.gb_per_s), "above 0");
            }
            if self.nodes[..i].iter().any(|n| n.id == node.id) {
                return bad(format!("nodes[{i}].id"), node.id.to_string(), "no other node's");
            }
        }
        for (i, gone) in self.offline.iter().enumerate() {
            if !self.nodes.iter().any(|n| n.id == gone.node) {
                return bad(format!("offline[{i}].node"), gone.node.to_string(), "the id of a node");
            }
        }
        if let Some(Exchange { gib, every_s }) = self.exchange {
            if !(gib > 0.0 && gib.is_finite()) {
                return bad("exchange.gib".into(), gib.to_string(), "above 0");
            }
            if !(every_s >= 1.0 && every_s.is_finite()) {
                return bad("exchange.every_s".into(), every_s.to_string(), "1 or more");
            }
        }
        for (i, p) in self.processes.iter().enumerate() {
            let numbers = [
                ("weight", p.weight),
                ("threads", p.threads),
                ("cpu_ns", p.cpu_ns),
                ("accesses", p.accesses),
                ("start_s", p.start_s),
                ("load_s", p.load_s),
            ];
            for (field, value) in numbers {
                if !(value >= 0.0 && value.is_finite()) {
                    return bad(format!("processes[{i}].{field}"), value.to_string(), "0 or more");
                }
            }
            if !(p.mlp >= 1.0 && p.mlp <= 1e3) {
                return bad(format!("processes[{i}].mlp"), p.mlp.to_string(), "1 to 1,000");
            }
            for (j, area) in p.memory.iter().enumerate() {
                let field = format!("processes[{i}].memory[{j}]");
                if self.blocks(area.gib) == 0 || area.gib > 65_536.0 {
                    return bad(format!("{field}.gib"), area.gib.to_string(), "a block or more, at most 65,536 GiB");
                }
                if let Some((what, value, rule)) = area.pattern.broken() {
                    return bad(format!("{field}.pattern.{what}"), value, rule);
                }
            }
        }
        if self.processes.iter().all(|p| p.weight == 0.0 || p.threads == 0.0) {
            return bad("processes".into(), "none that counts".into(), "one with threads and a weight, or more");
        }
        // What goes offline must find room, and the watermarks are kept free.
        let gone = |id: u16| self.offline.iter().any(|o| o.node == id);
        let room: f64 = self.nodes.iter().filter(|n| !gone(n.id)).map(|n| n.gib).sum();
        let needed: f64 = self.processes.iter().flat_map(|p| &p.memory).map(|a| a.gib).sum();
        if needed > room * 0.99 {
            return bad("processes".into(), format!("{needed} GiB"), "at most 99% of the nodes that stay");
        }
        Ok(())
    }

    /// Bytes of a block.
    pub fn block(&self) -> u64 {
        self.block_mib << 20
    }

    /// Blocks of so much memory.
    pub(super) fn blocks(&self, gib: f64) -> usize {
        (gib * 1024.0 / self.block_mib as f64) as usize
    }
}

type Broken = (String, String, &'static str);

impl PatternSpec {
    fn locate(&mut self, beside: &Path) {
        match self {
            Self::Trace { file, .. } => *file = beside.join(&*file),
            Self::Phases { phases } => phases.iter_mut().for_each(|p| p.pattern.locate(beside)),
            _ => {}
        }
    }

    /// The field that breaks a rule.
    fn broken(&self) -> Option<Broken> {
        let part = |v: f64| (0.0..=1.0).contains(&v);
        let above_0 = |v: f64| v > 0.0 && v.is_finite();
        let check = |holds: bool, field: &str, value: &dyn std::fmt::Display, rule| {
            (!holds).then(|| (field.to_owned(), value.to_string(), rule))
        };
        match self {
            Self::Idle {} | Self::Uniform {} => None,
            Self::Zipf { theta, item_bytes, .. } | Self::Latest { theta, item_bytes, .. } => {
                check((0.0..=4.0).contains(theta), "theta", theta, "0 to 4")
                    .or_else(|| check((1..=PAGE << 18).contains(item_bytes), "item_bytes", item_bytes, "1 to 2^30"))
                    .or_else(|| match self {
                        Self::Latest { mib_per_s, .. } => check(above_0(*mib_per_s), "mib_per_s", mib_per_s, "above 0"),
                        _ => None,
                    })
            }
            Self::Spots { spot_mib, memory, accesses, life_s } => check(*spot_mib > 0, "spot_mib", spot_mib, "above 0")
                .or_else(|| check(part(*memory), "memory", memory, "0 to 1"))
                .or_else(|| check(part(*accesses), "accesses", accesses, "0 to 1"))
                .or_else(|| {
                    let life = life_s.unwrap_or(1.0);
                    check(life >= 1.0 && life.is_finite(), "life_s", &life, "1 or more")
                }),
            Self::Scan { pass_s } => check(above_0(*pass_s), "pass_s", pass_s, "above 0"),
            Self::Phases { phases } => check(!phases.is_empty(), "phases", &"empty", "a phase or more").or_else(|| {
                phases.iter().enumerate().find_map(|(i, phase)| {
                    let long = phase.seconds >= 1.0 && phase.seconds.is_finite();
                    check(long, &format!("phases[{i}].seconds"), &phase.seconds, "1 or more").or_else(|| {
                        let (field, value, rule) = phase.pattern.broken()?;
                        Some((format!("phases[{i}].pattern.{field}"), value, rule))
                    })
                })
            }),
            Self::Trace { parts, .. } => check((1..=10_000).contains(parts), "parts", parts, "1 to 10,000"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(change: &str, to: &str) -> String {
        let fine = r#"{"name": "a", "about": "b", "block_mib": 4, "seconds": 10, "measure_from_s": 1, "cpus": 4,
            "nodes": [{"id": 0, "gib": 1, "kind": "dram"}, {"id": 1, "gib": 1, "kind": "cxl"}],
            "processes": [{"name": "p", "threads": 4, "cpu_ns": 1000, "accesses": 10,
                "memory": [{"gib": 1.5, "pattern": {"kind": "scan", "pass_s": 5}}]}]}"#;
        fine.replace(change, to)
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let of = |change, to| match serde_json::from_str::<Spec>(&text(change, to)) {
            Ok(spec) => spec.check().err().map(|e| e.to_string()).unwrap_or_default(),
            Err(e) => e.to_string(),
        };
        assert_eq!(of("", ""), "");
        for (change, to, says) in [
            (r#""block_mib": 4"#, r#""block_mib": 3"#, "a: block_mib is 3, but must be a power of two"),
            (
                r#""cpus": 4,"#,
                r#""cpus": 4, "exchange": {"gib": 1, "every_s": 0},"#,
                "a: exchange.every_s is 0, but must be",
            ),
            (r#""pass_s": 5"#, r#""pass_s": 0"#, "a: processes[0].memory[0].pattern.pass_s is 0, but must be above 0"),
            (r#""id": 1"#, r#""id": 0"#, "a: nodes[1].id is 0, but must be no other node's"),
            ("1.5", "2.5", "a: processes is 2.5 GiB, but must be at most 99% of the nodes that stay"),
            (r#""threads": 4"#, r#""threads": 0"#, "a: processes is none that counts"),
            (r#""seconds": 10,"#, r#""seconds": 10, "extra": 1,"#, "unknown field `extra`"),
            (r#""pass_s": 5"#, r#""pass_s": 5, "extra": 1"#, "unknown field `extra`"),
        ] {
            let got = of(change, to);
            assert!(got.contains(says), "{got}");
        }
    }
}
