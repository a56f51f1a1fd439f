//! Numbered places for machines, and for whoever drives them, used again when free.
//!
//! An id ([`Key`], or a type of the caller's own) carries a generation, so that one kept too long
//! finds nothing instead of a stranger. Freed places are used again in LIFO order: what was hot in
//! the cache a moment ago is hot still.

use std::marker::PhantomData;

/// What names a place of a [`Slab`], and which of its lives is meant.
pub trait Id: Copy {
    /// The id of this place in this life.
    fn of(index: u32, generation: u32) -> Self;
    /// The place, and which of its lives.
    fn parts(self) -> (u32, u32);
}

/// A machine's place in a [`Slab`] and which of its lives is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Id for Key {
    #[inline]
    fn of(index: u32, generation: u32) -> Key {
        Key { index, generation }
    }

    #[inline]
    fn parts(self) -> (u32, u32) {
        (self.index, self.generation)
    }
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// So many places are never given back: ordinary traffic comes and goes in them.
pub const KEPT: usize = 256;

/// Values in numbered places.
#[derive(Debug)]
pub struct Slab<T, I = Key> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// The generation of a place that is made: later than any that was given back.
    born: u32,
    ids: PhantomData<I>,
}

impl<T, I: Id> Default for Slab<T, I> {
    fn default() -> Self {
        Slab::new()
    }
}

impl<T, I: Id> Slab<T, I> {
    /// One without places.
    pub fn new() -> Self {
        Slab { places: Vec::new(), free: Vec::new(), born: 0, ids: PhantomData }
    }

    /// Takes the place that was freed last, or a new one.
    pub fn insert(&mut self, value: T) -> I {
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.value = Some(value);
            return I::of(index, place.generation);
        }
        let index = self.places.len() as u32;
        self.places.push(Place { generation: self.born, value: Some(value) });
        I::of(index, self.born)
    }

    /// The value that `id` stands for, if it is still there.
    #[inline]
    pub fn get(&self, id: I) -> Option<&T> {
        let (index, generation) = id.parts();
        let place = self.places.get(index as usize)?;
        if place.generation == generation {
            place.value.as_ref()
        } else {
            None
        }
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        let (index, generation) = id.parts();
        let place = self.places.get_mut(index as usize)?;
        if place.generation == generation {
            place.value.as_mut()
        } else {
            None
        }
    }

    /// Takes the value out and frees its place.
    pub fn remove(&mut self, id: I) -> Option<T> {
        let (index, generation) = id.parts();
        let place = self.places.get_mut(index as usize)?;
        if place.generation != generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        Some(value)
    }

    /// Gives back the memory of the places behind the last one that is taken, where a peak has left
    /// three of four free. Not for the hot path: it looks at all places.
    ///
    /// From then on the first places are taken first, so that a few that stay for long don't hold
    /// the others' memory for ever. True if a peak has left so many free, whether or not any could
    /// be given back: one that stays in the last place holds these, and nothing that others keep.
    pub fn give_back(&mut self) -> bool {
        let all = self.places.len();
        if all <= KEPT || self.len() > all / 4 {
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

    /// How many places there are, taken or free.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// How many places are taken.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether no place is taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing is in it, and a peak's places have been given back.
    pub fn is_at_rest(&self) -> bool {
        self.is_empty() && self.places.len() <= KEPT
    }

    /// The value in a place, if there is one.
    pub fn at(&self, index: usize) -> Option<(I, &T)> {
        let place = self.places.get(index)?;
        let id = I::of(index as u32, place.generation);
        place.value.as_ref().map(|value| (id, value))
    }

    /// The ids of all values.
    pub fn keys(&self) -> Vec<I> {
        let all = (0..self.places.len()).filter_map(|index| self.at(index));
        all.map(|(id, _)| id).collect()
    }

    /// All values with their ids, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (I, &mut T)> {
        self.places.iter_mut().enumerate().filter_map(|(index, place)| {
            let id = I::of(index as u32, place.generation);
            place.value.as_mut().map(|value| (id, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_finds_nothing() {
        let mut slab = Slab::<_>::new();
        let first = slab.insert("one");
        assert_eq!(slab.remove(first), Some("one"));
        let second = slab.insert("two");
        assert_eq!(first.index, second.index);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"two"));
        assert_eq!(slab.len(), 1);
        assert_eq!(slab.keys(), [second]);
        assert_eq!(slab.iter_mut().collect::<Vec<_>>(), [(second, &mut "two")]);
        slab.remove(second);
        assert!(slab.is_empty());
    }

    #[test]
    fn a_peak_gives_its_places_back_and_an_old_key_of_them_finds_nothing() {
        let mut slab = Slab::<_>::new();
        let peak: Vec<_> = (0..10_000).map(|number| slab.insert(number)).collect();
        slab.remove(peak[9_000]);
        let again = slab.insert(9_000);
        let stays = peak[400];
        let gone: Vec<_> = peak.iter().filter(|key| **key != stays).chain([&again]).collect();
        for key in &gone {
            slab.remove(**key);
        }

        assert!(slab.give_back());
        let room = (slab.places.capacity(), slab.free.capacity());
        assert!(room.0 <= 401 && room.1 <= 512, "{room:?}");
        assert_eq!(slab.get(stays), Some(&400));

        let fresh: Vec<_> = (0..10_000).map(|number| slab.insert(number)).collect();
        assert_eq!(fresh[0].index, 0, "the first ones first");
        for key in gone {
            assert_eq!(slab.get(*key), None);
        }
        for (number, key) in fresh.iter().enumerate() {
            assert_eq!(slab.get(*key), Some(&number));
        }
    }

    #[test]
    fn the_one_in_the_last_place_hides_no_peak_and_keeps_the_others_as_they_are() {
        let mut slab = Slab::<_>::new();
        let peak: Vec<_> = (0..1_000).map(|number| slab.insert(number)).collect();
        peak[..999].iter().for_each(|key| assert!(slab.remove(*key).is_some()));
        let free = slab.free.clone();
        assert!(slab.give_back(), "others may give back what they keep");
        assert_eq!((slab.places.len(), &slab.free), (1_000, &free), "nothing is made anew in vain");
        slab.remove(peak[999]);
        assert!(slab.give_back());
        assert_eq!((slab.places.len(), slab.free.len()), (KEPT, KEPT));
        assert!(!slab.give_back(), "all is given back");
    }

    #[test]
    fn places_that_are_needed_are_not_given_back() {
        let mut slab = Slab::<_>::new();
        let all: Vec<_> = (0..1_000).map(|number| slab.insert(number)).collect();
        all[300..].iter().for_each(|key| assert!(slab.remove(*key).is_some()));
        assert!(!slab.give_back());
        assert_eq!(slab.places.len(), 1_000, "more than a quarter is in use");
    }
}
