//! Model checks of the ownership protocol, and proof that they can fail.

use cantus_memory::Right;
use cantus_model::on_shuttle::Choice;
use cantus_model::scenario::{Access, Act, Scenario, ask, read, straddle, write};
use cantus_model::{mutants, mutants_on_loom, on_loom, on_shuttle};

/// Every interleaving with at most so many switches that were not necessary.
fn exhaust(preemptions: usize, scenario: Scenario) {
    on_loom::check(preemptions, move || on_loom::play(&scenario));
}

/// So many random interleavings of each kind.
fn sample(interleavings: usize, scenario: Scenario) {
    for (seed, choice) in [Choice::Random, Choice::Pct(2), Choice::Pct(4)].into_iter().enumerate() {
        let scenario = scenario.clone();
        on_shuttle::check(choice, seed as u64, interleavings, move || on_shuttle::play(&scenario));
    }
}

mod two_cores {
    use super::*;

    #[test]
    fn ord_1_both_write() {
        exhaust(4, Scenario::new([vec![write(0), write(0)], vec![write(0), write(0)]]));
    }

    #[test]
    fn ord_1_one_reads_what_the_other_writes() {
        exhaust(4, Scenario::new([vec![write(0), write(0)], vec![read(0), read(0)]]));
    }

    #[test]
    fn ord_1_both_upgrade() {
        exhaust(3, Scenario::new([vec![read(0), write(0)], vec![read(0), write(0)]]));
    }

    #[test]
    fn ord_2_requests_race_with_parking() {
        exhaust(3, Scenario::new([vec![write(0), Act::Rest, write(0)], vec![write(0), Act::Rest]]));
    }

    #[test]
    fn ord_2_requests_race_with_answers() {
        exhaust(3, Scenario::new([vec![write(0), read(0), read(0), read(0)], vec![write(0)]]));
    }

    #[test]
    fn ord_6_one_asks_and_does_not_come() {
        exhaust(3, Scenario::new([vec![write(0), read(0), write(0)], vec![ask(0), write(0)]]));
    }

    #[test]
    fn ord_3_a_request_reaches_a_page_that_was_split_meanwhile() {
        exhaust(3, Scenario::new([vec![write(0), write(16)], vec![write(8), read(0)]]).about_to_split());
    }

    #[test]
    fn ord_3_a_request_reaches_a_page_that_was_merged_meanwhile() {
        exhaust(3, Scenario::new([vec![write(0), Act::Merge(0), write(8)], vec![write(8), read(0)]]).split());
    }

    #[test]
    fn ord_6_both_hold_for_a_while() {
        let script = || vec![write(0), read(0), write(0)];
        exhaust(3, Scenario::new([script(), script()]).holding(2));
    }
}

mod three_cores {
    use super::*;

    #[test]
    fn ord_1_two_ask_for_the_page_of_the_third() {
        exhaust(1, Scenario::new([vec![write(0), write(0)], vec![write(0)], vec![read(0)]]));
    }

    #[test]
    fn ord_3_readers_leave_one_by_one() {
        exhaust(1, Scenario::new([vec![read(0), read(0)], vec![read(0), read(0)], vec![write(0), write(0)]]));
    }

    #[test]
    fn ord_3_one_splits_while_two_ask() {
        exhaust(1, Scenario::new([vec![write(0)], vec![write(8)], vec![write(16)]]).about_to_split());
    }
}

mod many_interleavings {
    use super::*;

    #[test]
    fn ord_1_everybody_reads_and_writes_one_page() {
        let script = || vec![read(0), write(0), read(0), Act::Rest, write(0), read(0)];
        sample(800, Scenario::new([script(), script(), script(), script()]));
    }

    #[test]
    fn ord_3_readers_come_and_go() {
        let reader = || vec![read(0), Act::Rest, read(0), read(0), Act::Rest, read(0)];
        let writer = || vec![write(0), Act::Rest, write(0)];
        sample(800, Scenario::new([reader(), reader(), writer(), writer()]));
    }

    #[test]
    fn ord_4_steps_that_need_two_pages() {
        let first = || vec![straddle(), write(63), straddle()];
        let second = vec![
            Act::Touch(vec![Access { page: 1, line: 0, right: Right::Write }]),
            straddle(),
            Act::Touch(vec![Access { page: 1, line: 0, right: Right::Read }]),
        ];
        sample(800, Scenario::new([first(), second, first()]));
    }

