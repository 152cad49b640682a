//! The protocol without concurrency: what each call does to a known state.

use crate::{Edge, Ownership, Revoked, Safepoints, Waiting};
use cantus_memory::{Granule, PageIndex, Right};
use cantus_traces::CoreId;
use std::sync::Arc;

const PAGE: PageIndex = PageIndex(3);
const WHOLE: Granule = Granule { page: PAGE, line: None };

fn cores(count: usize) -> (Ownership, Arc<Safepoints>) {
    let safepoints = Arc::new(Safepoints::new(count));
    (Ownership::new(16, count, safepoints.clone()), safepoints)
}

fn edge(core: u8, position: u64) -> Edge {
    Edge { core: CoreId(core), position }
}

fn run(ownership: &Ownership, core: u8) -> Vec<Revoked> {
    let mut revoked = Vec::new();
    ownership.unpark(CoreId(core), &mut revoked);
    revoked
}

fn get(ownership: &Ownership, core: u8, line: u8, right: Right) -> Result<(Granule, Vec<Edge>), Waiting> {
    let mut after = Vec::new();
    ownership.acquire(CoreId(core), 0, PAGE, line, right, &mut after).map(|granule| (granule, after))
}

#[test]
fn ord_2_a_parked_holder_loses_its_grant_at_once_and_a_running_one_is_asked() {
    let (ownership, safepoints) = cores(2);
    run(&ownership, 0);
    run(&ownership, 1);
    assert_eq!(get(&ownership, 0, 0, Right::Write), Ok((WHOLE, vec![])));
    assert_eq!(get(&ownership, 1, 0, Right::Write), Err(Waiting { holder: CoreId(0), asked: true }));
    assert!(safepoints.is_raised(CoreId(0)) && ownership.is_asked(CoreId(0)));
    ownership.park(CoreId(0), 100);
    assert_eq!(ownership.answers(CoreId(1)), 1);
    assert_eq!(get(&ownership, 1, 0, Right::Write), Ok((WHOLE, vec![edge(0, 100)])));
    assert_eq!(run(&ownership, 0), [Revoked { granule: WHOLE, keep_read: false }]);
}

#[test]
fn ord_3_a_writer_comes_after_every_reader_and_a_reader_after_the_last_writer() {
    let (ownership, _) = cores(4);
    (0..4).for_each(|core| drop(run(&ownership, core)));
    get(&ownership, 0, 0, Right::Write).unwrap();
    ownership.park(CoreId(0), 10);
    assert_eq!(get(&ownership, 1, 0, Right::Read).unwrap().1, [edge(0, 10)]);
    assert_eq!(get(&ownership, 2, 0, Right::Read).unwrap().1, [edge(0, 10)]);
    ownership.park(CoreId(1), 20);
    assert!(get(&ownership, 3, 0, Right::Write).is_err());
    // Core 1 was displaced already, for a writer that still waits: its edge must reach whoever writes next.
    ownership.park(CoreId(2), 30);
    ownership.park(CoreId(3), 0);
    run(&ownership, 2);
    assert_eq!(get(&ownership, 2, 0, Right::Write).unwrap().1, [edge(1, 20)]);
}

#[test]
fn ord_1_an_upgrade_displaces_the_other_readers_only() {
    let (ownership, _) = cores(3);
    (0..3).for_each(|core| drop(run(&ownership, core)));
    (0..3).for_each(|core| drop(get(&ownership, core, 0, Right::Read).unwrap()));
    ownership.park(CoreId(1), 5);
    ownership.park(CoreId(2), 6);
    assert_eq!(get(&ownership, 0, 0, Right::Write).unwrap().1, [edge(1, 5), edge(2, 6)]);
    assert_eq!(run(&ownership, 1), [Revoked { granule: WHOLE, keep_read: false }]);
}

#[test]
fn an_answer_downgrades_for_a_reader_and_drops_for_a_writer() {
    let (ownership, _) = cores(2);
    run(&ownership, 0);
    run(&ownership, 1);
    get(&ownership, 0, 0, Right::Write).unwrap();
    get(&ownership, 1, 0, Right::Read).unwrap_err();
    let mut revoked = Vec::new();
    ownership.answer(CoreId(0), 7, &mut revoked);
    assert_eq!(revoked, [Revoked { granule: WHOLE, keep_read: true }]);
    assert_eq!(get(&ownership, 1, 0, Right::Read).unwrap().1, [edge(0, 7)]);
    get(&ownership, 1, 0, Right::Write).unwrap_err();
    revoked.clear();
    ownership.answer(CoreId(0), 9, &mut revoked);
    assert_eq!(revoked, [Revoked { granule: WHOLE, keep_read: false }]);
    assert_eq!(get(&ownership, 1, 0, Right::Write).unwrap().1, [edge(0, 9)]);
}

