//! Groups of cores that run one at a time, because they keep taking memory from each other.
//!
//! A hand-over from a core that runs on another worker costs microseconds on both sides, one from a parked core some tens
//! of nanoseconds. Of what workers spend on a core, part is useful and part is lost: it waits for what a running core
//! holds, or spins. Where two of them, side by side, are of less use than one worker would be, they join a group, of which
//! one core at most runs at any time, on whichever worker. From time to time a group is dissolved. Those that still lose
//! find each other again soon, and then stay for twice as long. All part at once, since a core that leaves alone finds
//! whoever it works with still in the group: all who have met once, at a barrier say, would stay together for ever.
//!
//! What is useful is also slower after a hand-over than without: fast entries are made again, code is entered anew. So
//! where two cores lose much, but not that much, they join on trial: if, one at a time, they complete fewer steps in the
//! same time than they did side by side, they part, and do not try again soon.
//!
//! Guarantees that every core is in one group, alone or with others, and that a core goes to a worker only while no other
//! one of its group is with one. Two may be away together for the rest of the turns in which their groups became one.

use cantus_traces::CoreId;
use std::time::{Duration, Instant};

/// What a worker has spent on a core.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Spent {
    pub(crate) useful: Duration,
    pub(crate) lost: Duration,
    /// What the core has completed in turns that were of use.
    pub(crate) steps: u64,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.useful += other.useful;
        self.lost += other.lost;
        self.steps += other.steps;
        while self.total() > 2 * EVIDENCE {
            self.useful /= 2;
            self.lost /= 2;
            self.steps /= 2;
        }
    }

    /// Steps a second of a worker's time.
    fn pace(self) -> u128 {
        u128::from(self.steps) * 1_000_000_000 / self.total().as_nanos().max(1)
    }

    fn total(self) -> Duration {
        self.useful + self.lost
    }

    /// The useful share, in thousandths.
    fn useful_share(self) -> u128 {
        self.useful.as_nanos() * 1000 / self.total().as_nanos().max(1)
    }
}

/// So much must have been spent on a core before anything follows from it; twice as much is remembered.
const EVIDENCE: Duration = Duration::from_micros(128);
/// Two that together are of less use than this, in thousandths of a worker, run one at a time.
const USEFUL_SHARE_MIN: u128 = 900;
/// Two that together are of less use than this may run one at a time on trial.
const USEFUL_SHARE_TRIAL: u128 = 1_600;
/// How long a group of two stays together: the first time, and when its cores have found each other again and again.
const STAY_MIN: Duration = Duration::from_millis(1);
const STAY_MAX: Duration = Duration::from_millis(64);
/// The more there are the longer they stay, since it takes them longer to find each other; as if there were so many at most.
const MEMBERS_THAT_COUNT: u32 = 8;
/// How long a trial lasts.
const TRIAL: Duration = Duration::from_millis(1);

/// Two cores run one at a time for a while, to see whether that is better.
#[derive(Clone, Copy)]
struct Trial {
    /// Steps a second that they completed together side by side.
    pace_before: u128,
    ends_at: Instant,
}

#[derive(Clone, Default)]
struct Group {
    members: u32,
    /// How many of them are away. More than one where they joined while they were.
    away: u32,
    spent: Spent,
    trial: Option<Trial>,
    /// How long it stays together, if there are two; and until when, if there are several.
    stay: Duration,
    ends_at: Option<Instant>,
}

impl Group {
    /// Whether a trial is over, and was none the better.
    fn has_failed(&mut self, now: Instant) -> bool {
        let over = self.trial.take_if(|trial| trial.ends_at <= now);
        over.is_some_and(|trial| self.spent.pace() <= trial.pace_before)
    }
}

struct Member {
    /// The number of its group. There are as many groups as cores, so that each finds one when a group is dissolved.
    group: usize,
    /// Whether others are in it.
    is_shared: bool,
    away: bool,
    /// When its last group was dissolved, and how long that would have stayed together as one of two.
    left_at: Option<Instant>,
    stay: Duration,
    /// How long no trial was made after the last one that failed, and until when.
    pause: Duration,
    pauses_until: Option<Instant>,
}

