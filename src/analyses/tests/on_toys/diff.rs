//! Two executions of a toy machine that part, and what is said about it.

use crate::toy::{Execution, Program, Toy, execute};
use cantus_analyses::diff::{Cause, Compared, DiffError, Difference, PartingKind, diff};
use cantus_analyses::replays::AccessKind;
use cantus_analyses::site::{Sites, no_text};
use cantus_analyses::symbols::Symbols;
use cantus_isa::Gva;
use cantus_traces::{CoreId, Position};
use proptest::prelude::*;

const X: u64 = 0x100;
const Y: u64 = 0x140;

fn compare(a: &mut Execution, b: &mut Execution) -> Difference {
    let (one, other) = (a.trace.clone(), b.trace.clone());
    diff(
        Compared { name: "one.cantus".to_owned(), trace: &one, replays: a },
        Compared { name: "other.cantus".to_owned(), trace: &other, replays: b },
        Sites::new(&Symbols::none(), &no_text),
    )
    .expect("both can be read")
}

/// Adds one to a plain counter, again and again.
fn adder(start: u64, rounds: u64) -> Program {
    Program::at(
        start,
        vec![
            Toy::Load(0, X),
            Toy::Add(0, 1),
            Toy::Store(0, X),
            Toy::Add(1, 1),
            Toy::Unless(1, rounds, 0),
            Toy::End,
        ],
    )
}

#[test]
fn the_same_execution_is_the_same() {
    let programs = [adder(0x1000, 10), adder(0x2000, 10)];
    let schedule = || (0..400).map(|at| at % 2);
    let mut a = execute(&programs, schedule(), &[]);
    let mut b = execute(&programs, schedule(), &[]);
    let difference = compare(&mut a, &mut b);
    assert!(difference.same());
    assert_eq!(a.asked + b.asked, 0, "traces that are the same need not be executed again");
}

#[test]
fn another_order_with_the_same_outcome_is_the_same() {
    // The cores meet at no word, so that only the order of their steps differs.
    let lonely = |start, address| {
        Program::at(start, vec![Toy::Load(0, address), Toy::Add(0, 1), Toy::Store(0, address), Toy::End])
    };
    let programs = [lonely(0x1000, X), lonely(0x2000, Y)];
    let mut a = execute(&programs, [0, 0, 0, 1, 1, 1], &[]);
    let mut b = execute(&programs, [1, 0, 1, 0, 1, 0], &[]);
    assert!(compare(&mut a, &mut b).same());
}

#[test]
fn a_lost_update_is_explained_by_who_wrote_last() {
    let programs = [adder(0x1000, 3), adder(0x2000, 3)];
    // A: core 1 loads after core 0's first store; B: before it.
    let mut a = execute(&programs, [0, 0, 0, 1].into_iter().chain((0..100).map(|at| at % 2)), &[]);
    let mut b = execute(&programs, [0, 0, 1, 0].into_iter().chain((0..100).map(|at| at % 2)), &[]);
    let difference = compare(&mut a, &mut b);
    let parting = difference.cores[1].parting.clone().expect("core 1 parts");
    assert_eq!((parting.position, parting.kind), (Position(0), PartingKind::State));
    let why = difference.why.as_ref().expect("there is a reason");
    assert_eq!(why.core, CoreId(1));
    let Cause::Read { access: AccessKind::Load, value, writer, .. } = &why.cause else {
        panic!("it is a load: {why:?}")
    };
    assert_eq!((value.a, value.b), (1, 0));
    assert_eq!(
        writer.a.as_ref().map(|writer| (writer.core, writer.position)),
        Some((CoreId(0), Position(2)))
    );
    assert_eq!(writer.b, None);
    insta::assert_snapshot!(difference.to_string());
}

