//! Time goes on: programs load and run, their accesses change, nodes go, and all of it in steps.

use super::bill::Payer;
use super::load::{Channel, Demand, solve};
use super::state::State;

/// Speeds are computed so often, in steps a second.
pub(super) const STEPS: f64 = 10.0;

/// Of a node's bandwidth migrations take this part at most.
const MIGRATIONS: f64 = 0.9;

impl State {
    /// Lets time go on to `to`, in seconds.
    pub(super) fn advance(&mut self, to: f64) {
        if self.steps == 0 {
            self.step();
        }
        while self.now < to {
            let next = self.steps as f64 / STEPS;
            if next > to {
                self.now = to;
                return;
            }
            self.now = next;
            self.step();
        }
    }

    fn step(&mut self) {
        let passed = self.now - self.stepped;
        for p in &mut self.processes {
            p.ops += p.rate * passed;
        }
        self.stepped = self.now;
        self.steps += 1;
        self.take_nodes_off();
        self.load();
        self.repaint();
        self.renew_written();
        self.exchange(passed);
        self.run(if passed > 0.0 { passed } else { 1.0 / STEPS });
    }

    fn take_nodes_off(&mut self) {
        let due = self.spec.offline.iter().filter(|o| o.at_s <= self.now);
        let due: Vec<u8> = due.filter_map(|o| self.node(o.node)).collect();
        for node in due {
            self.nodes[usize::from(node)].online = false;
            let kind = self.nodes[usize::from(node)].kind;
            let mut to: Vec<u8> = (0..self.nodes.len() as u8).filter(|&n| self.nodes[usize::from(n)].online).collect();
            // The same tier, then the next ones below, then those above.
            to.sort_by_key(|&n| {
                let other = self.nodes[usize::from(n)].kind;
                (other < kind, other)
            });
            let leaving: Vec<u32> = self.nodes[usize::from(node)].frames.iter().flatten().copied().collect();
            for block in leaving {
                // Watermarks give way before memory is lost.
                let _ = [false, true].iter().any(|&all| {
                    to.iter().any(|&n| {
                        let keep = if all { 0 } else { self.nodes[usize::from(n)].marks.low };
                        self.migrate(block, n, keep, Payer::Kernel)
                    })
                });
            }
        }
    }

    /// Programs touch their memory.
    fn load(&mut self) {
        for place in 0..self.processes.len() {
            let (first, present) = (self.processes[place].first, self.processes[place].present);
            let should = self.processes[place].should_be_present(self.now);
            for i in present..should {
                self.touch(first + i as u32);
            }
            self.processes[place].present = should.max(present);
        }
    }

    /// Programs access other memory than before.
    fn repaint(&mut self) {
        let mut weights = std::mem::take(&mut self.weights);
        for place in 0..self.processes.len() {
            let p = &self.processes[place];
            if !p.runs() || p.repaint_at > self.now {
                continue;
            }
            let (first, per_page) = (p.first, p.spec.accesses / self.pages());
            let until = p.paint(self.now, &mut weights);
            let mut by_node = vec![0.0; self.nodes.len()];
            for (i, weight) in weights.iter().enumerate() {
                let block = first + i as u32;
                self.set_per_op(block, weight * per_page);
                if let Some(node) = self.blocks[block as usize].node {
                    by_node[usize::from(node)] += weight * per_page * self.pages();
                }
            }
            self.processes[place].by_node = by_node;
            self.processes[place].repaint_at = until;
        }
        self.weights = weights;
    }

    /// What programs wrote since the last step is new memory.
    fn renew_written(&mut self) {
        for place in 0..self.processes.len() {
            let p = &self.processes[place];
            let written = if p.runs() { p.written(p.renewed_at, self.now) } else { Vec::new() };
            let first = p.first;
            written.into_iter().for_each(|i| self.renew(first + i as u32));
            self.processes[place].renewed_at = self.now;
        }
    }

    /// How fast programs run until the next step: slower by what they and the kernel's threads did in the last one.
    fn run(&mut self, passed: f64) {
        let cpus = f64::from(self.spec.cpus);
        let kernel = (self.kernel_s / passed).min(cpus);
        let wanted: f64 = self.processes.iter().filter(|p| p.runs()).map(|p| p.spec.threads).sum();
        let get = if wanted > 0.0 { ((cpus - kernel) / wanted).min(1.0) } else { 1.0 };
        self.busy = (wanted * get + kernel).min(cpus);
        // What does not fit in is taken off later.
        self.kernel_s -= kernel * passed;

        let pay = |p: &super::process::Process| p.debt.min(p.spec.threads * get * passed);
        let demands = self.demands(|p| p.spec.threads * get - pay(p) / passed);
        self.processes.iter_mut().filter(|p| p.runs()).for_each(|p| p.debt -= pay(p));
        let channel = |n: &mut super::node::Node| {
            // Migrations leave programs some of it, and take longer then.
            let migrating = (n.migrated / passed).min(n.bandwidth * MIGRATIONS);
            n.migrated -= migrating * passed;
            Channel { bandwidth: n.bandwidth, migrating }
        };
        let channels: Vec<Channel> = self.nodes.iter_mut().map(channel).collect();
        let (rates, used) = solve(&channels, &demands, self.costs.queueing);
        for (p, rate) in self.processes.iter_mut().zip(rates) {
            p.was = p.rate;
            p.rate = rate;
        }
        for (n, used) in self.nodes.iter_mut().zip(used) {
            n.utilisation = used;
        }
    }

    /// What each program would do with so many threads.
    pub(super) fn demands(&self, threads: impl Fn(&super::process::Process) -> f64) -> Vec<Demand> {
        let demand = |p: &super::process::Process| Demand {
            threads: if p.runs() { threads(p) } else { 0.0 },
            cpu_ns: p.spec.cpu_ns,
            mlp: p.spec.mlp,
            accesses: p
                .by_node
                .iter()
                .zip(&self.nodes)
                // What is left of differences is no access.
                .map(|(&n, node)| (n.max(0.0), node.latency_from(p.spec.socket, &self.costs)))
                .collect(),
        };
        self.processes.iter().map(demand).collect()
    }
}
