//! What the cores of one model run do.

use cantus_memory::Right;

/// One access to one line of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// The page.
    pub page: u32,
    /// The line in the page.
    pub line: u8,
    /// Load or store.
    pub right: Right,
}

/// Something that a core does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// A step that needs all of these together (ORD-4).
    Touch(Vec<Access>),
    /// Asks for what a step needs, waits for the answer, and then does something else: an interrupt came first.
    Ask(Access),
    /// Tries to make a page whole again.
    Merge(u32),
    /// Leaves its worker, and comes back.
    Rest,
}

/// A load of a line of page 0.
pub fn read(line: u8) -> Act {
    Act::Touch(vec![Access { page: 0, line, right: Right::Read }])
}

/// A store to a line of page 0.
pub fn write(line: u8) -> Act {
    Act::Touch(vec![Access { page: 0, line, right: Right::Write }])
}

/// A store to a line of page 0 that is given up.
pub fn ask(line: u8) -> Act {
    Act::Ask(Access { page: 0, line, right: Right::Write })
}

/// A store that reaches over the end of page 0.
pub fn straddle() -> Act {
    let access = |page, line| Access { page, line, right: Right::Write };
    Act::Touch(vec![access(0, 63), access(1, 0)])
}

/// A cast and its script.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Transfers of page 0, all of them before the cores run: core and line of each. Enough of them split the page.
    pub before: Vec<(u8, u8)>,
    /// What each core does.
    pub scripts: Vec<Vec<Act>>,
    /// For so many steps after it has got a right to write, a core does not answer.
    pub hold: u64,
}

impl Scenario {
    /// Cores that do this, from a machine in which nobody holds anything.
    pub fn new(scripts: impl Into<Vec<Vec<Act>>>) -> Self {
        Self { scripts: scripts.into(), ..Self::default() }
    }

    /// The same, with a page that is split at the next hand-over to a writer of another line.
    pub fn about_to_split(mut self) -> Self {
        // The first transfer is from nobody, and does not count.
        self.before = (0..8).map(|turn| (turn % 2, turn % 2 * 8)).collect();
        self
    }

    /// The same, with a page that is split already. Core 1 holds line 8, and core 0 the others.
    pub fn split(mut self) -> Self {
        self = self.about_to_split();
        self.before.extend([(0, 0), (1, 8)]);
        self
    }

    /// The same, with cores that keep what they may write for so many steps.
    pub fn holding(mut self, steps: u64) -> Self {
        self.hold = steps;
        self
    }
}
