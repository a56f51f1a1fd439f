//! Deadlines: a hierarchical wheel (Varghese and Lauck, SOSP 1987, scheme 7) with lazy entries.
//!
//! Most deadlines only ever move later: a kept connection's idle time begins anew with each
//! request. So a machine writes its deadline into a field, and an entry is filed only when there
//! is none that fires early enough. When an entry fires, the machine looks at its field and files
//! again if it isn't time yet. In steady state a request costs a comparison.
//!
//! An entry is never taken out. One that an earlier deadline overtook fires for nothing, and must
//! not lead to a further one: else each would be replaced for ever, and there would be one more
//! with each deadline that moved earlier. [`Filed`] tells them apart, and remembers the overtaken
//! one that lies farthest ahead, so that a connection whose requests come and go doesn't file its
//! idle time again after each.
//!
//! One tick is a millisecond. Four levels of 64 slots reach 4.6 hours; what lies beyond fires
//! early at that bound and is filed again.

use fairlead_model::moment::Moment;

use crate::slab::Key;

const TICK_NANOS: u64 = 1_000_000;
const LEVELS: usize = 4;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const REACH: u64 = 1 << (BITS * LEVELS as u32);
/// Room for so many entries is kept when a slot has become empty, for the next slot that is filed
/// in. What a flood has taken is given back: there are 256 slots, and each sees it.
const KEPT: usize = 64;
/// So many such rooms: as many as a slot of the second level may need when it is sorted into the
/// first, and as many again.
const ROOMS: usize = 2 * SLOTS;
/// More entries for each machine than this, and most are of machines that are gone: one files up
/// to four, and up to twelve with deadlines that come and go.
const STALE: usize = 16;

/// What fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alarm {
    Client(Key),
    Relay(Key),
    Link(Key),
    Probe(Key),
    Arrival(Key),
    /// Of faults that are played.
    Chaos,
    /// Those that wait for a backend.
    Holds,
}

/// What a machine knows of its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filed {
    /// When the first of them fires.
    next: Moment,
    /// When another one does, which it overtook.
    then: Moment,
}

impl Filed {
    /// There is none.
    pub(crate) const NOTHING: Filed = Filed { next: Moment(u64::MAX), then: Moment(u64::MAX) };

    /// An entry of the machine has fired. False if it means nothing any more: another will fire.
    #[inline]
    pub(crate) fn fired(&mut self, now: Moment) -> bool {
        if now < self.next {
            return false;
        }
        self.next = std::mem::replace(&mut self.then, Moment(u64::MAX));
        true
    }

