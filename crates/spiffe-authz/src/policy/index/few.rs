//! A map that mostly holds a few entries.

use std::hash::Hash;

use hashbrown::HashMap;
use smallvec::SmallVec;

/// Up to so many entries are looked at one after the other.
const FEW: usize = 8;

#[derive(Debug)]
pub(super) struct FewMap<K, V> {
    entries: SmallVec<[(K, V); 1]>,
    /// Where in the entries a key is, once there are many.
    places: Option<Box<HashMap<K, usize>>>,
}

impl<K, V> Default for FewMap<K, V> {
    fn default() -> Self {
        Self {
            entries: SmallVec::new(),
            places: None,
        }
    }
}

impl<K: Copy + Eq + Hash, V: Default> FewMap<K, V> {
    /// Lets `change` work on what is there for a key, or on what is there to begin with.
    pub(super) fn change(&mut self, key: K, change: impl FnOnce(&mut V)) {
        if let Some(place) = self.place(key) {
            if let Some((_, value)) = self.entries.get_mut(place) {
                change(value);
            }
            return;
        }
        let mut value = V::default();
        change(&mut value);
        let place = self.entries.len();
        self.entries.push((key, value));
        match &mut self.places {
            Some(places) => {
                places.insert(key, place);
            }
            None if place == FEW => {
                let keys = self.entries.iter().map(|(key, _)| *key);
                self.places = Some(Box::new(keys.zip(0..).collect()));
            }
            None => {}
        }
    }
}

impl<K: Copy + Eq + Hash, V> FewMap<K, V> {
    #[inline]
    pub(super) fn get(&self, key: K) -> Option<&V> {
        match &self.places {
            None => {
                let mut entries = self.entries.iter();
                entries.find_map(|(known, value)| (*known == key).then_some(value))
            }
            Some(places) => {
                let (_, value) = self.entries.get(*places.get(&key)?)?;
                Some(value)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }

    fn place(&self, key: K) -> Option<usize> {
        match &self.places {
            None => self.entries.iter().position(|(known, _)| *known == key),
            Some(places) => places.get(&key).copied(),
        }
    }
}
