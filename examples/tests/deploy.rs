//! What stands in `docs/deploy` holds for what the agents serve: the dashboard asks for figures that there are, and Prometheus answers.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use damon_core::{AddrRange, Attrs, Monitor, Next, NodeId, SourceSpec, TargetId, TargetSpec};
use damon_ops_sim::Clock;
use damon_ops_sim::machine::{Costs, Machine, Node};
use damon_ops_sim::memory::Mapping;
use damon_ops_sim::workload::Blocks;
use damos::preset::Reclaim;
use damos::{Context, telemetry};
use examples::agent::config;
use examples::agent::scrape::{self, Scraped};
use prometheus_parse::{Scrape, Value};
use serde_json::Value as Json;

/// An agent's figures, served as it serves them: of `reclaim` on a simulated machine, and of a source of reports.
fn served() -> SocketAddr {
    static SERVED: OnceLock<Scraped> = OnceLock::new();
    let scraped = SERVED.get_or_init(|| {
        let scraped = scrape::serve("127.0.0.1:0".parse().unwrap()).unwrap();
        telemetry::describe();
        let (id, clock) = (TargetId::new(0), Clock::new());
        let machine = Machine::new(1, &clock, &[Node { id: NodeId(0), bytes: 1 << 30 }], Costs::default());
        let all = AddrRange::new(0, 64 << 20).unwrap();
        machine.insert(id, vec![Mapping::new(all)], Blocks::default()).unwrap();
        let reclaim = Reclaim { min_age: Duration::from_millis(200), watermarks: None, ..Reclaim::default() };
        let (attrs, schemes) = reclaim.plan();
        let mut monitor = Monitor::new(Attrs::try_from(attrs).unwrap(), 1);
        monitor.add_target(TargetSpec::new(id));
        let mut context = Context::new(monitor, machine.clone());
        let _ = context.add_source(SourceSpec::new("hits"));
        context.set_actor(machine.clone());
        context.set_metrics(machine);
        context.set_schemes(schemes).unwrap();
        while context.schemes().stats(0).unwrap().sz_applied == 0 {
            let look = |context: &Context<Machine>| telemetry::publish(context, "reclaim");
            let Next::At(due) = context.step_with(clock.now(), Duration::ZERO, look).unwrap() else { panic!("parked") };
            clock.advance_to(due);
        }
        telemetry::publish(&context, "reclaim");
        scraped
    });
    scraped.address().unwrap()
}

/// The body of what is at `path`.
fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The served metrics, each with its labels.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let text = get(served(), "/metrics").unwrap();
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let mut metrics: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for sample in scrape.samples {
        metrics.entry(sample.metric).or_default().extend(sample.labels.keys().cloned());
    }
    metrics
}

fn dashboard() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/grafana.json")).unwrap()
}

/// All that a dashboard asks Prometheus for: the expressions of its panels, the queries of its variables.
fn queries(of: &Json, out: &mut Vec<String>) {
    match of {
        Json::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Json::String(text) if name == "expr" || name == "definition" => out.push(text.clone()),
                    _ => queries(value, out),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| queries(item, out)),
        _ => {}
    }
}

/// What `dashboard` asks for and nobody serves: metrics, and labels that none of an expression's metrics has.
fn unserved(dashboard: &str, served: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    const LANGUAGE: [&str; 7] = ["sum", "max", "by", "rate", "label_values", "__rate_interval", "1e6"];
    let mut asked = Vec::new();
    queries(&serde_json::from_str(dashboard).unwrap(), &mut asked);
    assert!(asked.len() > 20, "the dashboard's queries are found");
    let mut unserved = Vec::new();
    for query in &asked {
        let words = || query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        let is_metric = |word: &str| word.starts_with("damo");
        let metrics: Vec<_> = words().filter(|word| is_metric(word)).collect();
        // Prometheus adds which machine it scraped.
        let labels =
            |word: &str| word == "instance" || metrics.iter().all(|m| served.get(*m).is_none_or(|l| l.contains(word)));
        let known = |word: &str| {
            if is_metric(word) { served.contains_key(word) } else { LANGUAGE.contains(&word) || labels(word) }
        };
        unserved.extend(words().filter(|word| !known(word)).map(|word| format!("{word} in {query}")));
    }
    unserved
}

#[test]
fn every_figure_and_label_on_the_dashboard_is_served() {
    assert_eq!(unserved(&dashboard(), &metrics()), Vec::<String>::new());
}

