//! Bring-up: runs, records and replays a guest.
use cantus::*;
use std::time::Instant;
#[expect(clippy::disallowed_methods, reason = "bring-up")]
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let guest = Guest::open(&a[1]).unwrap();
    let cores = a[2].parse().unwrap();
    let workers = a[3].parse().unwrap();
    let n: u64 = a.get(4).map_or(1, |n| n.parse().unwrap());
    for seed in 0..n {
        let policy = if n > 1 { Policy::Random { slice_max: 2000 } } else { Policy::Fair { slice: 50_000 } };
        let options = Options {
            cores,
            workers,
            seed,
            policy,
            steps_max: Some(400_000_000),
            output: if n > 1 { Output::Nowhere } else { Output::Stdout },
            digest_interval: 100_000,
            ..Options::default()
        };
        let t = Instant::now();
        let ran = run(&guest, &options).unwrap();
        let free = t.elapsed();
        let t = Instant::now();
        let recorded =
            record(&guest, &options, format!("/tmp/try{}.cantus", std::process::id()), true).unwrap();
        let rec = t.elapsed();
        let t = Instant::now();
        let replayed = replay(
            format!("/tmp/try{}.cantus", std::process::id()),
            &ReplayOptions { workers, output: options.output.clone(), ..ReplayOptions::default() },
        )
        .unwrap();
        let rep = t.elapsed();
        let total: u64 = recorded.steps.iter().sum();
        println!(
            "seed {seed}: free {:?} {} steps in {free:?}; record {:?} {total} in {rec:?}, {} events {} bytes; replay {:?} in {rep:?}",
            ran.outcome,
            ran.steps.iter().sum::<u64>(),
            recorded.outcome,
            recorded.totals.events,
            recorded.totals.event_bytes_stored,
            replayed.verdict
        );
        if !matches!(replayed.verdict, Verdict::Identical) {
            std::process::exit(3);
        }
    }
}