#[test]
fn an_update_that_shows_nothing_hands_the_difference_on() {
    let programs = [
        Program::at(0x1000, vec![Toy::Add(0, 60), Toy::Store(0, X), Toy::End]),
        Program::at(
            0x2000,
            vec![Toy::Add(1, 1), Toy::AddTo(1, X), Toy::AddTo(1, X), Toy::Load(0, X), Toy::End],
        ),
    ];
    let mut a = execute(&programs, [0, 0, 1, 1, 1, 1], &[]);
    let mut b = execute(&programs, [0, 1, 1, 0, 1, 1], &[]);
    let difference = compare(&mut a, &mut b);
    let why = difference.why.as_ref().expect("there is a reason");
    assert_eq!((why.core, why.position), (CoreId(1), Position(3)));
    let Cause::Read { value, updates, writer, .. } = &why.cause else { panic!("it is a load: {why:?}") };
    assert_eq!((value.a, value.b), (62, 61));
    assert_eq!(updates.iter().map(|update| update.position.0).collect::<Vec<_>>(), [2]);
    assert_eq!(writer.a.as_ref().map(|writer| (writer.core, writer.position.0)), Some((CoreId(1), 1)));
    assert_eq!(writer.b.as_ref().map(|writer| (writer.core, writer.position.0)), Some((CoreId(0), 1)));
    insta::assert_snapshot!(difference.to_string());
}

#[test]
fn a_core_that_saw_another_ones_parting_is_not_to_blame() {
    // Core 0 reads the clock and passes it on; core 1 reads what it passed on, at a lower position.
    let programs = [
        Program::at(
            0x1000,
            vec![Toy::Add(3, 1), Toy::Add(3, 1), Toy::Add(3, 1), Toy::Clock(0), Toy::Store(0, X), Toy::End],
        ),
        Program::at(0x2000, vec![Toy::Load(0, X), Toy::End]),
    ];
    let schedule = [0, 0, 0, 0, 0, 1];
    let mut a = execute(&programs, schedule, &[500]);
    let mut b = execute(&programs, schedule, &[600]);
    let difference = compare(&mut a, &mut b);
    let why = difference.why.as_ref().expect("there is a reason");
    assert_eq!((why.core, why.position), (CoreId(0), Position(3)));
    assert!(matches!(why.cause, Cause::Clock { ticks } if ticks.a == Some(500) && ticks.b == Some(600)));
    assert_eq!(difference.cores[1].parting.as_ref().unwrap().follows, Some(CoreId(0)));
    insta::assert_snapshot!(difference.to_string());
}

#[test]
fn a_difference_that_is_overwritten_is_still_the_first() {
    // What differs is gone long before the first digest.
    let mut code = vec![Toy::Load(0, X), Toy::Load(0, Y)];
    code.extend([Toy::Add(1, 1), Toy::Unless(1, 20_000, 2), Toy::End]);
    let programs =
        [Program::at(0x1000, vec![Toy::Add(0, 9), Toy::Store(0, X), Toy::End]), Program::at(0x2000, code)];
    let rest = || std::iter::repeat_n(1, 50_000);
    let mut a = execute(&programs, [0, 0].into_iter().chain(rest()), &[]);
    let mut b = execute(&programs, [1, 0, 0].into_iter().chain(rest()), &[]);
    let difference = compare(&mut a, &mut b);
    assert_eq!(difference.cores[1].parting.as_ref().unwrap().position, Position(0));
    assert_eq!(difference.cores[0].parting, None);
    assert!(a.asked <= 6, "{} executions", a.asked);
}

#[test]
fn a_run_that_ends_earlier_parts_at_its_end() {
    let programs = [adder(0x1000, 50)];
    let mut a = execute(&programs, std::iter::repeat_n(0, 100), &[]);
    let mut b = execute(&programs, std::iter::repeat_n(0, 60), &[]);
    let difference = compare(&mut a, &mut b);
    let parting = difference.cores[0].parting.as_ref().unwrap();
    assert_eq!((parting.position, parting.kind), (Position(60), PartingKind::End));
    assert_eq!(difference.why, None);
    assert!(!difference.same());
}

#[test]
fn other_guests_are_refused() {
    let mut a = execute(&[adder(0x1000, 1)], [0; 10], &[]);
    let one = a.trace.clone();
    let other = crate::toy::trace(b"another guest", &[Vec::new()], &[Position(0)], 16);
    let mut b = execute(&[adder(0x1000, 1)], [0; 10], &[]);
    let refused = diff(
        Compared { name: "one".to_owned(), trace: &one, replays: &mut a },
        Compared { name: "other".to_owned(), trace: &other, replays: &mut b },
        Sites::new(&Symbols::none(), &no_text),
    );
    assert!(matches!(refused, Err(DiffError::Guests { .. })));
}