impl Member {
    /// How long it stays with whom it joins now.
    fn next_stay(&self, now: Instant) -> Duration {
        let soon = self.left_at.is_some_and(|at| now.duration_since(at) < self.stay);
        if soon { (2 * self.stay).min(STAY_MAX) } else { STAY_MIN }
    }

    /// A trial has failed.
    fn fails(&mut self, now: Instant) {
        let soon = self.pauses_until.is_some_and(|at| now.duration_since(at) < self.pause + TRIAL);
        self.pause = if soon { (2 * self.pause).min(STAY_MAX) } else { STAY_MIN };
        self.pauses_until = Some(now + self.pause);
    }
}

pub(crate) struct Groups {
    groups: Vec<Group>,
    members: Vec<Member>,
    /// How many groups have more than one member.
    shared: usize,
}

impl Groups {
    /// Every core alone.
    pub(crate) fn new(cores: usize) -> Self {
        let member = |group| Member {
            group,
            is_shared: false,
            away: false,
            left_at: None,
            stay: STAY_MIN,
            pause: STAY_MIN,
            pauses_until: None,
        };
        Self {
            groups: vec![Group { members: 1, ..Group::default() }; cores],
            members: (0..cores).map(member).collect(),
            shared: 0,
        }
    }

    /// Whether every core is alone.
    pub(crate) fn are_single(&self) -> bool {
        self.shared == 0
    }

    fn of(&self, core: CoreId) -> usize {
        self.members[core.index()].group
    }

    /// Whether no core of its group is away.
    pub(crate) fn may_run(&self, core: CoreId) -> bool {
        self.groups[self.of(core)].away == 0
    }

    /// Whether of these cores, which are not away, several could run side by side.
    pub(crate) fn have_several(&self, cores: impl IntoIterator<Item = CoreId>) -> bool {
        let mut free = cores.into_iter().filter(|&core| self.may_run(core)).map(|core| self.of(core));
        let first = free.next();
        free.any(|group| Some(group) != first)
    }

    /// A worker takes the core.
    pub(crate) fn goes(&mut self, core: CoreId) {
        let group = self.of(core);
        self.members[core.index()].away = true;
        self.groups[group].away += 1;
    }

    /// The worker is done with it.
    pub(crate) fn comes_back(&mut self, core: CoreId) {
        let group = self.of(core);
        self.members[core.index()].away = false;
        self.groups[group].away -= 1;
    }

    /// By `now`, a worker has spent so much on the core, which was last kept waiting by `holder`.
    pub(crate) fn account(&mut self, core: CoreId, spent: Spent, holder: Option<CoreId>, now: Instant) {
        let group = self.of(core);
        self.groups[group].spent.add(spent);
        if self.groups[group].has_failed(now) {
            let members = self.members.iter_mut().filter(|member| member.group == group);
            members.for_each(|member| member.fails(now));
            self.dissolve(group, now);
        } else if self.groups[group].ends_at.is_some_and(|at| at <= now) {
            self.dissolve(group, now);
        }
        if let Some(holder) = holder.filter(|_| !spent.lost.is_zero()) {
            self.consider(core, holder, now);
        }
    }

    fn consider(&mut self, core: CoreId, holder: CoreId, now: Instant) {
        let numbers = [self.of(core), self.of(holder)];
        let groups = numbers.map(|number| &self.groups[number]);
        if numbers[0] == numbers[1] || groups.iter().any(|group| group.spent.total() < EVIDENCE) {
            return;
        }
        let useful_share = groups.iter().map(|group| group.spent.useful_share()).sum::<u128>();
        let pauses = |core: CoreId| self.members[core.index()].pauses_until.is_some_and(|until| now < until);
        if useful_share < USEFUL_SHARE_MIN {
            self.join(numbers, None, now);
        } else if useful_share < USEFUL_SHARE_TRIAL
            && groups.iter().all(|group| group.members == 1)
            && ![core, holder].into_iter().any(pauses)
        {
            let pace_before = groups.iter().map(|group| group.spent.pace()).sum();
            self.join(numbers, Some(Trial { pace_before, ends_at: now + TRIAL }), now);
        }
    }

