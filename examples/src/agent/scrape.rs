//! What Prometheus asks an agent: `GET /metrics`.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tiny_http::{Header, Response, Server};

/// Answers until it is dropped.
#[must_use = "nobody answers after it was dropped"]
pub struct Scraped {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

/// Takes all figures from here on, and answers at `address`.
///
/// # Errors
/// When nobody may listen there, or somebody takes the figures already.
pub fn serve(address: SocketAddr) -> Result<Scraped, Box<dyn Error>> {
    let server = Server::http(address).map_err(|e| format!("cannot listen at {address}: {e}"))?;
    let (server, figures) = (Arc::new(server), PrometheusBuilder::new().install_recorder()?);
    let thread = std::thread::Builder::new().name("scraped".into()).spawn({
        let server = Arc::clone(&server);
        move || answer(&server, &figures)
    })?;
    Ok(Scraped { server, thread: Some(thread) })
}

fn answer(server: &Server, figures: &PrometheusHandle) {
    for request in server.incoming_requests() {
        let response = match request.url() {
            "/metrics" => Response::from_string(figures.render()).with_header(plain()),
            _ => Response::from_string("figures are at /metrics\n").with_status_code(404),
        };
        // Who asked may be gone.
        let _ = request.respond(response);
    }
}

fn plain() -> Header {
    let header = Header::from_bytes("Content-Type", "text/plain; version=0.0.4");
    header.unwrap_or_else(|()| unreachable!("both parts are ASCII"))
}

impl Scraped {
    /// Where it answers.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.server_addr().to_ip()
    }
}

impl fmt::Debug for Scraped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraped").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Drop for Scraped {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say when it ends.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use damon_core::{AddrRange, Attrs, Instant, Monitor, TargetId, TargetSpec};
    use damos::{Context, telemetry};
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn prometheus_reads_what_is_served_and_nobody_answers_afterwards() {
        let scraped = serve("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = scraped.address().unwrap();
        telemetry::describe();
        let mut monitor = Monitor::new(Attrs::default(), 1);
        let ranges = vec![AddrRange::new(0, 1 << 20).unwrap()];
        monitor.add_target(TargetSpec { ranges, ..TargetSpec::new(TargetId::new(0)) });
        let mut context = Context::new(monitor, ());
        let _ = context.step(Instant::ZERO, Duration::ZERO).unwrap();
        telemetry::publish(&context, "agent \"of\" a\\test");

        let answer = get(address, "/metrics");
        assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("text/plain; version=0.0.4"), "{answer}");
        let text = answer.split_once("\r\n\r\n").unwrap().1;
        let scrape = prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
        let sample = scrape.samples.iter().find(|s| s.metric == "damon_watched_bytes").unwrap();
        assert_eq!(sample.value, prometheus_parse::Value::Gauge(f64::from(1 << 20)));
        assert!(sample.labels.get("context").is_some_and(|name| name.contains("of")));
        assert!(scrape.samples.iter().all(|s| s.metric.starts_with("damo")), "nothing else is served");
        assert!(get(address, "/").contains("404"));
        drop(scraped);
        // The server's own thread closes the socket when it gets to it.
        let closed = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            TcpStream::connect(address).is_err()
        });
        assert!(closed);
    }
}
