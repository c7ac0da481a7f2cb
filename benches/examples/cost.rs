//! tmp
use benches::*;
use damon_core::Adjust;
fn cpu() -> f64 { let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap(); s.split(' ').next().unwrap().parse::<f64>().unwrap() }
fn main() {
    let only: Option<usize> = std::env::args().nth(1).and_then(|s| s.parse().ok());
    for n in [1_000usize, 10_000, 100_000] {
        if only.is_some_and(|o| o != n) { continue }
        let rounds = 3_000_000 / n;
        fn run<W: Watcher>(name: &str, n: usize, rounds: usize, mut w: W) {
            w.begin_first();
            for _ in 0..20 { w.windows(); w.end_last(); w.begin_first(); }
            let (mut a, mut b, mut checks, mut regions) = (0.0, 0.0, 0, 0);
            for _ in 0..rounds.max(20) { let t = cpu(); checks += w.windows(); let u = cpu(); regions += w.end_last(); w.begin_first(); let v = cpu(); a += u - t; b += v - u; }
            let per_check = a / checks as f64;
            let adjust = (b - per_check * (checks as f64 / 3.0)) / regions as f64;
            println!("{n} {name}: check {per_check:.1} adjust {adjust:.1} per region; of 20 windows per check {:.1}", per_check + adjust / 20.0);
        }
        run("list", n, rounds, LinkedList::new(n));
        run("classic", n, rounds, Monitored::new(n, Adjust::Classic).unwrap());
        run("adaptive", n, rounds, Monitored::new(n, Adjust::Adaptive).unwrap());
    }
}