#[test]
fn a_page_that_ping_pongs_between_lines_is_split_and_merged_when_calm() {
    let (ownership, _) = cores(2);
    run(&ownership, 0);
    let mut granule = WHOLE;
    for turn in 0..64u64 {
        let (core, other) = ((turn % 2) as u8, (turn % 2) as u8 ^ 1);
        granule = get(&ownership, core, core * 8, Right::Write).unwrap().0;
        run(&ownership, other);
        get(&ownership, other, other * 8, Right::Write).unwrap_err();
        ownership.park(CoreId(core), turn);
        if granule.line.is_some() {
            break;
        }
    }
    let owner = granule.line.expect("split") / 8;
    let other = owner ^ 1;
    let (line, after) = get(&ownership, other, other * 8, Right::Write).unwrap();
    assert_eq!((line.line, after.len()), (Some(other * 8), 1));
    run(&ownership, owner);
    assert_eq!(get(&ownership, owner, owner * 8, Right::Write).unwrap().1, []);
    let mut after = Vec::new();
    assert!(!ownership.merge(CoreId(owner), 78, PAGE, &mut after), "the other one runs, and holds a line");
    ownership.park(CoreId(other), 77);
    assert!(ownership.merge(CoreId(owner), 78, PAGE, &mut after));
    assert!(after.contains(&edge(other, 77)), "{after:?}");
    assert_eq!(get(&ownership, owner, 63, Right::Write), Ok((WHOLE, vec![])));
    assert!(run(&ownership, other).iter().any(|revoked| revoked.granule.line == Some(other * 8)));
}

#[test]
fn a_page_that_moves_as_one_stays_whole() {
    let (ownership, _) = cores(2);
    run(&ownership, 0);
    for turn in 0..200u64 {
        let (core, other) = ((turn % 2) as u8, (turn % 2) as u8 ^ 1);
        assert_eq!(get(&ownership, core, 5, Right::Write).unwrap().0, WHOLE);
        run(&ownership, other);
        get(&ownership, other, 5, Right::Write).unwrap_err();
        ownership.park(CoreId(core), turn);
    }
}

#[test]
fn a_page_that_nobody_has_to_wait_for_stays_whole() {
    let (ownership, _) = cores(2);
    run(&ownership, 0);
    for turn in 0..200u64 {
        let (core, other) = ((turn % 2) as u8, (turn % 2) as u8 ^ 1);
        assert_eq!(get(&ownership, core, core * 8, Right::Write).unwrap().0, WHOLE);
        ownership.park(CoreId(core), turn);
        run(&ownership, other);
    }
}

/// A core that got a granule, and lost it before it completed a step, passes on whom it would have come after.
#[test]
fn ord_3_a_holder_that_did_nothing_hides_nobody() {
    let (ownership, _) = cores(5);
    let take = |core, position, right| {
        let mut after = Vec::new();
        ownership.unpark(CoreId(core), &mut Vec::new());
        ownership.acquire(CoreId(core), position, PAGE, 0, right, &mut after).unwrap();
        ownership.park(CoreId(core), position);
        after
    };
    run(&ownership, 0);
    get(&ownership, 0, 0, Right::Write).unwrap();
    ownership.park(CoreId(0), 10);
    for (core, right) in [(1, Right::Write), (2, Right::Read), (3, Right::Write), (4, Right::Read)] {
        assert_eq!(take(core, u64::from(core), right), [edge(0, 10)]);
    }
}

#[test]
fn ord_3_a_split_or_a_merge_that_was_for_nothing_hides_nobody() {
    let (ownership, _) = cores(3);
    let mut owner = 0;
    for turn in 0..64 {
        owner = (turn % 2) as u8;
        run(&ownership, owner);
        let acquire =
            || ownership.acquire(CoreId(owner), turn, PAGE, owner * 8, Right::Write, &mut Vec::new());
        if turn > 0 {
            acquire().unwrap_err();
            ownership.park(CoreId(owner ^ 1), turn);
        }
        if acquire().unwrap().line.is_some() {
            ownership.park(CoreId(owner), turn);
            break;
        }
    }
    let other = owner ^ 1;
    run(&ownership, 2);
    let (granule, after) = get(&ownership, 2, 60, Right::Write).unwrap();
    assert!(granule.line.is_some() && after.iter().any(|edge| edge.core == CoreId(other)), "{after:?}");
    ownership.park(CoreId(2), 50);
    run(&ownership, owner);
    let mut after = Vec::new();
    assert!(ownership.merge(CoreId(owner), 70, PAGE, &mut after));
    ownership.park(CoreId(owner), 70);
    run(&ownership, other);
    let (granule, after) = get(&ownership, other, 60, Right::Write).unwrap();
    assert!(
        granule == WHOLE && after.contains(&edge(2, 50)) && after.contains(&edge(owner, 70)),
        "{after:?}"
    );
}
