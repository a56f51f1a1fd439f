//! Numbered places for sockets, used again when free.
//!
//! An id carries the generation of its place, so that an id kept too long finds nothing instead
//! of a stranger. Freed places are used again last in, first out: what was hot in the cache a
//! moment ago is hot still.

use fairlead_flow::driver::ConnId;

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// So many places are never given back: ordinary traffic comes and goes in them.
const KEPT: usize = 256;

/// Values in numbered places.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// The generation of a place that is made: later than any that was given back.
    born: u32,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Slots { places: Vec::new(), free: Vec::new(), born: 0 }
    }

    pub(crate) fn insert(&mut self, value: T) -> ConnId {
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.value = Some(value);
            return ConnId { index, generation: place.generation };
        }
        let index = self.places.len() as u32;
        self.places.push(Place { generation: self.born, value: Some(value) });
        ConnId { index, generation: self.born }
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnId) -> Option<&T> {
        let place = self.places.get(id.index as usize)?;
        if place.generation == id.generation {
            place.value.as_ref()
        } else {
            None
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation == id.generation {
            place.value.as_mut()
        } else {
            None
        }
    }

    /// Gives back the memory of the places behind the last one that is taken, where a peak has left
    /// three of four free. Not for the hot path: it looks at all places.
    ///
    /// From then on the first places are taken first, so that a few that stay for long don't hold
    /// the others' memory for ever. True if a peak has left so many free, whether or not any could
    /// be given back: one that stays in the last place holds these, and nothing that others keep.
    pub(crate) fn give_back(&mut self) -> bool {
        let (taken, all) = (self.places.len() - self.free.len(), self.places.len());
        if all <= KEPT || taken > all / 4 {
            return false;
        }
        let last = self.places.iter().rposition(|place| place.value.is_some());
        let kept = last.map_or(0, |last| last + 1).max(KEPT);
        if kept < all {
            let given = self.places.drain(kept..).map(|place| place.generation);
            self.born = given.fold(self.born, u32::max);
            self.places.shrink_to_fit();
            let is_free = |index: &usize| self.places[*index].value.is_none();
            self.free = (0..kept).rev().filter(is_free).map(|index| index as u32).collect();
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    /// Whether nothing is in them, and a peak's places have been given back.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.is_empty() && self.places.len() <= KEPT
    }

    /// All values with their ids.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnId, &mut T)> {
        self.places.iter_mut().enumerate().filter_map(|(index, place)| {
            let id = ConnId { index: index as u32, generation: place.generation };
            place.value.as_mut().map(|value| (id, value))
        })
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<T> {
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_id_finds_nothing() {
        let mut slots = Slots::new();
        let first = slots.insert("one");
        assert_eq!(slots.remove(first), Some("one"));
        let second = slots.insert("two");
        assert_eq!(first.index, second.index);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"two"));
        assert_eq!(slots.iter_mut().collect::<Vec<_>>(), [(second, &mut "two")]);
        slots.remove(second);
        assert!(slots.is_empty());
    }

    #[test]
    fn a_peak_gives_its_places_back_and_an_old_id_of_them_finds_nothing() {
        let mut slots = Slots::new();
        let peak: Vec<_> = (0..10_000).map(|number| slots.insert(number)).collect();
        slots.remove(peak[9_000]);
        let again = slots.insert(9_000);
        let stays = peak[400];
        for id in peak.iter().filter(|id| **id != stays).chain([&again]) {
            slots.remove(*id);
        }

        assert!(slots.give_back());
        let room = (slots.places.capacity(), slots.free.capacity());
        assert!(room.0 <= 401 && room.1 <= 512, "{room:?}");
        assert_eq!(slots.get(stays), Some(&400));

        let fresh: Vec<_> = (0..10_000).map(|number| slots.insert(number)).collect();
        assert_eq!(fresh[0].index, 0, "the first ones first");
        for id in peak.iter().filter(|id| **id != stays).chain([&again]) {
            assert_eq!(slots.get(*id), None);
        }
        for (number, id) in fresh.iter().enumerate() {
            assert_eq!(slots.get(*id), Some(&number));
        }
    }

    #[test]
    fn the_one_in_the_last_place_hides_no_peak_and_keeps_the_others_as_they_are() {
        let mut slots = Slots::new();
        let peak: Vec<_> = (0..1_000).map(|number| slots.insert(number)).collect();
        peak[..999].iter().for_each(|id| assert!(slots.remove(*id).is_some()));
        let free = slots.free.clone();
        assert!(slots.give_back(), "others may give back what they keep");
        assert_eq!(
            (slots.places.len(), &slots.free),
            (1_000, &free),
            "nothing is made anew in vain"
        );
        slots.remove(peak[999]);
        assert!(slots.give_back());
        assert_eq!((slots.places.len(), slots.free.len()), (KEPT, KEPT));
        assert!(!slots.give_back(), "all is given back");
    }

    #[test]
    fn places_that_are_needed_are_not_given_back() {
        let mut slots = Slots::new();
        let all: Vec<_> = (0..1_000).map(|number| slots.insert(number)).collect();
        all[300..].iter().for_each(|id| assert!(slots.remove(*id).is_some()));
        assert!(!slots.give_back());
        assert_eq!(slots.places.len(), 1_000, "more than a quarter is in use");
    }
}