/// The guest that is committed, with real addresses: the load and the store of the addition that gets lost.
#[test]
fn places_are_named_in_symbols_and_source_lines() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/riscv64");
    let elf = std::fs::read(format!("{folder}/elf/lost_update-broken.elf")).unwrap();
    let source = std::fs::read_to_string(format!("{folder}/bugs/lost_update.c")).unwrap();
    let symbols = Symbols::read(&elf).unwrap();
    let within = |address: u64| symbols.frames(Gva(address)).first()?.function.clone();
    let add_one: Vec<Gva> = (0x8000_0000..0x8000_2000)
        .step_by(2)
        .filter(|&address| within(address).as_deref() == Some("add_one"))
        .map(Gva)
        .collect();
    let counter = (0x8000_0000..0x8020_0000)
        .step_by(8)
        .find(|&address| symbols.name(Gva(address)) == "counter")
        .expect("the guest's counter");
    let places = vec![add_one[0], add_one[0], *add_one.last().unwrap(), add_one[0]];
    let code = vec![Toy::Load(0, counter), Toy::Add(0, 1), Toy::Store(0, counter), Toy::End];
    let programs = [Program { places: places.clone(), code: code.clone() }, Program { places, code }];
    let mut a = execute(&programs, [0, 0, 0, 1, 1, 1], &[]);
    let mut b = execute(&programs, [0, 0, 1, 0, 1, 1], &[]);
    let text = |path: &str, line: u32| {
        path.ends_with("lost_update.c").then(|| source.lines().nth(line as usize - 1).map(str::to_owned))?
    };
    let (one, other) = (a.trace.clone(), b.trace.clone());
    let difference = diff(
        Compared { name: "one".to_owned(), trace: &one, replays: &mut a },
        Compared { name: "other".to_owned(), trace: &other, replays: &mut b },
        Sites::new(&symbols, &text),
    )
    .unwrap()
    .to_string();
    assert!(difference.contains("A reads counter = 1 (last written by core 0"), "{difference}");
    assert!(difference.contains("lost_update.c:"), "{difference}");
    assert!(difference.contains("in add_one()"), "{difference}");
    assert!(difference.contains("counter = counter + 1;"), "{difference}");
}

fn programs() -> impl Strategy<Value = Vec<Program>> {
    let instruction = prop_oneof![
        (0..4usize, 0..5u64).prop_map(|(register, number)| Toy::Add(register, number)),
        (0..4usize, 0..3u64).prop_map(|(register, word)| Toy::Load(register, X + 8 * word)),
        (0..4usize, 0..3u64).prop_map(|(register, word)| Toy::Store(register, X + 8 * word)),
        (0..4usize, 0..3u64).prop_map(|(register, word)| Toy::AddTo(register, X + 8 * word)),
        (0..4usize).prop_map(Toy::Clock),
    ];
    let code = proptest::collection::vec(instruction, 1..80);
    proptest::collection::vec(code, 1..4).prop_map(|codes| {
        let program = |(core, mut code): (usize, Vec<Toy>)| {
            code.push(Toy::End);
            Program::at(0x1000 * (core as u64 + 1), code)
        };
        codes.into_iter().enumerate().map(program).collect()
    })
}

proptest! {
    /// The equation: what is found is what comparing the logs of all steps finds.
    #[test]
    fn the_first_parting_is_found(
        programs in programs(),
        orders in proptest::collection::vec((0..3usize, 0..3usize), 240),
        ticks in proptest::collection::vec(0..2u64, 40),
        other_ticks in proptest::collection::vec(0..2u64, 40),
    ) {
        let cores = programs.len();
        let mut a = execute(&programs, orders.iter().map(|(a, _)| a % cores), &ticks);
        let mut b = execute(&programs, orders.iter().map(|(_, b)| b % cores), &other_ticks);
        let difference = compare(&mut a, &mut b);
        for (core, compared) in difference.cores.iter().enumerate() {
            let (a, b) = (&a.steps[core], &b.steps[core]);
            let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
            let parted = same < a.len().max(b.len());
            let found = compared.parting.as_ref().map(|parting| parting.position);
            prop_assert_eq!(found, parted.then_some(Position(same as u64)));
        }
        let parts = difference.cores.iter().any(|core| {
            core.parting.as_ref().is_some_and(|parting| parting.kind != PartingKind::End)
        });
        prop_assert_eq!(difference.why.is_some(), parts);
        if let Some(why) = &difference.why {
            prop_assert!(!matches!(why.cause, Cause::Unknown), "{:?}", why);
        }
        serde_json::to_string(&difference).expect("a difference is plain data");
    }
}