#[test]
fn every_served_figure_is_on_the_dashboard() {
    let dashboard = dashboard();
    // Told by others that are there: how many schemes' regions, and aggregations.
    let left_out = ["damos_tried_regions_total", "damos_applied_regions_total", "damon_aggregations_total"];
    let left_out = left_out.into_iter().chain(["damos_filter_passed_bytes_total", "damos_verified_bytes_total"]);
    let left_out: Vec<_> = left_out.collect();
    let missing: Vec<_> = metrics().into_keys().filter(|name| !dashboard.contains(name.as_str())).collect();
    let mut expected: Vec<_> = left_out.iter().map(|&name| name.to_owned()).collect();
    expected.sort_unstable();
    assert_eq!(missing, expected);
}

#[test]
fn a_figure_or_label_that_nobody_serves_any_more_is_found() {
    for (served, renamed) in
        [("damon_working_set_bytes", "damon_wss_bytes"), ("by (scheme, action)", "by (plan, action)")]
    {
        let found = unserved(&dashboard().replace(served, renamed), &metrics());
        assert!(!found.is_empty(), "{renamed}");
    }
}

#[test]
fn what_is_served_says_what_it_is_in_prometheus_own_words() {
    let text = get(served(), "/metrics").unwrap();
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    for sample in &scrape.samples {
        let is_total = sample.metric.ends_with("_total");
        assert_eq!(matches!(sample.value, Value::Counter(_)), is_total, "{}", sample.metric);
        assert!(scrape.docs.contains_key(&sample.metric), "{} has no help", sample.metric);
    }
    let applied = scrape.samples.iter().find(|s| s.metric == "damos_applied_bytes_total").unwrap();
    assert!(matches!(applied.value, Value::Counter(bytes) if bytes > 0.0));
    assert_eq!((applied.labels.get("action"), applied.labels.get("context")), (Some("pageout"), Some("reclaim")));
}

#[test]
fn the_agent_reads_the_file_of_the_manifest() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/daemonset.yaml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    let lines = manifest.lines().skip_while(|line| !line.ends_with("reclaim.toml: |")).skip(1);
    let text: Vec<_> = lines.map_while(|line| line.strip_prefix("    ")).collect();
    let file: config::Reclaim = toml::from_str(&text.join("\n")).unwrap();
    assert_eq!(file.thrash_guard(), Some(Duration::from_secs(120)));
    assert_eq!(Reclaim::from(file).min_age, Duration::from_secs(300));
}

/// A Prometheus that scrapes the served figures once a second. It is ended when this is dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    fn start() -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
        std::fs::create_dir_all(&dir).unwrap();
        let config = format!(
            "scrape_configs: [{{job_name: agent, scrape_interval: 1s, static_configs: [{{targets: ['{}']}}]}}]\n",
            served()
        );
        std::fs::write(dir.join("prometheus.yml"), config).unwrap();
        // Free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(std::env::var_os("PROMETHEUS").expect("PROMETHEUS=/path/to/prometheus"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(&dir)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address }
    }

    /// The series that `query` gives now; `None` while there is no answer.
    fn ask(&self, query: &str) -> Option<Vec<Json>> {
        let escaped: String = query.bytes().map(|b| format!("%{b:02x}")).collect();
        let answer: Json =
            serde_json::from_str(&get(self.address, &format!("/api/v1/query?query={escaped}")).ok()?).ok()?;
        assert_ne!(answer["status"], "error", "{query}: {}", answer["error"]);
        answer["data"]["result"].as_array().cloned()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs a Prometheus: .ci/jobs/deploy fetches one"]
fn prometheus_answers_every_panel_of_the_dashboard() {
    let prometheus = Prometheus::start();
    let mut asked = Vec::new();
    queries(&serde_json::from_str(&dashboard()).unwrap(), &mut asked);
    asked.retain(|query| !query.starts_with("label_values"));
    for query in &asked {
        let plain = query.replace("$__rate_interval", "1m").replace("$context", "reclaim").replace("$instance", ".*");
        // A rate takes two scrapes.
        let answered = (0..300).any(|_| {
            let answered = prometheus.ask(&plain).is_some_and(|series| !series.is_empty());
            if !answered {
                std::thread::sleep(Duration::from_millis(100));
            }
            answered
        });
        assert!(answered, "no series for {plain}");
    }
    assert_eq!(prometheus.ask("damon_wss_bytes"), Some(Vec::new()), "a figure that nobody serves has none");
    println!("{} expressions answered", asked.len());
}
