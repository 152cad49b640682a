//! Checks `replay(record(p)) == p` for many programs; what `cargo xtask fuzz` runs.

use cantus_tests::equation::{Checked, Report, check_seed};
use cantus_tests::generator::{Program, Size};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const USAGE: &str =
    "usage: fuzz [-n PROGRAMS] [--seed FIRST] [-j JOBS] [--cores MAX] [--statements MAX] [--keep FOLDER]
  -n PROGRAMS       how many, 1000 by default
  --seed FIRST      the first one's seed, 0 by default
  -j JOBS           how many at the same time, 1 by default (each has up to four workers)
  --cores MAX       the most cores of a program, 16 by default
  --statements MAX  the most statements of a core, 40 by default
  --keep FOLDER     where traces of failures stay, target/fuzz by default
  --shrink          makes failing programs small, which takes its time
  --show            prints the program of the first seed, and runs nothing";

struct Arguments {
    programs: u64,
    first: u64,
    jobs: u64,
    size: Size,
    keep: PathBuf,
    show: bool,
    shrink: bool,
}

fn arguments() -> Option<Arguments> {
    let mut arguments = Arguments {
        programs: 1000,
        first: 0,
        jobs: 1,
        size: Size::default(),
        keep: "target/fuzz".into(),
        show: false,
        shrink: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--show" => arguments.show = true,
            "--shrink" => arguments.shrink = true,
            _ => {}
        }
        if word == "--show" || word == "--shrink" {
            continue;
        }
        let value = words.next()?;
        let number = || value.parse::<u64>().ok();
        match word.as_str() {
            "-n" => arguments.programs = number()?,
            "--seed" => arguments.first = number()?,
            "-j" => arguments.jobs = number()?.max(1),
            "--cores" => arguments.size.cores_max = number()?.clamp(2, 16),
            "--statements" => arguments.size.statements_max = number()?.max(1),
            "--keep" => arguments.keep = value.into(),
            _ => return None,
        }
    }
    Some(arguments)
}

/// What has been done so far.
#[derive(Default)]
struct Sum {
    done: u64,
    steps: u64,
    events: u64,
    failures: u64,
}

#[expect(clippy::disallowed_methods, reason = "jobs side by side; no guest sees them")]
fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    if arguments.show {
        println!("{:#?}", Program::random(arguments.first, arguments.size));
        return ExitCode::SUCCESS;
    }
    if let Err(error) = std::fs::create_dir_all(&arguments.keep) {
        eprintln!("fuzz: {}: {error}", arguments.keep.display());
        return ExitCode::from(74);
    }
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    if at >= arguments.programs {
                        return;
                    }
                    let checked =
                        check_seed(arguments.first + at, arguments.size, &arguments.keep, arguments.shrink);
                    report(&mut sum.lock().expect("nobody panics while counting"), checked, &arguments);
                }
            });
        }
    });
    let Sum { done, steps, events, failures } = sum.into_inner().expect("nobody panics while counting");
    println!("{done} programs, {steps} steps, {events} events: {failures} failures");
    ExitCode::from(u8::from(failures != 0))
}

fn report(sum: &mut Sum, checked: Result<Checked, Box<Report>>, arguments: &Arguments) {
    sum.done += 1;
    match checked {
        Ok(Checked { steps, events }) => {
            sum.steps += steps;
            sum.events += events;
        }
        Err(report) => {
            sum.failures += 1;
            println!("{report}");
        }
    }
    let stderr = std::io::stderr();
    if stderr.is_terminal() {
        let Sum { done, steps, failures, .. } = sum;
        let _ = write!(
            stderr.lock(),
            "\r{done} of {} programs, {steps} steps, {failures} failures",
            arguments.programs
        );
    }
}
