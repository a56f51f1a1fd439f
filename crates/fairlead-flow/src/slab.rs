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

/// Values in numbered places.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Slab { places: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.value = Some(value);
            return Key { index, generation: place.generation };
        }
        let index = self.places.len() as u32;
        self.places.push(Place { generation: 0, value: Some(value) });
        Key { index, generation: 0 }
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
}
