//! Work that host threads share while no core runs.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{self, Builder};

/// Host threads that share work at most: what it is good for, looking through memory, is not faster with more.
const THREADS_MAX: usize = 8;

/// What `work` gives for each number below `count`, in their order. It is done by as many threads as the host has processors
/// for, and in no particular order. Where the host gives no threads, the caller's does all of it.
#[expect(clippy::disallowed_methods, reason = "the owner of host threads")]
pub fn share<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = match count {
        0 | 1 => 1,
        _ => thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX).min(count),
    };
    let next = AtomicUsize::new(0);
    let some = || {
        let mine = std::iter::repeat_with(|| next.fetch_add(1, Relaxed)).take_while(|&number| number < count);
        mine.map(|number| (number, work(number))).collect::<Vec<_>>()
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> =
            (1..threads).map_while(|_| Builder::new().spawn_scoped(scope, some).ok()).collect();
        let mut done = some();
        for other in others {
            match other.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|&(number, _)| number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_worked_on_once_and_in_order() {
        for count in [0, 1, 2, 1000] {
            let begun = AtomicUsize::new(0);
            let results = share(count, |number| {
                begun.fetch_add(1, Relaxed);
                number * number
            });
            assert!(results.into_iter().eq((0..count).map(|number| number * number)));
            assert_eq!(begun.into_inner(), count);
        }
    }

    #[test]
    fn a_panic_is_the_callers() {
        let outcome = std::panic::catch_unwind(|| share(4, |number| assert_ne!(number, 2)));
        assert!(outcome.is_err());
    }
}
