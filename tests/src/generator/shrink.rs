//! Makes a failing program small.

use super::{Program, Statement};

impl Program {
    /// A program that still `fails`, from which nothing more can be taken away. Asks again and again: cores, then ever
    /// smaller stretches of statements, then the statements around others.
    pub fn shrunk(&self, mut fails: impl FnMut(&Program) -> bool) -> Program {
        let mut best = self.clone();
        loop {
            let before = best.clone();
            for core in 0..best.cores.len() {
                let mut without = best.clone();
                without.cores[core].clear();
                if without != best && fails(&without) {
                    best = without;
                }
            }
            while best.cores.len() > 2 && best.cores.last().is_some_and(Vec::is_empty) {
                let mut without = best.clone();
                without.cores.pop();
                if !fails(&without) {
                    break;
                }
                best = without;
            }
            for core in 0..best.cores.len() {
                let mut length = best.cores[core].len().next_power_of_two();
                while length > 0 {
                    let mut at = 0;
                    while at < best.cores[core].len() {
                        let mut without = best.clone();
                        let end = (at + length).min(without.cores[core].len());
                        without.cores[core].drain(at..end);
                        if fails(&without) {
                            best = without;
                        } else {
                            at += length;
                        }
                    }
                    length /= 2;
                }
                let mut at = 0;
                while at < best.cores[core].len() {
                    let smaller = smaller(&best.cores[core][at]).into_iter().find_map(|statements| {
                        let mut changed = best.clone();
                        changed.cores[core].splice(at..=at, statements);
                        fails(&changed).then_some(changed)
                    });
                    match smaller {
                        Some(smaller) => best = smaller,
                        None => at += 1,
                    }
                }
            }
            if best == before {
                return best;
            }
        }
    }
}

/// What a statement with others in it may be replaced by.
fn smaller(statement: &Statement) -> Vec<Vec<Statement>> {
    let without_one = |body: &[Statement]| {
        (0..body.len()).map(|at| [&body[..at], &body[at + 1..]].concat()).collect::<Vec<_>>()
    };
    if let Statement::Repeat { times, body } = statement {
        let repeat = |times, body| vec![Statement::Repeat { times, body }];
        let mut all = vec![body.clone()];
        all.extend((*times > 1).then(|| repeat(times / 2, body.clone())));
        all.extend(without_one(body).into_iter().map(|body| repeat(*times, body)));
        all
    } else if let Statement::Locked { lock, looks, body } = statement {
        let locked = |body| vec![Statement::Locked { lock: *lock, looks: *looks, body }];
        let mut all = vec![body.clone()];
        all.extend(without_one(body).into_iter().map(locked));
        all
    } else if let Statement::Reserve { double, place, acc, tries, between: Some(_) } = statement {
        let (double, place, acc, tries) = (*double, *place, *acc, *tries);
        vec![vec![Statement::Reserve { double, place, acc, tries, between: None }]]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Size;

    #[test]
    fn what_is_left_is_what_is_needed() {
        let bad = |program: &Program| {
            let fences = |core: &Vec<Statement>| {
                format!("{core:?}").matches("Fence,").count() + format!("{core:?}").matches("Fence]").count()
            };
            program.cores.iter().any(|core| fences(core) > 0)
        };
        let (mut seed, mut tried) = (0, 0);
        while tried < 5 {
            seed += 1;
            let program = Program::random(seed, Size::default());
            if bad(&program) {
                tried += 1;
                let small = program.shrunk(bad);
                assert_eq!((small.len(), small.cores.len().min(2)), (1, 2), "{small:?}");
            }
        }
    }
}
