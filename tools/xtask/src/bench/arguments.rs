//! The command lines of the benchmarks.

use std::str::FromStr;

use anyhow::{Context, Result, ensure};

/// The largest number of cores of Cantus.
const CORES_MAX: usize = 255;
/// What `cantus --executor` takes.
const EXECUTORS: [&str; 3] = ["interp", "jit", "mixed"];

/// Arguments, one after the other.
pub struct Arguments<'a> {
    rest: std::slice::Iter<'a, String>,
    /// What may be given, in one line.
    usage: &'static str,
}

impl<'a> Arguments<'a> {
    /// These, of a benchmark with this usage.
    pub fn new(all: &'a [String], usage: &'static str) -> Self {
        Self { rest: all.iter(), usage }
    }

    /// The value of the option `of`.
    pub fn value(&mut self, of: &str) -> Result<&'a String> {
        let usage = self.usage;
        self.rest.next().with_context(|| format!("{of} wants a value; usage: bench {usage}"))
    }

    /// The same as a number.
    pub fn number<T: FromStr>(&mut self, of: &str) -> Result<T> {
        self.value(of)?.parse().ok().with_context(|| format!("{of} wants a number"))
    }

    /// How often each measurement is made.
    pub fn runs(&mut self, of: &str) -> Result<usize> {
        let runs = self.number(of)?;
        ensure!(runs > 0, "{of} wants at least 1");
        Ok(runs)
    }

    /// Numbers of cores, with commas between.
    pub fn cores(&mut self, of: &str) -> Result<Vec<usize>> {
        let numbers = self.value(of)?.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
        let cores = numbers.with_context(|| format!("{of} wants numbers with commas between"))?;
        ensure!(
            cores.iter().all(|cores| (1..=CORES_MAX).contains(cores)),
            "a machine has 1 to {CORES_MAX} cores"
        );
        Ok(cores)
    }

    /// An executor of Cantus by its name.
    pub fn executor(&mut self, of: &str) -> Result<String> {
        let name = self.value(of)?;
        ensure!(EXECUTORS.contains(&name.as_str()), "{of} wants {}", EXECUTORS.join(", "));
        Ok(name.clone())
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.rest.next().map(String::as_str)
    }
}
