//! Loops among blocks of a page, which are known by their places: sets of places are bits.
//!
//! Where code was entered first says little of its loops, so they are told from how it lies: compilers keep a loop together,
//! one in another within it. A jump to a lower address, or to its own block, closes a loop if what lies between the two leads
//! from there to the jump; else, if what lies behind does, too. Blocks behind it that lead from the loop straight back into it
//! belong to it: what is rarely executed is placed out of the way. Every circle of blocks is in a loop.

/// Places of blocks.
pub(crate) type Set = u64;

/// Blocks that can be looked at together.
pub(crate) const PLACES_MAX: usize = Set::BITS as usize;

/// How many blocks may follow each other on a way out of a loop and back into it.
const DETOUR_MAX: usize = 2;

/// Whether a place is in a set.
pub(crate) fn has(set: Set, place: usize) -> bool {
    set >> place & 1 != 0
}

/// The places in a set.
pub(crate) fn places(mut set: Set) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (set != 0).then(|| set.trailing_zeros() as usize);
        set &= set.wrapping_sub(1);
        place
    })
}

/// The loops of blocks that lie at these distances from the page's start, each with what comes next; those with the same
/// first block are one.
pub(crate) fn loops(starts: &[i32], follows: &[Set]) -> Vec<Set> {
    let mut before: Vec<Set> = vec![0; starts.len()];
    for (from, &next) in follows.iter().enumerate() {
        places(next).for_each(|to| before[to] |= 1 << from);
    }
    let between = |low, high| {
        let lies = |&place: &usize| (low..=high).contains(&starts[place]);
        (0..starts.len()).filter(lies).fold(0, |set, place| set | 1 << place)
    };
    let mut loops: Vec<Set> = Vec::new();
    for header in 0..starts.len() {
        let mut within = 0;
        for from in places(before[header]).filter(|&from| starts[from] >= starts[header]) {
            for high in [starts[from], i32::MAX] {
                let through = between(starts[header], high);
                let there = reached(1 << header, through, follows);
                if has(there, from) {
                    within |= there & reached(1 << from, through, &before);
                    break;
                }
            }
        }
        for _ in 0..DETOUR_MAX {
            let returns = |&place: &usize| {
                let is_straight = follows[place] != 0 && follows[place] & !within == 0;
                is_straight && before[place] & within != 0 && starts[place] > starts[header]
            };
            within |= (0..starts.len()).filter(returns).fold(0, |set, place| set | 1 << place);
        }
        if within != 0 {
            loops.push(within);
        }
    }
    loops
}

/// How many loops that lie in a set a place is in.
pub(crate) fn depth(loops: &[Set], place: usize, set: Set) -> u32 {
    loops.iter().map(|&within| u32::from(has(within, place) && within & !set == 0)).sum()
}

/// What is reached from places, those included, by ways through a set alone.
fn reached(from: Set, through: Set, next: &[Set]) -> Set {
    let (mut reached, mut new) = (0, from & through);
    while new != 0 {
        reached |= new;
        new = places(new).fold(0, |all, place| all | next[place]) & through & !reached;
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_found_from_anywhere() {
        // 0 → 4 → 8 → 12, with 8 a loop, 4 and 8 one around it, and 12 behind.
        assert_eq!(loops(&[0, 4, 8, 12], &[0b10, 0b100, 0b1110, 0]), [0b110, 0b100]);
        // The same, entered at 8, which was found first.
        assert_eq!(loops(&[8, 12, 4], &[0b111, 0, 0b1]), [0b1, 0b101]);
        // Two jumps back to one block.
        assert_eq!(loops(&[0, 4, 8], &[0b10, 0b101, 0b1]), [0b111]);
        assert_eq!(loops(&[0, 4], &[0b10, 0]), [0; 0]);
        // A jump to a lower address from which nothing comes back.
        assert_eq!(loops(&[8, 4], &[0b10, 0]), [0; 0]);
    }

    #[test]
    fn what_is_in_loops_within_loops_is_deeper() {
        let loops = loops(&[0, 4, 8, 12], &[0b10, 0b100, 0b1110, 0]);
        let depths = |set| [0, 1, 2, 3].map(|place| depth(&loops, place, set));
        assert_eq!(depths(0b111), [0, 1, 2, 0]);
        assert_eq!(depths(0b100), [0, 0, 1, 0], "where only the inner one is translated");
    }

    #[test]
    fn a_loop_may_be_entered_at_its_condition() {
        // 0 jumps to 8, which goes back to 4, which goes on to 8; and 12, behind, goes back to 0.
        let (starts, follows) = ([0, 4, 8, 12], [0b100, 0b100, 0b1010, 0b1]);
        assert_eq!(loops(&starts, &follows), [0b1111, 0b110]);
        // Entered there.
        assert_eq!(loops(&[8, 4, 12, 0], &[0b110, 0b1, 0b1000, 0b1]), [0b11, 0b1111]);
    }

    #[test]
    fn what_lies_out_of_the_way_belongs_to_its_loop() {
        // 0 → 4 → 0, with 20 between them now and then.
        assert_eq!(loops(&[0, 4, 20], &[0b110, 0b1, 0b10]), [0b111]);
        // The only way back lies there.
        assert_eq!(loops(&[0, 4, 20], &[0b100, 0b1, 0b10]), [0b111]);
        // From 20 one does not come straight back.
        assert_eq!(loops(&[0, 4, 20, 24], &[0b111, 0b1, 0b1010, 0]), [0b11]);
    }

    #[test]
    fn every_circle_is_in_a_loop() {
        // All are next to each other: whatever is asked ends.
        let starts: Vec<i32> = (0..PLACES_MAX as i32).rev().collect();
        let found = loops(&starts, &[Set::MAX; PLACES_MAX]);
        assert_eq!(found.iter().fold(0, |all, within| all | within), Set::MAX);
        // In any order of addresses.
        for starts in [[0, 4, 8], [0, 8, 4], [4, 0, 8], [4, 8, 0], [8, 0, 4], [8, 4, 0]] {
            let found = loops(&starts, &[0b10, 0b100, 0b1]);
            assert!(found.contains(&0b111), "{starts:?}: {found:?}");
        }
    }
}