    fn join(&mut self, [from, into]: [usize; 2], trial: Option<Trial>, now: Instant) {
        let joined = [from, into].map(|number| std::mem::take(&mut self.groups[number]));
        self.shared = self.shared + 1 - joined.iter().filter(|group| group.members > 1).count();
        let target = &mut self.groups[into];
        target.trial = trial;
        for Group { members, away, stay, .. } in joined {
            target.members += members;
            target.away += away;
            target.stay = target.stay.max(stay);
        }
        for member in self.members.iter_mut().filter(|member| [from, into].contains(&member.group)) {
            member.group = into;
            if !std::mem::replace(&mut member.is_shared, true) {
                target.stay = target.stay.max(member.next_stay(now));
            }
        }
        let begins = trial.map_or(now, |trial| trial.ends_at);
        target.ends_at = Some(begins + target.stay * (target.members.min(MEMBERS_THAT_COUNT) - 1));
    }

    fn dissolve(&mut self, number: usize, now: Instant) {
        let Group { stay, .. } = std::mem::take(&mut self.groups[number]);
        self.shared -= 1;
        let mut empty = 0;
        for member in self.members.iter_mut().filter(|member| member.group == number) {
            while self.groups[empty].members != 0 {
                empty += 1;
            }
            *member = Member { group: empty, is_shared: false, left_at: Some(now), stay, ..*member };
            self.groups[empty] = Group { members: 1, away: u32::from(member.away), ..Group::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Random;

    const A: CoreId = CoreId(0);
    const B: CoreId = CoreId(1);
    const C: CoreId = CoreId(2);
    const MILLISECOND: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "a moment to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    /// So many microseconds of a worker's time; a step in each that was useful.
    fn spent(useful: u64, lost: u64) -> Spent {
        let [useful_time, lost] = [useful, lost].map(Duration::from_micros);
        Spent { useful: useful_time, lost, steps: useful }
    }

    /// Both have lost most of their time to each other.
    fn contend(groups: &mut Groups, a: CoreId, b: CoreId, now: Instant) {
        groups.account(a, spent(50, 150), Some(b), now);
        groups.account(b, spent(50, 150), Some(a), now);
    }

    #[test]
    fn cores_that_lose_their_time_to_each_other_run_one_at_a_time() {
        let (mut groups, now) = (Groups::new(3), start());
        groups.account(A, spent(0, 100), Some(B), now);
        groups.account(B, spent(0, 100), Some(A), now);
        assert!(groups.are_single(), "this is no evidence yet");
        contend(&mut groups, A, B, now);
        assert!(!groups.are_single());
        groups.goes(A);
        assert!(!groups.may_run(B) && groups.may_run(C));
        assert!(!groups.have_several([B, C]));
        groups.comes_back(A);
        assert!(groups.may_run(B));
        assert!(groups.have_several([B, C]) && !groups.have_several([A, B]));
    }

    #[test]
    fn cores_that_are_of_use_side_by_side_stay_apart() {
        let (mut groups, now) = (Groups::new(3), start());
        for _ in 0..100 {
            // A quarter of the time of one is lost, and a tenth of the other's.
            groups.account(A, spent(75, 25), Some(B), now);
            groups.account(B, spent(90, 10), Some(A), now);
        }
        assert!(groups.are_single());
        // Whose time is lost to nobody has nobody to join.
        groups.account(A, spent(0, 1000), None, now);
        groups.account(B, spent(0, 1000), None, now);
        assert!(groups.are_single());
    }

    /// Both have lost much of their time to each other, but not most, and are on trial from then on.
    fn try_out(groups: &mut Groups, now: Instant) {
        for core in [A, B, A, B] {
            groups.account(core, spent(65, 35), Some(CoreId(1 - core.0)), now);
        }
    }

    #[test]
    fn cores_that_lose_much_run_one_at_a_time_if_that_is_better() {
        let (mut groups, now) = (Groups::new(3), start());
        try_out(&mut groups, now);
        assert!(!groups.are_single());
        // Side by side they made 1.3 steps in a microsecond; now they make 2.
        let step = |groups: &mut Groups, at| {
            groups.account(A, Spent { steps: 800, ..spent(400, 0) }, None, at);
        };
        step(&mut groups, now);
        step(&mut groups, now + TRIAL - Duration::from_micros(1));
        assert!(!groups.are_single());
        let group = groups.of(A);
        assert!(!groups.groups[group].has_failed(now + TRIAL));
        assert!(groups.groups[group].trial.is_none());
    }

    #[test]
    fn a_trial_that_fails_is_not_soon_made_again() {
        let (mut groups, mut now) = (Groups::new(3), start());
        for pause in [1, 2, 4, 8, 16, 32, 64, 64] {
            try_out(&mut groups, now);
            assert!(!groups.are_single());
            now += TRIAL;
            // Side by side they made 1.3 steps in a microsecond; now they make 1.
            groups.account(B, spent(400, 0), None, now);
            assert!(groups.are_single());
            try_out(&mut groups, now + (pause - 1) * MILLISECOND);
            assert!(groups.are_single(), "before {pause} ms");
            now += pause * MILLISECOND;
        }
        // Those that lose most of their time need no trial.
        groups.account(A, spent(0, 1000), Some(B), now);
        try_out(&mut groups, now);
        now += TRIAL;
        groups.account(B, spent(400, 0), None, now);
        assert!(groups.are_single());
        for _ in 0..4 {
            contend(&mut groups, A, B, now);
        }
        assert!(!groups.are_single());
    }

    #[test]
    fn cores_part_and_stay_for_longer_if_they_find_each_other_again() {
        let (mut groups, mut now) = (Groups::new(3), start());
        for stay in [1, 2, 4, 8, 16, 32, 64, 64] {
            contend(&mut groups, A, B, now);
            groups.account(A, spent(90, 0), None, now + (stay - 1) * MILLISECOND);
            assert!(!groups.are_single(), "before {stay} ms");
            now += stay * MILLISECOND;
            groups.account(A, spent(90, 0), None, now);
            assert!(groups.are_single(), "after {stay} ms");
        }
        // They have been on their own for long.
        now += 65 * MILLISECOND;
        contend(&mut groups, A, B, now);
        groups.account(B, spent(90, 0), None, now + MILLISECOND);
        assert!(groups.are_single());
    }

    #[test]
    fn cores_that_met_once_part_from_those_that_they_do_not_work_with() {
        const D: CoreId = CoreId(3);
        let (mut groups, mut now) = (Groups::new(4), start());
        for (a, b) in [(A, B), (C, D), (B, C)] {
            contend(&mut groups, a, b, now);
        }
        assert_eq!(groups.groups[groups.of(A)].members, 4);
        now += 3 * STAY_MIN;
        groups.account(A, spent(1, 0), None, now);
        assert!(groups.are_single());
        for (a, b) in [(A, B), (C, D)] {
            contend(&mut groups, a, b, now);
        }
        assert!(groups.of(A) == groups.of(B) && groups.of(C) == groups.of(D) && groups.of(A) != groups.of(C));
    }

    #[test]
    fn every_core_is_in_one_group_whatever_happens() {
        const CORES: usize = 12;
        let (mut groups, mut now, mut random) = (Groups::new(CORES), start(), Random(7));
        let mut largest = 0;
        for _ in 0..20_000 {
            let mut any = || CoreId(random.below(CORES as u64) as u8);
            let (core, holder) = (any(), any());
            if groups.members[core.index()].away {
                groups.comes_back(core);
                let lost = random.below(200);
                groups.account(core, spent(200 - lost, lost), Some(holder), now);
            } else if groups.may_run(core) {
                groups.goes(core);
            }
            now += Duration::from_micros(random.below(100));
            for (number, group) in groups.groups.iter().enumerate() {
                let members = || groups.members.iter().filter(|member| member.group == number);
                assert_eq!(group.members as usize, members().count());
                assert_eq!(group.away as usize, members().filter(|member| member.away).count());
                assert!(members().all(|member| member.is_shared == (group.members > 1)));
                assert_eq!(group.ends_at.is_some(), group.members > 1);
                largest = largest.max(group.members);
            }
            let shared = groups.groups.iter().filter(|group| group.members > 1).count();
            assert_eq!(groups.shared, shared);
        }
        assert!(largest > 3, "groups of {largest} at most");
    }
}
