//! Judges a run by what each core did and was told.

use crate::scenario::Access;
use cantus_memory::Right;

/// A step that touched memory.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Its place among the deeds of all cores, as it really was.
    pub sequence: u64,
    /// How many steps its core had completed before.
    pub position: u64,
    /// What it touched.
    pub accesses: Vec<Access>,
}

/// "The step at `position` comes after core `after` has completed `completed` steps."
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The position of the core that was told.
    pub position: u64,
    /// The core that must come first.
    pub after: usize,
    /// How many steps of it.
    pub completed: u64,
}

/// What one core did and was told.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Steps that it completed.
    pub steps: u64,
    /// Those that touched memory, ascending.
    pub deeds: Vec<Deed>,
    /// The order edges that it would have recorded, ascending.
    pub orders: Vec<Order>,
}

/// How many steps of each core are known to have been completed.
type Clock = Vec<u64>;

/// Checks ORD-3.
///
/// # Panics
/// Where the edges contradict each other, or leave a conflict open.
pub fn judge(lives: &[Life]) {
    let clocks = clocks(lives);
    for (core, life) in lives.iter().enumerate() {
        for deed in &life.deeds {
            for (other, theirs) in lives.iter().enumerate().filter(|(other, _)| *other != core) {
                for earlier in theirs.deeds.iter().filter(|earlier| earlier.sequence < deed.sequence) {
                    let known = clocks[core][deed.position as usize][other];
                    assert!(
                        known > earlier.position || !conflict(&earlier.accesses, &deed.accesses),
                        "ORD-3: step {} of core {core} follows step {} of core {other}, and no edge says so: {lives:#?}",
                        deed.position,
                        earlier.position,
                    );
                }
            }
        }
    }
}

fn conflict(some: &[Access], others: &[Access]) -> bool {
    some.iter().any(|a| {
        others
            .iter()
            .any(|b| (a.page, a.line) == (b.page, b.line) && (a.right, b.right) != (Right::Read, Right::Read))
    })
}

/// For each core and each of its steps, what is known to be completed before that step: replays the edges.
fn clocks(lives: &[Life]) -> Vec<Vec<Clock>> {
    // What a core knows before each of its steps, and, behind the last of them, what it takes along.
    let mut before: Vec<Vec<Clock>> = vec![Vec::new(); lives.len()];
    let mut after: Vec<Vec<Clock>> = vec![vec![vec![0; lives.len()]]; lives.len()];
    loop {
        let mut stuck = true;
        for (core, life) in lives.iter().enumerate() {
            while before[core].len() as u64 <= life.steps {
                let position = before[core].len() as u64;
                let mut clock = after[core][position as usize].clone();
                let here = || life.orders.iter().filter(|order| order.position == position);
                if here().any(|order| order.completed >= after[order.after].len() as u64) {
                    break;
                }
                for order in here() {
                    let theirs = &after[order.after][order.completed as usize];
                    clock.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
                }
                before[core].push(clock.clone());
                if position < life.steps {
                    clock[core] = position + 1;
                    after[core].push(clock);
                }
                stuck = false;
            }
        }
        if before.iter().zip(lives).all(|(clocks, life)| clocks.len() as u64 == life.steps + 1) {
            return before;
        }
        assert!(!stuck, "ORD-3: a replay of these edges would never end: {lives:#?}");
    }
}
