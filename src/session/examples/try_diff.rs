//! Bring-up: hunts, narrows and compares.
use cantus::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let guest = Guest::open(&a[1]).unwrap();
    for run in 0..500 {
        let (policy, seed) = hunt::schedule(0, run, 100_000);
        let options = Options {
            cores: 2,
            workers: 1,
            seed,
            policy,
            digest_interval: 10_000,
            steps_max: Some(20_000_000),
            ..Options::default()
        };
        let recorded = record(&guest, &options, "/tmp/d.cantus", true).unwrap();
        if hunt::is_failure(recorded.outcome) {
            println!("run {run} failed: {:?} {policy:?}", recorded.outcome);
            if let Some(n) =
                hunt::narrow(&guest, &options, "/tmp/pass.cantus".as_ref(), "/tmp/fail.cantus".as_ref())
                    .unwrap()
            {
                println!("choices {} runs {}", n.choices, n.runs);
                println!("{}", diff("/tmp/pass.cantus", "/tmp/fail.cantus").unwrap());
                break;
            }
        }
    }
}
