//! A plan as text: what was found, what will be done, what cannot be.

use core::fmt;

use super::{Direction, Node, Plan, Route};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiers = self.hierarchy.tiers();
        let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        writeln!(f, "{} in {}", count(self.hierarchy.nodes.len(), "node"), count(tiers.len(), "tier"))?;
        for tier in tiers {
            for node in self.hierarchy.nodes.iter().filter(|node| node.tier == tier) {
                writeln!(f, "{}", Found(node))?;
                for route in self.routes.iter().filter(|route| route.from == node.id) {
                    writeln!(f, "  {}", self.told(route))?;
                }
            }
        }
        if let Some(scheme) = self.schemes.first() {
            let size = Bytes(scheme.quota.size);
            writeln!(f, "at most {size} in {:?} on each route, the most deserving first", scheme.quota.reset_interval)?;
        }
        if self.tiering.dry_run {
            writeln!(f, "dry run: nothing is moved")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

impl Plan {
    fn told(&self, route: &Route) -> String {
        let (from, to) = (route.from.0, route.to.0);
        match route.direction {
            Direction::Demote => {
                format!(
                    "demotes cold memory to node {to} until {} of node {from} is free",
                    self.tiering.free_on(&self.hierarchy, route.from)
                )
            }
            Direction::Spread => format!("spreads hot memory to node {to} while node {from} is short of bandwidth"),
            Direction::Promote => {
                let gain = match self.hierarchy.gain_ns(route.from, route.to) {
                    Some(ns) => format!(", {ns} ns nearer"),
                    None => String::new(),
                };
                format!(
                    "promotes hot memory to node {to} until {} of node {to} is used{gain}",
                    self.tiering.used_on(&self.hierarchy, route.to)
                )
            }
        }
    }
}

struct Found<'a>(&'a Node);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Node { id, tier, bytes, cpus, latency_ns, mib_per_s, .. } = self.0;
        write!(f, "node {} (tier {tier}, {}", id.0, Bytes(*bytes))?;
        match latency_ns {
            Some(ns) => write!(f, ", {ns} ns")?,
            None => write!(f, ", latency unknown")?,
        }
        if let Some(mib) = mib_per_s {
            write!(f, ", {}/s", Bytes(u64::from(*mib) << 20))?;
        }
        write!(f, "{})", if *cpus { "" } else { ", no CPUs" })
    }
}

/// In the largest unit of which there is one.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1 << 30 => write!(f, "{:.1} GiB", n as f64 / f64::from(1 << 30)),
            n if n >= 1 << 20 => write!(f, "{} MiB", n >> 20),
            n => write!(f, "{} KiB", n >> 10),
        }
    }
}
