//! Bring-up: records until one passes and one fails, and compares.
use cantus::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let guest = Guest::open(&a[1]).unwrap();
    let (mut pass, mut fail) = (false, false);
    for seed in 0..500 {
        let options = Options { cores: 2, workers: 1, seed, policy: Policy::Random { slice_max: 2000 }, digest_interval: 10_000, ..Options::default() };
        let recorded = record(&guest, &options, "/tmp/d.cantus", true).unwrap();
        let (flag, to) = if recorded.outcome == Outcome::Exit(0) { (&mut pass, "/tmp/pass.cantus") } else { (&mut fail, "/tmp/fail.cantus") };
        *flag = true;
        std::fs::rename("/tmp/d.cantus", to).unwrap();
        if pass && fail { break; }
    }
    println!("{}", diff("/tmp/pass.cantus", "/tmp/fail.cantus").unwrap());
}
