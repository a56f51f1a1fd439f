//! Numbered places for machines, used again when free.
//!
//! A [`Key`] carries a generation, so that a key kept too long finds nothing instead of a stranger.
//! Freed places are used again in LIFO order: what was hot in the cache a moment ago is hot still.

/// A place in a [`Slab`] and which of its lives is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// So many places are never given back: ordinary traffic comes and goes in them.
const KEPT: usize = 256;

/// Values in numbered places.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// The generation of a place that is made: later than any that was given back.
    born: u32,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Slab { places: Vec::new(), free: Vec::new(), born: 0 }
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.value = Some(value);
            return Key { index, generation: place.generation };
        }
        let index = self.places.len() as u32;
        self.places.push(Place { generation: self.born, value: Some(value) });
        Key { index, generation: self.born }
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let place = self.places.get(key.index as usize)?;
        if place.generation == key.generation {
            place.value.as_ref()
        } else {
            None
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation == key.generation {
            place.value.as_mut()
        } else {
            None
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// Gives back the memory of the places behind the last one that is taken, where a peak has left
    /// three of four free. Not for the hot path: it looks at all places.
    ///
    /// From then on the first places are taken first, so that a few that stay for long don't hold
    /// the others' memory for ever.
    pub(crate) fn give_back(&mut self) {
        let taken = self.places.len() - self.free.len();
        if self.places.len() <= KEPT || taken > self.places.len() / 4 {
            return;
        }
        let last = self.places.iter().rposition(|place| place.value.is_some());
        let kept = last.map_or(0, |last| last + 1).max(KEPT);
        if kept == self.places.len() {
            return;
        }
        let given = self.places.drain(kept..).map(|place| place.generation);
        self.born = given.fold(self.born, u32::max);
        self.places.shrink_to_fit();
        let is_free = |index: &usize| self.places[*index].value.is_none();
        self.free = (0..kept).rev().filter(is_free).map(|index| index as u32).collect();
    }

    /// How many places there are, taken or free.
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    /// The value in a place, if there is one.
    pub(crate) fn at(&self, index: usize) -> Option<(Key, &T)> {
        let place = self.places.get(index)?;
        let key = Key { index: index as u32, generation: place.generation };
        place.value.as_ref().map(|value| (key, value))
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        let of = |(index, place): (usize, &Place<T>)| {
            let key = Key { index: index as u32, generation: place.generation };
            place.value.is_some().then_some(key)
        };
        self.places.iter().enumerate().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_finds_nothing() {
        let mut slab = Slab::new();
        let first = slab.insert("one");
        assert_eq!(slab.remove(first), Some("one"));
        let second = slab.insert("two");
        assert_eq!(first.index, second.index);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"two"));
        assert_eq!(slab.len(), 1);
        assert_eq!(slab.keys(), [second]);
    }

    #[test]
    fn a_peak_gives_its_places_back_and_an_old_key_of_them_finds_nothing() {
        let mut slab = Slab::new();
        let peak: Vec<_> = (0..10_000).map(|number| slab.insert(number)).collect();
        slab.remove(peak[9_000]);
        let again = slab.insert(9_000);
        let stays = peak[400];
        for key in peak.iter().filter(|key| **key != stays).chain([&again]) {
            slab.remove(*key);
        }

        slab.give_back();
        let room = (slab.places.capacity(), slab.free.capacity());
        assert!(room.0 <= 401 && room.1 <= 512, "{room:?}");
        assert_eq!(slab.get(stays), Some(&400));

        let fresh: Vec<_> = (0..10_000).map(|number| slab.insert(number)).collect();
        assert_eq!(fresh[0].index, 0, "the first ones first");
        for key in peak.iter().filter(|key| **key != stays).chain([&again]) {
            assert_eq!(slab.get(*key), None);
        }
        for (number, key) in fresh.iter().enumerate() {
            assert_eq!(slab.get(*key), Some(&number));
        }
    }

    #[test]
    fn the_one_in_the_last_place_keeps_the_others_as_they_are() {
        let mut slab = Slab::new();
        let peak: Vec<_> = (0..1_000).map(|number| slab.insert(number)).collect();
        peak[..999].iter().for_each(|key| assert!(slab.remove(*key).is_some()));
        let free = slab.free.clone();
        slab.give_back();
        assert_eq!((slab.places.len(), &slab.free), (1_000, &free), "nothing is made anew in vain");
        slab.remove(peak[999]);
        slab.give_back();
        assert_eq!((slab.places.len(), slab.free.len()), (KEPT, KEPT));
    }

    #[test]
    fn places_that_are_needed_are_not_given_back() {
        let mut slab = Slab::new();
        let all: Vec<_> = (0..1_000).map(|number| slab.insert(number)).collect();
        all[300..].iter().for_each(|key| assert!(slab.remove(*key).is_some()));
        slab.give_back();
        assert_eq!(slab.places.len(), 1_000, "more than a quarter is in use");
    }
}