    #[test]
    fn ord_3_pages_split_and_merge() {
        let script = |line| {
            vec![
                write(line),
                write(line),
                read(line + 1),
                Act::Merge(0),
                write(line),
                Act::Rest,
                Act::Merge(0),
            ]
        };
        sample(800, Scenario::new([script(0), script(8), script(16)]).about_to_split());
        sample(800, Scenario::new([script(0), script(8), script(16)]).split());
    }

    #[test]
    fn ord_6_who_asked_does_not_come() {
        let script = || vec![ask(0), write(0), ask(0), Act::Rest, ask(8), write(0)];
        sample(800, Scenario::new([script(), script(), script()]));
        sample(800, Scenario::new([script(), script(), script()]).about_to_split());
    }

    #[test]
    fn ord_6_everybody_holds_for_a_while() {
        let script = || vec![write(0), write(0), read(0), write(0), read(0), write(0)];
        sample(800, Scenario::new([script(), script(), script()]).holding(3));
    }
}

/// The check can fail: each bug, seeded into a copy of the protocol, is found.
mod seeded {
    use super::*;

    /// What the check says of a copy of the protocol.
    fn complaint(check: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let panic = std::panic::catch_unwind(check).expect_err("the seeded bug was not found");
        match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().expect("a panic has a text").to_string(),
        }
    }

    fn scenarios() -> [Scenario; 5] {
        let merging = |line| vec![write(line), Act::Merge(0), write(line), read(0), Act::Rest, write(line)];
        [
            Scenario::new([
                vec![read(0), Act::Rest, read(0)],
                vec![read(0), write(0)],
                vec![write(0), read(0)],
            ]),
            Scenario::new([vec![write(0), write(0)], vec![write(0), Act::Rest, read(0), write(0)]]),
            Scenario::new([merging(0), merging(8), merging(16)]).split(),
            Scenario::new([merging(0), merging(8)]).about_to_split(),
            Scenario::new([vec![write(0), read(0), read(0), write(0)], vec![ask(0), Act::Rest]]),
        ]
    }

    macro_rules! found {
        ($($name:ident: $expected:literal;)*) => {$(
            #[test]
            fn $name() {
                let text = complaint(|| {
                    for scenario in scenarios() {
                        let play = move || mutants::$name::play(&scenario);
                        on_shuttle::check(Choice::Random, 1, 2_000, play);
                    }
                });
                assert!(text.contains($expected), "{text}");
            }
        )*};
    }

    found! {
        a_merge_hides_others: "ORD-3";
        a_reader_that_did_nothing_hides_others: "ORD-3";
        a_writer_that_did_nothing_hides_others: "ORD-3";
        claims_never_end: "steps";
        give_up_forgets_the_reader: "ORD-3";
        give_up_forgets_the_writer: "ORD-3";
        writer_forgets_the_readers: "ORD-3";
        park_keeps_the_old_position: "ORD-3";
        park_leaves_requests_unanswered: "steps";
        unpark_hides_what_was_lost: "ORD-";
        unpark_is_not_seen: "ORD-2";
        answer_gives_what_nobody_is_told: "ORD-";
        merge_takes_from_those_who_run: "ORD-3";
        split_keeps_the_whole_page: "ORD-";
    }

    macro_rules! found_by_loom {
        ($($name:ident: $expected:literal, $scenario:expr;)*) => {
            mod by_loom {
                use super::*;
                $(
                    #[test]
                    fn $name() {
                        let text = complaint(|| {
                            let scenario = $scenario;
                            on_loom::check(2, move || mutants_on_loom::$name::play(&scenario));
                        });
                        assert!(text.contains($expected), "{text}");
                    }
                )*
            }
        };
    }

    found_by_loom! {
        give_up_forgets_the_reader: "ORD-3", Scenario::new([vec![read(0), read(0)], vec![write(0)]]);
        unpark_hides_what_was_lost: "Causality", Scenario::new([vec![write(0), Act::Rest, write(0)], vec![write(0)]]);
        park_leaves_requests_unanswered: "branches", Scenario::new([vec![write(0)], vec![write(0)]]);
        unpark_is_not_seen: "ORD-2", Scenario::new([vec![write(0), Act::Rest, write(0)], vec![write(0)]]);
    }
}