    fn note(&mut self, at: Moment) {
        if self.then == Moment(u64::MAX) {
            self.then = self.next;
        }
        self.next = at;
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tick: u64,
    alarm: Alarm,
}

/// The wheel.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The last tick whose entries have fired.
    tick: u64,
    occupied: [u64; LEVELS],
    slots: Vec<Vec<Entry>>,
    /// Rooms that slots had which are empty now: so filing allocates nothing in steady state.
    rooms: Vec<Vec<Entry>>,
    due: Vec<Alarm>,
    len: usize,
    /// Nothing is to be done before this tick. Asked for at every turn, so it isn't sought then.
    soonest: u64,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Wheel {
            tick: 0,
            occupied: [0; LEVELS],
            slots: (0..LEVELS * SLOTS).map(|_| Vec::new()).collect(),
            rooms: Vec::with_capacity(ROOMS),
            due: Vec::new(),
            len: 0,
            soonest: u64::MAX,
        }
    }

    /// Makes sure that `alarm` fires at `deadline` or (if `filed` says that it will anyway)
    /// earlier. `filed` belongs to the machine.
    #[inline]
    pub(crate) fn arm(&mut self, alarm: Alarm, deadline: Moment, filed: &mut Filed) {
        if deadline < filed.next {
            filed.note(self.file(alarm, deadline));
        }
    }

    fn file(&mut self, alarm: Alarm, deadline: Moment) -> Moment {
        let wanted = deadline.0.div_ceil(TICK_NANOS);
        let tick = wanted.clamp(self.tick + 1, self.tick + REACH - 1);
        self.place(Entry { tick, alarm });
        self.len += 1;
        Moment(tick * TICK_NANOS)
    }

    fn place(&mut self, entry: Entry) {
        let ahead = entry.tick ^ self.tick;
        // The highest differing group of six bits says on which level the entry waits.
        let level = if ahead == 0 { 0 } else { (ahead.ilog2() / BITS) as usize };
        let level = level.min(LEVELS - 1);
        let shift = BITS * level as u32;
        let slot = ((entry.tick >> shift) as usize) & (SLOTS - 1);
        let place = &mut self.slots[level * SLOTS + slot];
        if place.capacity() == 0 {
            *place = self.rooms.pop().unwrap_or_default();
        }
        place.push(entry);
        self.occupied[level] |= 1 << slot;
        // It fires then, or is sorted into the level below.
        let looked_at = (entry.tick >> shift) << shift;
        self.soonest = self.soonest.min(looked_at.max(self.tick + 1));
    }

    /// When [`Self::advance`] has something to do next. May be early (a level has to be sorted
    /// into the one below), never late.
    #[inline]
    pub(crate) fn next(&self) -> Option<Moment> {
        if !self.due.is_empty() {
            // Whoever was at it did not come to the end: it panicked.
            return Some(Moment(self.tick * TICK_NANOS));
        }
        (self.len > 0).then(|| Moment(self.soonest * TICK_NANOS))
    }

    /// The first tick at which something is to be done.
    fn seek(&self) -> u64 {
        let mut best = u64::MAX;
        for level in 0..LEVELS {
            let shift = BITS * level as u32;
            let here = ((self.tick >> shift) as usize) & (SLOTS - 1);
            let bits = self.occupied[level].rotate_right(here as u32);
            if bits == 0 {
                continue;
            }
            // The current slot of a higher level is always sorted already, unless its entries
            // are a whole turn ahead.
            let steps = match (bits & !1).trailing_zeros() {
                64 => SLOTS as u64,
                steps => u64::from(steps),
            };
            let steps = if bits & 1 == 1 && level == 0 { 0 } else { steps };
            best = best.min((((self.tick >> shift) + steps) << shift).max(self.tick + 1));
        }
        best
    }

    /// Fires what is due; then ask [`Self::pop`] until it has nothing more.
    pub(crate) fn advance(&mut self, now: Moment) {
        let until = now.0 / TICK_NANOS;
        while self.tick < until {
            if self.len == 0 {
                self.tick = until;
                break;
            }
            self.tick = self.seek().clamp(self.tick + 1, until);
            self.turn();
        }
        self.soonest = self.seek();
    }

    fn turn(&mut self) {
        for level in (1..LEVELS).rev() {
            let shift = BITS * level as u32;
            if self.tick & ((1 << shift) - 1) == 0 {
                let slot = ((self.tick >> shift) as usize) & (SLOTS - 1);
                self.empty(level, slot);
            }
        }
        self.empty(0, (self.tick as usize) & (SLOTS - 1));
    }

    fn empty(&mut self, level: usize, slot: usize) {
        if self.occupied[level] & (1 << slot) == 0 {
            return;
        }
        self.occupied[level] &= !(1 << slot);
        let mut entries = std::mem::take(&mut self.slots[level * SLOTS + slot]);
        for entry in entries.drain(..) {
            if entry.tick <= self.tick {
                self.len -= 1;
                self.due.push(entry.alarm);
            } else {
                self.place(entry);
            }
        }
        if self.rooms.len() < ROOMS && entries.capacity() <= KEPT {
            self.rooms.push(entries);
        }
    }

    /// Forgets the alarms of machines that are no more, where a flood of them has left so many that
    /// those who are still there (`machines`) can hardly have filed them; and gives their room back.
    /// Else a flood's alarms wait for their time, some 50 bytes for each connection.
    pub(crate) fn give_back(&mut self, machines: usize, is_gone: impl Fn(Alarm) -> bool) {
        self.due.shrink_to(KEPT);
        if self.len <= STALE * (machines + KEPT) {
            return;
        }
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let before = slot.len();
            slot.retain(|entry| !is_gone(entry.alarm));
            self.len -= before - slot.len();
            slot.shrink_to(KEPT);
            if slot.is_empty() {
                *slot = Vec::new();
                self.occupied[index / SLOTS] &= !(1 << (index % SLOTS));
            }
        }
        self.soonest = self.seek();
    }

    /// One alarm that is due, if any is left.
    pub(crate) fn pop(&mut self) -> Option<Alarm> {
        self.due.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u32) -> Alarm {
        Alarm::Client(Key { index, generation: 0 })
    }

    const MS: u64 = TICK_NANOS;

    #[test]
    fn each_alarm_fires_once_and_never_early_or_late() {
        let mut random = 88_172_645_463_325_252_u64;
        let mut wheel = Wheel::new();
        let mut wanted: Vec<u64> = Vec::new();
        for index in 0..3000_u32 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = random % (1 << (5 + random % 17));
            let mut filed = Filed::NOTHING;
            wheel.arm(key(index), Moment(at * MS), &mut filed);
            wanted.push(at.max(1));
        }
        let mut fired = vec![None; wanted.len()];
        while let Some(next) = wheel.next() {
            wheel.advance(next);
            while let Some(Alarm::Client(key)) = wheel.pop() {
                assert_eq!(fired[key.index as usize].replace(next.0 / MS), None);
            }
        }
        for (index, at) in wanted.iter().enumerate() {
            assert_eq!(fired[index], Some(*at), "alarm {index}");
        }
    }

    #[test]
    fn what_a_flood_has_filed_takes_no_memory_once_it_has_fired() {
        let mut wheel = Wheel::new();
        for index in 0..200_000_u32 {
            let mut filed = Filed::NOTHING;
            wheel.arm(key(index), Moment(u64::from(index) * MS), &mut filed);
        }
        while let Some(next) = wheel.next() {
            wheel.advance(next);
            while wheel.pop().is_some() {}
        }
        let kept: usize = wheel.slots.iter().map(Vec::capacity).sum();
        assert!(kept <= LEVELS * SLOTS * KEPT, "room for {kept} entries");
    }

    #[test]
    fn room_goes_from_slot_to_slot() {
        let mut wheel = Wheel::new();
        for turn in 0..20_000 {
            wheel.advance(Moment(turn * MS));
            while wheel.pop().is_some() {}
            for (index, ahead) in [3, 200, 5_000].into_iter().enumerate() {
                let mut filed = Filed::NOTHING;
                wheel.arm(key(index as u32), Moment((turn + ahead) * MS), &mut filed);
            }
        }
        let has_room = |room: &&Vec<Entry>| room.capacity() > 0;
        let in_use = wheel.slots.iter().filter(|slot| !slot.is_empty()).count();
        assert_eq!(wheel.slots.iter().filter(has_room).count(), in_use, "none waits in its slot");
        assert!((1..=ROOMS).contains(&wheel.rooms.iter().filter(has_room).count()));
    }

    #[test]
    fn alarms_of_a_flood_that_is_gone_are_forgotten_and_others_fire() {
        let mut wheel = Wheel::new();
        for index in 0..200_000_u32 {
            let mut filed = Filed::NOTHING;
            wheel.arm(key(index), Moment((60_000 + u64::from(index)) * MS), &mut filed);
        }
        let is_gone = |alarm| alarm != key(4_000);
        wheel.give_back(199_999, is_gone);
        assert_eq!(wheel.len, 200_000, "as many as that many machines may have filed");

        wheel.give_back(1, is_gone);
        let kept: usize = wheel.slots.iter().map(Vec::capacity).sum();
        assert!(wheel.len == 1 && kept <= LEVELS * SLOTS * KEPT, "room for {kept} entries");
        let mut fired = Vec::new();
        while let Some(next) = wheel.next() {
            wheel.advance(next);
            fired.extend(std::iter::from_fn(|| wheel.pop()).map(|alarm| (alarm, next)));
        }
        assert_eq!(fired, [(key(4_000), Moment(64_000 * MS))]);
    }

    #[test]
    fn an_entry_that_fires_early_enough_is_not_filed_again() {
        let mut wheel = Wheel::new();
        let mut filed = Filed::NOTHING;
        wheel.arm(key(0), Moment(5 * MS), &mut filed);
        wheel.arm(key(0), Moment(9 * MS), &mut filed);
        assert_eq!(wheel.len, 1);
        wheel.arm(key(0), Moment(2 * MS), &mut filed);
        assert_eq!(wheel.len, 2);
        assert_eq!(filed, Filed { next: Moment(2 * MS), then: Moment(5 * MS) });
    }

    #[test]
    fn entries_do_not_grow_in_number_with_deadlines_that_come_and_go() {
        let mut wheel = Wheel::new();
        let mut filed = Filed::NOTHING;
        let mut deadline = Moment(60_000 * MS);
        wheel.arm(key(0), deadline, &mut filed);
        let (mut most, mut fired) = (0, 0);
        // A request every 20 ms for ten minutes, late 50 ms after it was sent, looked after each
        // 250 ms; then a minute of idle time.
        for now in (0..600_000_u64).step_by(10).map(|at| Moment(at * MS)) {
            wheel.advance(now);
            while wheel.pop().is_some() {
                fired += 1;
                if filed.fired(now) {
                    assert!(now < deadline, "missed at {now:?}");
                    wheel.arm(key(0), deadline, &mut filed);
                }
            }
            let pauses = [50, 60_000, 250, 60_000];
            deadline = Moment(now.0 + pauses[(now.0 / MS / 10) as usize % 4] * MS);
            wheel.arm(key(0), deadline, &mut filed);
            most = most.max(wheel.len);
        }
        assert!(most <= 12, "{most} entries");
        assert!(fired <= 600_000 / 40, "{fired} fired");
    }

    #[test]
    fn an_overtaken_entry_serves_when_its_time_comes() {
        let mut wheel = Wheel::new();
        let mut filed = Filed::NOTHING;
        for deadline in [60, 20, 5] {
            wheel.arm(key(0), Moment(deadline * MS), &mut filed);
        }
        assert!(filed.fired(Moment(5 * MS)));
        wheel.arm(key(0), Moment(70 * MS), &mut filed);
        assert_eq!(wheel.len, 3, "the first one fires before that");
        // What was forgotten fires for nothing.
        assert!(!filed.fired(Moment(20 * MS)));
        assert!(filed.fired(Moment(60 * MS)));
        assert_eq!(filed, Filed::NOTHING);
    }

    #[test]
    fn a_long_sleep_fires_all_that_was_due() {
        let mut wheel = Wheel::new();
        for index in 0..100 {
            let mut filed = Filed::NOTHING;
            wheel.arm(key(index), Moment(u64::from(index) * 1000 * MS), &mut filed);
        }
        wheel.advance(Moment(50_500 * MS));
        let mut count = 0;
        while wheel.pop().is_some() {
            count += 1;
        }
        assert_eq!(count, 51);
    }
}
