//! The events of a toy machine's trace, as readers see them.

use crate::toy::{Program, Toy, execute};
use cantus_analyses::dump::{Dumped, Places, Selection, dump};
use cantus_analyses::site::{Sites, no_text};
use cantus_analyses::symbols::Symbols;
use cantus_isa::Gva;
use cantus_traces::{CoreId, DeviceId, Digest, Event, Position, Trace};

fn lines(trace: &Trace, selection: Selection, places: Option<Places<'_>>) -> Vec<Dumped> {
    let mut lines = Vec::new();
    dump(trace, selection, places, &mut |event| {
        lines.push(event.clone());
        Ok(())
    })
    .expect("the trace is whole");
    lines
}

fn text(lines: &[Dumped]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// One event of every kind.
fn every_kind() -> Trace {
    let order = |core, position| Event::Order { after: CoreId(core), position: Position(position) };
    let events = [
        vec![
            (Position(10), Event::Lines(0x88)),
            (Position(20), order(1, 500)),
            (Position(20), Event::Clock(1_234_567)),
            (Position(30), Event::Input { device: DeviceId(2), bytes: b"ls\n\"\x1b".to_vec() }),
            (Position(40), Event::Answer { device: DeviceId(9), bytes: b"\0ok".to_vec() }),
            (Position(1_000), Event::Digest { state: Digest([1; 16]), history: Digest([2; 16]) }),
        ],
        vec![(Position(499), Event::ConditionalFailed), (Position(600), Event::Cut { number: 0 })],
    ];
    crate::toy::trace(b"toy", &events, &[Position(1_000), Position(1_000)], 1_000)
}

#[test]
fn every_kind_of_event_is_readable() {
    insta::assert_snapshot!(text(&lines(&every_kind(), Selection::default(), None)));
}

#[test]
fn normalised_events_leave_out_what_may_differ() {
    let selection = Selection { normalised: true, ..Selection::default() };
    insta::assert_snapshot!(text(&lines(&every_kind(), selection, None)));
}

#[test]
fn every_event_is_a_line_of_json() {
    let json: String = lines(&every_kind(), Selection::default(), None)
        .iter()
        .map(|line| serde_json::to_string(line).unwrap() + "\n")
        .collect();
    insta::assert_snapshot!(json);
}

#[test]
fn events_are_numbered_by_core_whatever_is_selected() {
    let trace = every_kind();
    let ranges = [(0, None), (20, Some(31)), (600, None)];
    for (from, to) in ranges {
        let range = Selection { from: Position(from), to: to.map(Position), ..Selection::default() };
        for line in lines(&trace, range, None) {
            let found =
                trace.event(line.core, line.index.expect("a number")).expect("whole").expect("an event");
            assert_eq!(Dumped { index: line.index, ..Dumped::new(line.core, found.0, found.1) }, line);
        }
    }
    let numbers: Vec<_> = lines(&trace, Selection::default(), None).iter().map(|line| line.index).collect();
    assert_eq!(numbers, [0, 0, 1, 2, 3, 4, 1, 5].map(Some));
    for (core, number) in [(0, 6), (1, 2), (2, 0), (0, u64::MAX)] {
        assert_eq!(trace.event(CoreId(core), number).expect("whole"), None);
    }
}

#[test]
fn a_range_and_a_core_select() {
    let trace = every_kind();
    let range = Selection { from: Position(20), to: Some(Position(30)), ..Selection::default() };
    let positions: Vec<_> = lines(&trace, range, None).iter().map(|line| line.position.0).collect();
    assert_eq!(positions, [20, 20]);
    let of_core = Selection { core: Some(CoreId(1)), ..Selection::default() };
    assert!(lines(&trace, of_core, None).iter().all(|line| line.core == CoreId(1)));
    let nobody = Selection { core: Some(CoreId(9)), ..Selection::default() };
    assert_eq!(lines(&trace, nobody, None), []);
}

#[test]
fn an_order_comes_after_what_it_waits_for() {
    let trace = every_kind();
    let lines = lines(&trace, Selection::default(), None);
    let at = |position| lines.iter().position(|line| line.position == Position(position)).unwrap();
    assert!(at(499) < at(20), "{}", text(&lines));
}

#[test]
fn orders_that_wait_for_each_other_are_still_listed() {
    let order = |core| Event::Order { after: CoreId(core), position: Position(100) };
    let events = [vec![(Position(1), order(1))], vec![(Position(2), order(0))]];
    let trace = crate::toy::trace(b"toy", &events, &[Position(200), Position(200)], 0);
    assert_eq!(lines(&trace, Selection::default(), None).len(), 2);
}

#[test]
fn places_come_from_executing_the_trace() {
    let programs = [
        Program::at(0x1000, vec![Toy::Store(0, 0x100), Toy::End]),
        Program::at(0x2000, vec![Toy::Add(1, 1), Toy::Load(0, 0x100), Toy::End]),
    ];
    let mut execution = execute(&programs, [0, 1, 1], &[]);
    let (trace, symbols) = (execution.trace.clone(), Symbols::none());
    let places = Places { replays: &mut execution, sites: Sites::new(&symbols, &no_text) };
    let lines = lines(&trace, Selection::default(), Some(places));
    assert_eq!(lines[0].place, Some(Gva(0x2004).to_string()));
}
